"""Each example of docs/rules.md does what the page says: run against the fake API, in memory."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import nullcontext, suppress
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer

from faultinject.config.rules import read_rules
from faultinject.config.rules.break_key import BREAK_KEYS
from faultinject.config.rules.delay_key import DELAY_KEYS
from faultinject.config.rules.match_key import MATCH_KEYS
from faultinject.config.rules.respond_key import RESPOND_KEYS
from faultinject.config.rules.stream_key import STREAM_KEYS
from faultinject.config.rules.when_key import WHEN_KEYS
from faultinject.config.yaml import yaml_value
from faultinject.events import ExchangeEnded
from tests.support.rule_page import (
    COMPLETIONS,
    FILE,
    MESSAGES,
    OPENAI,
    PAGE,
    Caller,
    Seen,
    blocks,
    example,
    trusting_context,
)

TEXT_EVENT = "content_block_delta"
WHENS = PAGE.split("\n## When\n")[1].split("\n## ")[0]
TOOLS = [{"name": "weather"}]


def texts(seen: Seen) -> list[str]:
    """Return the pieces of text of a stream, in their order; what is no JSON is left out."""
    found = []
    for name, data in seen.events:
        if name == TEXT_EVENT and "garbled" not in data:
            with suppress(ValueError):
                found.append(json.loads(data)["delta"].get("text", ""))
    return found


# -- that none is left out ----------------------------------------------------------------------


def test_every_example_is_run() -> None:
    """Each rule of the page is named by a test below, and there are a dozen examples or more."""
    text = Path(__file__).read_text("utf-8")
    names = {rule["name"] for block in blocks() for rule in block}
    assert len(blocks()) >= 12
    assert {name for name in names if f'"{name}"' not in text} == set()


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        ("match", MATCH_KEYS),
        ("when", WHEN_KEYS),
        ("respond", RESPOND_KEYS),
        ("delay", DELAY_KEYS),
        ("break", BREAK_KEYS),
        ("stream", STREAM_KEYS),
        ("after", ("event", "count", "where", "bytes", "time")),
    ],
)
def test_every_key_has_an_example(part: str, keys: tuple[str, ...]) -> None:
    """All that a rule can say is in one that is run."""
    assert set(keys) <= set(_keys_of(part, blocks()))


def _keys_of(part: str, value: Any) -> list[str]:
    """Return the keys of all objects that are at a part of a rule."""
    if isinstance(value, list):
        return [key for item in value for key in _keys_of(part, item)]
    if not isinstance(value, dict):
        return []
    found = [key for inner in value.values() for key in _keys_of(part, inner)]
    here = value.get(part)
    objects = here if isinstance(here, list) else [here]
    return found + [key for one in objects if isinstance(one, dict) for key in one]


@pytest.mark.parametrize("cell", re.findall(r"^\| .* \| .* \| (`.*`) \|$", WHENS, re.MULTILINE))
def test_the_examples_of_when(cell: str) -> None:
    """Each in the table can be read; all keys have one."""
    for text in re.findall(r"`([^`]+)`", cell):
        value: Any = yaml_value(text if ":" in text else f"probability: {text}")
        when = {"nth": 1} | value if "per" in value else value
        assert read_rules([{"when": when, "fault": "pass"}], "table").rules


def test_each_when_has_an_example() -> None:
    """In the table."""
    assert set(WHEN_KEYS) <= {"probability", *re.findall(r"`(\w+): .*` \|$", WHENS, re.MULTILINE)}


# -- the examples, in the order of the page -----------------------------------------------------


async def test_now_and_then(autojump_clock: trio.testing.MockClock) -> None:
    """About a tenth of the requests fail, and no request elsewhere."""
    async with example("overloaded-now-and-then") as caller:
        found = Counter(await caller.statuses(200))
        assert set(found) == {200, 529}
        assert 8 <= found[529] <= 35
        elsewhere = Caller(caller.bench, caller.api, OPENAI)
        assert set(await elsewhere.statuses(50, path=COMPLETIONS)) == {200}


async def test_one_of_three(autojump_clock: trio.testing.MockClock) -> None:
    """An error, a wait, or a reset."""
    async with example("one-of-three") as caller:
        seen = [await caller.ask() for _ in range(300)]
        assert {one.status for one in seen} == {200, 529, None}
        assert {one.end for one in seen} == {"whole", "reset"}
        assert any(one.seconds == pytest.approx(20) for one in seen if one.status == 200)


async def test_each_call_fails_twice(autojump_clock: trio.testing.MockClock) -> None:
    """And so does the next, whose document is another."""
    async with example("two-failures-a-call") as caller:
        for model in ("a", "b"):
            assert await caller.statuses(4, model=model) == [529, 529, 200, 529]


async def test_a_program_that_tries_again_by_itself(autojump_clock: trio.testing.MockClock) -> None:
    """Its SDK says of each request that it is a first attempt; what came before tells more."""
    first = "x-stainless-retry-count: 0"
    for name, expected in (
        ("two-failures-a-call", [529, 529, 200] * 2),
        ("two-failures-then-a-pass", [529, 529, 200] * 2),
    ):
        async with example(name) as caller:
            assert [(await caller.ask(MESSAGES, first)).status for _ in range(6)] == expected


async def test_storms(autojump_clock: trio.testing.MockClock) -> None:
    """About a tenth of the requests, one behind another, each told to wait for two seconds."""
    async with example("rate-limit-storm") as caller:
        seen = [await caller.ask() for _ in range(500)]
        limited = [one for one in seen if one.status == 429]
        assert 15 <= len(limited) <= 120
        assert {one.header(b"retry-after") for one in limited} == {"2"}
        assert {one.header(b"x-should-retry") for one in limited} == {"true"}
        begins = sum(b.status == 429 != a.status for a, b in pairwise(seen))
        assert begins * 2 < len(limited)


async def test_a_date(autojump_clock: trio.testing.MockClock) -> None:
    """Five minutes from the answer's own, for one model."""
    async with example("come-back-later") as caller:
        seen = await caller.ask(model="claude-opus-9")
        told, now = seen.header(b"retry-after"), seen.header(b"date")
        assert seen.status == 429
        assert told is not None
        assert now is not None
        wait = parsedate_to_datetime(told) - parsedate_to_datetime(now)
        assert 299 <= wait.total_seconds() <= 301
        assert (await caller.ask(model="claude-sonnet-9")).status == 200


async def test_an_error_in_a_stream(autojump_clock: trio.testing.MockClock) -> None:
    """Behind five pieces of text, or as the first event by "overloaded-first"."""
    async with example("overloaded-midway") as caller:
        seen = [await caller.ask(stream=True) for _ in range(30)]
        assert {one.status for one in seen} == {200}
        ends = [one.names for one in seen if one.names[-1] == "error"]
        whole = [one for one in seen if one.names[-1] == "message_stop"]
        assert len(ends) + len(whole) == 30
        assert {names.count(TEXT_EVENT) for names in ends} == {0, 5}
        assert ["error"] in ends
        errors = [one.events[-1][1] for one in seen if one.names[-1] == "error"]
        assert all('"type":"overloaded_error"' in error for error in errors)


async def test_silent_truncation(autojump_clock: trio.testing.MockClock) -> None:
    """All but the last event, and the body's proper end."""
    async with example("truncated") as caller:
        seen = await caller.ask(stream=True)
        assert seen.names[-1] == "message_delta"
        assert seen.end == "whole"


async def test_half_a_call_of_a_tool(autojump_clock: trio.testing.MockClock) -> None:
    """Without asking the API; but not if the last message answers a call."""
    async with example("half-a-tool-call") as caller:
        seen = await caller.stream_to_its_end(tools=TOOLS)
        assert seen.end == "cut"
        assert seen.events[-1][1].count('"partial_json":"{') == 1
        assert caller.bench.dialer.dialled == []
        result = {"role": "user", "content": [{"type": "tool_result"}]}
        seen = await caller.ask(stream=True, tools=TOOLS, messages=[result])
        assert seen.names[-1] == "message_stop"
        assert caller.bench.outcomes == ["injected", "not-reached"]


async def test_silence_and_drops(autojump_clock: trio.testing.MockClock) -> None:
    """The second and seventh stream stall with "pings-only"; a third of the others "drip"."""
    async with example("pings-only") as caller:
        seen = [await caller.ask(stream=True) for _ in range(7)]
        stalled = [number for number, one in enumerate(seen, 1) if one.names.count("ping") > 10]
        assert stalled == [2, 7]
        plain = seen[0]
        for number in stalled:
            assert seen[number - 1].seconds == pytest.approx(121, abs=2)
        drip = seen[3]  # the third that reaches it
        assert drip.seconds == pytest.approx(len(drip.body) / 200, rel=0.05)
        assert texts(drip) == texts(plain)
        assert drip.pieces > 2 * len(drip.events) == 2 * plain.pieces
        rules = [each.rule for each in caller.bench.of(ExchangeEnded)]
        assert rules == [None, "pings-only", None, "drip", None, None, "pings-only"]


async def test_slower_and_slower(autojump_clock: trio.testing.MockClock) -> None:
    """Few answers are late at first, half of them after ten minutes; none by more than one."""
    async with example("slower-and-slower") as caller:
        began, late = trio.current_time(), Counter[bool]()
        while trio.current_time() - began < 1200:
            early = trio.current_time() - began < 300
            seen = await caller.ask()
            assert seen.seconds <= 60.1
            late[early] += seen.seconds > 0.1
            await trio.sleep(6)
        assert 0 < late[True] < late[False] / 3


async def test_a_kept_connection_is_reset(autojump_clock: trio.testing.MockClock) -> None:
    """Each at its second request."""
    async with example("reset-on-reuse") as caller:
        seen = [await caller.ask() for _ in range(4)]
        assert [one.status for one in seen] == [200, None, 200, None]
        assert [one.end for one in seen] == ["whole", "reset"] * 2
        assert caller.connections == 2


async def test_before_there_is_a_request(autojump_clock: trio.testing.MockClock) -> None:
    """Every third CONNECT gets the "proxy-407"; ten seconds in a minute are "tls-alerts"."""
    async with example("proxy-407") as caller:
        bench, connect = caller.bench, f"CONNECT {OPENAI}:443 HTTP/1.1\r\nHost: x\r\n\r\n"
        answers = []
        for _ in range(3):
            client = bench.connect()
            answers.append(await client.ask(connect.encode()))
            await client.cut()
        assert [answer.status for answer in answers] == [200, 200, 407]
        assert answers[2].header(b"proxy-authenticate") == b'Basic realm="proxy"'
        for refused in (True, False, True):
            await _shake_hands(caller, refused=refused)
            await trio.sleep(30)


async def _shake_hands(caller: Caller, *, refused: bool) -> None:
    client = await caller.bench.tunnel(f"{caller.host}:443")
    with pytest.raises(trio.BrokenResourceError) if refused else nullcontext() as caught:
        await client.start_tls(trusting_context(), caller.host)
    await client.cut()
    assert caught is None or "INTERNAL_ERROR" in str(caught.value.__cause__)


async def test_lost_work(autojump_clock: trio.testing.MockClock) -> None:
    """Two requests for much lose their answers; the API was asked each time."""
    async with example("lost-work") as caller:
        assert await caller.statuses(2, max_tokens=100) == [200, 200]
        assert await caller.statuses(3, max_tokens=4096) == [504, 504, 200]
        assert caller.api.request_count == 5


async def test_exceptions(autojump_clock: trio.testing.MockClock) -> None:
    """What "spare" and "spare-run" name is not reached by the "rest"."""
    async with example("spare") as caller:
        assert (await caller.ask("/v1/models", method="GET")).status == 200  # the fake API's
        assert (await caller.ask(MESSAGES, "X-Test-Run: control-7")).status == 200
        seen = await caller.ask()
        assert seen.status == 503
        assert re.fullmatch(rb"upstream connect error \(req_\w+\)", seen.body)
        assert seen.header(b"content-type") == "text/plain"
        await trio.testing.wait_all_tasks_blocked()  # an exchange is told when all of it was sent
        assert caller.bench.outcomes == ["forwarded", "forwarded", "injected"]


async def test_the_apis_own_words(autojump_clock: trio.testing.MockClock) -> None:
    """Of the "second-attempts" of one program, and of what is "too-long" for the other API."""
    async with example("too-long") as caller:
        url = f"{MESSAGES}?beta=true"
        for agent, count, status in (("python-x", 0, 200), ("curl", 1, 200), ("a Python", 1, 429)):
            headers = (f"User-Agent: {agent}", f"x-stainless-retry-count: {count}")
            seen = await caller.ask(url, *headers)
            assert seen.status == status
        error = json.loads(seen.body)
        assert error["error"]["details"] == {"error_code": "ours"}
        assert error["request_id"] == seen.header(b"request-id") == "req_test_1"
        assert seen.header(b"anthropic-ratelimit-output-tokens-remaining") == "0"
        openai = Caller(caller.bench, caller.api, OPENAI)
        seen = await openai.ask(COMPLETIONS, model="large")
        assert json.loads(seen.body)["error"] == {
            "message": "This is too much for large.", "type": "invalid_request_error",
            "param": "messages", "code": "context_length_exceeded",
        }  # fmt: skip
        assert (seen.status, seen.header(b"connection")) == (400, "close")


async def test_a_gateway_for_some_time(autojump_clock: trio.testing.MockClock) -> None:
    """The "gateway" fails two of three requests within its window; the others are there always."""
    async with example("gateway") as caller:
        assert await caller.statuses(3) == [200] * 3
        await trio.sleep(21)
        assert await caller.statuses(6) == [502, 502, 200] * 2
        await trio.sleep(10)
        assert await caller.statuses(3) == [200] * 3
        await trio.sleep(50)
        assert 502 in await caller.statuses(3)
        answer = await caller.ask("/v1/files")  # "from-a-file"
        assert (answer.status, answer.body) == (500, FILE)
        answer = await caller.ask("/v1/models", method="GET")  # "no-models"
        assert re.fullmatch(rb'{"data": ?\[\], ?"asked_for": ?"req_\w+"}', answer.body)


async def test_odd_events(autojump_clock: trio.testing.MockClock) -> None:
    """The first stream is the "reset-before-the-end"; the next has "odd-events"."""
    async with example("odd-events") as caller:
        first = await caller.stream_to_its_end()
        assert (first.end, first.names[-1]) == ("reset", "message_delta")
        seen = await caller.stream_to_its_end()
        words = texts(first)
        assert texts(seen) == [words[0], *words[2:5], words[4], *words[6:8]]
        delta = json.loads(seen.events[-2][1])["delta"]
        assert delta["stop_reason"] == "max_tokens"
        assert (seen.end, seen.names[-1]) == ("whole", "message_stop")


async def test_frames_and_halves(autojump_clock: trio.testing.MockClock) -> None:
    """Bedrock's first two streams have a "wrong-checksum", all others end in "half-an-event"."""
    async with example("wrong-checksum") as caller:
        for is_wrong in (True, True, False):
            seen = await caller.ask("/model/m/converse-stream")
            reader = EventStreamBuffer()
            reader.add_data(seen.body)
            with pytest.raises(ChecksumMismatch) if is_wrong else nullcontext():
                assert len(list(reader)) == 3
        seen = await caller.ask(stream=True)
        assert len(seen.names) == 3
        assert seen.body.count(b"event: ") == 4


async def test_breaks(autojump_clock: trio.testing.MockClock) -> None:
    """A "hang" before the body, "half-a-document", and "garbage" before the end."""
    async with example("hang") as caller:
        seen = await caller.ask("/v1/batches")
        assert seen.status is None
        assert seen.seconds == pytest.approx(5)
        seen = await caller.ask(stream=False)
        assert (seen.status, seen.end) == (None, "cut")
        seen = await caller.stream_to_its_end()
        assert seen.end == "cut"
        assert seen.names[-1] == "message_delta"


async def test_tenants(autojump_clock: trio.testing.MockClock) -> None:
    """Each has its own "slow-refusal"; "several-at-once" is for one stream of a program."""
    async with example("slow-refusal") as caller:
        seen = [await caller.ask(MESSAGES, f"X-Tenant: {name}") for name in "aabab"]
        assert [one.status for one in seen] == [503, 200, 503, 200, 200]
        assert [one.seconds for one in seen] == pytest.approx([1, 0, 1, 0, 0])
        streams: list[Seen] = []

        async def stream() -> None:
            other = Caller(caller.bench, caller.api)
            streams.append(await other.ask(MESSAGES, "User-Agent: x", stream=True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream)
            nursery.start_soon(stream)
        few, many = sorted(one.pieces for one in streams)
        assert few < many == len(streams[0].events)


async def test_what_is_for_the_api(autojump_clock: trio.testing.MockClock) -> None:
    """By "half-of-the-calls", and "slow-telemetry"."""
    async with example("half-of-the-calls") as caller:
        assert [(await caller.ask()).status for _ in range(2)] == [200, 529]
        for path in ("/v1/messages/count_tokens", "/api/claude_code/settings"):
            seen = [await caller.ask(path) for _ in range(2)]
            assert all(one.header(b"x-faultinject") is None for one in seen)
            assert [one.seconds for one in seen] == pytest.approx([0, 0])
        assert (await caller.ask("/api/event_logging/v2/batch")).seconds == pytest.approx(2)


async def test_delays(autojump_clock: trio.testing.MockClock) -> None:
    """Every request waits; none waits for ever."""
    async with example("delays") as caller:
        seen = [await caller.ask() for _ in range(60)]
        assert {one.status for one in seen} == {200}
        waits = [one.seconds for one in seen]
        assert all(0 < wait <= 60.1 for wait in waits)
        assert sum(wait == pytest.approx(2) for wait in waits) >= 5
        assert len({round(wait, 3) for wait in waits}) > 30
