"""MCP's messages (JSON-RPC 2.0) as documents and streams, and how its servers word failures.

https://modelcontextprotocol.io/specification/2025-11-25 and https://www.jsonrpc.org/specification.
"""

from __future__ import annotations

import math
import re
from typing import Any

from attrs import define

from faultinject.http.message import Headers, standard_phrase
from faultinject.providers.documents import compact, message_of
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.sse import SSE, comment, encode
from faultinject.providers.mcp import tool_server
from faultinject.providers.mcp.marks import id_of, resumable
from faultinject.providers.shape import ApiRequest, Failure, Fields, StreamShape, Uniform, Usage

Document = dict[str, Any]
IS_ERROR = "isError"
"""The code of a failure that is a result of a tool, and no error of JSON-RPC."""
_CODES = {400: -32600, 404: -32001, 405: -32000, 406: -32000, 409: -32000, 415: -32000}
"""What the SDKs' servers send with a status (TypeScript 1.32.2; Python's is -32600 with a 404)."""
_SERVER, _INTERNAL = -32000, -32603
_MESSAGES = {
    400: "Bad Request: No valid session ID provided",
    404: "Session not found",
    405: "Method not allowed.",
    406: "Not Acceptable: Client must accept both application/json and text/event-stream",
    500: "Internal server error",
}
_WORDS = {
    -32700: "Parse error",
    -32600: "Invalid Request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Internal error",
}
_BEGUN_ANSWER = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*|"id"\s*:\s*(?:\d+|"[^"]*"|null)\s*,\s*){0,2}'
    rb'"(?:result|error)"\s*:'
)


def code_of(failure: Failure) -> int:
    """Return the code of an error of JSON-RPC; one of the failure's own that is a number."""
    if failure.code is not None and re.fullmatch(r"-?\d{1,9}", failure.code):
        return int(failure.code)
    fallback = _INTERNAL if failure.status >= 500 or failure.status < 400 else _SERVER
    return _CODES.get(failure.status, fallback)


def error_type(status: int) -> str:
    """Return the code of a status's error, as text."""
    return str(code_of(Failure(status)))


def _message(failure: Failure, fields: Fields) -> str:
    default = _WORDS.get(code_of(failure), "Internal error")
    if failure.status >= 400:
        default = _MESSAGES.get(failure.status) or standard_phrase(failure.status)
    return message_of(failure, fields, default)


def _asked(fields: Fields) -> Document:
    document = None if fields.request is None else fields.request.document
    return document if isinstance(document, dict) else {}


def error_document(failure: Failure, fields: Fields) -> Document:
    """Return an error with the id of the request, or the result of a tool that failed.

    A failure of a session has no id, as the SDKs' servers send it.
    """
    asked, message = _asked(fields), _message(failure, fields)
    number = id_of(asked) if failure.status not in _CODES else None
    begun = {"jsonrpc": "2.0", "id": number}
    if failure.code == IS_ERROR and asked.get("method") == "tools/call":
        return begun | {"result": {"content": [{"type": "text", "text": message}], IS_ERROR: True}}
    error: Document = {"code": code_of(failure), "message": message}
    if failure.details:
        error["data"] = dict(failure.details)
    return begun | {"error": error}


def error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document; for a 401 or 403 it is OAuth's (RFC 6750)."""
    if failure.status in (401, 403):
        words = message_of(failure, fields, _OAUTH[failure.status][1])
        return compact({"error": _OAUTH[failure.status][0], "error_description": words})
    return compact(error_document(failure, fields))


_OAUTH = {
    401: ("invalid_token", "Authentication required"),
    403: ("insufficient_scope", "Required scope: tools"),
}


def retry_headers(failure: Failure) -> Headers:
    """Return when to try again, and with a 401 or 403 how to get a token."""
    headers: Headers = ()
    if failure.status in _OAUTH:
        name, words = _OAUTH[failure.status]
        bearer = f'Bearer error="{name}", error_description="{words}"'
        headers += ((b"WWW-Authenticate", bearer.encode()),)
    if failure.retry_after_seconds is not None:
        headers += ((b"Retry-After", b"%d" % math.ceil(failure.retry_after_seconds)),)
    return headers


FAILURES = {
    "overloaded": Failure(503),
    "rate-limited": Failure(429),
    "auth-expired": Failure(401),
    "too-large": Failure(413),
    "session-lost": Failure(404),
    "no-session": Failure(400),
    "server-error": Failure(500),
    "timeout": Failure(504),
    "internal-error": Failure(200, code="-32603"),
    "unknown-method": Failure(200, code="-32601"),
    "invalid-params": Failure(200, code="-32602"),
    "tool-error": Failure(
        200, code=IS_ERROR, message="The tool failed: the service that it asks did not answer."
    ),
}


# -- streams ------------------------------------------------------------------------------------


def is_streamed(request: ApiRequest) -> bool:
    """Return True for a request that wants an answer: the server may send it as a stream."""
    return id_of(request.document) is not None and isinstance(request.get("method"), str)


def without_number(document: Any) -> Any:
    """Return a message without what differs in each attempt: its id, and its token of progress."""
    if not isinstance(document, dict):
        return document
    kept = {name: value for name, value in document.items() if name != "id"}
    parameters = kept.get("params")
    if isinstance(parameters, dict):
        kept["params"] = {name: value for name, value in parameters.items() if name != "_meta"}
    return kept


def no_usage(document: Any) -> Usage | None:
    """Return nothing, because no tokens are told."""
    del document
    return None


def event_of(document: Document) -> bytes:
    """Return a message as an event."""
    return encode("message", compact(document))


def is_answer(event: StreamEvent) -> bool:
    """Return True for the message that answers the request, which is a stream's last."""
    document = event.json
    if isinstance(document, dict):
        return "method" not in document and ("result" in document or "error" in document)
    return _BEGUN_ANSWER.match(event.data) is not None  # of a long one only that may be kept


def minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    """Return what a small server with two tools answers."""
    del fields, uniform
    return compact(tool_server.answer(request))


def minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return the same as a stream; a call of a tool tells of its progress before."""
    del fields, uniform
    notes = tool_server.progress(request)
    return [event_of(document) for document in (*notes, tool_server.answer(request))]


@define(eq=False, repr=False)
class McpProgress:
    """What has passed of a stream: nothing that would help to end it."""

    usage: Usage | None = None

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return how a stream ends that fails.

        ``error`` is an error of JSON-RPC, ``tool`` a result with ``isError``, and ``resumable`` an
        event with an id and without data: the client is to come back for the rest.
        """
        del uniform
        if form == "resumable":
            return resumable(id_of(_asked(fields)))
        if form == "tool":
            words = failure.message or FAILURES["tool-error"].message
            return event_of(error_document(Failure(200, None, words, IS_ERROR), fields))
        numbered = failure if failure.status not in _CODES else Failure(500, None, failure.message)
        return event_of(error_document(numbered, fields))

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return nothing, because no message ends early."""
        del uniform
        return []


STREAM = StreamShape(
    framing=SSE,
    is_terminator=is_answer,
    progress=McpProgress,
    minimal=minimal_stream,
    error_forms=("error", "tool", "resumable"),
    ping=comment("ping"),
    content_type="text/event-stream",
)
"""A stream that ends with the answer."""
