"""The fake API as an MCP server over streamable HTTP: which requests it answers so, and how.

It keeps no sessions: it gives a session an id, and takes any. An event's id says which request it
is of, so that a client may come back for the rest of any stream.
"""

from __future__ import annotations

from typing import Any

from faultinject.http.message import RequestHead, find_header
from faultinject.providers.known import may_be_mcp
from faultinject.providers.mcp.json_rpc import (
    event_of,
    is_streamed,
    minimal_response,
    minimal_stream,
    resumable,
    resumed_id,
)
from faultinject.providers.mcp.marks import has_header, is_hinted, is_message, is_told_by_body
from faultinject.providers.shape import ApiRequest, Fields
from faultinject.proxy.upstream.fake.fake_answer import (
    EventStreamResponse,
    FakeResponse,
    JsonResponse,
    host_of,
)
from faultinject.rules.facts import parsed_json

_ANSWERED_LATE = {"content": [{"type": "text", "text": "the rest of a call"}], "isError": False}


def mcp_response(request: RequestHead, body: bytes, fields: Fields) -> FakeResponse | None:
    """Return the answer to a request for an MCP server; None if it is none.

    Calls of tools are answered by a stream, all else by JSON.
    """
    path = request.target.partition(b"?")[0].decode("ascii", "replace")
    if not may_be_mcp(host_of(request), path) or not is_hinted(request):
        return None
    if not is_told_by_body(request):
        return _without_body(request) if has_header(request) else None
    document = parsed_json(body)
    return _answered(document, fields) if is_message(document) else None


def _answered(document: Any, fields: Fields) -> FakeResponse:
    asked = ApiRequest("", document if isinstance(document, dict) else None)
    if not is_streamed(asked):  # a notification, or an answer of the client's
        return JsonResponse(b"", 202)
    if asked.get("method") == "tools/call":
        events = minimal_stream(asked, fields, lambda: 0.0)
        return EventStreamResponse((resumable(asked.get("id")), *events), "text/event-stream")
    begun = asked.get("method") == "initialize"
    headers = ((b"Mcp-Session-Id", fields.request_id.encode()),) if begun else ()
    return JsonResponse(minimal_response(asked, fields, lambda: 0.0), headers=headers)


def _without_body(request: RequestHead) -> FakeResponse:
    if request.method == b"DELETE":
        return JsonResponse(b"")
    last = find_header(request.headers, b"last-event-id") or b""
    number = resumed_id(last.decode("latin-1"))
    if request.method != b"GET" or number is None:
        return JsonResponse(b"", 405, ((b"Allow", b"POST, DELETE"),))
    answer = {"jsonrpc": "2.0", "id": number, "result": _ANSWERED_LATE}
    return EventStreamResponse((event_of(answer),), "text/event-stream")
