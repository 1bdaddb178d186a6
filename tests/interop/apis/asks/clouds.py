"""anthropic's clients for Bedrock, Vertex AI and Foundry, and openai's for Azure."""

from __future__ import annotations

import ssl
from typing import Any

import anthropic
import openai

from tests.interop.presets.asking import AnthropicApi, CompletionsApi

_OPENERS: dict[str, Any] = {
    "bedrock": lambda **options: anthropic.AnthropicBedrock(
        aws_access_key="AKIATEST", aws_secret_key="test", aws_region="us-east-1", **options
    ),
    "vertex": lambda base_url, **options: anthropic.AnthropicVertex(
        region="us-central1", project_id="test", access_token="test", base_url=f"{base_url}/v1",
        **options,
    ),
    "foundry": lambda base_url, **options: anthropic.AnthropicFoundry(
        api_key="test", base_url=f"{base_url}/anthropic/", **options
    ),
    "azure": lambda base_url, **options: openai.AzureOpenAI(
        api_key="test", api_version="2024-10-21", azure_endpoint=base_url, **options
    ),
}  # fmt: skip


def open_api(client: str, case: dict[str, Any]) -> AnthropicApi | CompletionsApi:
    sdk, kind = (openai, CompletionsApi) if client == "azure" else (anthropic, AnthropicApi)
    trusted = ssl.create_default_context(cafile=case["ca_file"])
    http_client = sdk.DefaultHttpxClient(proxy=case["proxy"], verify=trusted)
    options = {"base_url": case["base_url"], "timeout": case["timeout"]}
    return kind(_OPENERS[client](http_client=http_client, **options))
