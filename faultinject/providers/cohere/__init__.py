"""Cohere's API, version 2: chat, embed and rerank, and its path in OpenAI's form.

What is known of it, and how, is in docs/providers/cohere.md.
"""

from __future__ import annotations

import re

from attrs import evolve

from faultinject.providers import gateway, generic
from faultinject.providers.cohere import errors, v2_chat
from faultinject.providers.openai import chat
from faultinject.providers.openai import usage as openai_usage
from faultinject.providers.provider import (
    EXAMPLE_FUNCTION,
    EXAMPLE_MESSAGES,
    TRANSIENT,
    Example,
    Provider,
)
from faultinject.providers.shape import Failure, Fields, Shape

__all__ = ["PROVIDER"]


def _as_openai(failure: Failure, fields: Fields) -> dict[str, str]:
    return {"id": errors.document_id(fields), "message": errors.message(failure, fields)}


_OWN = Shape(
    "cohere",
    re.compile(r".*/v2/chat"),
    v2_chat.minimal_response,
    (v2_chat.STREAM,),
    v2_chat.usage,
)
_CHAT = Shape(
    "chat",
    re.compile(r".*/compatibility/v1/chat/completions"),
    chat.minimal_response,
    (chat.stream({"data": chat.as_data(_as_openai)}),),
    openai_usage,
)

PROVIDER = Provider(
    name="cohere",
    hosts=("api.cohere.com", "api.cohere.ai"),
    paths=re.compile(r".*/v2/(?:chat|embed|rerank)"),
    draw_fields=errors.draw_fields,
    error_type=errors.error_type,
    error_body=errors.error_body,
    request_id_header=b"x-debug-trace-id",
    identity_headers=errors.identity_headers,
    rate_limit_headers=errors.rate_limit_headers,
    retry_headers=errors.retry_headers,
    shapes=(
        _OWN,
        _CHAT,
        evolve(generic.SHAPE, minimal_response=v2_chat.minimal_response, usage=v2_chat.usage),
    ),
    failures=errors.FAILURES,
    pages=gateway.GOOGLE_CLOUD,
    examples=(
        Example(
            "/v2/chat",
            {
                "messages": EXAMPLE_MESSAGES,
                "tools": [{"type": "function", "function": EXAMPLE_FUNCTION}],
            },
        ),
    ),
    transient=TRANSIENT | {409},  # its SDK tries again after a conflict
    model_calls=re.compile(r".*/(?:v[12]/chat|v1/(?:generate|summarize)|chat/completions)"),
    # Its SDK's question whether a key is right.
    housekeeping=re.compile(r"/v1/check-api-key"),
)
"""Cohere."""
