"""Calls in a small form."""

from __future__ import annotations

import tracemalloc
from typing import Any, get_args

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.events import ExchangeEnded
from faultinject.observed import (
    Failure,
    FailureKind,
    Message,
    Observed,
    Seen,
    Taken,
    ToolResult,
    WaitAskedBy,
)
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import KEPT_AT_EITHER_END, Call
from faultinject.report.packed import KINDS, Alike, KeptCall, PackedCall, kept_call
from tests.support.sample_events import sample

DIGESTS = st.binary(min_size=16, max_size=16).map(bytes.hex)
SECONDS = st.none() | st.integers(0, 10**9).map(lambda number: number / 1000)
TOKENS = st.none() | st.integers(0, 2**53)
RESULTS = st.builds(
    ToolResult,
    tool=st.text(max_size=5),
    arguments=DIGESTS,
    call_id=DIGESTS,
    result=DIGESTS,
    prefix=DIGESTS,
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool"]),
    text=st.none() | DIGESTS,
    before=DIGESTS,
    results=st.lists(RESULTS, max_size=2).map(tuple),
)
OBSERVED = st.builds(
    Observed,
    began_seconds=st.integers(0, 10**9).map(lambda number: number / 1000),
    provider=st.sampled_from(["anthropic", "openai"]),
    model=st.none() | st.text(max_size=5),
    stream=st.none() | st.booleans(),
    call=st.just(2**40),
    attempt=st.integers(1, 50),
    retry_count=st.none() | st.integers(0, 5),
    gap_seconds=SECONDS,
    first_byte_seconds=SECONDS,
    quiet_seconds=SECONDS,
    taken=st.none() | st.sampled_from(get_args(Taken)),
    failure=st.none() | st.sampled_from(get_args(Failure)),
    failure_kind=st.none() | st.sampled_from(get_args(FailureKind)),
    wait_asked_seconds=SECONDS,
    wait_asked_by=st.none() | st.sampled_from(get_args(WaitAskedBy)),
    should_retry=st.none() | st.booleans(),
    read_timeout_seconds=SECONDS,
    timeout_seconds=SECONDS,
    idempotency_key=st.none() | st.booleans(),
    invocation_id=st.none() | st.booleans(),
    input_tokens=TOKENS,
    output_tokens=TOKENS,
    credential=st.none() | DIGESTS,
    request=st.none() | DIGESTS,
    body=st.none() | DIGESTS,
    system=st.none() | DIGESTS,
    prefix=st.none() | DIGESTS,
    message_count=st.none() | st.integers(0, 99),
    messages=st.lists(MESSAGES, max_size=4).map(tuple),
    delivered=st.none() | DIGESTS,
)
PLAIN = Observed(
    began_seconds=1.0, call=1, attempt=1, taken="whole", provider="anthropic", model="m",
    request="0a" * 16, body="0b" * 16, prefix="0c" * 16,
    messages=(Message(role="user", text="0d" * 16, before="0e" * 16),),
)  # fmt: skip


def attempt_of(seen: Observed) -> SeenAttempt:
    """Return what is kept of an exchange."""
    attempt = SeenAttempt.of(
        sample(ExchangeEnded, seen=Seen.known(seen), milliseconds=12.5, status=200)
    )
    assert attempt is not None
    return attempt


def seen_in(call: Call) -> tuple[Any, ...]:
    """Return all that a call says."""
    tokens = call.lost_input_tokens, call.lost_output_tokens
    counts = call.count, call.said_first, call.answered
    return call.number, call.attempts, call.last, *counts, *tokens


@given(st.lists(OBSERVED, min_size=1, max_size=4))
def test_a_packed_call_is_as_it_was(many: list[Observed]) -> None:
    """Whatever is known of its attempts, and whatever they have in common."""
    known: dict[Alike, Alike] = {}
    call: KeptCall | None = None
    whole = Call(2**40)
    for count, attempt in enumerate(map(attempt_of, many), 1):
        call = kept_call(attempt, known, call)
        whole.add(attempt)
        assert isinstance(call, PackedCall)
        assert call.kept == count
        assert seen_in(call.unpacked()) == seen_in(whole)


def test_a_call_of_many_attempts() -> None:
    """Beyond those that are kept it has no small form, and all are counted."""
    call: KeptCall | None = None
    many = 2 * KEPT_AT_EITHER_END + 3
    for number in range(1, many + 1):
        call = kept_call(attempt_of(evolve(PLAIN, attempt=number, input_tokens=1)), {}, call)
        assert isinstance(call, PackedCall) == (number <= 2 * KEPT_AT_EITHER_END)
        assert call.kept == min(number, 2 * KEPT_AT_EITHER_END)
    assert call is not None
    whole = call.unpacked()
    assert (whole.count, whole.last.number, whole.attempts[0].number) == (many, many, 1)


def test_an_attempt_without_a_small_form_behind_one_that_has_it() -> None:
    """Both are in the call."""
    attempts = [attempt_of(PLAIN), attempt_of(evolve(PLAIN, attempt=2, request="no digest"))]
    call = kept_call(attempts[1], {}, kept_call(attempts[0], {}))
    assert isinstance(call, Call)
    assert call.attempts == attempts


RESULT = ToolResult(tool="t", arguments="a", call_id="c", result="r", prefix="p")


@pytest.mark.parametrize(
    "changes",
    [
        {"wait_asked_seconds": 2.0**54},
        {"input_tokens": 2**53 + 1},
        {"output_tokens": -(10**400)},
        {"request": "no digest"},
        {"request": "0A" * 16},
        {"request": "0a"},
        {"messages": (Message(role="tool", text=None, before="0e" * 16, results=(RESULT,)),)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_has_no_small_form(changes: dict[str, Any]) -> None:
    """It is kept whole: what only a log can have."""
    attempt = attempt_of(evolve(PLAIN, **changes))
    call = kept_call(attempt, {})
    assert isinstance(call, Call)
    assert call.unpacked() is call
    assert call.attempts == [attempt]


def test_a_session_with_a_number_that_only_a_log_can_have() -> None:
    """Its call is kept whole."""
    attempt = evolve(attempt_of(PLAIN), session=10**400)
    assert kept_call(attempt, {}).unpacked().attempts == [attempt]


def test_what_is_alike_is_bounded() -> None:
    """A path that is another each time is not kept for ever."""
    known: dict[Alike, Alike] = {}
    for number in range(2 * KINDS + 10):
        kept_call(evolve(attempt_of(PLAIN), path=f"/{number}"), known)
        assert len(known) <= KINDS + 1


def test_ten_thousand_take_little() -> None:
    """Half a KiB each, at most, whether they failed or not."""
    known: dict[Alike, Alike] = {}
    calls: dict[int, Any] = {}
    tracemalloc.start()
    try:
        for number in range(1000, 3000):
            digest = number.to_bytes(16, "big").hex()
            message = Message(role="user", text=digest, before="0e" * 16)
            seen = evolve(
                PLAIN, call=number, request=digest, body=digest, prefix=digest, messages=(message,)
            )
            if number % 2:
                seen = evolve(seen, failure="answer", failure_kind="transient", gap_seconds=0.5)
            calls[number] = kept_call(attempt_of(seen), known)
        assert tracemalloc.get_traced_memory()[0] / len(calls) < 500
    finally:
        tracemalloc.stop()
