"""google-genai, for AI Studio and for Vertex AI."""

from __future__ import annotations

import json
import ssl
from typing import Any

from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from tests.interop.presets.asking import CITY, Seen, failure


class GeminiApi:
    """generateContent, whole and streamed."""

    def __init__(self, client: genai.Client) -> None:
        self.client = client

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        self._note(self.client.models.generate_content(**request), seen)

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for chunk in self.client.models.generate_content_stream(**request):
            self._note(chunk, seen)

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        function = types.FunctionDeclaration(name="weather", parameters_json_schema=CITY)
        offered = [types.Tool(function_declarations=[function])] if tools else None
        config = types.GenerateContentConfig(
            tools=offered,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        return {"model": prompt, "contents": "hi", "config": config}

    def failure(self, error: Exception) -> Seen:
        status, kind = getattr(error, "code", None), getattr(error, "status", None)
        message = getattr(error, "message", None) or str(error)
        return failure(error) | {"status": status, "type": kind, "message": message}

    def _note(self, answer: types.GenerateContentResponse, seen: Seen) -> None:
        seen["text"] += answer.text or ""
        for call in answer.function_calls or ():
            seen["arguments"] += json.dumps(call.args)
        reasons = [each.finish_reason for each in answer.candidates or () if each.finish_reason]
        seen["stop"] = reasons[-1].value if reasons else seen["stop"]


def open_api(client: str, case: dict[str, Any]) -> GeminiApi:
    trusted = ssl.create_default_context(cafile=case["ca_file"])
    options = types.HttpOptions(
        base_url=case["base_url"], timeout=int(case["timeout"] * 1000),
        client_args={"proxy": case["proxy"], "verify": trusted},
    )  # fmt: skip
    if client == "gemini":
        return GeminiApi(genai.Client(api_key="AIza-test", http_options=options))
    where = {"project": "test", "location": "us-central1"}
    return GeminiApi(
        genai.Client(
            vertexai=True, credentials=Credentials(token="test"), http_options=options, **where
        )
    )
