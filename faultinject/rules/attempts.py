"""What an attempt is: which requests belong to one call, and which of its attempts each is.

A request is the next attempt of a call if all of this holds:

- The call's last attempt had failed (`Ended.failed`) and had ended before this request began, at
  most 10 minutes earlier, or the wait that the answer asked for if that is longer.
- Both say the same: method, host and port, path, credentials, and the body without the keys in
  `LEFT_OUT` and without any ``cache_control``.

Else it is the first attempt of a new call. So requests that overlap are never attempts of each
other. What a client says of itself goes before that:

- ``amz-sdk-invocation-id`` (AWS SDKs) decides alone: the same id is the same call.
- ``x-stainless-retry-count`` above 0 continues a call, and the number is the client's. A 0 begins a
  new call only if the same User-Agent has sent a count above 0 in this run: Claude Code sends 0
  with every attempt.

Of several equal calls that could go on, the one whose attempt ended first does. Times are seconds
on one clock, whichever the caller has. Everything is bounded.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from hashlib import blake2b
from typing import Any, TypeVar

from attrs import define, frozen

from faultinject.rules.facts import USER_AGENT, Facts

Kept = TypeVar("Kept")


def remembered(known: OrderedDict[str, Kept], key: str, new: type[Kept], bound: int) -> Kept:
    """Return what is known by a key, made new if nothing is; forget what is too much."""
    kept = known.get(key)
    if kept is None:
        kept = known[key] = new()
        if len(known) > bound:
            known.popitem(last=False)
    else:
        known.move_to_end(key)
    return kept


CALLS = 10_000
"""How many calls are remembered; of more the least recently seen is forgotten."""
LONGEST_PAUSE_SECONDS = 600.0
"""How long after the end of an attempt the next one may begin, if no longer wait was asked for."""
LEFT_OUT = frozenset(
    {
        "stream",
        "stream_options",
        "metadata",
        "user",
        "prompt_cache_key",
        "safety_identifier",
        "max_tokens",
    }
)
"""Keys of a body that may differ between the attempts of a call. Claude Code asks without
``stream`` after a stream that broke off."""
CACHE_CONTROL = "cache_control"
"""A key that may differ wherever it stands."""
INVOCATION_ID = b"amz-sdk-invocation-id"
CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")
"""Headers that say on whose account a request is. The parameter ``key`` of the query does too."""


# -- what a request says of its call ------------------------------------------------------------


@frozen
class Identity:
    """What a request says of the call that it belongs to. Digests, made with a key of the run."""

    same: str | None
    """Of what all attempts of a call say alike; None if the body is not known."""
    invocation: str = ""
    """Of the ``amz-sdk-invocation-id``; empty if there is none."""
    client: str = ""
    """Of the User-Agent."""
    retry_count: int | None = None
    """What the client counts, from 0; None if it does not."""


def identity_of(facts: Facts, key: bytes) -> Identity:
    """Return what a request says of its call."""
    invocation = facts.headers.get(INVOCATION_ID, ())
    return Identity(
        None if facts.body is None else _digest(key, *_said_alike(facts, facts.body)),
        _digest(key, *invocation) if invocation else "",
        _digest(key, *facts.headers.get(USER_AGENT, ())),
        facts.retry_count,
    )


def _digest(key: bytes, *pieces: bytes) -> str:
    digest = blake2b(digest_size=16, key=key)
    for piece in pieces:
        digest.update(len(piece).to_bytes(8))
        digest.update(piece)
    return digest.hexdigest()


def _said_alike(facts: Facts, body: bytes) -> list[bytes]:
    pieces = [facts.head.method, f"{facts.host}:{facts.port}".encode(), facts.path.encode()]
    for name in CREDENTIALS:
        pieces += [name, *facts.headers.get(name, ())]
    pieces += [b"key", *(key.encode() for key in facts.parameter("key"))]
    return [*pieces, b"body", _comparable(body, facts.json)]


def _comparable(body: bytes, document: Any) -> bytes:
    """Return what of a body is the same for all attempts; all of it if it is no JSON object."""
    if not isinstance(document, dict):
        return body
    kept = {name: value for name, value in document.items() if name not in LEFT_OUT}
    try:
        text = _canonical(kept)
        if f'"{CACHE_CONTROL}"' in text:
            text = _canonical(_without_cache_control(kept))
    except RecursionError:  # nested by the hundred
        return body
    return text.encode()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _without_cache_control(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_cache_control(each)
            for name, each in value.items()
            if name != CACHE_CONTROL
        }
    return [_without_cache_control(each) for each in value] if isinstance(value, list) else value


# -- calls --------------------------------------------------------------------------------------


@frozen
class Ended:
    """How an attempt ended."""

    seconds: float
    """When."""
    failed: bool = False
    """Whether a rule made it fail, or the API in a way that it calls transient or throttled."""
    asked_wait_seconds: float = 0.0
    """How long the answer asked the client to wait."""


@define(eq=False)
class _Call:
    name: str
    same: str = ""
    """What its attempts say alike; empty if an id of the client's decides."""
    attempts: int = 0
    """The number of its last attempt."""
    ended_seconds: float = 0.0
    """When its last attempt ended."""
    open_until: float = 0.0
    """When the next attempt must have begun."""

    def may_follow(self, began_seconds: float) -> bool:
        """Say whether an attempt that begins then can be the next, if all else is right."""
        return self.ended_seconds <= began_seconds <= self.open_until


@define(eq=False)
class Attempt:
    """One attempt of a call."""

    number: int
    """From 1."""
    _of: _Call
    _attempts: Attempts
    _open: bool = True

    @property
    def call(self) -> str:
        """What the call is known by."""
        return self._of.name

    def end(self, ended: Ended) -> None:
        """Say how it ended; the first word counts. One that is never said to end did not fail."""
        if self._open:
            self._open = False
            self._attempts._end(self._of, ended)


class Attempts:
    """The calls of a run, and their attempts."""

    def __init__(self, calls: int = CALLS) -> None:
        self.key = os.urandom(16)
        """The key of the digests in `Identity`."""
        self._bound = calls
        self._count = 0
        self._ended: OrderedDict[_Call, None] = OrderedDict()
        """Those between two attempts, or over; the least recently seen first."""
        self._failed: dict[str, OrderedDict[_Call, None]] = {}
        """Those of them whose last attempt failed, by what they say; the first to end first."""
        self._passed: dict[str, _Call] = {}
        """The last of them whose last attempt did not fail, by what they say."""
        self._invoked: OrderedDict[str, _Invoked] = OrderedDict()
        self._counting: OrderedDict[str, _Counting] = OrderedDict()
        """The clients that were asked for their count."""

    def begin(self, said: Identity, began_seconds: float) -> Attempt | None:
        """Return which attempt a request is that began then; None if it cannot be told."""
        count = said.retry_count or 0
        call: _Call | None
        if said.retry_count is not None:
            counting = remembered(self._counting, said.client, _Counting, self._bound)
            counting.counts = counting.counts or count > 0
        if said.invocation:
            call = self._invocation(said.invocation)
        elif said.same is None:
            return None
        else:
            call = self._continued(said, said.same, began_seconds) or self._new(said.same)
        call.attempts = count + 1 if count else call.attempts + 1
        return Attempt(call.attempts, call, self)

    def _continued(self, said: Identity, same: str, began_seconds: float) -> _Call | None:
        """Return the call that a request goes on with; None if it begins one."""
        if said.retry_count == 0 and self._counting[said.client].counts:
            return None
        failed = self._failed.get(same, OrderedDict[_Call, None]())
        while failed:
            call = next(iter(failed))
            if call.ended_seconds > began_seconds:
                break  # and so have the others
            self._forget(call)
            if call.may_follow(began_seconds):
                return call
        passed = self._passed.get(same)
        if said.retry_count and passed is not None and passed.may_follow(began_seconds):
            self._forget(passed)
            return passed  # it left an attempt that did not fail, and counts on
        return None

    def _new(self, same: str) -> _Call:
        self._count += 1
        return _Call(str(self._count), same)

    def _invocation(self, name: str) -> _Call:
        invoked = remembered(self._invoked, name, _Invoked, self._bound)
        if invoked.call is None:
            invoked.call = self._new("")
        return invoked.call

    def _end(self, call: _Call, ended: Ended) -> None:
        if not call.same:
            return  # its id decides alone
        pause = max(LONGEST_PAUSE_SECONDS, ended.asked_wait_seconds)
        call.ended_seconds, call.open_until = ended.seconds, ended.seconds + pause
        self._ended[call] = None
        if ended.failed:
            self._failed.setdefault(call.same, OrderedDict())[call] = None
        else:
            if (before := self._passed.get(call.same)) is not None:
                self._forget(before)
            self._passed[call.same] = call
        if len(self._ended) > self._bound:
            self._forget(next(iter(self._ended)))

    def _forget(self, call: _Call) -> None:
        del self._ended[call]
        failed = self._failed.get(call.same)
        if failed is None or call not in failed:
            del self._passed[call.same]
            return
        del failed[call]
        if not failed:
            del self._failed[call.same]


@define
class _Invoked:
    call: _Call | None = None


@define
class _Counting:
    counts: bool = False
    """Whether it has ever sent a count above 0."""
