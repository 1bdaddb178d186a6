"""The fake API as an MCP server over streamable HTTP: which requests it answers so, and how.

It keeps no sessions: it gives a session an id, and takes any. An event's id says which request it
is of, so that a client may come back for the rest of any stream.
"""

from __future__ import annotations

from typing import Any

from faultinject.http.coding import content_codings, decoded
from faultinject.http.message import RequestHead, find_header
from faultinject.providers.known import may_be_mcp
from faultinject.providers.mcp.json_rpc import (
    error_body,
    event_of,
    is_streamed,
    minimal_response,
    minimal_stream,
)
from faultinject.providers.mcp.marks import (
    has_header,
    id_of,
    is_hinted,
    is_message,
    is_told_by_body,
    resumable,
    resumed_id,
)
from faultinject.providers.shape import ApiRequest, Failure, Fields
from faultinject.proxy.upstream.fake.fake_answer import (
    EventStreamResponse,
    FakeResponse,
    JsonResponse,
    host_of,
)
from faultinject.rules.facts import parsed_json

_ANSWERED_LATE = {"content": [{"type": "text", "text": "the rest of a call"}], "isError": False}


def mcp_response(
    request: RequestHead, body: bytes, fields: Fields, most_bytes: int
) -> FakeResponse | None:
    """Return the answer to a request for an MCP server; None if it is none.

    Calls of tools are answered by a stream, all else by JSON. A body that has more than
    ``most_bytes`` without its codings is none of MCP.
    """
    path = request.target.partition(b"?")[0].decode("ascii", "replace")
    if not may_be_mcp(host_of(request), path) or not is_hinted(request):
        return None
    if not is_told_by_body(request):
        return _without_body(request) if has_header(request) else None
    document = parsed_json(_uncoded(request, body, most_bytes))
    return _answered(document, fields) if is_message(document) else None


def _uncoded(request: RequestHead, body: bytes, most_bytes: int) -> bytes:
    codings = content_codings(request.headers)
    try:
        return decoded(body, codings, most_bytes) if codings else body
    except ValueError:
        return b""


def _answered(document: Any, fields: Fields) -> FakeResponse:
    if isinstance(document, list):  # version 2025-06-18 did away with batches
        return _refused("Invalid Request: batches are not supported", fields)
    if "id" in document and id_of(document) is None:
        return _refused("Invalid Request: an id is a text or an integer", fields)
    asked = ApiRequest("", document)
    if not is_streamed(asked):  # a notification, or an answer of the client's
        return JsonResponse(b"", 202)
    if asked.get("method") == "tools/call":
        events = minimal_stream(asked, fields, lambda: 0.0)
        return EventStreamResponse((resumable(id_of(document)), *events), "text/event-stream")
    begun = asked.get("method") == "initialize"
    headers = ((b"Mcp-Session-Id", fields.request_id.encode()),) if begun else ()
    return JsonResponse(minimal_response(asked, fields, lambda: 0.0), headers=headers)


def _refused(why: str, fields: Fields) -> JsonResponse:
    return JsonResponse(error_body(Failure(400, message=why), fields), 400)


def _without_body(request: RequestHead) -> FakeResponse:
    if request.method == b"DELETE":
        return JsonResponse(b"")
    number = resumed_id(find_header(request.headers, b"last-event-id") or b"")
    if request.method != b"GET" or number is None:
        return JsonResponse(b"", 405, ((b"Allow", b"POST, DELETE"),))
    answer = {"jsonrpc": "2.0", "id": number, "result": _ANSWERED_LATE}
    return EventStreamResponse((event_of(answer),), "text/event-stream")
