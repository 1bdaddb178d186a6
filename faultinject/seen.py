"""What was seen of exchanges, as it is kept while a run goes on: in parts, with marks for digests.

Thousands of attempts are kept, and few are ever asked for their `Observed`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, cast

from faultinject.observed import (
    Failure,
    FailureKind,
    Message,
    Observed,
    Taken,
    ToolResult,
    WaitAskedBy,
)

Mark = int
"""A hash in place of a digest: what has it in common is taken for equal. It has 64 bits, and holds
in one process only."""
Digest = str | Mark | None
"""A digest; or a mark, of which it is made when it is asked."""
HeadPart = tuple[
    str | None, int | None, float | None, float | None, bool | None, bool | None, str | None,
    bytes, bytes,
]  # fmt: skip
"""What a request's head says, as `_HEAD` names it; and for digests the key of the run and the
features."""
PlainValues = tuple[HeadPart, int, float, float | None, Digest]
"""What findings ask of an attempt that is plain: what its head says; ``call``, ``began_seconds``,
``first_byte_seconds``, which may not be rounded yet; and the digest of its body or the body's mark.
It has no invocation id, and ``invocation_id`` is not told."""
Asked = tuple[str | None, bool | None]
"""``model`` and ``stream``, which no finding asks of an attempt that is plain: where its body is
equal to one that was looked at, that one tells them."""


def rounded(seconds: float) -> float:
    """Return seconds, rounded to milliseconds.

    As `round(seconds, 3)`, which takes much longer: it writes the digits. Not through an `int`.
    """
    return (seconds * 1000 + 0.5) // 1 / 1000


def body_digest(key: bytes, features: bytes, mark: Mark) -> str:
    """Return `Observed.body` of a request.

    ``features`` says where it goes, and which version and features of the API it asks for.
    """
    said = b"%b %d" % (features, mark)
    return blake2b(said, digest_size=16, key=key).hexdigest()


def observed_of_plain(
    values: PlainValues, asked: Asked = (None, None), *, to_compare: bool = False
) -> Observed:
    """Return what was seen of an attempt that is plain; ``to_compare`` is as in `observed_of`."""
    head, call, began_seconds, waited_seconds, body = values
    provider, retry_count, read_timeout, timeout, idempotency_key, _, credential = head[:7]
    key, features = head[7:]
    if isinstance(body, int):
        body = _body_text(key, features, body) if to_compare else body_digest(key, features, body)
    return Observed(
        began_seconds=rounded(began_seconds),
        provider=provider,
        model=asked[0],
        stream=asked[1],
        call=call,
        attempt=1,
        retry_count=retry_count,
        first_byte_seconds=None if waited_seconds is None else rounded(waited_seconds),
        taken="whole",
        read_timeout_seconds=read_timeout,
        timeout_seconds=timeout,
        idempotency_key=idempotency_key,
        credential=credential,
        body=body,
    )


# -- in parts ----------------------------------------------------------------------------------

ResultPart = tuple[str, Digest, Digest, Digest, Digest]
MessagePart = tuple[str, Digest, Digest, tuple[ResultPart, ...]]
"""The fields of a `Message`, in order, with its results as `ResultPart` has them."""
BodyPart = tuple[
    str | None, bool | None, int | None, Digest, Digest, Digest, Digest, tuple[MessagePart, ...]
]
"""What its body says, as `_BODY` names it; and the last of its messages."""
AnswerPart = tuple[
    Taken | None, Failure | None, FailureKind | None, float | None, WaitAskedBy | None, bool | None,
    int | None, int | None, Digest,
]  # fmt: skip
"""How it was answered, as `_ANSWER` names it."""
OwnPart = tuple[float | None, int | None, int | None, float | None, float | None, float | None]
"""What it has in common with no other, as `_OWN` names it."""
Parts = tuple[HeadPart, BodyPart, AnswerPart, OwnPart]
"""The fields of an `Observed`. Where attempts ask or are answered the same, that part is one
object. Tuples, texts and numbers only, for `marshal`."""
_HEAD = (
    "provider", "retry_count", "read_timeout_seconds", "timeout_seconds", "idempotency_key",
    "invocation_id", "credential",
)  # fmt: skip
RETRY_COUNT: Final = 1
CREDENTIAL: Final = 6
_BODY = ("model", "stream", "message_count", "body", "request", "system", "prefix")
REQUEST: Final = 4
_ANSWER = (
    "taken", "failure", "failure_kind", "wait_asked_seconds", "wait_asked_by", "should_retry",
    "input_tokens", "output_tokens", "delivered",
)  # fmt: skip
_OWN = (
    "began_seconds", "call", "attempt", "gap_seconds", "first_byte_seconds", "quiet_seconds",
)  # fmt: skip
BEGAN: Final = 0
CALL: Final = 1
ATTEMPT: Final = 2
"""The places of what is asked of parts themselves."""
_head_of, _body_of, _answer_of, _own_of = (
    attrgetter(*names) for names in (_HEAD, _BODY, _ANSWER, _OWN)
)
_IN_PARTS = (*_HEAD, *_BODY, *_ANSWER, *_OWN)
_RESULT = ("tool", "arguments", "call_id", "result", "prefix")
_result_of = attrgetter(*_RESULT)
_Make = Callable[[bytes, Digest], str | None]
"""Makes the digest of a mark, with the run's key, or a text in its place."""


def parts_of(observed: Observed) -> Parts:
    """Return what was seen in parts."""
    messages = [
        (each.role, each.text, each.before, tuple(map(_result_of, each.results)))
        for each in observed.messages
    ]
    said = (*_body_of(observed), tuple(messages))
    return (*_head_of(observed), b"", b""), said, _answer_of(observed), _own_of(observed)


def is_attempt(parts: Parts) -> bool:
    """Return True if it is known which attempt of which call it was, and when it began."""
    *_, own = parts
    return None not in (own[BEGAN], own[CALL], own[ATTEMPT])


def observed_of(parts: Parts, *, to_compare: bool = False) -> Observed:
    """Return what was seen, with its digests.

    ``to_compare`` has texts in their place that are equal where the digests are, and are made in a
    fraction of the time: for what looks at thousands and shows none.
    """
    (*head, key, features), said, (*answer, text), own = parts
    model, stream, count, body, *marks, messages = said
    make, make_body = (_text, _body_text) if to_compare else (_digest, body_digest)
    body = make_body(key, features, body) if isinstance(body, int) else body
    digests = [make(key, each) for each in (*marks, text)]
    told = (*head, model, stream, count, body, *digests[:3], *answer, digests[3], *own)
    values: dict[str, Any] = dict(zip(_IN_PARTS, told, strict=True))
    return Observed(messages=tuple([_message(make, key, each) for each in messages]), **values)


def _message(make: _Make, key: bytes, part: MessagePart) -> Message:
    role, text, before, results = part
    told = tuple([_result(make, key, each) for each in results])
    said_before = cast("str", make(key, before))
    return Message(role=role, text=make(key, text), before=said_before, results=told)


def _result(make: _Make, key: bytes, part: ResultPart) -> ToolResult:
    values: Any = (part[0], *[make(key, each) for each in part[1:]])
    return ToolResult(**dict(zip(_RESULT, values, strict=True)))


@lru_cache(maxsize=256)
def _digest(key: bytes, digest: Digest) -> str | None:
    if not isinstance(digest, int):
        return digest
    return blake2b(b"%d" % digest, digest_size=16, key=key).hexdigest()


def _text(_: bytes, digest: Digest) -> str | None:
    return f"{digest:x}" if isinstance(digest, int) else digest


def _body_text(_: bytes, features: bytes, mark: Mark) -> str:
    return f"{mark:x} {features.decode()}"


# -- of an exchange ----------------------------------------------------------------------------


class PlainSeen(tuple[PlainValues, Asked]):
    """What was seen of an exchange that is plain: answered, as the only attempt of a call.

    One is made for nearly every request, and any object that is no tuple takes several times as
    long to make.
    """

    __slots__ = ()

    @property
    def values(self) -> PlainValues:
        """What findings ask of it."""
        return self[0]

    @property
    def began_seconds(self) -> float:
        """When it began."""
        _, _, began_seconds, _, _ = self.values
        return rounded(began_seconds)

    @property
    def observed(self) -> Observed:
        """What was seen. It is made anew each time: few are ever asked."""
        return observed_of_plain(*self)


class Seen:
    """What was seen of an exchange as an attempt of a call: known, or found out once it is asked.

    When it began is known at once, and that it is not plain.
    """

    __slots__ = ("_find", "_known", "_parts", "began_seconds")

    def __init__(
        self,
        began_seconds: float | None,
        find: Callable[[], Parts],
        known: Observed | None = None,
    ) -> None:
        """Have ``find`` find it out, in the run's thread; ``known`` is what was seen, if it is."""
        self.began_seconds = began_seconds
        self._known = known
        self._find: Callable[[], Parts] | None = find

    @property
    def parts(self) -> Parts:
        """What was seen, in parts."""
        self.find_out()
        return self._parts

    def find_out(self) -> None:
        """Find it out now."""
        if self._find is not None:
            self._parts = self._find()
            self._find = None  # it may keep much

    @property
    def observed(self) -> Observed:
        """What was seen. It is made anew each time: few are ever asked."""
        return self._known or observed_of(self.parts)


AnySeen = Seen | PlainSeen


def seen_of(observed: Observed) -> AnySeen:
    """Return what was seen, if it is known already."""
    return _plain_of(observed) or Seen(
        observed.began_seconds, partial(parts_of, observed), observed
    )


def _plain_of(observed: Observed) -> PlainSeen | None:
    """Return what was seen if it is plain, so that no more of it is known; else None."""
    call, began, waited = observed.call, observed.began_seconds, observed.first_byte_seconds
    if call is None or began is None:
        return None
    values = (*_head_of(observed), b"", b""), call, began, waited, observed.body
    plain = PlainSeen((values, (observed.model, observed.stream)))
    return plain if plain.observed == observed else None
