"""Azure OpenAI, and Azure's Foundry, which also has Anthropic's models.

What is known of it, and how, is in docs/providers/azure.md.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from faultinject.providers import gateway
from faultinject.providers.documents import BASE62, compact, identifier
from faultinject.providers.openai import chat
from faultinject.providers.openai.headers import retry_headers
from faultinject.providers.openai_shaped import azure_errors as errors
from faultinject.providers.openai_shaped.usual import (
    MESSAGES,
    OTHER,
    OpenAiShaped,
    chat_shape,
    examples,
    responses_shape,
)
from faultinject.providers.provider import known_account
from faultinject.providers.shape import ApiRequest, Fields, Uniform, model_in_body

__all__ = ["PROVIDER"]

_SAFE = {"filtered": False, "severity": "safe"}
_FILTERS = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), _SAFE)
_PROMPT = [{"prompt_index": 0, "content_filter_results": _FILTERS}]


def _model(request: ApiRequest) -> str | None:
    """Return the model of the body, or else the deployment that the path names."""
    return model_in_body(request) or errors.deployment(request)


def _minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    base = chat.begun(request, fields, identifier("chatcmpl-", uniform(), 29, BASE62))
    return compact(chat.completion(base, request, uniform) | {"prompt_filter_results": _PROMPT})


def _minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return a stream whose first chunk says what the content filter thinks of the prompt."""
    base = chat.begun_chunk(request, fields, identifier("chatcmpl-", uniform(), 29, BASE62))
    first: dict[str, Any] = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    made = chat.counted_chunks(base, request, uniform, chat.usage_of(request))
    return chat.encoded([first | {"prompt_filter_results": _PROMPT}, *made])


_CHAT = chat_shape(
    chat.stream(
        {
            "data": chat.as_data(errors.error_of),
            "content_filter": chat.as_last_chunk("content_filter"),
        },
        _minimal_stream,
    ),
    _minimal_response,
)

PROVIDER = OpenAiShaped(
    name="azure",
    hosts=("*.openai.azure.com", "*.cognitiveservices.azure.com", "*.services.ai.azure.com"),
    paths=re.compile(r".*/openai/deployments/[^/]+/.*", re.DOTALL),
    draw_fields=errors.draw_fields,
    error_type=errors.code_of,
    error_body=errors.error_body,
    request_id_header=b"apim-request-id",
    identity_headers=errors.identity_headers,
    rate_limit_headers=errors.rate_limit_headers,
    tells_limits=known_account,
    retry_headers=retry_headers,
    shapes=(
        evolve(_CHAT, model=_model),
        responses_shape(errors.error_of, ("failed", "both", "nested", "flat")),
        MESSAGES,
        evolve(OTHER, model=_model),
    ),
    failures=errors.FAILURES,
    pages=gateway.AZURE | {errors.UNAUTHORIZED.name: errors.UNAUTHORIZED},
    examples=examples(
        "/openai/deployments/some-model/chat/completions",
        "/openai/v1/responses",
        "/anthropic/v1/messages",
    ),
)
"""Azure OpenAI and Foundry."""
