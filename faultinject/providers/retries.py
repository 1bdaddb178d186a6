"""What an error says about another attempt: whether it may help, and how long to wait before it.

Sources: the APIs' pages on errors and rate limits, and the SDKs that heed these headers
(``retry-after-ms`` before ``retry-after``, ``x-should-retry`` before the status).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from faultinject.http.message import ResponseHead
from faultinject.observed import FailureKind, WaitAskedBy
from faultinject.providers.provider import Provider

_NUMBER = re.compile(rb"\d{1,12}(?:\.\d{0,9})?")
_WAITS = frozenset({b"retry-after-ms", b"retry-after", b"x-amz-retry-after"})
HEADERS_READ = (b"x-should-retry", *sorted(_WAITS))
"""The headers of an error that are read, here and by `Provider.is_transient`."""
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{0,9})?)s")
_DATE = "%a, %d %b %Y %H:%M:%S GMT"
_PAY_STATUSES = frozenset({400, 402, 403, 429})
_PAY_WORDS = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_error",
    "credit balance",
    "specified api usage limits",
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "all available credits",  # xAI
    "perday",  # Gemini's QuotaFailure: GenerateRequestsPerDayPerProjectPerModel
)
"""What APIs say, in an error's type, code or message, where there is nothing left to spend."""
_FINAL = frozenset({501, 505})
_LONGEST_TEXT = 2000
_MOST_DETAILS = 20


def failure_kind(provider: Provider, head: ResponseHead, document: Any) -> FailureKind:
    """Return what kind of failure an error is.

    ``document`` is its body as a JSON value, or None. ``x-should-retry`` goes before all else,
    the body's own word before the status.
    """
    told = head.find(b"x-should-retry")
    if told == b"false":
        return "final"
    if head.status in _PAY_STATUSES and _is_about_money(head.status, document):
        return "quota"
    if head.status == 429:
        return "throttled"
    if told == b"true" or (provider.is_transient(head) and head.status not in _FINAL):
        return "transient"
    return "final"


def _is_about_money(status: int, document: Any) -> bool:
    if document is None or status == 402:
        return status == 402
    said = " ".join(_error_texts(document)).lower()
    return any(map(said.__contains__, _PAY_WORDS))


def _error_texts(document: Any) -> list[str]:
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, str):  # xAI's document is two texts
        return [error[:_LONGEST_TEXT]]
    if not isinstance(error, dict):
        return []
    texts = [error.get("type"), error.get("code"), error.get("message")]
    if isinstance(details := error.get("details"), dict):
        texts.append(details.get("error_code"))
    elif details is not None:
        for detail in _details(error):
            violations = detail.get("violations")
            found = violations[:_MOST_DETAILS] if isinstance(violations, list) else []
            texts += [each.get("quotaId") for each in found if isinstance(each, dict)]
    return [text[:_LONGEST_TEXT] for text in texts if isinstance(text, str)]


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    found = details[:_MOST_DETAILS] if isinstance(details, list) else []
    return [each for each in found if isinstance(each, dict)]


def asked_wait(
    head: ResponseHead, document: Any, now_seconds: float
) -> tuple[float, WaitAskedBy] | None:
    """Return how many seconds an error asks its client to wait, and where; None if it does not.

    ``document`` is the error's body as a JSON value, or None; ``now_seconds`` is the Unix time.
    0 seconds means "at once".
    """
    if not head.names.isdisjoint(_WAITS) and (told := _wait_in_head(head, now_seconds)):
        return told
    error = document.get("error") if isinstance(document, dict) else None
    for detail in _details(error) if isinstance(error, dict) else ():
        delay = detail.get("retryDelay")  # google.rpc.RetryInfo: "34.07s"
        if isinstance(delay, str) and (found := _DURATION.fullmatch(delay)):
            return float(found.group(1)), "retry-info"
    return None


def _wait_in_head(head: ResponseHead, now_seconds: float) -> tuple[float, WaitAskedBy] | None:
    if (milliseconds := _number(head, b"retry-after-ms")) is not None:
        return milliseconds / 1000, "retry-after-ms"
    if (seconds := _number(head, b"retry-after")) is not None:
        return seconds, "retry-after"
    if (until := _date(head)) is not None:
        return max(0.0, until - now_seconds), "retry-after-date"
    if (milliseconds := _number(head, b"x-amz-retry-after")) is not None:
        return milliseconds / 1000, "x-amz-retry-after"
    return None


def _number(head: ResponseHead, name: bytes) -> float | None:
    text = head.find(name)
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None


def _date(head: ResponseHead) -> float | None:
    if (text := head.find(b"retry-after")) is None:
        return None
    try:
        when = datetime.strptime(text.decode("latin-1"), _DATE)
    except ValueError:
        return None
    return when.replace(tzinfo=UTC).timestamp()


def should_retry(head: ResponseHead) -> bool | None:
    """Return what an answer says in ``x-should-retry``; None if it says nothing."""
    return {b"true": True, b"false": False}.get(head.find(b"x-should-retry") or b"")
