"""What was seen of a request to an API, as an attempt of a call: the evidence for findings.

Every text that a client or an API chose (bodies, messages, credentials, keys) is here as a digest
only, made with a key of the run, or not at all. Seconds are rounded to milliseconds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

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

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        values = {name: getattr(self, name) for name in _names()}
        values["messages"] = tuple([asdict(message) for message in self.messages])
        return values


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(each.name for each in fields(Observed))


MESSAGES = 16
"""So many of a request's messages are told of."""
NOTHING_OBSERVED = Observed()
