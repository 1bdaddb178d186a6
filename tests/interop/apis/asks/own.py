"""The SDKs of Mistral, Cohere and OpenRouter."""

from __future__ import annotations

import inspect
import re
import ssl
from typing import Any

from tests.interop.presets.asking import CITY, Seen


def _load() -> None:
    """Load what two SDKs put off until it is used: in several threads at a time they hang."""
    import mistralai.client.chat
    import mistralai.client.errors
    import mistralai.client.models
    import openrouter.chat
    import openrouter.components
    import openrouter.errors

    for package in (openrouter.errors, mistralai.client.errors):
        for name in dir(package):
            getattr(package, name)
    for module, package in (
        (openrouter.chat, openrouter.components),
        (mistralai.client.chat, mistralai.client.models),
    ):
        used = re.findall(
            rf"\b{package.__name__.rpartition('.')[2]}\.(\w+)", inspect.getsource(module)
        )
        for name in used:
            getattr(package, name, None)


_load()
KEPT: dict[str, Any] = {"keepalive_expiry": 60.0}
"""Of a connection, in seconds: on a busy machine more than five may be between two calls."""
_FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": CITY}}


class MistralApi:
    """Chat by mistralai."""

    def __init__(self, case: dict[str, Any], trusted: ssl.SSLContext) -> None:
        import httpx2
        from mistralai.client import Mistral

        self.client = Mistral(
            api_key="test", server_url=case["base_url"], timeout_ms=int(case["timeout"] * 1000),
            client=httpx2.Client(
                proxy=case["proxy"], verify=trusted, limits=httpx2.Limits(**KEPT)
            ),
        )  # fmt: skip

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        choice = self.client.chat.complete(**request).choices[0]
        seen["text"], seen["stop"] = choice.message.content, choice.finish_reason

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for event in self.client.chat.stream(**request):
            note_choices(event.data, seen)

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        tool = {"tools": [_FUNCTION]} if tools else {}
        return {"model": prompt, "messages": [{"role": "user", "content": "hi"}], **tool}


class OpenRouterApi(MistralApi):
    """Chat by openrouter."""

    def __init__(self, case: dict[str, Any], trusted: ssl.SSLContext) -> None:
        import httpx
        from openrouter import OpenRouter
        from openrouter.utils import BackoffStrategy, RetryConfig

        # The SDK's own, but that it gives up after 6 seconds and not after an hour.
        strategy = BackoffStrategy(500, 60_000, 1.5, max_elapsed_time=6_000)
        self.client = OpenRouter(
            retry_config=RetryConfig("backoff", strategy, retry_connection_errors=True),
            api_key="test", server_url=case["base_url"] + "/api/v1",
            timeout_ms=int(case["timeout"] * 1000),
            client=httpx.Client(
                proxy=case["proxy"], verify=trusted, limits=httpx.Limits(**KEPT)
            ),
        )  # fmt: skip

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        choice = self.client.chat.send(**request).choices[0]
        seen["text"], seen["stop"] = choice.message.content, choice.finish_reason

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for chunk in self.client.chat.send(**request, stream=True):
            note_choices(chunk, seen)


class CohereApi:
    """Chat by cohere's second client."""

    def __init__(self, case: dict[str, Any], trusted: ssl.SSLContext) -> None:
        import cohere
        import httpx

        self.client = cohere.ClientV2(
            api_key="test", base_url=case["base_url"], timeout=case["timeout"],
            httpx_client=httpx.Client(
                proxy=case["proxy"], verify=trusted, timeout=case["timeout"]
            ),
        )  # fmt: skip

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        answer = self.client.chat(**request)
        if answer.message is None:
            seen["returned"] = "no message"
            return
        seen["text"] = "".join(part.text for part in answer.message.content or ())
        seen["stop"] = answer.finish_reason

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for event in self.client.chat_stream(**request):
            if event.type == "content-delta":
                seen["text"] += event.delta.message.content.text or ""
            elif event.type == "tool-call-delta":
                seen["arguments"] += event.delta.message.tool_calls.function.arguments or ""
            elif event.type == "message-end":
                seen["stop"] = event.delta.finish_reason

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        tool = {"tools": [_FUNCTION]} if tools else {}
        return {"model": prompt, "messages": [{"role": "user", "content": "hi"}], **tool}


def note_choices(chunk: Any, seen: Seen) -> None:
    """Note what a chunk of a stream in OpenAI's form has."""
    for choice in chunk.choices:
        seen["text"] += choice.delta.content or ""
        for call in choice.delta.tool_calls or ():
            seen["arguments"] += str(call.function.arguments)
        seen["stop"] = choice.finish_reason or seen["stop"]


_APIS = {"mistral": MistralApi, "openrouter": OpenRouterApi, "cohere": CohereApi}


def open_api(client: str, case: dict[str, Any]) -> Any:
    return _APIS[client](case, ssl.create_default_context(cafile=case["ca_file"]))
