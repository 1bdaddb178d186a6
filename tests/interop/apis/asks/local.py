"""ollama."""

from __future__ import annotations

import json
import ssl
from typing import Any

import ollama

from tests.interop.presets.asking import CITY, Seen, failure


class OllamaApi:
    """Chat, whole and streamed."""

    def __init__(self, client: ollama.Client) -> None:
        self.client = client

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        self._note(self.client.chat(**request), seen)

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for part in self.client.chat(**request, stream=True):
            self._note(part, seen)

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        function = {"name": "weather", "parameters": CITY}
        tool = {"tools": [{"type": "function", "function": function}]} if tools else {}
        return {"model": prompt, "messages": [{"role": "user", "content": "hi"}], **tool}

    def failure(self, error: Exception) -> Seen:
        message = getattr(error, "error", None) or str(error)
        return failure(error) | {"type": None, "message": message}

    def _note(self, answer: ollama.ChatResponse, seen: Seen) -> None:
        seen["text"] += answer.message.content or ""
        for call in answer.message.tool_calls or ():
            seen["arguments"] += json.dumps(call.function.arguments)
        seen["stop"] = answer.done_reason or seen["stop"]


def open_api(client: str, case: dict[str, Any]) -> OllamaApi:
    trusted = ssl.create_default_context(cafile=case["ca_file"])
    return OllamaApi(
        ollama.Client(
            case["base_url"], proxy=case["proxy"], verify=trusted, timeout=case["timeout"],
            headers={"Authorization": "Bearer test"},
        )
    )  # fmt: skip
