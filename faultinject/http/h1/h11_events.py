"""Converts between our values and h11's, in both directions, and writes chunks.

It keeps no state. `faultinject.http.h1.machine` does.
"""

from __future__ import annotations

from functools import lru_cache

import h11

from faultinject.http.h1.framing import CLOSE
from faultinject.http.message import (
    End,
    Head,
    Headers,
    RequestHead,
    ResponseHead,
    header_lines,
    without_headers,
)

_REASONS = (
    # How h11's messages begin, and ours. Its own name its internals, and quote the peer's message.
    ("illegal request line", "the request line is malformed"),
    ("illegal status line", "the status line is malformed"),
    ("illegal header line", "a header field is malformed"),
    ("continuation line", "a header field is malformed"),
    ("conflicting Content-Length", "there are several Content-Length fields, and they differ"),
    ("bad Content-Length", "the Content-Length is no number"),
    ("multiple Transfer-Encoding", "there are several Transfer-Encoding fields"),
    ("Only Transfer-Encoding", "the Transfer-Encoding is another than chunked"),
    ("Missing mandatory Host", "the Host field is missing"),
    ("Found multiple Host", "there are several Host fields"),
    ("Received server _SWITCH", "it switches to a protocol that nobody asked for"),
    ("Response status_code", "the status is none"),
    ("can't handle event type InformationalResponse", "an interim answer comes too late"),
)
_MALFORMED = "it is malformed"


def reason_of(error: h11.RemoteProtocolError, *, of_request: bool) -> str:
    """Return what is wrong in words of our own, without quoting what was sent."""
    words = str(error)
    reason = next((ours for theirs, ours in _REASONS if words.startswith(theirs)), _MALFORMED)
    return reason if of_request else reason.replace("request line", "status line")


def raw(headers: h11._headers.Headers) -> Headers:
    """Return fields as they were written."""
    return tuple(headers.raw_items())


def head_of(event: h11.Request | h11.Response | h11.InformationalResponse) -> Head:
    """Return a head as our own value."""
    headers = raw(event.headers)
    if isinstance(event, h11.Request):
        return RequestHead(event.method, event.target, headers, event.http_version)
    return ResponseHead(event.status_code, event.reason, headers, event.http_version)


def request_event(head: RequestHead) -> h11.Request:
    """Return a request for h11, as HTTP/1.1, which needs a Host header."""
    headers = list(head.headers)
    if not head.has_header(b"host"):
        headers.append((b"host", b"-"))
    return h11.Request(method=head.method, target=head.target, headers=headers)


@lru_cache(maxsize=64)
def response_event(head: ResponseHead, has_body: bool) -> h11.Response | h11.InformationalResponse:
    """Return a response for h11, as HTTP/1.1, with close if its body ends with the connection."""
    if head.interim:
        return h11.InformationalResponse(
            status_code=head.status, headers=list(head.headers), reason=head.reason
        )
    headers = list(head.headers)
    framed = head.chunked or head.has_header(b"content-length")
    if head.http_version < b"1.1" or (has_body and not framed):
        headers.append((b"connection", b"close"))
    return h11.Response(status_code=head.status, headers=headers, reason=head.reason)


END = h11.EndOfMessage()
"""The end of a message without trailers."""


def end_event(end: End) -> h11.EndOfMessage:
    """Return the end of a message, with its trailers."""
    return h11.EndOfMessage(headers=list(end.trailers)) if end.trailers else END


def chunk(data: bytes) -> bytes:
    """Return a chunk (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers) -> bytes:
    """Return the last chunk and the trailer section (RFC 9112 section 7.1)."""
    return b"0\r\n" + header_lines(trailers) + b"\r\n"


def unframed(head: ResponseHead) -> ResponseHead:
    """Return the head of a response whose body ends with the connection."""
    headers = without_headers(head.headers, b"transfer-encoding", b"connection")
    return ResponseHead(head.status, head.reason, headers + CLOSE, head.http_version)
