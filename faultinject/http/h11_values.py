"""Between our values and h11's, in both directions; and chunks as they are written.

Makes one field pattern of h11 safe, too. Keeps no state, and knows nothing of which message comes
when (`faultinject.http.machine`).
"""

from __future__ import annotations

import re
from functools import lru_cache

import h11
import h11._readers

from faultinject.http.message import (
    End,
    Head,
    Headers,
    RequestHead,
    ResponseHead,
    without_headers,
)

# h11's pattern for a field takes the blanks before its value, and gives them back one by one if
# the rest of the line does not fit: a field of 64 KiB of them and a NUL held up everyone for 20 s.
# With a quantifier that gives nothing back it matches the same lines, since no value begins with
# a blank.
h11._readers.header_field_re = re.compile(
    h11._readers.header_field_re.pattern.replace(rb":[ \t]*", rb":[ \t]*+", 1)
)

_QUOTED = re.compile(r""": (?:bytearray\()?b['"]""")


def reason_of(error: h11.RemoteProtocolError) -> str:
    """Return what is wrong without the bytes that h11 quotes: they may hold a key or a token."""
    return _QUOTED.split(str(error), maxsplit=1)[0]


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
    """Return a request as h11 will send it: 1.1, which needs a Host header."""
    headers = list(head.headers)
    if not head.has_header(b"host"):
        headers.append((b"host", b"-"))
    return h11.Request(method=head.method, target=head.target, headers=headers)


@lru_cache(maxsize=64)
def response_event(head: ResponseHead, has_body: bool) -> h11.Response | h11.InformationalResponse:
    """Return a response as h11 will send it: 1.1, and closing if its body ends by closing."""
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
    return b"0\r\n" + b"".join(b"%s: %s\r\n" % item for item in trailers) + b"\r\n"


def unframed(head: ResponseHead) -> ResponseHead:
    """Return the head of a response whose body ends with the connection."""
    headers = without_headers(head.headers, b"transfer-encoding", b"connection")
    return ResponseHead(
        head.status, head.reason, (*headers, (b"Connection", b"close")), head.http_version
    )
