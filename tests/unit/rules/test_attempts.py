"""What an attempt is: which requests belong to one call."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.rules.attempts import LONGEST_PAUSE_SECONDS, Attempt, Attempts, Ended
from faultinject.rules.clients import CLOSED
from faultinject.rules.facts import Facts, Way
from faultinject.rules.identity import (
    CACHE_CONTROL,
    Identity,
    canonical,
    credential_of,
    identity_of,
)
from tests.unit.rules.support import request

KEY = b"k"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


FINAL = Ended(2, failed=True, is_worth_repeating=False)


def same(**changes: Any) -> str | None:
    """Return what is digested of a request that asks for `BODY`, but for the changes."""
    return identity_of(request(**{"body": BODY, **changes}), KEY).content


def begin(attempts: Attempts, began: float, count: int | None = None, **said: Any) -> Attempt:
    """Begin an attempt of what says "s", if it says nothing else."""
    identity = Identity(**{"content": "s", "retry_count": count, **said})
    attempt = attempts.begin(identity, began)
    assert attempt is not None
    return attempt


def fail(attempt: Attempt, seconds: float, wait: float = 0.0) -> None:
    """Say that an attempt failed."""
    attempt.end(Ended(seconds, failed=True, asked_wait_seconds=wait))


def breaks(attempts: Attempts, began: float, ended: float, way: str = "w") -> Attempt:
    """Break a connection."""
    attempt = attempts.begin_broken(Way(way, began))
    fail(attempt, ended)
    return attempt


# -- what is the same ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        BODY | {"stream": True, "stream_options": {"include_usage": True}},
        BODY | {"metadata": {"user_id": "1"}, "user": "u", "max_tokens": 9},
        BODY | {"prompt_cache_key": "k", "safety_identifier": "s"},
        BODY | {"cache_control": {"type": "ephemeral"}},
        {"model": "m", "messages": [BODY["messages"][0] | {"cache_control": {"type": "x"}}]},
        dict(reversed(BODY.items())),
        b'{"model":"m","messages":[{"role":"user","content":"Hi","cache\\u005fcontrol":[]}]}',
    ],
)
def test_attempts_may_differ_in_what_says_nothing_of_the_call(body: Any) -> None:
    """A client changes these from one attempt to the next."""
    assert same(body=body) == same()


def test_what_attempts_have_in_common() -> None:
    """Method, host, path, credentials and the rest of the body."""
    others = [
        same(method="PUT"), same(host="other.example"), same(target="/v1/complete"),
        same(target="/v1/messages?key=a"), same(Authorization="Bearer a"), same(x_api_key="a"),
        same(api_key="a"), same(x_goog_api_key="a"), same(body=BODY | {"model": "n"}),
        same(body=BODY | {"metadata_": 1}), same(body=BODY | {"x": {"stream": True}}),
        same(body=BODY | {"n": 1}), same(body=BODY | {"n": 1.0}), same(body=BODY | {"n": True}),
        same(body=BODY | {"n": -1}), same(body=BODY | {"n": -2}), same(body=BODY | {"n": "1"}),
        same(body=[BODY]), same(body=b""), same(body=b"{"), same(body=b"{ "), same(),
    ]  # fmt: skip
    assert len(set(others)) == len(others)
    assert same(target="/v1/messages?beta=true", User_Agent="x", x_app="cli") == same()


NAMES = st.text(max_size=2) | st.just(CACHE_CONTROL)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)


def without_cache_control(value: Any) -> Any:
    """Return a JSON value without that key, at any depth."""
    if isinstance(value, list):
        return [without_cache_control(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: each for name, each in value.items() if name != CACHE_CONTROL}
    return {name: without_cache_control(each) for name, each in kept.items()}


@given(VALUES, VALUES)
def test_equal_values_and_no_others_have_the_same_bytes(one: Any, other: Any) -> None:
    """As JSON has it: 1 is not 1.0, nor true; the order of names and cache_control are nothing."""
    texts = [json.dumps(without_cache_control(each), sort_keys=True) for each in (one, other)]
    assert (canonical(one) == canonical(other)) == (texts[0] == texts[1])
    assert canonical(json.loads(json.dumps(one, sort_keys=True))) == canonical(one)
    assert canonical([one, [other]]) != canonical([[one], other])


MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", 1]), "content": st.sampled_from(["", "a", [], ["a"], None])},
    optional={CACHE_CONTROL: LEAVES, "id": st.sampled_from([1, 1.0, True])},
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["messages", "model", CACHE_CONTROL, "user"]),
    st.lists(MESSAGES, max_size=2) | st.sampled_from(["a", [[]], [{}], []]) | VALUES,
    max_size=3,
)


@given(DOCUMENTS, DOCUMENTS)
def test_equal_bodies_and_no_others_are_those_of_a_call(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Equal as JSON, but for the keys that may differ; the order of names is nothing."""
    calls = [identity_of(request(body=each), b"k").content for each in (one, other)]
    for each in (one, other):
        each.pop("user", None)
    texts = [json.dumps(without_cache_control(each), sort_keys=True) for each in (one, other)]
    assert (calls[0] == calls[1]) == (texts[0] == texts[1])
    turned = dict(reversed(one.items()))
    assert identity_of(request(body=turned), b"k").content == calls[0]


def test_brackets_nested_deeper_than_the_program_allows() -> None:
    """A program with the proxy in it may have raised Python's limit: then another is met."""
    limit = sys.getrecursionlimit()
    value: list[Any] = []
    for _ in range(3000):
        value = [value]
    sys.setrecursionlimit(20_000)
    try:
        with pytest.raises(RecursionError):
            canonical(value)
    finally:
        sys.setrecursionlimit(limit)


def test_a_digest_needs_the_body_and_the_key() -> None:
    """So that who has a digest cannot try out keys and prompts."""
    assert same(body=None) is None
    asked = request(body=BODY, Authorization="Bearer a")
    assert identity_of(asked, b"1").content != identity_of(asked, b"2").content
    assert "Bearer" not in repr(identity_of(asked, b"1"))


def test_credentials_are_told_apart() -> None:
    """By where they are and what they are; none are nobody's."""
    said = [{"x_api_key": "a"}, {"x_api_key": "b"}, {"api_key": "a"}, {"target": "/?key=a"}]
    one, other = ([credential_of(request(**each), KEY) for each in said] for _ in range(2))
    assert one == other
    assert len(set(one)) == 4
    assert {len(digest or "") for digest in one} == {32}
    assert credential_of(request(), KEY) is None


def test_an_invocation_id_is_told() -> None:
    """As a digest; none is empty."""
    one, other = (request(amz_sdk_invocation_id=each) for each in "ab")
    said = [identity_of(each, KEY).invocation for each in (one, one, other, request())]
    assert said[0] == said[1] != said[2] != ""
    assert said[3] == ""


def test_a_body_that_is_nested_by_the_hundred() -> None:
    """Is digested, whether it can be rewritten or not."""
    deep = b'{"a": %s"cache_control"%s}' % (b"[" * 900, b"]" * 900)
    assert same(body=deep) == same(body=deep) != same(body=b'{"a": "cache_control"}')


# -- when it is the next ------------------------------------------------------------------------


def test_attempts_are_of_one_call_until_one_does_not_fail() -> None:
    """Then another call begins, with another name."""
    attempts = Attempts()
    done = []
    for seconds in (1, 2, 3, 4):
        done.append(begin(attempts, seconds))
        done[-1].end(Ended(seconds + 0.5, failed=seconds < 3))
    assert [attempt.number for attempt in done] == [1, 2, 3, 1]
    assert done[0].call == done[2].call != done[3].call
    assert begin(attempts, 5, content="other").number == 1


def test_requests_that_overlap_are_calls_of_their_own() -> None:
    """Whether they are hedged or were asked together; then each goes on, the first to end first."""
    attempts = Attempts()
    first, second, third = (begin(attempts, seconds) for seconds in (1, 2, 3))
    assert [each.number for each in (first, second, third)] == [1, 1, 1]
    assert len({first.call, second.call, third.call}) == 3
    fail(second, 4)
    fail(first, 5)
    third.end(Ended(6))
    assert begin(attempts, 3.5).number == 1  # its head came before, its body later
    again, more = begin(attempts, 6), begin(attempts, 6)
    assert [again.call, more.call] == [second.call, first.call]
    assert [again.number, more.number] == [2, 2]
    assert begin(attempts, 6).number == 1


@pytest.mark.parametrize(
    ("wait", "pause", "number"),
    [
        (0, 0, 2), (0, LONGEST_PAUSE_SECONDS, 2), (0, LONGEST_PAUSE_SECONDS + 1, 1),
        (3600, 3600, 2), (3600, 3601, 1), (5, LONGEST_PAUSE_SECONDS, 2),
    ],
)  # fmt: skip
def test_the_pause_before_the_next(wait: float, pause: float, number: int) -> None:
    """Ten minutes, or what the client was asked to wait."""
    attempts = Attempts()
    fail(begin(attempts, 1), 2, wait)
    assert begin(attempts, 2 + pause).number == number


def test_an_attempt_that_never_ends_has_not_failed() -> None:
    """And what is said of one twice counts once."""
    attempts = Attempts()
    begin(attempts, 1)
    second = begin(attempts, 2)
    assert second.number == 1
    second.end(Ended(3))
    fail(second, 3)
    assert begin(attempts, 4).number == 1


@pytest.mark.parametrize(("count", "number"), [(None, 2), (0, 1), (3, 4)])
def test_a_failure_that_another_attempt_does_not_help_against(
    count: int | None, number: int
) -> None:
    """Is repeated in vain if it is repeated, unless the client says that it begins."""
    attempts = Attempts()
    begin(attempts, 1, count and 0).end(FINAL)
    assert begin(attempts, 3, count).number == number


@pytest.mark.parametrize("count", [None, 0])
def test_tasks_that_send_the_same_are_refused_for_good(count: int | None) -> None:
    """The one that comes late, when the first has failed already, begins a call of its own."""
    attempts = Attempts()
    first, second = begin(attempts, 1, count), begin(attempts, 1.5, count)
    first.end(FINAL)
    second.end(FINAL)
    late = begin(attempts, 2.5, count)
    assert [each.number for each in (first, second, late)] == [1, 1, 1]
    assert len({first.call, second.call, late.call}) == 3
    late.end(FINAL)
    assert begin(attempts, 3, 1).call in {first.call, second.call, late.call}  # it counts


@pytest.mark.parametrize(
    ("count", "pause", "number"),
    [(0, 0.29, 1), (0, 0.31, 2), (0, 9, 2), (None, 0.2, 2), (1, 0.2, 2)],
)
def test_tasks_that_send_the_same_are_throttled(
    count: int | None, pause: float, number: int
) -> None:
    """No client that sends a count tries again so soon: it is another task's first."""
    attempts = Attempts()
    first, second = begin(attempts, 1, count and 0), begin(attempts, 1, count and 0)
    fail(first, 2)
    fail(second, 2)
    assert begin(attempts, 2 + pause, count).number == number


@pytest.mark.parametrize(
    ("count", "connection", "pause", "number"),
    [(0, 2, 0.2, 1), (0, 1, 0.2, 2), (0, 2, 0.4, 2), (None, 2, 0.2, 2), (1, 2, 0.2, 2)],
)
def test_tasks_whose_requests_just_miss_each_other(
    count: int | None, connection: int, pause: float, number: int
) -> None:
    """Each has a connection of its own; a loop that does not wait has one."""
    attempts = Attempts()
    fail(begin(attempts, 1, count and 0, connection=1), 2)
    assert begin(attempts, 2 + pause, count, connection=connection).number == number


@pytest.mark.parametrize(("closed", "number"), [(2.0, 2), (2.1, 2), (2.11, 1), (9, 1)])
def test_each_attempt_of_a_call_has_a_client_of_its_own(closed: float, number: int) -> None:
    """The connection of the one before is closed by then; one that goes on may be another task's.

    What is found out later than it was may be found out after the connection's end.
    """
    attempts = Attempts()
    fail(begin(attempts, 1, 0, connection=1), 2)
    attempts.clients.close_connection(1, closed)
    assert begin(attempts, 2.1, 0, connection=2).number == number


@pytest.mark.parametrize(
    ("content", "began", "number"), [("t", 1.0, 2), ("t", 0.99, 1), ("s", 1.0, 1)]
)
def test_tasks_that_ask_different_things_share_connections(
    content: str, began: float, number: int
) -> None:
    """What one asks again is its next attempt, on whatever connection."""
    attempts = Attempts()
    begin(attempts, began, 0, content=content, connection=3).end(Ended(began))
    fail(begin(attempts, 1.5, 0, connection=1), 2)
    assert begin(attempts, 2.1, 0, connection=2).number == number
    fail(begin(attempts, 3, 0, connection=4, client="another's"), 3.5)
    assert begin(attempts, 3.6, 0, connection=5, client="another's").number == 1


def test_connections_that_ended_are_remembered_in_part() -> None:
    """The latest of them."""
    clients = Attempts().clients
    for number in range(1, CLOSED + 9):
        clients.close_connection(number, number)
    known = [number for number in range(1, CLOSED + 9) if clients._closed_at(number) == number]
    assert known == list(range(9, CLOSED + 9))


def test_that_requests_overlapped_is_known_from_the_first_to_begin_late() -> None:
    """An attempt that nobody asked for is begun when it ends, with the time of its head."""
    attempts = Attempts()
    begin(attempts, 1).end(Ended(5, failed=True, is_worth_repeating=False))
    begin(attempts, 2).end(Ended(6, failed=True, is_worth_repeating=False))
    assert begin(attempts, 7).number == 1


# -- what a client says -------------------------------------------------------------------------


def test_an_invocation_id_decides_alone() -> None:
    """Whatever was asked, however it ended, and though the body is not known."""
    attempts = Attempts()
    done = [begin(attempts, 1, invocation="i", content=what) for what in (None, "a", "b")]
    done[0].end(Ended(9))
    assert [attempt.number for attempt in done] == [1, 2, 3]
    assert {attempt.call for attempt in done} == {done[0].call}
    assert begin(attempts, 9, invocation="j", content="b").number == 1
    few = Attempts(calls=1)
    fail(begin(few, 1), 1)
    fail(begin(few, 2, invocation="i"), 2)
    assert begin(few, 3).number == 2  # the other has not taken its place
    assert attempts.begin(Identity(None, retry_count=2), 9) is None


def test_a_count_above_0_continues_a_call() -> None:
    """And is the number, though we saw none of the others; a 0 is believed from then on."""
    attempts = Attempts()
    first = begin(attempts, 1, 0)
    fail(first, 1)
    second = begin(attempts, 2, 1)
    second.end(Ended(3))  # the client's own time-out
    third = begin(attempts, 4, 2)
    fail(third, 5)
    assert [each.number for each in (first, second, third)] == [1, 2, 3]
    assert first.call == second.call == third.call
    begins = begin(attempts, 6, 0)
    assert (begins.number, begins.call == first.call) == (1, False)
    assert begin(attempts, 7, 6, content="other").number == 7


@pytest.mark.parametrize("connection", [0, 1], ids=["one connection", "one each"])
def test_a_count_does_not_go_on_with_calls_that_were_given_up(connection: int) -> None:
    """A program that asks the same again after each failed call: its SDK tries each three times."""
    attempts = Attempts()
    seen = []
    for asked in range(4):
        for count in range(3):
            began = 10 * asked + count
            attempt = begin(attempts, began, count, connection=connection * began)
            fail(attempt, began)
            seen.append((int(attempt.call), attempt.number, attempt.gap_seconds))
    assert seen == [
        (asked, number, None if number == 1 else 1) for asked in range(1, 5) for number in (1, 2, 3)
    ]


def test_a_count_goes_on_with_what_came_on_its_connection_or_ended_first() -> None:
    """Of equal calls that have as many attempts; and with one that did not fail before others."""
    attempts = Attempts()
    one, two, three = (begin(attempts, 0, 0, connection=each) for each in (1, 2, 3))
    for each, seconds in ((one, 1), (two, 2), (three, 3)):
        fail(each, seconds)
    second = begin(attempts, 4, 1, connection=3)
    assert second.call == three.call
    fail(begin(attempts, 4, 1, connection=9), 4.5)
    second.end(Ended(5))  # the client's own time-out
    assert begin(attempts, 6, 2, connection=9).call == one.call
    assert begin(attempts, 7, 2, connection=3).call == three.call
    assert begin(attempts, 700, 1, connection=3).call != two.call  # it is long over


def test_a_client_that_says_0_of_every_attempt_is_not_believed() -> None:
    """Unlike another one, which has counted."""
    attempts = Attempts()
    fail(begin(attempts, 1, 5, client="counts"), 1)
    seen = []
    for seconds in range(2, 5):
        attempt = begin(attempts, seconds, 0, client="says 0", content="t")
        fail(attempt, seconds)
        seen.append(attempt.number)
    assert seen == [1, 2, 3]
    assert begin(attempts, 6, 0, client="counts", content="t").number == 1


def test_a_count_does_not_continue_what_is_under_way_or_long_over() -> None:
    """It is another call's then."""
    attempts = Attempts()
    first = begin(attempts, 1)
    assert begin(attempts, 2, 1).call != first.call
    first.end(Ended(3))
    assert begin(attempts, 1000, 1).call != first.call


# -- bounds -------------------------------------------------------------------------------------


# -- connections that break ---------------------------------------------------------------------


@pytest.mark.parametrize(("count", "invocation"), [(None, ""), (2, ""), (0, ""), (None, "i")])
def test_a_request_in_the_place_of_broken_connections(count: int | None, invocation: str) -> None:
    """By a connection that began when they had ended; the gap is from the last of them."""
    attempts = Attempts()
    first, second = breaks(attempts, 1, 2), breaks(attempts, 2, 4)
    told = begin(attempts, 6, count, way=Way("w", 5), invocation=invocation)
    assert [first.call, second.call, told.call] == ["1"] * 3
    assert [first.number, second.number, told.number] == [1, 2, 3]
    assert (first.gap_seconds, second.gap_seconds, told.gap_seconds) == (None, 0, 2)
    fail(told, 7)
    again = begin(attempts, 8, way=Way("w", 7.5), invocation=invocation)
    assert (again.call, again.number) == ("1", 4)


@pytest.mark.parametrize(
    ("way", "count", "call"),
    [
        (Way("w", 2), None, "1"),
        (Way("w", 1.9), None, "2"),  # it was begun before
        (Way("w", 1.9, is_fresh=False), 1, "1"),  # but the client says that it is not its first
        (Way("w", 2, is_fresh=False), None, "2"),
        (Way("other", 2), None, "2"),
        (Way("w", 603), None, "2"),
        (Way("w", 2), 0, "2"),  # so soon no client tries again that counts
        (Way("w", 2.4), 0, "1"),
        (None, None, "2"),
    ],
)
def test_which_request_is_in_its_place(way: Way | None, count: int | None, call: str) -> None:
    """The first on a later connection of the same client's."""
    attempts = Attempts()
    breaks(attempts, 1, 2)
    assert (
        begin(attempts, 604 if way and way.began_seconds > 600 else 3, count, way=way).call == call
    )


def test_a_count_goes_on_with_a_broken_connection_and_not_with_what_went_well() -> None:
    """Of ten equal calls at once one has no connection: its second attempt is its own."""
    attempts = Attempts()
    broken = breaks(attempts, 1, 1.1)
    begin(attempts, 1, 0, connection=2, way=Way("w", 1, is_fresh=True)).end(Ended(1.2))
    again = begin(attempts, 2, 1, connection=3, way=Way("w", 1.9, is_fresh=True))
    assert (again.call, again.number) == (broken.call, 2)


def test_a_client_that_counts_and_says_that_it_is_its_first() -> None:
    """It is believed."""
    attempts = Attempts()
    begin(attempts, 0, 1, client="sdk", content="before")
    breaks(attempts, 1, 2)
    assert begin(attempts, 4, 0, client="sdk", way=Way("w", 3)).number == 1


@pytest.mark.parametrize("pause", [0.1, 0.5])
def test_connections_that_overlap_and_break(pause: float) -> None:
    """Are of several calls, and so are those that come too soon."""
    attempts = Attempts()
    assert breaks(attempts, 1, 3).call == "1"
    assert breaks(attempts, 2, 3).call == "2"
    assert breaks(attempts, 3 + pause, 4).call == ("3" if pause < 0.3 else "1")
    told = begin(attempts, 5, way=Way("w", 3.1))
    assert told.call == ("4" if pause < 0.3 else "3")
    told = begin(attempts, 5, way=Way("w", 4 + pause))
    assert told.call == ("1" if pause < 0.3 else "2")


def test_a_broken_connection_that_was_forgotten() -> None:
    """Its crowd is bounded as all else is."""
    attempts = Attempts(calls=2)
    breaks(attempts, 1, 2)
    for number in range(3):
        begin(attempts, 2, content=f"c{number}")
    assert begin(attempts, 3, content="d", way=Way("w", 2)).call == "1"


def test_calls_are_bounded() -> None:
    """The least recently seen is forgotten, whatever became of it."""
    attempts = Attempts(calls=2)
    for name, failed in (("a", True), ("b", False), ("a", True), ("c", True)):
        begin(attempts, 1, content=name).end(Ended(1, failed=failed))
    assert begin(attempts, 2, content="a").number == 3
    fail(begin(attempts, 2, content="d"), 2)
    fail(begin(attempts, 2, content="e"), 2)
    assert begin(attempts, 3, content="c").number == 1
    for number in range(9):
        begin(attempts, 3, 0, invocation=str(number), client=str(number))
        begin(attempts, 4, content="same").end(Ended(4))
    assert len(attempts._ended) == len(attempts._invoked) == len(attempts.clients._counting) == 2
    failed = {key if isinstance(key, str) else key[0] for key in attempts._failed}
    assert set(attempts._settled) | failed == {"e", "same"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from([None, 0, 1, 2]),
            st.sampled_from(["open", "failed", "whole"]),
            st.integers(0, 400),
        ),
        max_size=40,
    ),
    st.integers(1, 5),
)
def test_whatever_comes(steps: list[tuple[str, int | None, str, int]], bound: int) -> None:
    """A call has one attempt at a time, in the order of time, and all stays within bounds."""
    attempts, now = Attempts(bound), 0.0
    seen: dict[str, list[tuple[float, float]]] = {}
    open_attempts: list[tuple[Attempt, float]] = []
    for name, count, what, pause in steps:
        now += pause
        attempt = begin(attempts, now, count, content=name, client=name)
        open_attempts.append((attempt, now))
        if what == "open":
            continue
        for attempt, began in open_attempts:
            attempt.end(Ended(now + 1, failed=what == "failed"))
            seen.setdefault(attempt.call, []).append((began, now + 1))
        open_attempts, now = [], now + 1
    for spans in seen.values():
        assert all(one[1] <= following[0] for one, following in pairwise(spans))
    assert len(attempts._ended) <= bound
    known = [
        *attempts._settled.values(),
        *(c for calls in attempts._failed.values() for c in calls),
    ]
    assert set(known) == set(attempts._ended)


def test_storms_of_equal_calls_take_time_in_proportion() -> None:
    """Thousands fail at once, and none of the later ones looks at all of them."""
    attempts = Attempts()
    for attempt in [begin(attempts, 1) for _ in range(12_000)]:
        fail(attempt, 2)
    assert {begin(attempts, 3).number for _ in range(10_000)} == {2}
    assert begin(attempts, 3).number == 1
    assert not attempts._failed


def test_facts_of_an_attempt() -> None:
    """What was counted, beside what was known."""
    asked = Facts("h", 1, request().head, b"{}", 3, 4.0)
    counted = asked.counted(2, "call")
    assert (counted.attempt, counted.call) == (2, "call")
    assert (counted.body, counted.connection, counted.began_seconds) == (b"{}", 3, 4.0)
    assert (asked.attempt, asked.call) == (None, "")
