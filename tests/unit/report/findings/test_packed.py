"""Calls in a small form."""

from __future__ import annotations

import tracemalloc
from random import Random
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
    Taken,
    ToolResult,
    WaitAskedBy,
)
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import KEPT_AT_EITHER_END, Call
from faultinject.report.packed import (
    BATCH,
    FAST_SHARE,
    KINDS,
    LATEST,
    SHARE,
    CallBatch,
    KeptCalls,
    PlainCalls,
    unpacked,
)
from faultinject.seen import PlainSeen, observed_of, observed_of_plain, seen_of
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


def event_of(seen: Observed, **changes: Any) -> ExchangeEnded:
    """Return an exchange of which that was seen."""
    values = {"milliseconds": 12.5, "status": 200, "seen": seen_of(seen), **changes}
    event = sample(ExchangeEnded, **values)
    assert isinstance(event, ExchangeEnded)
    return event


def attempt_in(event: ExchangeEnded) -> SeenAttempt:
    """Return what is kept of an exchange."""
    attempt = SeenAttempt.of(event)
    assert attempt is not None
    return attempt


def keep(kept: KeptCalls, event: ExchangeEnded) -> None:
    """Have it kept."""
    assert event.seen is not None
    kept.add(event, event.seen.parts)


def seen_in(call: Call) -> tuple[Any, ...]:
    """Return all that a call says."""
    tokens = call.lost_input_tokens, call.lost_output_tokens
    counts = call.count, call.said_first, call.answered
    return call.number, call.attempts, call.last, *counts, *tokens


@given(st.lists(OBSERVED, min_size=1, max_size=4), st.booleans())
def test_a_kept_call_is_as_it_was(many: list[Observed], in_batch: bool) -> None:
    """Whatever is known of its attempts, and whatever they have in common."""
    kept, whole = KeptCalls(0 if in_batch else BATCH), Call(2**40)
    for number in range(1, BATCH):
        keep(kept, event_of(evolve(PLAIN, call=number)))
    for event in map(event_of, many):
        keep(kept, event)
        whole.add(attempt_in(event))
    assert isinstance(kept.oldest(BATCH)[2**40], CallBatch) == (in_batch and len(many) == 1)
    call = kept.small(2**40)
    assert call.kept == len(many)
    assert kept.attempts == BATCH - 1 + len(many)
    assert seen_in(call.unpacked()) == seen_in(whole)


def test_a_call_of_many_attempts() -> None:
    """Beyond those that are kept all are counted."""
    kept, whole = KeptCalls(), Call(1)
    for number in range(1, 2 * KEPT_AT_EITHER_END + 9):
        failed = {"failure": "answer", "input_tokens": 1, "retry_count": 0, "output_tokens": 2}
        event = event_of(evolve(PLAIN, attempt=number, **(failed if number % 3 else {})))
        keep(kept, event)
        whole.add(attempt_in(event))
        assert kept.attempts == kept.small(1).kept == min(number, 2 * KEPT_AT_EITHER_END)
        assert seen_in(kept.small(1).unpacked()) == seen_in(whole)


RESULT = ToolResult(tool="t", arguments="a", call_id="c", result="r", prefix="p")


@pytest.mark.parametrize(
    "changes",
    [
        {"wait_asked_seconds": 2.0**54},
        {"input_tokens": 2**53 + 1},
        {"output_tokens": -(10**400)},
        {"request": "no digest"},
        {"model": "\ud800"},
        {"messages": (Message(role="tool", text=None, before="x", results=(RESULT,)),)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_only_a_log_can_have(changes: dict[str, Any]) -> None:
    """It is kept as well."""
    kept = KeptCalls(0)
    events = [
        event_of(evolve(PLAIN, call=number, **changes), session=10**400)
        for number in range(1, BATCH + 1)
    ]
    for event in events:
        keep(kept, event)
    assert all(isinstance(each, CallBatch) for each in kept.oldest(BATCH).values())
    calls = unpacked(kept.oldest(BATCH)).values()
    assert [call.attempts for call in calls] == [[attempt_in(event)] for event in events]


def test_what_is_alike_is_bounded() -> None:
    """A path that is another each time is not kept for ever."""
    kept = KeptCalls(BATCH)
    for number in range(2 * KINDS):
        keep(kept, event_of(PLAIN, path=f"/{number}"))
        assert len(kept._alike) <= KINDS + 3


@pytest.mark.parametrize("latest", [0, 10_000])
def test_ten_thousand_take_little(latest: int) -> None:
    """A quarter of a KiB each in batches, and a KiB as long as they may go on."""
    kept = KeptCalls(latest)
    many = 30 * BATCH
    tracemalloc.start()
    try:
        for number in range(1000, 1000 + many):
            digest = number.to_bytes(16, "big").hex()
            message = Message(role="user", text=digest, before="0e" * 16)
            seen = evolve(
                PLAIN, call=number, request=digest, body=digest, prefix=digest, messages=(message,)
            )
            if number % 2:
                seen = evolve(seen, failure="answer", failure_kind="transient", gap_seconds=0.5)
            keep(kept, event_of(seen))
        size = tracemalloc.get_traced_memory()[0] / many
        assert size < (1024 if latest else 256)
    finally:
        tracemalloc.stop()


# -- many calls ---------------------------------------------------------------------------------


def events_of_calls(many: int) -> list[ExchangeEnded]:
    """Return one attempt of each of some calls; each asks something else, a second apart."""
    digests = [number.to_bytes(16, "big").hex() for number in range(many)]
    return [
        event_of(evolve(PLAIN, call=number + 1, request=digest, began_seconds=float(number)))
        for number, digest in enumerate(digests)
    ]


def again(event: ExchangeEnded, number: int) -> ExchangeEnded:
    """Return a further attempt of a call."""
    return event_of(evolve(asked_by(event), attempt=number, began_seconds=1000.0 * number))


def test_old_calls_are_kept_in_batches_and_go_on_all_the_same() -> None:
    """In the order in which they ended."""
    kept = KeptCalls(BATCH)
    events = events_of_calls(5 * BATCH)
    for each in events:
        keep(kept, each)
    assert len(kept) == kept.attempts == 5 * BATCH
    found = unpacked(kept.oldest(9 * BATCH))
    assert [call.attempts for call in found.values()] == [[attempt_in(each)] for each in events]
    for number in (4, 6):  # both are old
        keep(kept, again(events[number - 1], 2))
        assert next(reversed(kept.oldest(9 * BATCH))) == number
        assert [one.number for one in kept.small(number).unpacked().attempts] == [1, 2]
    assert kept.attempts == len(kept) + 2
    assert kept.small(1).unpacked().attempts == [attempt_in(events[0])]
    oldest = kept.pop_oldest(5 * BATCH - 1)
    assert list(oldest)[:5] == [1, 2, 3, 5, 7]
    assert (len(kept), kept.attempts, list(kept.oldest(9))) == (1, 2, [6])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[CallBatch]:
    """Return the batches that are opened, each as often as it is."""
    found: list[CallBatch] = []
    calls = CallBatch.calls
    monkeypatch.setattr(CallBatch, "calls", lambda self: found.append(self) or calls(self))
    return found


@pytest.mark.parametrize(("many", "most_opened"), [(LATEST, 0), (900, 2 * 900 / BATCH + 1)])
def test_calls_that_are_tried_again_in_turn_open_few_batches(
    many: int, most_opened: float, opened: list[CallBatch]
) -> None:
    """To open one for each would hold up other requests."""
    kept = KeptCalls()
    events = events_of_calls(many)
    for round_ in (1, 2, 3):
        opened.clear()
        for each in events:
            keep(kept, again(each, round_))
        assert len(opened) <= most_opened
    assert (len(kept), kept.attempts) == (many, 3 * many)
    calls = unpacked(kept.oldest(many))
    for each in events:
        attempts = [attempt_in(again(each, round_)) for round_ in (1, 2, 3)]
        assert calls[attempts[0].call].attempts == attempts


def test_calls_that_are_tried_again_in_any_order_open_few_batches(
    opened: list[CallBatch],
) -> None:
    """As many as clients that wait for a random time each. Once they are over fewer are kept so."""
    kept, chance = KeptCalls(), Random(1)
    events = events_of_calls(900 + 64 * BATCH)
    crowd, others = events[:900], events[900:]
    for round_ in (1, 2, 3, 4):
        chance.shuffle(crowd)
        for each in crowd:
            keep(kept, again(each, round_))
    assert len(opened) < len(crowd)  # of which each was tried again three times
    for each in others:
        keep(kept, each)
    assert len(kept._latest) < LATEST + BATCH


@pytest.mark.parametrize("latest", [0, BATCH, 10_000])
@pytest.mark.parametrize(("pace", "one_in"), [(0.01, FAST_SHARE), (0.2, FAST_SHARE), (1.0, SHARE)])
def test_fewer_are_judged_at_a_time_where_they_lie_within_a_minute(
    latest: int, pace: float, one_in: int
) -> None:
    """However they are kept."""
    kept = KeptCalls(latest)
    many = 16 * BATCH
    for each in events_of_calls(many):
        seen = asked_by(each)
        assert seen.began_seconds is not None
        keep(kept, event_of(evolve(seen, began_seconds=seen.began_seconds * pace)))
    assert kept.share() == many // one_in


def test_at_least_one_is_judged_at_a_time() -> None:
    """However few are kept, and a call that took long makes up a minute alone."""
    kept = KeptCalls()
    events = events_of_calls(3)
    for each in events[:2]:
        keep(kept, each)
    assert kept.share() == 1
    many = KeptCalls()
    keep(many, event_of(asked_by(events[0]), milliseconds=90_000.0))
    for number in range(2, 2 * FAST_SHARE):
        keep(many, event_of(evolve(PLAIN, call=number, began_seconds=90.0)))
    assert many.share() == len(many) // SHARE


@pytest.mark.parametrize("most", [1, 3, BATCH, BATCH + 1, 3 * BATCH])
def test_what_others_ask_than_the_oldest(most: int) -> None:
    """As far as they began soon enough."""
    kept = KeptCalls(BATCH)
    events = events_of_calls(4 * BATCH)
    for each in events:
        keep(kept, each)
    assert kept.asked_behind(most, most, 1e9) == []
    for number in (1, 2):  # as others ask; the first of them too soon to be looked at
        keep(kept, event_of(evolve(asked_by(events[number]), call=1000 + number)))
    keep(kept, event_of(evolve(asked_by(events[0]), call=999, began_seconds=1e6)))
    assert set(kept.asked_behind(most, most, 1e6 - 1)) == set(range(2, min(most, 3) + 1))
    assert set(kept.asked_behind(most, most, 1e6)) == set(range(1, min(most, 3) + 1))
    assert kept.asked_behind(0, most, 1e6) == []


def asked_by(event: ExchangeEnded) -> Observed:
    """Return what was seen of an exchange."""
    assert event.observed is not None
    return event.observed


def test_what_asks_nothing_that_is_known_is_asked_by_no_other() -> None:
    """A call may be known by an id alone."""
    kept = KeptCalls(BATCH)
    for number in (1, 2):
        keep(kept, event_of(evolve(PLAIN, call=number, request=None)))
    assert kept.asked_behind(1, 1, 1e9) == []


def test_to_look_at_thousands_of_requests_reads_no_batch_twice(opened: list[CallBatch]) -> None:
    """Nor those at all of which all calls are others."""
    kept = KeptCalls(BATCH)
    for each in events_of_calls(20 * BATCH):
        keep(kept, each)
    assert kept.asked_behind(BATCH, 2 * BATCH + 3, 1e9) == []
    assert len(opened) == 2


def plain_event(number: int) -> tuple[ExchangeEnded, PlainSeen]:
    """Return an exchange that went well."""
    digest = number.to_bytes(16, "big").hex()
    seen = seen_of(
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
    assert isinstance(seen, PlainSeen)
    return event, seen


def without_model(event: ExchangeEnded) -> SeenAttempt:
    """Return the attempt of an event without the model, which is not kept."""
    attempt = SeenAttempt.of(event)
    assert attempt is not None
    return evolve(attempt, seen=evolve(attempt.seen, model=None))


def test_calls_that_need_no_judgement_are_as_they_were() -> None:
    """The latest of them are kept, and found by when they were over."""
    plain = PlainCalls(2 * BATCH)
    events = [plain_event(number) for number in range(5 * BATCH + 7)]
    for event, seen in events:
        plain.add(event, seen.values)
    assert plain.count == len(events)
    found = list(plain.between(-1.0, 1e9))
    assert found == [without_model(event) for event, _ in events[3 * BATCH :]]
    first = 4 * BATCH - 2
    ends = [each.ended for each in plain.between(first + 0.5, first + 4.5)]
    assert ends == [first + number + 0.5 for number in range(5)]
    assert list(plain.between(1e6, 1e9)) == []


def test_calls_whose_times_are_not_rounded_yet_are_found_by_rounded_ones() -> None:
    """Though a batch of them is only opened if its times fit."""
    plain = PlainCalls(BATCH)
    event, ((head, call, _, waited, body), _) = plain_event(1)
    for began, milliseconds in ((1.00051, 1.6), (1.00049, 0.001)):  # over at 1.00211, 1.000491
        plain.add(evolve(event, milliseconds=milliseconds), (head, call, began, waited, body))
        plain.pack()
    for since, until, told in ((1.003, 2.0, 1.001), (0.0, 1.0, 1.0)):
        assert [each.began for each in plain.between(since, until)] == [told]


def test_plain_calls_can_be_put_into_batches_early() -> None:
    """As many are kept all the same."""
    plain = PlainCalls(BATCH)
    plain.pack()
    for number in range(2 * BATCH):
        event, seen = plain_event(number)
        plain.add(event, seen.values)
        if number % 10 == 0:
            plain.pack()
            plain.pack()
        found = [each.call for each in plain.between(-1.0, 1e9)]
        assert found == list(range(number + 1))[-len(found) :]
        assert min(number + 1, BATCH) <= len(found) < BATCH + 20


def test_a_mark_of_a_body_becomes_a_digest_where_it_is_asked() -> None:
    """The same for the same body, key and features."""
    head = ("openai", None, None, None, False, False, None, b"k" * 16, b"features")
    bodies = [observed_of_plain((head, 1, 0.0, None, mark)).body for mark in (5, 5, 6, -5)]
    assert bodies[0] == bodies[1]
    assert len(set(bodies)) == 3


MARK = st.integers(-3, 3)
SAID = st.tuples(
    st.none() | st.just("m"), st.booleans(), st.integers(0, 3), MARK | DIGESTS,
    MARK, st.none() | MARK, st.none() | MARK,
    st.lists(
        st.tuples(
            st.just("user"), st.none() | MARK, MARK,
            st.lists(st.tuples(st.just("t"), MARK, MARK, MARK, MARK), max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)  # fmt: skip


def texts_in(seen: Observed) -> list[str | None]:
    """Return the digests of an observation, or what stands in their place."""
    results = [each for message in seen.messages for each in message.results]
    said = [text for each in seen.messages for text in (each.text, each.before)]
    said += [
        text
        for each in results
        for text in (each.arguments, each.call_id, each.result, each.prefix)
    ]
    return [seen.body, seen.request, seen.system, seen.prefix, seen.delivered, *said]


@given(said=st.lists(SAID, min_size=2, max_size=2), text=st.none() | MARK)
def test_what_stands_in_the_place_of_digests_is_equal_where_they_are(
    said: list[Any], text: int | None
) -> None:
    """And nothing else differs."""
    head = ("openai", None, None, None, False, False, None, b"k" * 16, b"features")
    answer = ("whole", None, None, None, None, None, 1, 2, text)
    parts: list[Any] = [(head, each, answer, (1.0, 1, 1, None, 0.1, 0.0)) for each in said]
    shown = [text for each in parts for text in texts_in(observed_of(each))]
    compared = [text for each in parts for text in texts_in(observed_of(each, to_compare=True))]
    for one, other in zip(shown, compared, strict=True):
        assert (one is None) == (other is None)
        for digest, instead in zip(shown, compared, strict=True):
            assert (one == digest) == (other == instead)
    one, other = observed_of(parts[0]), observed_of(parts[0], to_compare=True)
    changes = {name: getattr(one, name) for name in ("body", "request", "system", "prefix")}
    assert evolve(other, **changes, delivered=one.delivered, messages=one.messages) == one


def test_a_plain_body_is_compared_with_one_that_was_looked_at() -> None:
    """It is known by that."""
    head = ("openai", None, None, None, False, False, None, b"k" * 16, b"features")
    said = ("m", False, None, 5, 6, None, None, ())
    looked_at = observed_of((head, said, ("whole",) + (None,) * 8, (None,) * 6), to_compare=True)
    plain = [observed_of_plain((head, 1, 0.0, None, mark), to_compare=True) for mark in (5, 6)]
    assert [each.body == looked_at.body for each in plain] == [True, False]
