"""Local replies: responses that the proxy itself makes, for errors; and the Date header."""

from __future__ import annotations

import json
import time
from functools import lru_cache

from faultinject.faults.respond import InjectedResponse
from faultinject.http.h1.framing import UPGRADE_TO_HTTP, length_of
from faultinject.http.message import Headers, Part
from faultinject.providers.anthropic.errors import reason_phrase

ERROR_MARKER = b"X-Faultinject-Error"
"""The header that marks a local reply; its value is the kind of error."""


def local_reply(status: int, kind: str, message: str) -> InjectedResponse:
    """Return a response with the proxy's own error; it never looks like an API's."""
    error = {"type": "faultinject_error", "kind": kind, "message": message}
    body = json.dumps({"error": error}).encode()
    headers: Headers = (
        (b"Content-Type", b"application/json"),
        *length_of(body),
        (ERROR_MARKER, kind.encode()),
    )
    if status == 426:
        headers += UPGRADE_TO_HTTP
    return InjectedResponse(status, reason_phrase(status).encode(), headers, body)


def dated(response: InjectedResponse) -> tuple[Part, ...]:
    """Return a response's parts with a Date of now."""
    return response.parts(_date(int(time.time())))


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    """Return a time in the format of the Date header (RFC 9110 section 6.6.1)."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode()
