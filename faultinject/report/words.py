"""Numbers and attempts as a person reads them."""

from __future__ import annotations

from itertools import pairwise

from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import Call, Totals
from faultinject.report.display import times

_FAILURES: dict[str, str] = {
    "connect": "no tunnel",
    "handshake": "TLS broken",
    "no-answer": "no answer",
    "stalled": "stalled",
    "cut": "cut",
    "truncated": "truncated",
    "error-event": "error event",
    "malformed": "malformed",
}
_MARK = "▶"
MOST_SHOWN = 8
"""So many attempts a timeline shows; of more it leaves out those in the middle."""


def seconds(number: float) -> str:
    """Return seconds with as many digits as matter: ``0.04 s``, ``0.5 s``, ``12 s``, ``3 min``."""
    if number >= 120:
        return f"{number / 60:.3g} min"
    digits = 3 if number < 0.1 else 2 if number < 10 else 0
    text = f"{number:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} s"


def result(attempt: SeenAttempt) -> str:
    """Return what an attempt came to, in a word or two: its status, or how it failed."""
    failure = attempt.failure
    if failure == "answer" or (failure is None and attempt.seen.taken == "whole"):
        return str(attempt.status) if attempt.status is not None else "answered"
    parts = [] if attempt.status is None else [str(attempt.status)]
    if failure == "truncated" and attempt.seen.taken == "broken":
        parts.append("cut")  # within the body: the client sees that something is missing
    elif failure is not None:
        parts.append(_FAILURES[failure])
    if attempt.client_left:
        parts.append("client left")
    elif attempt.seen.taken == "stopped":
        parts.append("run ended")
    return " ".join(parts) or "broken"


def timeline(call: Call) -> str:
    """Return a call's attempts and the gaps between them: ``▶ 529 · 0.5 s · 200``."""
    attempts, half = call.attempts, MOST_SHOWN // 2
    if call.count <= MOST_SHOWN:
        pieces = _chain(attempts)
    else:
        left_out = f"… {call.count - 2 * half} more …"
        pieces = [*_chain(attempts[:half]), left_out, *_chain(attempts[-half:])]
    return f"{_MARK} {' · '.join(pieces)}"


def _chain(attempts: list[SeenAttempt]) -> list[str]:
    pieces = [result(attempts[0])]
    for one, other in pairwise(attempts):
        pieces += [seconds(max(0.0, one.gap_to(other))), result(other)]
    return pieces


def calls_in_words(totals: Totals, unseen: int) -> str:
    """Return what the calls came to, in one line; beside them were so many unseen requests."""
    if not totals.calls:
        if unseen:
            requests = times(unseen, "request")
            return f"it made {requests}, of which none could be followed as a call"
        return "it made no call of an API that could be followed"
    outcomes = [f"{number} {name}" for name, number in totals.outcomes.items() if number]
    parts = [
        f"{totals.calls} call{'' if totals.calls == 1 else 's'} ({', '.join(outcomes)})",
        f"{totals.attempts} attempt{'' if totals.attempts == 1 else 's'}",
    ]
    if totals.added_seconds:
        parts.append(f"{seconds(totals.added_seconds)} added by retries")
    lost = totals.lost_input_tokens + totals.lost_output_tokens
    if lost:
        parts.append(f"{times(lost, 'token')} lost")
    return ", ".join(parts)
