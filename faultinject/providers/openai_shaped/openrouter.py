"""OpenRouter: Chat Completions, Responses and Messages for the models of many providers.

What is known of it, and how, is in docs/providers/openrouter.md.
"""

from __future__ import annotations

from typing import Any

from faultinject.providers.documents import compact
from faultinject.providers.framing.sse import comment
from faultinject.providers.openai import chat
from faultinject.providers.openai_shaped import openrouter_errors as errors
from faultinject.providers.openai_shaped.usual import (
    MESSAGES,
    OTHER,
    OpenAiShaped,
    chat_shape,
    examples,
    responses_shape,
)
from faultinject.providers.shape import ApiRequest, Fields, Uniform

__all__ = ["PROVIDER"]

PROCESSING = comment("OPENROUTER PROCESSING")
"""What keeps a stream open."""


def _dressed(base: dict[str, Any]) -> dict[str, Any]:
    order = {"id": base["id"], "provider": errors.UPSTREAM, "model": base["model"]}
    return order | base


def _minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    base = _dressed(chat.begun(request, fields, fields.request_id))
    made = chat.completion(base | {"system_fingerprint": None}, request, uniform)
    return compact(made | {"usage": made["usage"] | {"cost": 0}})


def _minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return a stream; a comment comes first, and the usage last, whether asked for or not."""
    base = _dressed(chat.begun_chunk(request, fields, fields.request_id))
    made = chat.chunks(base, request, uniform)
    usage = chat.usage_of(request) | {"cost": 0}
    last = base | {"choices": [], "usage": usage}
    return [PROCESSING, *chat.encoded([*made, last])]


PROVIDER = OpenAiShaped(
    name="openrouter",
    hosts=("openrouter.ai",),
    draw_fields=errors.draw_fields,
    error_type=errors.VOCABULARY.error_type,
    error_body=errors.error_body,
    request_id_header=b"x-generation-id",
    identity_headers=errors.identity_headers,
    rate_limit_headers=errors.rate_limit_headers,
    shapes=(
        chat_shape(
            chat.stream(
                {
                    "chunk": chat.as_last_chunk("error", errors.error_of),
                    "data": chat.as_data(errors.error_of),
                },
                _minimal_stream,
                PROCESSING,
            ),
            _minimal_response,
        ),
        responses_shape(errors.in_responses, ("flat", "failed")),
        MESSAGES,
        OTHER,
    ),
    failures=errors.FAILURES,
    examples=examples("/api/v1/chat/completions", "/api/v1/responses", "/api/v1/messages"),
)
"""OpenRouter."""
