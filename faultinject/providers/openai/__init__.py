"""OpenAI's API: Chat Completions and Responses.

docs/providers/openai.md says what is known of it, and how. Hosts that are not known, with the same
API, are recognised by their paths, and get OpenAI's own words.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from faultinject.providers import gateway, generic
from faultinject.providers.documents import member, read_usage
from faultinject.providers.openai import chat, errors, headers, responses
from faultinject.providers.provider import (
    EXAMPLE_FUNCTION,
    EXAMPLE_MESSAGES,
    TRANSIENT,
    Example,
    Provider,
)
from faultinject.providers.shape import Shape, Usage

__all__ = ["PROVIDER", "usage"]


def usage(document: Any) -> Usage | None:
    """Return the tokens that a complete response took."""
    usage_part = member(document, "usage")
    return read_usage(usage_part) or read_usage(usage_part, *chat.TOKEN_NAMES)


PROVIDER = Provider(
    name="openai",
    hosts=("api.openai.com", "chatgpt.com", "api.githubcopilot.com"),
    paths=re.compile(r".*/chat/completions|.*/(v1|openai|backend-api/codex)/responses(/.*)?"),
    draw_fields=headers.draw_fields,
    error_type=errors.error_type,
    error_body=errors.error_body,
    request_id_header=b"x-request-id",
    identity_headers=headers.identity_headers,
    rate_limit_headers=headers.rate_limit_headers,
    tells_limits=lambda status: status < 400,
    retry_headers=headers.retry_headers,
    shapes=(
        Shape(
            "chat",
            re.compile(r".*/completions"),
            chat.minimal_response,
            (chat.STREAM,),
            usage,
        ),
        Shape(
            "responses",
            re.compile(r".*/responses"),
            responses.minimal_response,
            (responses.STREAM,),
            usage,
        ),
        evolve(generic.SHAPE, minimal_response=chat.minimal_response, usage=usage),
    ),
    failures=errors.FAILURES,
    pages=gateway.CLOUDFLARE_AND_ENVOY,
    examples=(
        Example(
            "/v1/chat/completions",
            {
                "messages": EXAMPLE_MESSAGES,
                "tools": [{"type": "function", "function": EXAMPLE_FUNCTION}],
            },
        ),
        Example(
            "/v1/responses",
            {"input": EXAMPLE_MESSAGES, "tools": [{"type": "function", **EXAMPLE_FUNCTION}]},
        ),
    ),
    transient=TRANSIENT | {409},  # its SDKs try again after a conflict
    model_calls=re.compile(r".*/((chat/)?completions|responses(/compact)?)"),
    # The second is what ChatGPT's site has beside Codex' calls of a model.
    housekeeping=re.compile(r"/v1/traces/ingest|/backend-api/(?!codex/responses).*"),
)
"""OpenAI's API."""
