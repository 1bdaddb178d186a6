"""MCP over streamable HTTP: servers of tools, on any host and path.

What is known of them, and how, is in docs/providers/mcp.md.
"""

from __future__ import annotations

import re

from faultinject.events import Kind
from faultinject.providers import gateway, generic
from faultinject.providers.mcp import json_rpc
from faultinject.providers.provider import Example, Provider
from faultinject.providers.shape import ApiRequest, Shape

__all__ = ["PROVIDER", "kind_of_message"]

_CALL = {"name": "echo", "arguments": {"text": "hello"}}

PROVIDER = Provider(
    name="mcp",
    hosts=(),
    draw_fields=generic.draw_fields,
    error_type=json_rpc.error_type,
    error_body=json_rpc.error_body,
    retry_headers=json_rpc.retry_headers,
    shapes=(
        Shape(
            "mcp",
            re.compile(r".*", re.DOTALL),
            json_rpc.minimal_response,
            (json_rpc.STREAM,),
            json_rpc.no_usage,
            is_streamed=json_rpc.is_streamed,
            model=lambda _: None,
            ends_early=False,
        ),
    ),
    failures=json_rpc.FAILURES,
    pages=gateway.NGINX,
    examples=(
        Example("/mcp", {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": _CALL}),
    ),
)
"""A server that speaks the Model Context Protocol. It is known by the request (`mcp.marks`)."""


_OF_SESSIONS = ("initialize", "ping")


def kind_of_message(method: str, request: ApiRequest) -> Kind:
    """Return what a request to such a server is for.

    What begins, keeps or ends a session is housekeeping: ``initialize``, without which nothing else
    could be asked, pings, a stream for what the server may say. So is what wants no answer:
    notifications, and answers of the client's.
    """
    asks = method == "POST" and json_rpc.is_streamed(request)
    return "api" if asks and request.get("method") not in _OF_SESSIONS else "housekeeping"
