"""What an answer says of trying again: whether that may help, and how long to wait before.

``x-should-retry`` (``true`` or ``false``) goes before the status, as in the SDKs of Anthropic and
OpenAI. The wait is in ``retry-after-ms`` (those SDKs, too) or ``retry-after`` (RFC 9110 section
10.2.3), in seconds or as a date.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from faultinject.http.message import ResponseHead, find_header

TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that say "not now": RFC 9110 section 15.5.9, RFC 8470, RFC 6585."""
_NUMBER = re.compile(rb"\d{1,12}(?:\.\d{0,9})?")
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def is_transient(head: ResponseHead, statuses: frozenset[int] = TRANSIENT) -> bool:
    """Say whether an answer is a failure that may be over at the next attempt.

    ``statuses`` are those below 500 that the API calls so; all from 500 on are.
    """
    told = find_header(head.headers, b"x-should-retry")
    if told in (b"true", b"false"):
        return told == b"true"
    return head.status in statuses or head.status >= 500


def asked_wait_seconds(head: ResponseHead, now_seconds: float) -> float:
    """Return how long an answer asks its client to wait; 0 if it does not.

    ``now_seconds`` is the Unix time.
    """
    milliseconds = _number(find_header(head.headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = find_header(head.headers, b"retry-after")
    seconds = _number(told)
    if seconds is not None:
        return seconds
    try:
        when = datetime.strptime((told or b"").decode("latin-1"), _DATE).replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return max(0.0, when.timestamp() - now_seconds)


def _number(text: bytes | None) -> float | None:
    return None if text is None or not _NUMBER.fullmatch(text) else float(text)
