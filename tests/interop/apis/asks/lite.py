"""litellm, in front of several APIs."""

from __future__ import annotations

import os
import ssl
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its prices from a host

import httpx
import litellm
import openai
from litellm.llms.custom_httpx.http_handler import HTTPHandler

from tests.interop.presets.asking import CITY, Seen, failure

_PATHS = {
    "gemini": "/v1beta", "openrouter": "/api/v1", "groq": "/openai/v1", "openai": "/v1",
    "mistral": "/v1", "xai": "/v1",
}  # fmt: skip
_OPTIONS: dict[str, dict[str, Any]] = {
    "bedrock": {
        "aws_access_key_id": "AKIATEST", "aws_secret_access_key": "test",
        "aws_region_name": "us-east-1",
    },
}  # fmt: skip


def _client(api: str, base_url: str, proxied: httpx.Client) -> Any:
    """Return what litellm takes for an API: OpenAI's own SDK, or its handler of requests."""
    if api == "openai":
        return openai.OpenAI(api_key="test", base_url=base_url, http_client=proxied)
    return HTTPHandler(client=proxied)


class LiteLlmApi:
    """Its completion(), whole and streamed, with the model's prefix that names the API."""

    def __init__(self, client: str, case: dict[str, Any]) -> None:
        trusted = ssl.create_default_context(cafile=case["ca_file"])
        proxied = httpx.Client(proxy=case["proxy"], verify=trusted, timeout=case["timeout"])
        self.prefix = {"bedrock": "bedrock/converse/"}.get(client, f"{client}/")
        base_url = case["base_url"] + _PATHS.get(client, "")
        self.options = {
            "api_key": "test", "api_base": base_url, "timeout": case["timeout"],
            "client": _client(client, base_url, proxied),
            **_OPTIONS.get(client, {}),
        }  # fmt: skip

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        choice = litellm.completion(**request, **self.options).choices[0]
        seen["text"], seen["stop"] = choice.message.content, choice.finish_reason

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for chunk in litellm.completion(**request, **self.options, stream=True):
            for choice in chunk.choices:
                seen["text"] += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    seen["arguments"] += call.function.arguments or ""
                seen["stop"] = choice.finish_reason or seen["stop"]

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        function = {"name": "weather", "parameters": CITY}
        tool = {"tools": [{"type": "function", "function": function}]} if tools else {}
        messages = [{"role": "user", "content": "hi"}]
        return {"model": self.prefix + prompt, "messages": messages, **tool}

    def failure(self, error: Exception) -> Seen:
        # Its message is a chain of classes and of the API's document.
        return failure(error) | {"type": None, "message": None}


def open_api(client: str, case: dict[str, Any]) -> LiteLlmApi:
    return LiteLlmApi(client, case)
