"""What was seen of a request to an API, as an attempt of a call: the evidence for findings.

Every text that a client or an API chose (bodies, messages, credentials, keys) is here as a digest
only, made with a key of the run, or not at all. Seconds are rounded to milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Literal

from attrs import asdict, define, fields, frozen

Failure = Literal[
    "connect",  # the proxy refused or broke the tunnel, by a rule
    "handshake",  # TLS with the client was broken, by a rule
    "no-answer",  # the connection ended before the head of an answer
    "stalled",  # nothing came any more, by a rule, until the client left or the connection ended
    "answer",  # a whole answer that is an error
    "cut",  # the answer broke off within its body, which is no stream
    "truncated",  # the stream ended without its last event: clean, cut or reset
    "error-event",  # the stream had an error event
    "malformed",  # an event of the stream that carries content was made no JSON
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


@frozen(kw_only=True)
class ToolResult:
    """The result of a tool that a message carries to the model."""

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


@frozen(kw_only=True)
class Message:
    """One message of a conversation. System and developer messages are none."""

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
    """How long nothing but pings had been sent to the client when the exchange ended."""
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
        """All that is known, if it is the only attempt of a call and was answered; else None."""
        alone = self.call is not None and self.attempt == 1 and self.began_seconds is not None
        if not alone or self.taken != "whole" or self.request is not None:
            return None
        values = (*_plain_head_of(self), b"", b""), *_plain_own_of(self)
        return values if observed_of_plain(values) == self else None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        values = {name: getattr(self, name) for name in _names()}
        values["messages"] = tuple([asdict(message) for message in self.messages])
        return values


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(each.name for each in fields(Observed))


_plain_head_of = attrgetter(
    "provider", "retry_count", "read_timeout_seconds", "timeout_seconds", "idempotency_key",
    "credential",
)  # fmt: skip
_plain_own_of = attrgetter("model", "stream", "call", "began_seconds", "first_byte_seconds", "body")
BodyMark = int
"""A hash of a body and its length: bodies that have it in common are taken for equal. It holds in
one process only."""
PlainHead = tuple[
    str | None, int | None, float | None, float | None, bool | None, str | None, bytes, bytes
]
"""What a request's head says of an attempt that is plain: `Observed.provider`, ``retry_count``,
``read_timeout_seconds``, ``timeout_seconds``, ``idempotency_key`` and ``credential``, and for
`body_digest` the key of the run and the features."""
PlainBody = str | BodyMark | None
PlainValues = tuple[PlainHead, str | None, bool | None, int, float, float | None, PlainBody]
"""What is known of an attempt that is plain: what its head says; ``model``, ``stream``, ``call``,
``began_seconds``, ``first_byte_seconds``, and the digest of its body or the body's mark."""


def body_digest(key: bytes, features: bytes, mark: BodyMark) -> str:
    """Return `Observed.body` of a request.

    ``features`` says where it goes, and which version and features of the API it asks for.
    """
    said = b"%b %d" % (features, mark)
    return blake2b(said, digest_size=16, key=key).hexdigest()


def observed_of_plain(values: PlainValues) -> Observed:
    """Return what was seen of an attempt that is plain."""
    head, model, stream, call, began_seconds, first_byte_seconds, body = values
    provider, retry_count, read_timeout, timeout, idempotency_key, credential, key, features = head
    return Observed(
        began_seconds=began_seconds,
        provider=provider,
        model=model,
        stream=stream,
        call=call,
        attempt=1,
        retry_count=retry_count,
        first_byte_seconds=first_byte_seconds,
        taken="whole",
        read_timeout_seconds=read_timeout,
        timeout_seconds=timeout,
        idempotency_key=idempotency_key,
        credential=credential,
        body=body_digest(key, features, body) if isinstance(body, int) else body,
    )


class Seen:
    """What was seen of an exchange as an attempt of a call: known, or found out once it is asked.

    When it began is known at once, and whether it is plain: the only attempt of a call, answered
    while nothing in the run had failed.
    """

    __slots__ = ("_find", "_found", "began_seconds", "plain")
    _found: Observed
    plain: PlainValues | None
    """What is known of one that is plain (`Observed.plain`); None for others."""

    def __init__(self, began_seconds: float | None, find: Callable[[], Observed] | None) -> None:
        """Have ``find`` find it out, in the run's thread."""
        self.began_seconds = began_seconds
        self.plain = None
        self._find = find

    @classmethod
    def known(cls, observed: Observed) -> Seen:
        """Hold what is known already."""
        seen = cls(observed.began_seconds, None)
        seen._found = observed
        seen.plain = observed.plain
        return seen

    @classmethod
    def of_plain(cls, began_seconds: float, plain: PlainValues) -> Seen:
        """Hold what is known of one that is plain."""
        seen = cls(began_seconds, None)
        seen.plain = plain
        return seen

    @property
    def observed(self) -> Observed:
        """What was seen."""
        if self.plain is not None:  # it is made anew each time: few are ever asked
            return observed_of_plain(self.plain)
        if self._find is not None:
            self._found = self._find()
            self._find = None  # it may keep much
        return self._found


MESSAGES = 16
"""So many of a request's messages are told of."""
NOTHING_OBSERVED = Observed()
