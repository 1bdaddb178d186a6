"""Anthropic's API, put together of what its other modules know."""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from faultinject.providers import gateway, generic
from faultinject.providers.anthropic import errors, headers, messages, stream
from faultinject.providers.anthropic.errors import error_type, reason_phrase
from faultinject.providers.documents import compact, member, read_usage
from faultinject.providers.gateway.cloudflare import cloudflare_headers
from faultinject.providers.provider import (
    EXAMPLE_MESSAGES,
    EXAMPLE_SCHEMA,
    TRANSIENT,
    ErrorPage,
    Example,
    Provider,
)
from faultinject.providers.shape import Shape, Usage


def _edge(name: str, status: int, kind: str, message: str, evidence: str) -> ErrorPage:
    # Neither a type of the document nor an id: the edge made it, not the API.
    body = compact({"error": {"type": kind, "message": message}})
    return ErrorPage(
        name,
        status,
        reason_phrase(status),
        "application/json",
        lambda _: body,
        cloudflare_headers,
        evidence,
    )


_PAGES = {
    page.name: page
    for page in (
        _edge(
            "too-large",
            413,
            "request_too_large",
            "Request exceeds the maximum size",
            "the body is captured (anthropic-sdk-python#938); its headers are not verified",
        ),
        _edge(
            "edge-forbidden",
            403,
            "forbidden",
            "Request not allowed",
            "the body is captured (big-AGI#176), an old form; its headers are not verified",
        ),
    )
} | gateway.CLOUDFLARE_AND_ENVOY


def message_usage(document: Any) -> Usage | None:
    """Return the tokens that a whole message took."""
    return read_usage(member(document, "usage"))


PROVIDER = Provider(
    name="anthropic",
    hosts=("api.anthropic.com",),
    paths=re.compile(r".*/v1/messages(/.*)?"),
    draw_fields=headers.draw_fields,
    reason_phrase=reason_phrase,
    error_type=error_type,
    error_body=errors.failure_body,
    request_id_header=b"request-id",
    identity_headers=headers.identity_headers,
    rate_limit_headers=headers.rate_limit_headers,
    retry_headers=headers.retry_headers,
    shapes=(
        Shape(
            "messages",
            re.compile(r".*/v1/messages"),
            messages.minimal_response,
            (stream.STREAM,),
            message_usage,
        ),
        # Among others, the counting of tokens.
        evolve(generic.SHAPE, minimal_response=messages.minimal_response, usage=message_usage),
    ),
    failures=errors.FAILURES,
    pages=_PAGES,
    examples=(
        Example(
            "/v1/messages",
            {
                "messages": EXAMPLE_MESSAGES,
                "tools": [{"name": "weather", "input_schema": EXAMPLE_SCHEMA}],
            },
        ),
    ),
    transient=TRANSIENT | {409},  # its SDKs try again after a conflict
    model_calls=re.compile(r".*/v1/(messages|complete)"),
    # The API itself is below /v1. The rest is what Claude Code asks beside.
    housekeeping=re.compile(r"/(api|mcp-registry)/.*"),
)
"""Anthropic's API."""
