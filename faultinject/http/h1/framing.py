"""The headers by which HTTP/1.1 frames a message of ours (RFC 9112 sections 6 and 9.6).

They are made here alone: another version of HTTP frames its messages in another way.
"""

from __future__ import annotations

from attrs import evolve

from faultinject.http.message import (
    Headers,
    Part,
    RequestHead,
    ResponseHead,
    without_headers,
)

CHUNKED: Headers = ((b"Transfer-Encoding", b"chunked"),)
"""Of a message whose body comes in chunks."""
CLOSE: Headers = ((b"Connection", b"close"),)
"""Of the last message of a connection."""
UPGRADE_TO_HTTP: Headers = ((b"Upgrade", b"HTTP/1.1"), (b"Connection", b"Upgrade"))
"""Headers of a 426 to a WebSocket, which must name a protocol (RFC 9110 section 15.5.22)."""


def length_of(body: bytes) -> Headers:
    """Return the header of a message with this body."""
    return ((b"Content-Length", b"%d" % len(body)),)


def last_of_connection(part: Part) -> Part:
    """Return a part of the last response of a connection: its head says that it is the last."""
    if not isinstance(part, ResponseHead) or part.interim:
        return part
    return evolve(part, headers=part.headers + CLOSE)


def unambiguous(head: RequestHead | ResponseHead) -> RequestHead | ResponseHead:
    """Return the head without a Content-Length if the body comes in chunks.

    RFC 9112 section 6.3 says to remove it, because two lengths in one message are a way to smuggle
    requests.
    """
    if head.chunked and head.has_header(b"content-length"):
        return evolve(head, headers=without_headers(head.headers, b"content-length"))
    return head


def reframed(head: ResponseHead) -> ResponseHead:
    """Return the head for a body of unknown length, which comes in chunks.

    The answer of an HTTP/1.0 peer cannot have chunks (RFC 9112 section 6.1), so it ends with the
    connection. Whoever sends the head has to know whether the receiver can read chunks.
    """
    if not head.has_header(b"content-length"):
        return head
    headers = without_headers(head.headers, b"content-length")
    if not head.chunked and head.http_version >= b"1.1":
        headers += CHUNKED
    return evolve(head, headers=headers)
