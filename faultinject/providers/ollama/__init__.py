"""Ollama: its own API, and those of OpenAI and Anthropic that it speaks too.

What is known of it, and how, is in docs/providers/ollama.md.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from faultinject.providers import gateway, generic
from faultinject.providers.anthropic import errors as anthropic_errors
from faultinject.providers.anthropic import messages
from faultinject.providers.anthropic import stream as anthropic_stream
from faultinject.providers.anthropic.api import message_usage
from faultinject.providers.documents import compact
from faultinject.providers.ollama import chunks
from faultinject.providers.ollama.chunks import error_text
from faultinject.providers.openai import chat, responses
from faultinject.providers.openai import usage as openai_usage
from faultinject.providers.provider import EXAMPLE_FUNCTION, EXAMPLE_MESSAGES, Example, Provider
from faultinject.providers.shape import Failure, Fields, Shape

__all__ = ["PROVIDER"]


def _error_type(status: int) -> str:
    """Return the type of an error in OpenAI's form; Ollama's own has none."""
    return {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")


def _as_openai(failure: Failure, fields: Fields) -> dict[str, Any]:
    message = error_text(failure, fields)
    kind = failure.error_type or _error_type(failure.status)
    return {"message": message, "type": kind, "param": None, "code": failure.code}


def _error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document, in the form that is spoken at the request's path."""
    spoken = fields.request.shape.name if fields.request and fields.request.shape else ""
    if spoken == "messages":
        return anthropic_errors.failure_body(_worded(failure, fields), fields)
    if spoken in ("chat", "responses"):
        return compact({"error": _as_openai(failure, fields)})
    return compact({"error": error_text(failure, fields)} | dict(failure.details or {}))


def _worded(failure: Failure, fields: Fields) -> Failure:
    return evolve(failure, message=error_text(failure, fields))


_OWN = Shape(
    "ollama",
    re.compile(r".*/api/(?:chat|generate)"),
    chunks.minimal_response,
    (chunks.STREAM,),
    chunks.usage,
    is_streamed=lambda request: request.get("stream") is not False,
)
_CHAT = Shape(
    "chat",
    re.compile(r".*/completions"),
    chat.minimal_response,
    (chat.stream({"data": chat.as_data(_as_openai)}),),
    openai_usage,
)
_RESPONSES = Shape(
    "responses",
    re.compile(r".*/responses"),
    responses.minimal_response,
    (responses.STREAM,),
    openai_usage,
)
_MESSAGES = Shape(
    "messages",
    re.compile(r".*/v1/messages"),
    messages.minimal_response,
    (anthropic_stream.STREAM,),
    message_usage,
)

PROVIDER = Provider(
    name="ollama",
    hosts=("ollama.com",),
    paths=re.compile(r"/api/(?:chat|generate|embed)"),
    draw_fields=generic.draw_fields,
    error_type=_error_type,
    error_body=_error_body,
    error_content_type="application/json; charset=utf-8",
    shapes=(
        _OWN, _CHAT, _RESPONSES, _MESSAGES,
        evolve(generic.SHAPE, minimal_response=chunks.minimal_response),
    ),
    failures={
        "overloaded": Failure(503),
        "rate-limited": Failure(429),
        "auth-expired": Failure(
            401, details={"signin_url": "https://ollama.com/connect?name=example"}
        ),
        "unknown-model": Failure(404),
        "server-error": Failure(500),
    },
    pages=gateway.NGINX,
    examples=(
        Example(
            "/api/chat",
            {
                "messages": EXAMPLE_MESSAGES,
                "tools": [{"type": "function", "function": EXAMPLE_FUNCTION}],
            },
        ),
    ),
    model_calls=re.compile(r".*/(?:api/(?:chat|generate)|(?:chat/)?completions|responses|messages)"),
    # What its own command line asks for to see what there is.
    housekeeping=re.compile(r"/api/(?:version|ps|tags|me|experimental/.*)"),
)  # fmt: skip
"""Ollama, on a machine of one's own or as a service."""
