"""How requests to an MCP server are known, for they have no path, and how they are told apart.

They are known by their heads and bodies, and told apart by ids, as are the events of their streams.
https://modelcontextprotocol.io/specification/2025-11-25/basic and its page on transports.
"""

from __future__ import annotations

import json
from typing import Any, TypeGuard
from urllib.parse import quote, unquote

from faultinject.http.message import RequestHead
from faultinject.providers.documents import member

HEADERS = frozenset((b"mcp-session-id", b"mcp-protocol-version", b"mcp-method", b"mcp-name"))
"""Headers that only clients of MCP send, in lower case. The last two are of version 2026-07-28."""
_KINDS = (b"application/json", b"text/event-stream")
RequestId = int | str
RETRY_MILLISECONDS = 500
_RESUMED = b"-resumed"


def has_header(head: RequestHead) -> bool:
    """Return True if a request has one of MCP's own headers."""
    return not HEADERS.isdisjoint(head.places)


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


def is_id(value: Any) -> TypeGuard[RequestId]:
    """Return True if a value can be an id, or a token of progress."""
    return type(value) in (int, str)  # True is an `int` too


def id_of(message: Any) -> RequestId | None:
    """Return a message's id; None if it has none, or what cannot be one."""
    found = member(message, "id")
    return found if is_id(found) else None


def resumable(request_id: RequestId | None) -> bytes:
    """Return an event without data whose id the client may come back with (SEP-1699)."""
    return b"id: %b%b\nretry: %d\ndata: \n\n" % (
        quote(json.dumps(request_id)).encode(),  # a text may have line ends
        _RESUMED,
        RETRY_MILLISECONDS,
    )


def resumed_id(event_id: bytes) -> RequestId | None:
    """Return the id of the request for whose stream an event's id stands; None if for none."""
    if not event_id.endswith(_RESUMED):
        return None
    try:
        found = json.loads(unquote(event_id.removesuffix(_RESUMED)))
    except (ValueError, RecursionError):
        return None
    return found if is_id(found) else None
