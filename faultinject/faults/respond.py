"""The fault *respond*: answer instead of the API.

Knows nothing of the connection that the answer goes to; framing and Date are added where it is
sent, by `InjectedResponse.parts`.
"""

from __future__ import annotations

import json
from functools import lru_cache

from attrs import field, frozen

from faultinject.http.message import End, Headers, Part, ResponseHead, find_header
from faultinject.providers import anthropic

MARKER = b"X-Faultinject"
"""Header of an injected response; its value is the id of the rule that fired."""


@frozen
class Respond:
    """Answer with a status, a body and headers of one's own.

    Without a ``body`` the answer has the API's own error document for the status.
    """

    status: int
    body: bytes | None = None
    headers: Headers = ()


@frozen(cache_hash=True)
class InjectedResponse:
    """A whole answer, ready to be sent any number of times."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes = field(repr=False)

    def parts(self, date: bytes, *, close: bool = False) -> tuple[Part, ...]:
        """Return the response with its Date; with ``close`` it is the connection's last."""
        return _parts(self, date, close)


def injected_response(fault: Respond, marker: str | None) -> InjectedResponse:
    """Make the answer that a fault describes.

    ``marker`` is the rule's id for the marker header, or None for none.
    """
    body = anthropic.error_body(fault.status) if fault.body is None else fault.body
    if fault.status in (204, 304):
        body = b""  # these statuses have none (RFC 9110 sections 15.3.5 and 15.4.5)
    headers: list[tuple[bytes, bytes]] = []
    if body and find_header(fault.headers, b"content-type") is None:
        headers.append((b"Content-Type", content_type(body)))
    headers.extend(fault.headers)
    if fault.status not in (204, 304):
        headers.append((b"Content-Length", b"%d" % len(body)))
    if marker is not None:
        headers.append((MARKER, marker.encode()))
    reason = anthropic.reason_phrase(fault.status).encode()
    return InjectedResponse(fault.status, reason, tuple(headers), body)


def content_type(body: bytes) -> bytes:
    """Say what a body is by looking at it: JSON, HTML, or plain text."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):  # the latter for brackets nested by the thousand
        html = body.lstrip()[:1] == b"<"
        return b"text/html; charset=utf-8" if html else b"text/plain; charset=utf-8"
    return b"application/json"


@lru_cache(maxsize=64)
def _parts(response: InjectedResponse, date: bytes, close: bool) -> tuple[Part, ...]:
    # Cached: at full speed many requests a second get the answer of the same second.
    headers = ((b"Date", date), *response.headers)
    if close:
        headers += ((b"Connection", b"close"),)
    head = ResponseHead(response.status, response.reason, headers)
    return (head, response.body, End()) if response.body else (head, End())
