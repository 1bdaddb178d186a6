"""Calls that succeeded at their first attempt, in a small form: thousands of them are kept.

What most of them have alike is kept once; times, tokens and digests are bytes.
"""

from __future__ import annotations

import struct
from typing import Any

from attrs import define

from faultinject.observed import Message, Observed
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import Call

_ALIKE = (
    "provider", "model", "stream", "retry_count", "should_retry", "read_timeout_seconds",
    "timeout_seconds", "idempotency_key", "invocation_id", "credential", "system", "message_count",
)  # fmt: skip
_SECONDS = ("gap_seconds", "first_byte_seconds", "quiet_seconds")
_TOKENS = ("input_tokens", "output_tokens")
_DIGESTS = ("request", "body", "prefix", "delivered")
_NAMES = (*_ALIKE, *_SECONDS, *_TOKENS, *_DIGESTS)
_DIGEST_BYTES = 16
KINDS = 1_000
"""Of so many kinds of calls it is known at once what they have alike, at most."""
_MOST = 2**53  # which a float still has exactly
Alike = tuple[Any, ...]


@define(eq=False)
class PackedCall:
    """A call in its small form."""

    number: int
    _alike: Alike
    _own: bytes

    kept = 1
    """How many attempts are kept."""

    def unpacked(self) -> Call:
        """Return the call as it was."""
        method, host, path, status, kind, *alike, roles, missing = self._alike
        numbers = struct.unpack_from(f"<{8 - sum(missing[:5])}d", self._own)
        digests = iter(_split(self._own[8 * len(numbers) :]))
        began, ended, session, *rest = numbers
        told = iter(rest)
        seconds = [None if gone else next(told) for gone in missing[:3]]
        tokens = [None if gone else int(next(told)) for gone in missing[3:5]]
        values = [None if gone else next(digests) for gone in missing[5:9]]
        texts = [None if gone else next(digests) for gone in missing[9:]]
        messages = [
            Message(role=role, text=text, before=next(digests))
            for role, text in zip(roles, texts, strict=True)
        ]
        told_of: dict[str, Any] = dict(
            zip(_NAMES, (*alike, *seconds, *tokens, *values), strict=True)
        )
        seen = Observed(
            began_seconds=began,
            call=self.number,
            attempt=1,
            taken="whole",
            messages=tuple(messages),
            **told_of,
        )
        head = None if seconds[1] is None else round(began + seconds[1], 3)
        call = Call(self.number)
        call.add(
            SeenAttempt(
                self.number, 1, began, ended, head, method, host, path, status, kind, int(session),
                seen,
            )
        )  # fmt: skip
        return call


KeptCall = Call | PackedCall


def kept_call(attempt: SeenAttempt, known: dict[Alike, Alike]) -> KeptCall:
    """Return a call that has had this attempt alone so far, in its small form if it has one.

    ``known`` has what is alike in others, at most `KINDS` of them: strangers choose it.
    """
    if len(known) > KINDS:
        known.clear()
    call = _packed(attempt, known)
    if call is not None:
        return call
    whole = Call(attempt.call)
    whole.add(attempt)
    return whole


def _packed(attempt: SeenAttempt, known: dict[Alike, Alike]) -> PackedCall | None:
    seen = attempt.seen
    if not attempt.succeeded or attempt.number != 1 or any(each.results for each in seen.messages):
        return None
    seconds = [getattr(seen, name) for name in _SECONDS]
    tokens = [getattr(seen, name) for name in _TOKENS]
    digests = [getattr(seen, name) for name in _DIGESTS] + [each.text for each in seen.messages]
    befores = [each.before for each in seen.messages]
    whole_numbers = [each for each in (attempt.session, *tokens) if each is not None]
    if seen.wait_asked_seconds is not None or any(abs(each) > _MOST for each in whole_numbers):
        return None
    joined = "".join([each for each in (*digests, *befores) if each is not None])
    try:
        data = bytes.fromhex(joined)
    except ValueError:  # a log may have anything
        return None
    missing = tuple([each is None for each in (*seconds, *tokens, *digests)])
    count = len(digests) + len(befores) - sum(missing[5:])
    if data.hex() != joined or len(data) != count * _DIGEST_BYTES:
        return None
    numbers = [each for each in (*seconds, *tokens) if each is not None]
    numbers = [attempt.began, attempt.ended, attempt.session, *numbers]
    own = struct.pack(f"<{len(numbers)}d", *numbers) + data
    alike = (
        attempt.method,
        attempt.host,
        attempt.path,
        attempt.status,
        attempt.kind,
        *[getattr(seen, name) for name in _ALIKE],
        tuple([each.role for each in seen.messages]),
        missing,
    )
    return PackedCall(attempt.call, known.setdefault(alike, alike), own)


def _split(data: bytes) -> list[str]:
    starts = range(0, len(data), _DIGEST_BYTES)
    return [data[start : start + _DIGEST_BYTES].hex() for start in starts]
