"""How requests to an MCP server are known: by their heads and bodies, for they have no path.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
"""

from __future__ import annotations

from typing import Any

from faultinject.http.message import RequestHead

HEADERS = frozenset((b"mcp-session-id", b"mcp-protocol-version", b"mcp-method", b"mcp-name"))
"""Headers that only clients of MCP send, in lower case. The last two are of version 2026-07-28."""
_KINDS = (b"application/json", b"text/event-stream")


def has_header(head: RequestHead) -> bool:
    """Return True if a request has one of MCP's own headers."""
    return any(name.lower() in HEADERS for name, _ in head.headers)


def is_hinted(head: RequestHead) -> bool:
    """Return True if a request may be MCP's: it has one of its headers, or accepts both kinds."""
    accepted = b",".join(value for name, value in head.headers if name.lower() == b"accept")
    return has_header(head) or all(kind in accepted.lower() for kind in _KINDS)


def is_told_by_body(head: RequestHead) -> bool:
    """Return True if the body must tell whether a request that is hinted is MCP's."""
    return head.method == b"POST"


def is_message(document: Any) -> bool:
    """Return True if a JSON value is a message of JSON-RPC, or several."""
    messages = document if isinstance(document, list) else [document]
    return bool(messages) and all(
        isinstance(each, dict) and each.get("jsonrpc") == "2.0" for each in messages
    )
