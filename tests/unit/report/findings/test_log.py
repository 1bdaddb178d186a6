"""Events read back from a log."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.events import Event, SessionEnded, SessionStarted
from faultinject.report.as_json import json_report
from faultinject.report.judge import Judge
from faultinject.report.log import LogError, event_of, read_log
from tests.support.sample_events import SAMPLES, TIME, sample
from tests.unit.report.findings.clients import in_turn, once
from tests.unit.report.findings.simulator import (
    Ask,
    World,
    assistant,
    broken_stream,
    log_of,
    ok,
    overloaded,
    results,
    script,
    user,
)

READ = {
    "proxy-started", "proxy-stopped", "plugin-started", "plugin-stopped", "exchange",
    "handshake-failed", "relay", "rule-unfit", "command-ended", "events-dropped",
}  # fmt: skip


@pytest.mark.parametrize("kind", list(SAMPLES), ids=lambda kind: kind.NAME)
def test_events_come_back(kind: type[Event]) -> None:
    """Those that the report is made of, as they were."""
    (line,) = log_of([sample(kind)])
    read = list(read_log([line]))
    if kind.NAME not in READ:
        assert read == []
    else:
        assert [each.as_dict() for each in read] == [sample(kind).as_dict()]


def test_what_was_observed_comes_back() -> None:
    """Messages and results too."""
    start = (user("Do"), assistant(a=("write", "x")), results(a="ok"))
    world = World(script(broken_stream("Hel"), ok()))
    world.start(in_turn(once(Ask(turns=start)), once(Ask()))).run()
    assert list(read_log(log_of(world.events)))[1:] == world.events[1:]


def test_calls_that_were_forgotten_end_in_a_log_as_they_did_live() -> None:
    """However late those that wait are looked at: events that a log has not back tell no time."""
    world = World(script(overloaded()))
    for place in range(40):
        world.start(once(Ask(more=str(place))), place * 1.0)
    *events, last = world.run().stop().events
    live, read = Judge(calls=8), Judge(calls=8)
    events = [
        evolve(sample(SessionStarted), time=TIME), *events,
        evolve(sample(SessionEnded), time=TIME + 500.0), evolve(last, time=TIME + 500.0),
    ]  # fmt: skip
    for event in events:
        live.listen(event)
    for event in read_log(log_of(events)):
        read.listen(event)
    assert live.report().totals == read.report().totals
    assert set(live.report().totals.outcomes.values()) == {0, 8, 32}


def broken(**changes: Any) -> str:
    document = json.loads(log_of(World(script(ok())).start(once(Ask())).run().events)[1])
    return json.dumps(document | changes) + "\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{\n", "line 1 is no JSON object"),
        ("[" * 100_000 + "\n", "line 1 is no JSON object"),
        ("[]\n", "line 1: it is no event of faultinject"),
        ('{"a": 1}\n', "line 1: it is no event of faultinject"),
        (broken(v=2), r"line 1: its version \(`v`\) is 2; this program reads 1"),
        (broken(time="now"), "line 1: time: 'now' is no time"),
        (broken(time=3), "line 1: time: 3 is no time"),
        (broken(session="3"), "line 1: session: cannot be '3'"),
        (broken(session=True), "line 1: session: cannot be True"),
        (broken(outcome="x" * 99), "line 1: outcome: cannot be 'x+\\.\\.\\.$"),
        (broken(milliseconds="1"), "line 1: milliseconds: cannot be '1'"),
        (broken(milliseconds=10**400), "line 1: milliseconds: cannot be 1000"),
        (broken(began_seconds=True), "line 1: began_seconds: cannot be True"),
        (broken(messages=[1]), "line 1: messages: cannot be 1"),
        (broken(messages={}), r"line 1: messages: cannot be {}"),
        (broken(messages=[{}]), "line 1: `role` is missing"),
        (broken().replace("0.05", "1e999"), "line 1: first_byte_seconds: cannot be inf"),
        (broken().replace("0.05", "NaN"), "line 1 is no JSON object: NaN is no JSON"),
        (
            '{"event": "command-ended", "v": 1, "time": "2027-01-15T08:00:00Z"}\n',
            "line 1: `code` is missing",
        ),
    ],
)
def test_what_cannot_be_read(line: str, words: str) -> None:
    """It says where, and what is wrong."""
    with pytest.raises(LogError, match=words):
        list(read_log([line]))


@pytest.mark.parametrize("indent", [2, None])
def test_a_report_in_place_of_a_log(indent: int | None) -> None:
    """The names invite it; it says what the file is, and what to give."""
    value = json.loads(json_report(World(script(ok())).start(once(Ask())).run().report()))
    text = json.dumps(value, indent=indent) + "\n"
    with pytest.raises(LogError, match="this is a report, which `--report` wrote; give the events"):
        list(read_log(text.splitlines(keepends=True)))


def test_a_first_line_that_is_no_event_says_what_to_give() -> None:
    """A later one does not: the file is a log then."""
    with pytest.raises(LogError, match=r"give the events that `--log-format json` wrote"):
        list(read_log(["# A report\n"]))
    with pytest.raises(LogError, match=r"line 2 is no JSON object: [^;]*$"):
        list(read_log([broken(), "{\n"]))


def test_a_last_line_that_was_cut() -> None:
    """The program was killed while it wrote."""
    whole = broken()
    assert len(list(read_log([whole, whole[:50]]))) == 1
    with pytest.raises(LogError, match="line 1"):
        list(read_log([whole[:50] + "\n", whole]))


def test_events_of_other_versions() -> None:
    """What is not known is passed over; what is missing has its default."""
    assert list(read_log(['{"event": "new", "v": 1}\n', '{"event": 1, "v": 1}\n'])) == []
    document = json.loads(broken(more=1))
    for name in ("messages", "call", "path_mended_from"):
        del document[name]
    (event,) = read_log([json.dumps(document) + "\n"])
    assert event.as_dict()["call"] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


WHOLE = broken()


@given(st.sampled_from(sorted(json.loads(WHOLE))), JSON)
def test_whatever_stands_in_a_field(name: str, value: object) -> None:
    """It is read or refused, and nothing else."""
    with suppress(LogError):
        assert event_of(json.loads(WHOLE) | {name: value}) is None or name != "event"
