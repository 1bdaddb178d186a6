"""What is told of an exchange as an attempt of a call: `Observed`, made when it is over.

All that a client or an API chose becomes digests with the run's key here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import evolve

from faultinject.http.h1.connection import ClientConnection
from faultinject.http.message import ResponseHead
from faultinject.matchers import MISSING
from faultinject.observed import MESSAGES, Message, Observed
from faultinject.providers.dialogue import Turn, turns_of
from faultinject.providers.retries import asked_wait, should_retry
from faultinject.providers.shape import Usage
from faultinject.proxy.decision import Decision
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.exchange_end import ExchangeEnd, ended
from faultinject.proxy.failure import failure_of, taken
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.traffic_copy import ANSWER_BYTES, BODY_BYTES, TrafficCopy, uncoded
from faultinject.rules.attempts import Attempt, canonical, credential_of, digest, identity_of
from faultinject.rules.facts import Facts

_FEATURES = (
    b"anthropic-version", b"anthropic-beta", b"openai-beta", b"openai-organization",
    b"openai-project", b"x-goog-user-project", b"content-type", b"accept",
)  # fmt: skip
"""Headers that choose a version or a feature of an API: a client that mends one repeats nothing."""
_IDEMPOTENCY = (b"idempotency-key", b"x-idempotency-key", b"anthropic-idempotency-key")
_SECONDS = re.compile(rb"\d{1,9}(?:\.\d{0,9})?")
_MILLISECONDS_FROM = 10_000
"""Older SDKs for TypeScript stated milliseconds in ``x-stainless-timeout``."""
_LONGEST_MODEL = 200


@contextmanager
def copied(
    runtime: Runtime, client: ClientConnection, facts: Facts
) -> Iterator[TrafficCopy | None]:
    """Copy what passes within the block; not at all if the request is no call of a target's API."""
    is_call = facts.kind in ("model", "api")
    if not is_call or runtime.target_of(facts.host, facts.port) is None:
        yield None
        return
    copy = TrafficCopy(lambda: runtime.now_seconds, facts.began_seconds or 0.0)
    client.on_received, client.on_sent = copy.received, copy.sent
    try:
        yield copy
    finally:
        client.on_received = client.on_sent = None


def end_attempt(decision: Decision, end: ExchangeEnd) -> None:
    """Note how an attempt ended, if that is counted or told; the first note counts."""
    runtime, facts, copy = decision.session.runtime, decision.facts, decision.copy
    if decision.attempt is None:
        decision.attempt = decision.plan.attempt or (
            None if copy is None else _begun(decision, copy)
        )
    if decision.attempt is not None:
        note = ended(end, facts.host, facts.path, runtime.now_seconds)
        is_whole_error = copy is not None and end.answered and note.failed
        told = copy.head_seconds if copy is not None and is_whole_error else None
        decision.attempt.end(evolve(note, known_seconds=told))


def _begun(decision: Decision, copy: TrafficCopy) -> Attempt | None:
    """Return which attempt it was for which no rule asked; that it is late makes no difference."""
    attempts = decision.session.runtime.counters.attempts
    identity = identity_of(_with_body(decision.facts, copy), attempts.key)
    return attempts.begin(identity, copy.began_seconds)


def _with_body(facts: Facts, copy: TrafficCopy) -> Facts:
    """Return the facts of a request with its body, if that came whole and was not too long."""
    if facts.body is not None:
        return facts
    body = uncoded(facts.head.headers, copy.body.whole, BODY_BYTES)
    return Facts(facts.host, facts.port, facts.head, body, facts.connection, facts.began_seconds)


def observe(exchange: Exchange, decision: Decision, copy: TrafficCopy) -> Observed:
    """Return what was seen of an exchange that is over."""
    session, attempt = decision.session, decision.attempt
    facts, key = _with_body(decision.facts, copy), session.runtime.counters.attempts.key
    stopped = session.runtime.draining or not session.timeout.expired
    provider, path, head = facts.provider, facts.path, copy.head
    answer = _answer_of(head, copy)
    how = taken(exchange, stopped=stopped)
    failed = failure_of(exchange, copy, provider, path, answer, how)
    wait = asked_wait(head, answer, time.time()) if failed and head is not None else None
    usage = provider.shape_of(path).usage(answer) if failed is None and answer is not None else None
    usage = usage or Usage(None, None)
    now = copy.now()
    observed = Observed(
        began_seconds=_rounded(copy.began_seconds),
        provider=provider.name,
        model=_model(facts),
        stream=facts.stream,
        call=None if attempt is None else int(attempt.call),
        attempt=None if attempt is None else attempt.number,
        retry_count=facts.retry_count,
        gap_seconds=None if attempt is None else _rounded(attempt.gap_seconds),
        first_byte_seconds=_rounded(_since(copy.began_seconds, copy.head_seconds)),
        quiet_seconds=_rounded(now - copy.spoke_seconds),
        taken=how,
        failure=failed and failed[0],
        failure_kind=failed and failed[1],
        wait_asked_seconds=_rounded(wait and wait[0]),
        wait_asked_by=wait and wait[1],
        should_retry=None if head is None else should_retry(head),
        read_timeout_seconds=_stated(facts, b"x-stainless-read-timeout"),
        timeout_seconds=_stated(facts, b"x-stainless-timeout"),
        idempotency_key=any(name in facts.headers for name in _IDEMPOTENCY),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        credential=credential_of(facts, key),
        request=identity_of(facts, key).content,
        body=_body_digest(facts, copy, key),
    )
    return _with_messages(observed, facts, key)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _since(began: float, then: float | None) -> float | None:
    return None if then is None else then - began


def _answer_of(head: ResponseHead | None, copy: TrafficCopy) -> Any:
    """Return the answer as a JSON value; None if it is none, or not known."""
    if head is None:
        return None
    body = uncoded(head.headers, copy.answer.whole, ANSWER_BYTES)
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def _model(facts: Facts) -> str | None:
    model = facts.model
    return model if model is None else model[:_LONGEST_MODEL]


def _stated(facts: Facts, name: bytes) -> float | None:
    """Return the seconds that a header states; None if it does not."""
    text = facts.headers.get(name, (b"",))[0]
    if not _SECONDS.fullmatch(text):
        return None
    seconds = float(text)
    return seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds


# -- digests ------------------------------------------------------------------------------------


def _body_digest(facts: Facts, copy: TrafficCopy, key: bytes) -> str | None:
    body = copy.body.whole
    if body is None:
        return None
    query = {name: values for name, values in facts.query.items() if name != "key"}
    features: list[bytes] = []
    for name in _FEATURES:
        features += [name, b"\n".join(facts.headers.get(name, ()))]
    return digest(
        key,
        facts.head.method,
        f"{facts.host}:{facts.port}{facts.path}".encode(),
        repr(sorted(query.items())).encode("utf-8", "backslashreplace"),
        *features,
        body,
    )


def _with_messages(observed: Observed, facts: Facts, key: bytes) -> Observed:
    """Add what is told of the conversation."""
    if facts.json is MISSING:
        return observed
    try:
        system, turns = turns_of(facts.json)
        chain = [digest(key)]
        for turn in turns:
            values = [canonical(value) for value in turn.values]
            chain.append(digest(key, chain[-1].encode(), *values))
    except RecursionError:  # nested by the hundred
        return observed
    messages = [_message(turn, before, key) for turn, before in zip(turns, chain[:-1], strict=True)]
    return evolve(
        observed,
        system=digest(key, _bytes(system)) if system else None,
        prefix=chain[-1] if turns else None,
        message_count=len(turns) if turns else None,
        messages=tuple(messages[-MESSAGES:]),
    )


def _message(turn: Turn, before: str, key: bytes) -> Message:
    text = digest(key, _bytes(turn.text)) if turn.text else None
    return Message(role=turn.role, text=text, before=before)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
