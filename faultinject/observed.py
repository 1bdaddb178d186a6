"""What was seen of a request to an API, as an attempt of a call: the evidence for findings.

Every text that a client or an API chose (bodies, messages, credentials, keys) is here as a digest
only, made with a key of the run, or not at all. Seconds are rounded to milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, Literal, cast

from attrs import asdict, define, fields

Failure = Literal[
    "connect",  # the proxy refused or broke the tunnel, by a rule
    "handshake",  # TLS with the client was broken, by a rule
    "no-answer",  # the connection ended before the head of an answer
    "stalled",  # nothing came any more, by a rule, until the client left or the connection ended
    "answer",  # a whole answer that is an error
    "cut",  # the answer broke off within its body, which is no stream
    "truncated",  # the stream ended without its last event: clean, cut or reset
    "error-event",  # the stream had an error event
    "malformed",  # what carries content was made no JSON: an event of the stream, or a whole answer
]
"""How an attempt failed."""
FailureKind = Literal[
    "transient",  # trying again may help: overloaded, a gateway's error, a broken connection
    "throttled",  # too many requests: wait, then try again
    "quota",  # nothing is left to spend: it stays so until somebody pays, or for days
    "final",  # the request is wrong: it fails again however often it is sent
]
"""What the API says of a failure. A connection that breaks is transient."""
WaitAskedBy = Literal[
    "retry-after-ms", "retry-after", "retry-after-date", "x-amz-retry-after", "retry-info"
]
"""Where an answer says how long to wait: a header, or ``RetryInfo`` in Google's errors."""
Taken = Literal[
    "whole",  # the client got the answer to its end, or left a stream at its last event
    "left",  # the client ended the connection before that
    "reset",  # the client reset the connection before that
    "broken",  # a rule, the upstream or a time limit of ours broke the answer off
    "stopped",  # the run ended first
]
"""How the client took the answer."""


@define(kw_only=True, unsafe_hash=True)
class ToolResult:
    """The result of a tool that a message carries to the model. Not frozen, as `Observed`."""

    tool: str
    """The tool's name."""
    arguments: str
    """Digest of the call's arguments (as a JSON value)."""
    call_id: str
    """Digest of the id by which the model called."""
    result: str
    """Digest of the result."""
    prefix: str
    """`Observed.prefix` of the messages before the one in which the model called."""


@define(kw_only=True, unsafe_hash=True)
class Message:
    """One message of a conversation, but for system and developer messages. Not frozen either."""

    role: str
    """``user``, ``assistant`` or ``tool``."""
    text: str | None
    """Digest of its text, all of it together without blanks at its ends; None without text."""
    before: str
    """`Observed.prefix` of the messages before it."""
    results: tuple[ToolResult, ...] = ()


@define(kw_only=True, unsafe_hash=True)
class Observed:
    """What was seen of one attempt. What is None was not told, or could not be seen.

    It is made for each request, and to make a frozen one takes several times as long. Nobody
    changes it.
    """

    began_seconds: float | None = None
    """When the request's head was received, since the start of the run."""
    provider: str | None = None
    """The API, as `faultinject.providers` names it."""
    model: str | None = None
    stream: bool | None = None
    """Whether the request asks for its answer as a stream."""
    call: int | None = None
    """Counts the calls of the run from 1; all attempts of a call have its number."""
    attempt: int | None = None
    """Counts the attempts of the call from 1."""
    retry_count: int | None = None
    """What the client itself counts (``x-stainless-retry-count``), from 0."""
    gap_seconds: float | None = None
    """From the head of the failed answer before (or that attempt's end, if it got none) to this
    request's head; None for a first attempt."""
    first_byte_seconds: float | None = None
    """From the request's head to the answer's head, as it was sent to the client."""
    quiet_seconds: float | None = None
    """How long nothing but pings had been sent to the client when the exchange ended, since it sent
    the last of its request."""
    taken: Taken | None = None
    failure: Failure | None = None
    """None if it did not fail."""
    failure_kind: FailureKind | None = None
    wait_asked_seconds: float | None = None
    """How long the answer asks to wait before the next attempt; 0 if it says "at once"."""
    wait_asked_by: WaitAskedBy | None = None
    should_retry: bool | None = None
    """What the answer says in ``x-should-retry``."""
    read_timeout_seconds: float | None = None
    """How long the client says it waits for each next byte (``x-stainless-read-timeout``)."""
    timeout_seconds: float | None = None
    """How long the client says it waits for an answer's head (``x-stainless-timeout``)."""
    idempotency_key: bool | None = None
    """Whether the request brought an idempotency key."""
    invocation_id: bool | None = None
    """Whether it has an ``amz-sdk-invocation-id``, as each attempt of AWS' SDKs has."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """The tokens that the answer told of, as far as it came (from the upstream)."""
    credential: str | None = None
    """Digest of the credentials; None if there are none that are known."""
    request: str | None = None
    """Digest of what all attempts of a call say alike (`faultinject.rules.attempts`)."""
    body: str | None = None
    """Digest of all that a repeat in vain would repeat: method, URL without keys, the body's bytes,
    and the headers that choose a version or a feature of the API."""
    system: str | None = None
    """Digest of the text of the system prompt; None without one."""
    prefix: str | None = None
    """Digest of all messages in order, each without ``cache_control``; None without messages."""
    message_count: int | None = None
    messages: tuple[Message, ...] = ()
    """The last of them, at most `MESSAGES`, the oldest first."""
    delivered: str | None = None
    """Digest of the text that a stream delivered to the client, without blanks at its ends; None
    if it is no stream, or was empty."""

    @property
    def plain(self) -> PlainValues | None:
        """What is known, if it is the only attempt of a call and was answered; else None.

        That is all, but for ``model`` and ``stream``.
        """
        alone = self.call is not None and self.attempt == 1 and self.began_seconds is not None
        if not alone or self.taken != "whole" or self.request is not None:
            return None
        values = (*_head_of(self), b"", b""), *_plain_own_of(self)
        return values if observed_of_plain(values, (self.model, self.stream)) == self else None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        values = {name: getattr(self, name) for name in _names()}
        values["messages"] = tuple([asdict(message) for message in self.messages])
        return values


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(each.name for each in fields(Observed))


_plain_own_of = attrgetter("call", "began_seconds", "first_byte_seconds", "body")
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
``first_byte_seconds``, and the digest of its body or the body's mark. It has no invocation id, and
``invocation_id`` is not told."""
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
    head, call, began_seconds, first_byte_seconds, body = values
    provider, retry_count, read_timeout, timeout, idempotency_key, _, credential = head[:7]
    key, features = head[7:]
    if isinstance(body, int):
        body = _body_text(key, features, body) if to_compare else body_digest(key, features, body)
    return Observed(
        began_seconds=began_seconds,
        provider=provider,
        model=asked[0],
        stream=asked[1],
        call=call,
        attempt=1,
        retry_count=retry_count,
        first_byte_seconds=first_byte_seconds,
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


class Seen:
    """What was seen of an exchange as an attempt of a call: known, or found out once it is asked.

    When it began is known at once, and whether it is plain: the only attempt of a call, answered
    while nothing in the run had failed.
    """

    __slots__ = ("_asked", "_find", "_known", "_parts", "began_seconds", "plain")
    plain: PlainValues | None
    """What is known of one that is plain (`Observed.plain`); None for others."""

    def __init__(
        self,
        began_seconds: float | None,
        find: Callable[[], Parts] | None,
        plain: PlainValues | None = None,
        asked: Asked = (None, None),
    ) -> None:
        """Have ``find`` find it out, in the run's thread; or hold what is known of a plain one."""
        self.began_seconds = began_seconds
        self.plain = plain
        self._asked = asked
        self._known: Observed | None = None
        self._find = find

    @classmethod
    def known(cls, observed: Observed) -> Seen:
        """Hold what is known already."""
        asked = observed.model, observed.stream
        seen = cls(observed.began_seconds, partial(parts_of, observed), observed.plain, asked)
        seen._known = observed
        return seen

    @property
    def parts(self) -> Parts:
        """What was seen of one that is not plain, in parts."""
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
        if self.plain is not None:
            return observed_of_plain(self.plain, self._asked)
        return self._known or observed_of(self.parts)


MESSAGES = 16
"""So many of a request's messages are told of."""
NOTHING_OBSERVED = Observed()
