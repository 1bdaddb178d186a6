"""Amazon Bedrock's runtime: Converse, InvokeModel with Anthropic's messages, and their streams.

What is known of it, and how, is in docs/providers/bedrock.md.
"""

from __future__ import annotations

import re

from attrs import evolve

from faultinject.providers import gateway, generic
from faultinject.providers.anthropic import messages
from faultinject.providers.anthropic import stream as anthropic_stream
from faultinject.providers.anthropic.api import message_usage
from faultinject.providers.bedrock import converse, errors, invoke
from faultinject.providers.bedrock.frames import is_streamed, model
from faultinject.providers.provider import EXAMPLE_SCHEMA, Example, Provider
from faultinject.providers.shape import Shape

__all__ = ["PROVIDER"]

_CONVERSE = Shape(
    "converse",
    re.compile(r".*/model/[^/]+/converse(?:-stream)?", re.DOTALL),
    converse.minimal_response,
    (converse.STREAM,),
    converse.usage,
    is_streamed=is_streamed,
    model=model,
)
_INVOKE = Shape(
    "invoke",
    re.compile(r".*/model/[^/]+/invoke(?:-with-response-stream)?", re.DOTALL),
    messages.minimal_response,
    (invoke.STREAM,),
    message_usage,
    is_streamed=is_streamed,
    model=model,
)
_MESSAGES = Shape(
    "messages",
    re.compile(r".*/v1/messages"),
    messages.minimal_response,
    (anthropic_stream.STREAM,),
    message_usage,
)
"""Anthropic's own form, on the hosts called ``bedrock-mantle``."""

_EXAMPLE = {
    "messages": [{"role": "user", "content": [{"text": "What is the weather in Oslo?"}]}],
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": EXAMPLE_SCHEMA}}}]
    },
}

PROVIDER = Provider(
    name="bedrock",
    hosts=(
        "bedrock-runtime.us-east-1.amazonaws.com",
        "bedrock-runtime.*.amazonaws.com",
        "bedrock-runtime-fips.*.amazonaws.com",
        "bedrock-runtime.*.amazonaws.com.cn",
        "bedrock-runtime.*.api.aws",
        "bedrock-runtime-fips.*.api.aws",
        "bedrock-mantle.*.api.aws",
    ),
    paths=re.compile(
        r"/model/[^/]+/(?:invoke|invoke-with-response-stream|converse|converse-stream|count-tokens)"
    ),
    draw_fields=generic.draw_fields,
    error_type=errors.error_type,
    error_body=errors.error_body,
    request_id_header=b"x-amzn-requestid",
    identity_headers=errors.identity_headers,
    retry_headers=errors.retry_headers,
    shapes=(
        _CONVERSE,
        _INVOKE,
        _MESSAGES,
        evolve(generic.SHAPE, minimal_response=converse.minimal_response, model=model),
    ),
    failures=errors.FAILURES,
    pages=gateway.AWS,
    examples=(
        Example("/model/some-model/converse", _EXAMPLE, streamed=False),
        Example("/model/some-model/converse-stream", _EXAMPLE, streamed=True),
    ),
    # None is worth another attempt to the SDKs: not 408, not 424.
    transient=frozenset({429}),
    model_calls=re.compile(
        r".*/model/[^/]+/(?:invoke|converse)(?:-with-response-stream|-stream)?|.*/v1/messages",
        re.DOTALL,
    ),
    housekeeping=re.compile(r"(?!)"),
)
"""Amazon Bedrock."""
