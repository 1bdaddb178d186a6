"""Answers that no API and no rule gave: our own errors, and the date that an answer carries.

Knows nothing of how they are sent.
"""

from __future__ import annotations

import json
import time
from functools import lru_cache

from faultinject.faults.respond import InjectedResponse
from faultinject.http.headers import UPGRADE_TO_HTTP
from faultinject.http.message import Headers, Part
from faultinject.providers.anthropic.errors import reason_phrase

ERROR_MARKER = b"X-Faultinject-Error"
"""Header of our own answers that no rule made: the word for what went wrong."""


def local_reply(status: int, kind: str, message: str) -> InjectedResponse:
    """Make an answer of our own that says what went wrong; it never looks like an API's."""
    error = {"type": "faultinject_error", "kind": kind, "message": message}
    body = json.dumps({"error": error}).encode()
    headers: Headers = (
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (ERROR_MARKER, kind.encode()),
    )
    if status == 426:
        headers += UPGRADE_TO_HTTP
    return InjectedResponse(status, reason_phrase(status).encode(), headers, body)


def dated(response: InjectedResponse, *, close: bool) -> tuple[Part, ...]:
    """Return an answer of ours as it is sent now; with ``close`` it is the connection's last."""
    return response.parts(_date(int(time.time())), close=close)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    """Return a time as Date has it (RFC 9110 section 6.6.1)."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode()
