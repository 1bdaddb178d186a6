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
    observed_of_plain,
)
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import KEPT_AT_EITHER_END, Call
from faultinject.report.packed import (
    BATCH,
    KINDS,
    Alike,
    CallBatch,
    KeptCall,
    KeptCalls,
    PackedCall,
    PlainCalls,
    kept_call,
    unpacked,
)
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


# -- many calls ---------------------------------------------------------------------------------


def attempts_of_calls(many: int) -> list[SeenAttempt]:
    """Return one attempt of each of some calls; each asks something else, a second apart."""
    digests = [number.to_bytes(16, "big").hex() for number in range(many)]
    return [
        attempt_of(evolve(PLAIN, call=number + 1, request=digest, began_seconds=float(number)))
        for number, digest in enumerate(digests)
    ]


def test_old_calls_are_kept_in_batches_and_go_on_all_the_same() -> None:
    """Those without a small form stand beside, in the order in which they ended."""
    kept = KeptCalls(BATCH)
    attempts = attempts_of_calls(5 * BATCH)
    attempts[3] = evolve(attempts[3], session=10**400)
    for each in attempts:
        kept.add(each)
    assert len(kept) == kept.attempts == 5 * BATCH
    found = unpacked(kept.oldest(9 * BATCH))
    assert [call.attempts for call in found.values()] == [[each] for each in attempts]
    for each in (attempts[3], attempts[5]):  # both are old
        seen = evolve(each.seen, attempt=2)
        kept.add(evolve(each, number=2, began=1000.0, ended=1001.0, seen=seen))
        assert next(reversed(kept.oldest(9 * BATCH))) == each.call
        assert [one.number for one in kept.small(each.call).unpacked().attempts] == [1, 2]
    assert kept.attempts == len(kept) + 2
    assert kept.small(1).unpacked().attempts == [attempts[0]]
    oldest = kept.pop_oldest(5 * BATCH - 1)
    assert list(oldest)[:5] == [1, 2, 3, 5, 7]
    assert (len(kept), kept.attempts, list(kept.oldest(9))) == (1, 2, [6])


def test_hundreds_of_calls_that_are_tried_again_in_turn_are_in_no_batch() -> None:
    """To take each out of one again would hold up other requests."""
    kept = KeptCalls()
    for round_ in (1, 2, 3):
        for each in attempts_of_calls(900):
            kept.add(evolve(each, number=round_, seen=evolve(each.seen, attempt=round_)))
    assert not any(isinstance(each, CallBatch) for each in kept.oldest(900).values())
    assert (len(kept), kept.attempts) == (900, 2700)


@pytest.mark.parametrize("most", [1, 3, BATCH, BATCH + 1, 3 * BATCH])
def test_what_others_ask_than_the_oldest(most: int) -> None:
    """As far as they began soon enough."""
    kept = KeptCalls(BATCH)
    attempts = attempts_of_calls(4 * BATCH)
    attempts[-1] = evolve(attempts[-1], seen=evolve(attempts[-1].seen, request="no digest"))
    for each in attempts:
        kept.add(each)
    requests = [each.seen.request or "" for each in attempts]
    assert kept.asked_behind(most, 1e9, [*requests, "zz"]) == requests[most:]
    near = kept.asked_behind(most, 3.5 * BATCH, requests)
    assert (
        set(requests[most : 3 * BATCH]) <= set(near) <= set(requests[most : int(3.5 * BATCH) + 1])
    )


def test_what_asks_nothing_that_is_known_is_asked_by_no_other() -> None:
    """A call may be known by an id alone."""
    kept = KeptCalls(BATCH)
    for number in (1, 2):
        kept.add(attempt_of(evolve(PLAIN, call=number, request=None)))
    assert kept.asked_behind(1, 1e9, ["0a" * 16]) == []


def plain_event(number: int) -> tuple[ExchangeEnded, Seen]:
    """Return an exchange that went well."""
    digest = number.to_bytes(16, "big").hex()
    seen = Seen.known(
        Observed(
            began_seconds=float(number),
            call=number,
            attempt=1,
            taken="whole",
            provider="anthropic",
            model="m",
            first_byte_seconds=0.25,
            retry_count=0,
            body=digest if number % 2 else None,
        )
    )
    event = sample(ExchangeEnded, seen=seen, milliseconds=500.0, session=number)
    assert isinstance(event, ExchangeEnded)
    return event, seen


def test_calls_that_need_no_judgement_are_as_they_were() -> None:
    """The latest of them are kept, and found by when they were over."""
    plain = PlainCalls(2 * BATCH)
    events = [plain_event(number) for number in range(5 * BATCH + 7)]
    for event, seen in events:
        assert seen.plain is not None
        plain.add(event, seen.plain)
    assert plain.count == len(events)
    found = list(plain.between(-1.0, 1e9))
    assert found == [SeenAttempt.of(event) for event, _ in events[3 * BATCH :]]
    first = 4 * BATCH - 2
    ends = [each.ended for each in plain.between(first + 0.5, first + 4.5)]
    assert ends == [first + number + 0.5 for number in range(5)]
    assert list(plain.between(1e6, 1e9)) == []


def test_a_mark_of_a_body_becomes_a_digest_where_it_is_asked() -> None:
    """The same for the same body, key and features."""
    head = ("openai", None, None, None, False, None, b"k" * 16, b"features")
    bodies = [
        observed_of_plain((head, None, None, 1, 0.0, None, mark)).body for mark in (5, 5, 6, -5)
    ]
    assert bodies[0] == bodies[1]
    assert len(set(bodies)) == 3
