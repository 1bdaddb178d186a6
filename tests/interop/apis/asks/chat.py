"""The SDKs whose calls are OpenAI's Chat Completions: groq, and openai for xAI and DeepSeek."""

from __future__ import annotations

import ssl
from typing import Any

from tests.interop.presets.asking import CompletionsApi


def open_api(client: str, case: dict[str, Any]) -> CompletionsApi:
    trusted = ssl.create_default_context(cafile=case["ca_file"])
    options = {"api_key": "test", "timeout": case["timeout"]}
    if client == "groq":
        import groq

        http_client = groq.DefaultHttpxClient(proxy=case["proxy"], verify=trusted)
        made = groq.Groq(base_url=case["base_url"], http_client=http_client, **options)
        return CompletionsApi(made)
    import openai

    proxied = openai.DefaultHttpxClient(proxy=case["proxy"], verify=trusted)
    paths = {"xai": "/v1", "deepseek": "", "openrouter": "/api/v1", "mistral": "/v1"}
    base_url = case["base_url"] + paths[client]
    return CompletionsApi(openai.OpenAI(base_url=base_url, http_client=proxied, **options))
