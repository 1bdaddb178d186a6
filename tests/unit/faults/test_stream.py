"""What each fault does to a stream: what arrives, and what must come out."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from faultinject.config.rules import read_rules
from faultinject.faults import transform
from faultinject.faults.place import Ability
from faultinject.faults.stream import SendError
from faultinject.faults.stream.stream_action import ResponseInfo
from faultinject.http.message import End
from faultinject.providers import bedrock, generic, openai
from faultinject.providers.framing import aws_event_stream
from faultinject.providers.framing.sse import SseDecoder
from tests.support.examples import examples
from tests.support.llm_api import completion_events, message_events
from tests.unit.faults.playing import Play, answer, at_once, made, one_a_second, play

EVENTS = message_events()
WHOLE = b"".join(EVENTS)
FINISH = transform.Finish()


def events_of(data: bytes) -> list[Any]:
    """Return names and data of the events in some bytes."""
    return [(event.name, event.json) for event in SseDecoder().feed(data) if event.is_event]


# Points


@pytest.mark.parametrize(
    ("point", "passed"),
    [
        ({"after": {"count": 1}}, 1),
        ({"after": {"count": 5}}, 5),
        ({"before": {"count": 5}}, 4),
        ({"at": "first-event"}, 0),
        ({"after": "content_block_delta"}, 4),
        ({"after": {"event": "content_block_delta", "count": 2}}, 5),
        ({"before": {"event": "content_block_delta", "count": 2}}, 4),
        ({"before": "message_stop"}, 7),
        ({"after": "message_stop"}, 8),
        ({"after": {"where": {"delta.type": "text_delta"}}}, 4),
        ({"before": {"where": {"delta.stop_reason": "end_turn"}}}, 6),
        ({"after": {"bytes": len(EVENTS[0])}}, 1),
    ],
)
def test_a_point_whatever_the_pieces(point: dict[str, Any], passed: int) -> None:
    """All before the point has passed, nothing behind it has."""
    results = {}
    for size in (1, 7, 100, 10_000):
        pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
        result = play(made(point | {"cut": True}), at_once(*pieces))
        results[size] = (result.data, result.ending)
    assert results == dict.fromkeys(results, (b"".join(EVENTS[:passed]), transform.Cut()))


@pytest.mark.parametrize("after", [0, 1, 33, len(WHOLE) - 1, len(WHOLE)])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_number_of_bytes(after: int, size: int) -> None:
    """Within an event too."""
    point = {"after": {"bytes": after}} if after else {}
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    result = play(made(point | {"reset": True}), at_once(*pieces))
    assert result.data == WHOLE[:after]
    assert result.ending == transform.Reset()


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_number_of_bytes_that_never_come(size: int) -> None:
    """The answer has ended before."""
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    result = play(made({"after": {"bytes": len(WHOLE) + 1}, "cut": True}), at_once(*pieces))
    assert (result.data, result.ending) == (WHOLE, FINISH)


def test_a_time() -> None:
    """It comes by itself, whether anything else does or not."""
    result = play(made({"after": {"time": 2.5}, "cut": True}), one_a_second(*EVENTS))
    assert result.data == b"".join(EVENTS[:2])
    assert (result.now, result.ending) == (2.5, transform.Cut())
    silent = play(made({"after": {"time": "10s"}, "cut": True}), [(1, EVENTS[0])], end=60)
    assert (silent.data, silent.now, silent.ending) == (EVENTS[0], 10, transform.Cut())


def test_a_time_that_never_comes() -> None:
    """The answer has ended before."""
    what = made({"after": {"time": "10s"}, "cut": True})
    result = play(what, one_a_second(*EVENTS))
    assert (result.data, result.ending) == (WHOLE, FINISH)
    assert what.transform is not None
    assert what.transform.done is None
    assert what.transform.undone == "cut after 10 s"


def test_what_speaks_waits_for_an_events_end() -> None:
    """An error at a time, or behind a number of bytes, does not stand within an event."""
    arrivals = [(1.0, EVENTS[0][:10]), (3.0, EVENTS[0][10:] + EVENTS[1])]
    for point in ({"time": 2}, {"bytes": 5}):
        result = play(made({"after": point, "error": True}), arrivals)
        assert result.data.startswith(EVENTS[0] + b"event: error\n")
        assert result.now == 3
    for passed in (1, 2, 5):
        point = {"bytes": sum(map(len, EVENTS[:passed]))}
        result = play(made({"after": point, "error": True}), at_once(*EVENTS))
        assert result.data.startswith(b"".join(EVENTS[:passed]) + b"event: error\n")
    idle = play(made({"after": {"time": 2}, "error": True}), [(1.0, EVENTS[0])], end=9)
    assert idle.times == [1, 2]


def test_pieces_are_kept() -> None:
    """Behind a point that is behind an event nothing is held back; before one, only that event."""
    pieces = [WHOLE[at : at + 7] for at in range(0, len(WHOLE), 7)]
    for point in ({"after": {"count": 500}}, {"before": {"count": 500}}):
        result = play(made(point | {"cut": True}), one_a_second(*pieces))
        assert result.pieces == pieces
        assert result.times == [float(n) for n in range(1, len(pieces) + 1)]


def test_an_event_that_may_be_the_one_is_held() -> None:
    """Its beginning must not be seen; what turns out not to be it passes when that is known."""
    what = made({"before": "message_stop", "cut": True})
    result = play(what, [(1, EVENTS[0][:9]), (2, EVENTS[0][9:]), (3, EVENTS[7][:-1]), (4, b"\n")])
    assert (result.pieces, result.times) == ([EVENTS[0]], [2])
    assert result.now == 4
    ends = play(made({"before": "message_stop", "cut": True}), [(1, EVENTS[7][:9])])
    assert (ends.data, ends.ending) == (EVENTS[7][:9], FINISH)


def test_an_event_without_a_name() -> None:
    """It goes by the type in its data; data that is no object has none."""
    events = [b"data: [1]\n\n", b'data: {"type": "y"}\n\n', b'data: {"type": "x"}\n\n']
    result = play(made({"after": "x", "cut": True}), at_once(*events, b"data: 2\n\n"))
    assert result.data == b"".join(events)


def test_a_boundary_that_never_comes() -> None:
    """The answer ends before."""
    for point in ({"bytes": 50}, {"time": 2.5}):
        what = made({"after": point, "error": True})
        result = play(what, [(1.0, b"data: 1")])
        assert (result.data, result.ending) == (b"data: 1", FINISH)


# The last event of a stream has no blank line behind it


SPEAKING: list[dict[str, Any]] = [
    {"error": True}, {"end_early": True}, {"stall": {"for": "1s", "pings": "400ms"}},
]  # fmt: skip
ACTIONS: list[dict[str, Any]] = [
    *SPEAKING, {"cut": True}, {"reset": True}, {"end": True}, {"drop": "all"}, {"drop": 1},
    {"duplicate": "all"}, {"duplicate": 1}, {"garble": "all"}, {"chunks": "merge"},
    {"chunks": "split"}, {"pace": {"events_per_second": 5}}, {"stall": "1s"},
]  # fmt: skip
POINTS: list[dict[str, Any]] = [
    {"at": "first-event"}, {"before": "message_stop"}, {"after": "message_stop"},
    {"before": {"count": 8}}, {"after": {"count": 8}}, {"after": {"count": 9}},
    {"before": {"where": {"type": "message_stop"}}}, {"after": "message_delta"},
    {"after": {"bytes": 1}}, {"after": {"bytes": 700}}, {"after": {"time": 0.5}},
]  # fmt: skip


def all_events_of(data: bytes) -> list[Any]:
    """Return the events for a reader who takes what is left at the end for one."""
    decoder = SseDecoder()
    pieces = [*decoder.feed(data), *decoder.end()]
    return [(event.name, event.data) for event in pieces if event.is_event]


@given(
    point=st.sampled_from(POINTS),
    action=st.sampled_from(ACTIONS),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    missing=st.integers(1, 2),
    cuts=st.lists(st.integers(0, len(WHOLE))),
)
@examples(400)
def test_a_last_event_without_its_blank_line(
    point: dict[str, Any], action: dict[str, Any], line_end: bytes, missing: int, cuts: list[int]
) -> None:
    """The same happens to it as to a whole one, whatever the fault is and however it is cut."""
    whole = WHOLE.replace(b"\n", line_end)
    stream = whole[: -missing * len(line_end)]
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    fault = point | action
    as_whole, result = play(made(fault), at_once(whole)), play(made(fault), at_once(*pieces))
    assert all_events_of(result.data) == all_events_of(as_whole.data)
    assert result.ending == as_whole.ending
    assert whole.startswith(result.data) == whole.startswith(as_whole.data)


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\n", b"\n: comment", b"\n:\n\n"])
def test_a_point_that_never_comes_leaves_each_byte_as_it_was(tail: bytes) -> None:
    """To the last one, behind the last line too; whatever would have been done."""
    stream = WHOLE[:-2] + tail
    changed = []
    for action in ACTIONS:
        fault = made({"after": "response.created", **action})
        result = play(fault, at_once(stream[:700], stream[700:]))
        if (result.data, result.ending) != (stream, FINISH):
            changed.append((action, result))
    assert changed == []


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_the_end_marker_without_any_line_end(end: bytes) -> None:
    """OpenAI's last event has no name, and its data is no JSON."""
    of = answer(openai.PROVIDER, "/v1/chat/completions")
    events = completion_events()
    stream = b"".join(events[:-1]) + b"data: [DONE]" + end
    place = {"count": len(events)}
    result = play(made({"before": place, "end": True}, of=of), at_once(stream))
    assert (result.data, result.ending) == (b"".join(events[:-1]), FINISH)
    twice = play(made({"before": place, "duplicate": 1}, of=of), at_once(stream))
    assert all_events_of(twice.data) == all_events_of(stream + b"\n\ndata: [DONE]")
    gone = play(made({"before": place, "drop": 1}, of=of), at_once(stream))
    assert (gone.data, gone.ending) == (b"".join(events[:-1]), FINISH)


@pytest.mark.parametrize("action", SPEAKING)
@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_what_speaks_behind_it_does_not_become_a_part_of_it(
    action: dict[str, Any], end: bytes
) -> None:
    """The last event stays what it was, and what is said behind it is an event of its own."""
    stream = b"".join(EVENTS[:4]) + EVENTS[4].rstrip(b"\n") + end
    result = play(made({"after": {"count": 5}, **action}), at_once(stream))
    assert result.data.startswith(stream)
    said = all_events_of(result.data)
    assert said[:5] == all_events_of(stream)
    assert len(said) > 5


@pytest.mark.parametrize("point", POINTS)
def test_a_stream_that_breaks_off_has_no_such_event(point: dict[str, Any]) -> None:
    """Without an end nobody knows whether more would have come; what was held is passed on."""
    wrong = []
    for action in ACTIONS:
        chain = made(point | action).transform
        assert chain is not None
        list(chain.step(WHOLE[:-1], 0.0))
        held = chain.release()  # of a finder if the point was not reached, else of the action
        if held and not WHOLE[:-1].endswith(held):
            wrong.append((action, held))
    assert wrong == []


# A stream written in any lawful way, cut anywhere

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=8)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Draw events, each with its comments, padding and line ends, and other blocks between."""
    end = draw(LINE_ENDS)
    blocks = []
    for n in range(draw(st.integers(1, 6))):
        blocks += [
            b": " + text.encode() + end + draw(st.sampled_from([b"", end]))
            for text in draw(st.lists(TEXT, max_size=2))
        ]
        data = json.dumps({"type": "x", "n": n, "t": draw(TEXT)}, ensure_ascii=False).encode()
        padding = b" " * draw(st.integers(0, 5))
        blocks.append(b"event: x" + end + b"data:" + padding + data + end + end)
    return blocks


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Draw a stream and the pieces in which it arrives."""
    whole = b"".join(draw(streams()))
    places = sorted(draw(st.sets(st.integers(1, max(1, len(whole) - 1)), max_size=20)))
    bounds = [0, *places, len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(bounds) if b > a]
    return whole, pieces


@given(cut_streams(), st.integers(1, 7), st.booleans())
@examples(300)
def test_events_before_the_point_are_what_they_were(
    stream: tuple[bytes, list[bytes]], count: int, after: bool
) -> None:
    """Byte for byte; and if the point never comes, all is."""
    whole, pieces = stream
    what = made({"after" if after else "before": {"event": "x", "count": count}, "cut": True})
    result = play(what, one_a_second(*pieces))
    blocks = SseDecoder().feed(whole)
    events = [place for place, block in enumerate(blocks) if block.is_event]
    if count <= len(events):
        place = events[count - 1] + after
        assert result.data == b"".join(block.raw for block in blocks[:place])
        assert result.ending == transform.Cut()
    else:
        assert (result.pieces, result.ending) == (pieces, FINISH) or (
            result.data == whole and not after
        )


@given(cut_streams(), st.integers(1, 3), st.sampled_from(["split", "merge"]))
@examples(200)
def test_the_same_bytes_in_other_pieces(
    stream: tuple[bytes, list[bytes]], count: int, how: str
) -> None:
    """Nothing is lost, added or moved."""
    whole, pieces = stream
    result = play(made({"after": {"count": count}, "chunks": how}), at_once(*pieces))
    assert (result.data, result.ending) == (whole, FINISH)


@given(cut_streams(), st.integers(0, 60))
@examples(200)
def test_a_cut_behind_an_edit(stream: tuple[bytes, list[bytes]], after: int) -> None:
    """Faults on one answer act one behind the other, whatever the pieces."""
    whole, pieces = stream
    faults = ({"after": {"count": 1}, "drop": 1}, {"after": {"bytes": after + 1}, "cut": True})
    one = play(made(*faults), at_once(*pieces))
    other = play(made(*faults), at_once(whole))
    assert (one.data, one.ending) == (other.data, other.ending)


# Actions


def errored(**error: Any) -> Play:
    """Play a stream that errs behind its second event."""
    return play(made({"after": {"count": 2}, "error": error or True}), one_a_second(*EVENTS))


def test_an_error() -> None:
    """The API's own, in its words or the user's; then the proper end."""
    result = errored()
    assert result.data.startswith(b"".join(EVENTS[:2]))
    [(name, document)] = events_of(result.data)[2:]
    assert (name, document["error"]["type"]) == ("error", "overloaded_error")
    assert document["request_id"] == "req_x"
    assert (result.now, result.ending) == (2, FINISH)
    [(_, worded)] = events_of(errored(status=429, message="enough").data)[2:]
    assert worded["error"]["type"] == "rate_limit_error"
    assert worded["error"]["message"] == "enough"
    named = SendError(failure="spend-cap")
    known = openai.PROVIDER.failures["spend-cap"]
    assert known.code
    found = named.failure_of(openai.PROVIDER)
    assert (found.error_type, found.message, found.code) == (
        known.error_type, known.message, known.code,
    )  # fmt: skip
    own = SendError(503, "t", "m", "c").failure_of(openai.PROVIDER)
    assert (own.status, own.error_type, own.message, own.code) == (503, "t", "m", "c")


def test_an_error_of_another_api() -> None:
    """OpenAI's has no event's name."""
    of = answer(openai.PROVIDER, "/v1/chat/completions")
    chat = completion_events()
    result = play(made({"after": {"count": 2}, "error": True}, of=of), at_once(*chat))
    assert result.data.startswith(b"".join(chat[:2]) + b'data: {"error":')


def test_end_early_waits_for_a_message() -> None:
    """Before the first event there is none to end."""
    what = made({"at": "first-event", "end_early": True})
    result = play(what, one_a_second(*EVENTS))
    assert result.data.startswith(EVENTS[0])
    assert events_of(result.data)[-2][1]["delta"]["stop_reason"] == "max_tokens"
    assert (result.now, result.ending) == (1, FINISH)
    ping, begin = b'event: ping\ndata: {"type": "ping"}\n\n', EVENTS[0]
    late = play(made({"at": "first-event", "end_early": True}), at_once(ping, begin, EVENTS[1]))
    assert late.data.startswith(ping + begin)
    assert EVENTS[1] not in late.data
    never = made({"after": "message_stop", "end_early": True})
    assert play(never, at_once(WHOLE)).data == WHOLE
    assert never.transform is not None
    assert never.transform.done is None


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"drop": 1}, [0, 1, 3, 4, 5, 6, 7]),
        ({"drop": 2}, [0, 1, 4, 5, 6, 7]),
        ({"drop": "all"}, [0, 1]),
        ({"duplicate": 2}, [0, 1, 2, 2, 3, 3, 4, 5, 6, 7]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_edited_events(action: dict[str, Any], expected: list[int], size: int) -> None:
    """Events are left out, or said twice; the rest is what it was."""
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    result = play(made({"after": {"count": 2}, **action}), at_once(*pieces))
    assert result.data == b"".join(EVENTS[n] for n in expected)
    assert result.ending == FINISH


def test_garbled_events() -> None:
    """One byte is another, and the data is no JSON; the framing is what it was."""
    result = play(made({"after": {"count": 2}, "garble": 3}), at_once(WHOLE))
    assert len(result.data) == len(WHOLE)
    changed = [at for at, (a, b) in enumerate(zip(WHOLE, result.data, strict=True)) if a != b]
    assert len(changed) == 3
    blocks = SseDecoder().feed(result.data)
    assert [block.json is None for block in blocks] == [False] * 2 + [True] * 3 + [False] * 3
    assert [block.name for block in blocks] == [e.name for e in SseDecoder().feed(WHOLE)]


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(VALUES, st.integers(1, 2))
@examples(200)
def test_garbled_data_is_never_json(value: Any, count: int) -> None:
    """Whatever it was."""
    data = json.dumps(value).encode()
    event = b"event: x\ndata: " + data + b"\n\n"
    result = play(made({"after": {"count": count}, "garble": "all"}), at_once(event * 3))
    assert SseDecoder().feed(result.data)[-1].json is None


def test_a_garbled_end_marker() -> None:
    """What is no JSON to begin with is changed all the same; an event without data is not."""
    done = b"data: [DONE]\n\n"
    assert play(made({"garble": True}), at_once(done)).data == b"data: ~DONE]\n\n"
    assert play(made({"garble": True}), at_once(b"event: x\n\n")).data == b"event: x\n\n"


FRAME = aws_event_stream.encode(((":event-type", "x"), (":message-type", "event")), b'{"a":1}')


def of_bedrock() -> ResponseInfo:
    """Return what is known of a stream of frames."""
    return answer(bedrock.PROVIDER, "/model/m/converse-stream")


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_wrong_checksums(size: int) -> None:
    """The frames pass with all their bytes but one; Amazon's own reader raises."""
    stream = FRAME * 4
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    fault = made({"after": {"count": 1}, "wrong_checksum": 2}, of=of_bedrock())
    result = play(fault, at_once(*pieces))
    bad = FRAME[:-1] + bytes((FRAME[-1] ^ 1,))
    assert (result.data, result.ending) == (FRAME + bad * 2 + FRAME, FINISH)
    reader = EventStreamBuffer()
    reader.add_data(result.data)
    assert next(reader).payload == b'{"a":1}'
    with pytest.raises(ChecksumMismatch):
        next(reader)


def test_a_stream_without_checksums() -> None:
    """It passes, and that is told as it is."""
    plain = answer(generic.PROVIDER, "/x")
    undone = made({"wrong_checksum": True}, of=plain).undone
    assert undone == ("not applied: wrong-checksum before event 1 (its events have no checksums)",)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(("value", "ending"), [(True, FINISH), ("cut", transform.Cut())])
def test_half_an_event(value: Any, ending: transform.Act, size: int) -> None:
    """Nothing follows it; what is before passes."""
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    result = play(made({"after": {"count": 2}, "half_event": value}), at_once(*pieces))
    half = EVENTS[2][: len(EVENTS[2]) // 2]
    assert (result.data, result.ending) == (b"".join(EVENTS[:2]) + half, ending)


def test_half_a_frame() -> None:
    """Amazon's own reader waits for the rest, and has no event of it."""
    fault = made({"after": {"count": 1}, "half_event": True}, of=of_bedrock())
    result = play(fault, at_once(FRAME * 2))
    assert result.data == FRAME + FRAME[: len(FRAME) // 2]
    reader = EventStreamBuffer()
    reader.add_data(result.data)
    assert len(list(reader)) == 1


def test_no_event_is_there_to_be_halved() -> None:
    """The stream ends, or is no stream of events any more: it passes, and that is told."""
    ends = made({"after": {"count": 2}, "half_event": True})
    result = play(ends, at_once(*EVENTS[:2], b": a comment"))
    assert (result.data, result.ending) == (b"".join(EVENTS[:2]) + b": a comment", FINISH)
    assert ends.transform is not None
    assert ends.transform.done is None
    fault = read_rules([{"fault": {"stream": {"half_event": "cut"}}}], "test").rules[0].faults[0]
    assert Ability.CLOSE in fault.fault.abilities
    comment = play(made({"half_event": True}), at_once(b": x\n\n", EVENTS[0]))
    assert comment.data == b": x\n\n" + EVENTS[0][: len(EVENTS[0]) // 2]
    held = made({"half_event": True}).transform
    assert held is not None
    assert list(held.step(b"data: 1", 0.0)) == []
    assert held.release() == b"data: 1"
    begun = made({"after": {"count": 2}, "half_event": True}).transform
    assert begun is not None
    assert list(begun.step(EVENTS[0] + EVENTS[1] + b"data: 1", 0.0)) != []
    assert begun.release() == b"data: 1"
    last = play(made({"half_event": True}), at_once(b"data: 12"))
    assert (last.data, last.ending) == (b"data", FINISH)


def test_a_stall() -> None:
    """What comes in it waits, and then comes at once."""
    result = play(made({"after": {"count": 2}, "stall": "10s"}), one_a_second(*EVENTS))
    assert result.pieces == EVENTS
    assert result.times == [1, 2, 12, 12, 12, 12, 12, 12]


def test_a_stall_with_pings() -> None:
    """Where the API has none, none is sent."""
    fault = {"after": {"count": 2}, "stall": {"for": "9s", "pings": "4s"}}
    result = play(made(fault), one_a_second(*EVENTS[:3]))
    assert result.times == [1, 2, 6, 10, 11]
    assert result.pieces[2] == b'event: ping\ndata: {"type": "ping"}\n\n'
    of = answer(openai.PROVIDER, "/v1/chat/completions")
    chat = completion_events()
    assert play(made(fault, of=of), one_a_second(*chat[:3])).times == [1, 2, 11]


def test_a_stall_within_a_stall() -> None:
    """Whichever lasts longer; nothing that waits is lost."""
    for first, second, end in (("3s", "10s", 12), ("30s", "1s", 30)):
        faults = (
            {"after": {"count": 1}, "stall": first},
            {"after": {"time": "2s"}, "stall": second},
        )
        result = play(made(*faults), at_once(WHOLE))
        assert result.pieces == [EVENTS[0], WHOLE.removeprefix(EVENTS[0])]
        assert (result.times, result.ending) == ([0, end], FINISH)


def test_a_stall_for_ever() -> None:
    """With pings it never comes to an end: it is asked for one act after another."""
    assert (
        play(made({"after": {"count": 2}, "stall": True}), at_once(WHOLE)).ending
        == transform.Hang()
    )
    what = made({"after": {"count": 2}, "stall": {"pings": "5s"}})
    assert what.transform is not None
    wanted = what.transform.step(WHOLE, 0.0)
    assert next(wanted) == transform.Send(b"".join(EVENTS[:2]))
    for n in range(1, 1000):
        assert next(wanted) == transform.WaitUntil(5.0 * n)
        assert isinstance(next(wanted), transform.Send)


def test_split_pieces() -> None:
    """Small ones, and a character of several bytes comes in two."""
    data = 'data: {"a": "\N{EM DASH} \N{GRINNING FACE}"}\n\n'.encode() * 20
    result = play(made({"chunks": "split"}), at_once(data))
    assert result.data == data
    assert max(map(len, result.pieces)) <= 24
    plain = play(made({"chunks": "split"}), at_once(b"x" * 10_000))
    assert set(map(len, plain.pieces)) == set(range(1, 25))
    ends = {sum(map(len, result.pieces[: n + 1])) for n in range(len(result.pieces))}
    leads = [at for at, byte in enumerate(data) if byte >= 0xC0]
    assert all(at + 1 in ends for at in leads)


def test_merged_pieces() -> None:
    """Two to four events become one piece."""
    result = play(made({"chunks": "merge"}), one_a_second(*EVENTS * 10))
    assert result.data == WHOLE * 10
    counts = [len(SseDecoder().feed(piece)) for piece in result.pieces]
    assert set(counts[:-1]) == {2, 3, 4}
    unread = made({"chunks": "merge"}, of=answer(encoded=True))
    assert set(map(len, play(unread, one_a_second(*[b"x"] * 101)).pieces[:-1])) == {2, 3, 4}


def test_merging_holds_no_more_than_it_may() -> None:
    """However long the events are."""
    long = b"data: " + b"x" * 70_000 + b"\n\n"
    assert play(made({"chunks": "merge"}), at_once(*[long] * 3)).pieces == [long] * 3


def test_paced_events() -> None:
    """No faster than so, and no slower than they come."""
    fault = {"pace": {"events_per_second": 0.5}}
    assert play(made(fault), at_once(*EVENTS[:4])).times == [0, 2, 4, 6]
    slow = [(10.0 * n, event) for n, event in enumerate(EVENTS[:4])]
    assert play(made(fault), slow).times == [0, 10, 20, 30]


def test_paced_bytes() -> None:
    """Each byte has its time, and the whole takes as long as it must."""
    result = play(made({"pace": {"bytes_per_second": 100}}), at_once(b"x" * 60, b"y" * 40))
    assert result.data == b"x" * 60 + b"y" * 40
    assert result.times[-1] == pytest.approx(0.95)
    assert {len(piece) for piece in result.pieces} == {5}


def test_a_proper_end_without_the_last_event() -> None:
    """As if all were well."""
    result = play(made({"before": "message_stop", "end": True}), at_once(WHOLE))
    assert (result.data, result.ending) == (b"".join(EVENTS[:-1]), FINISH)


# Several on one answer


def test_what_stands_behind_a_wait_may_act_in_it() -> None:
    """A reset a minute behind the head ends a stall that would last for ever."""
    faults = ({"after": {"count": 2}, "stall": "2h"}, {"after": {"time": "60s"}, "reset": True})
    result = play(made(*faults), one_a_second(*EVENTS))
    assert (result.data, result.now) == (b"".join(EVENTS[:2]), 60)
    assert result.ending == transform.Reset()


def test_what_stands_behind_a_hang_may_act_in_it() -> None:
    """It has nothing to act on, and the hang goes on."""
    faults = ({"after": {"count": 2}, "stall": True}, {"after": {"time": "60s"}, "drop": 1})
    result = play(made(*faults), one_a_second(*EVENTS))
    assert (result.data, result.now) == (b"".join(EVENTS[:2]), 60)
    assert result.ending == transform.Hang()


def test_a_wait_in_front_of_something_else() -> None:
    """What comes behind the wait goes through it."""
    faults = ({"after": {"count": 2}, "stall": "10s"}, {"after": {"count": 4}, "drop": 2})
    result = play(made(*faults), one_a_second(*EVENTS))
    assert result.data == b"".join([*EVENTS[:4], *EVENTS[6:]])
    assert result.times == [1, 2, 12, 12, 12, 12]


def test_a_time_of_the_second_fault_that_never_comes() -> None:
    """The first has ended the answer before."""
    faults = ({"after": {"count": 2}, "end": True}, {"after": {"time": "60s"}, "stall": "10s"})
    result = play(made(*faults), one_a_second(*EVENTS))
    assert (result.data, result.ending) == (b"".join(EVENTS[:2]), FINISH)


def test_a_time_of_the_second_fault() -> None:
    """It comes by itself, though the first has nothing to do then."""
    faults = ({"after": {"count": 50}, "drop": 1}, {"after": {"time": "2.5s"}, "stall": "10s"})
    result = play(made(*faults), one_a_second(*EVENTS))
    assert result.data == WHOLE
    assert result.times == [1, 2, *[12.5] * 6]


@pytest.mark.parametrize("after", [{"count": 4}, {"bytes": 150}])
def test_what_a_later_fault_holds_passes_before_a_break(after: dict[str, Any]) -> None:
    """It came before the point."""
    behind = (
        {"after": {"count": 1}, "chunks": "merge"},
        {"before": "content_block_stop", "drop": 1},
    )
    for fault in behind:
        result = play(made({"after": after, "cut": True}, fault), at_once(*EVENTS))
        want = WHOLE[:150] if "bytes" in after else b"".join(EVENTS[:4])
        assert (result.data, result.ending) == (want, transform.Cut())


def test_what_a_chain_holds() -> None:
    """What the second holds came before what the first holds."""
    merging = made({"chunks": "merge"}, {"before": "message_stop", "drop": 1}).transform
    assert merging is not None
    assert list(merging.step(EVENTS[0] + EVENTS[7][:9], 0.0)) == []
    assert merging.release() == EVENTS[0] + EVENTS[7][:9]


def test_what_is_held_passes_before_a_break() -> None:
    """A cut behind the fifth event has delivered five, merged or not."""
    faults = ({"after": {"count": 5}, "cut": True, "chunks": "merge"},)
    result = play(made(*faults), at_once(WHOLE))
    assert result.data == b"".join(EVENTS[:5])
    assert result.ending == transform.Cut()


def test_words() -> None:
    """What has happened is told, and what has not."""
    what = made({"after": {"count": 2}, "drop": 1}, {"after": {"count": 50}, "cut": True})
    play(what, at_once(WHOLE))
    first, second = transform.parts_of(what.transform)
    assert (first.done, second.done) == ("drop after 2 events", None)
    assert second.undone == "cut after 50 events"
    assert what.transform is not None
    assert what.transform.done == "drop after 2 events"
    assert what.transform.undone == "drop after 2 events, cut after 50 events"


# Answers without events that could be seen


@pytest.mark.parametrize("action", [{"cut": True}, {"reset": True}, {"end": True},
                                    {"stall": "1s"}, {"pace": {"bytes_per_second": 9}},
                                    {"chunks": "split"}, {"chunks": "merge"}])  # fmt: skip
def test_what_acts_on_bytes(action: dict[str, Any]) -> None:
    """It does so on a compressed answer."""
    what = made(action, of=answer(encoded=True))
    assert what.undone == ()
    result = play(what, at_once(b"abc", b"def"))
    assert b"abcdef".startswith(result.data)


@pytest.mark.parametrize("fault", [{"error": True}, {"end_early": True}, {"drop": 1},
                                   {"garble": 1}, {"half_event": True},
                                   {"wrong_checksum": 1}, {"pace": {"events_per_second": 9}},
                                   {"after": {"count": 2}, "cut": True}])  # fmt: skip
def test_what_needs_events(fault: dict[str, Any]) -> None:
    """It does nothing to a compressed answer, and that is told."""
    what = made(fault, of=answer(encoded=True))
    assert what.transform is None
    assert what.undone[0].startswith("not applied: ")


@pytest.mark.parametrize(
    ("how", "ending", "lasts"),
    [("close", transform.Cut, 0), ("reset", transform.Reset, 0), ("hang", transform.Hang, math.inf),
     ("garbage", transform.Garbage, 0),
     ({"how": "hang", "for": "5s"}, transform.Cut, 5)],
)  # fmt: skip
def test_a_break_within_an_answer(how: Any, ending: type, lasts: float) -> None:
    """At a point, in any answer."""
    fault = how if isinstance(how, dict) else {"how": how}
    what = made(breaks=fault | {"after": {"bytes": 4}}, of=answer(encoded=True))
    result = play(what, at_once(b"abcdef"))
    assert result.data == b"abcd"
    assert isinstance(result.ending, ending)
    assert result.now == (5 if "for" in fault else 0)
    assert what.transform is not None
    assert what.transform.lasts_seconds == lasts


def test_garbage() -> None:
    """As long as it is, it is neither HTTP nor TLS; the same seed has the same."""
    sent = play(made(breaks={"how": "garbage", "after": {"bytes": 1}}), at_once(b"ab")).ending
    assert isinstance(sent, transform.Garbage)
    assert len(sent.data) == 64
    assert sent.data[:8].hex() == "006a761ef33cc5a3"


def test_a_break_behind_an_event() -> None:
    """Only where events can be seen."""
    breaks = {"how": "close", "after": {"count": 2}}
    assert play(made(breaks=breaks), at_once(WHOLE)).data == b"".join(EVENTS[:2])
    assert made(breaks=breaks, of=answer(encoded=True)).undone == (
        "not reached: close after 2 events (the answer is compressed)",
    )


def test_an_end_with_trailers() -> None:
    """They pass."""
    what = made({"after": {"count": 9}, "cut": True})
    assert what.transform is not None
    assert list(what.transform.step(End(((b"A", b"b"),)), 0)) == [transform.Finish(((b"A", b"b"),))]


@pytest.mark.parametrize("point", [{"bytes": 50}, {"time": 9}])
def test_what_looks_for_a_place_in_bytes_holds_nothing(point: dict[str, Any]) -> None:
    """All that came before has passed."""
    chain = made({"after": point, "cut": True}).transform
    assert chain is not None
    [sent] = chain.step(b"data: x", 0.0)
    assert sent == transform.Send(b"data: x")
    assert chain.release() == b""
