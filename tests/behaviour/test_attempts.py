"""How an exchange ended tells whether the next request is another attempt of its call."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from faultinject.http.message import ResponseHead
from faultinject.providers.provider import TRANSIENT, is_transient
from faultinject.providers.retries import asked_wait
from faultinject.settings import ChosenPreset
from tests.support.bench import Bench, Script, answers, ok, open_bench, post
from tests.support.peer import Peer
from tests.support.stream_api import ASK, HEAD, streams

SECOND = 418
"""What a second attempt is answered."""
COUNTING: dict[str, Any] = {
    "name": "second",
    "match": {"attempt": {"at_least": 2}},
    "fault": {"respond": SECOND},
}
PLAIN = post("/v1/messages", json.dumps({"model": "m"}).encode())


def always(status: int, *headers: bytes) -> Script:
    """Return a script that answers each request by a status."""

    async def script(upstream: Peer) -> None:
        while await upstream.read_message():
            await upstream.send(ok(b"{}", *headers).replace(b" 200 OK", b" %d X" % status))

    return script


async def ask_and_read(bench: Bench, for_seconds: float) -> None:
    """Ask, read for so long or to the end, and leave."""
    client = await bench.tls()
    await client.send(ASK)
    with trio.move_on_after(for_seconds):
        await client.end()
    await client.cut()
    await trio.testing.wait_all_tasks_blocked()


async def number_of_next(bench: Bench) -> int:
    """Return which attempt the next request is, which asks for no stream."""
    await trio.sleep(1)
    client = await bench.tls()
    return 2 if (await client.ask(PLAIN)).status == SECOND else 1


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ({"respond": 529}, 2),
        ({"respond": 400}, 2),
        ({"respond": 529, "delay": 5}, 2),
        ({"respond": {"status": 529, "upstream": "answered"}}, 2),
        ({"break": "reset"}, 2),
        ({"break": {"how": "hang", "for": "5s"}}, 2),
        ({"stream": {"after": {"count": 2}, "cut": True}}, 2),
        ({"stream": {"after": {"count": 2}, "error": True}}, 2),
        ({"stream": {"after": {"count": 2}, "error": True, "upstream": "skipped"}}, 2),
        ({"stream": {"after": {"count": 2}, "garble": 1}}, 2),
        ({"stream": {"after": {"count": 2}, "stall": {}}}, 2),
        ({"stream": {"after": {"count": 999}, "cut": True}}, 1),
        ({"stream": {"after": {"count": 999}, "cut": True}, "delay": 3}, 1),
        ({"delay": 3}, 1),
        ({"delay": 60}, 2),
        ({"stream": {"stall": {"for": "3s"}}}, 1),
        ({"stream": {"stall": {"for": "60s"}}}, 2),
        ({"stream": {"pace": {"events_per_second": 0.6}}}, 1),
        ({"stream": {"pace": {"events_per_second": 100}, "upstream": "skipped"}}, 1),
        ({"stream": {"chunks": "split"}}, 1),
    ],
)
async def test_what_a_rule_did(autojump_clock, fault: dict[str, Any], number: int) -> None:
    """It failed if it was harmed, and if it took so long that the client left."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(COUNTING, {"name": "r", "when": {"first": 1}, "fault": fault})
        await ask_and_read(bench, 30)
        assert await number_of_next(bench) == number


@pytest.mark.parametrize(
    ("script", "number"),
    [
        (always(200), 1), (always(400), 1), (always(404), 1), (always(429), 2), (always(529), 2),
        (always(500), 2), (always(408), 2), (always(409), 2),
        (always(400, b"x-should-retry: true"), 2), (always(529, b"x-should-retry: false"), 1),
        (answers(), 2), (answers(HEAD), 2), (answers(b"nonsense\r\n\r\n"), 2), (streams(), 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("delayed", [False, True])
async def test_what_the_api_did(autojump_clock, script: Script, number: int, delayed: bool) -> None:
    """What it calls transient, and what never came, or not whole; beside a rule or not."""
    delay: dict[str, Any] = {"name": "late", "match": {"stream": delayed}, "fault": {"delay": 1}}
    async with open_bench(upstream=script) as bench:
        bench.rules(COUNTING, delay)
        await ask_and_read(bench, 60)
        assert await number_of_next(bench) == number


async def test_a_client_that_leaves_without_a_failure(autojump_clock) -> None:
    """Has stopped asking: what comes next is another call, or the same if it counts on."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(COUNTING)
        await ask_and_read(bench, 2.5)
        assert await number_of_next(bench) == 1


@pytest.mark.parametrize(("wait", "number"), [(b"3600", 2), (b"5", 1)])
async def test_the_wait_that_was_asked_for(autojump_clock, wait: bytes, number: int) -> None:
    """Is the longest pause, if it is longer than ten minutes."""
    async with open_bench(upstream=always(429, b"retry-after: " + wait)) as bench:
        bench.rules(COUNTING)
        await ask_and_read(bench, 60)
        await trio.sleep(3000)
        assert await number_of_next(bench) == number


async def test_equal_requests_that_overlap(autojump_clock) -> None:
    """Each is a call of its own, and each of them gets through at its third attempt."""
    async with open_bench(upstream=always(200)) as bench:
        bench.rules(
            {
                "when": {"first": 2, "per": "attempt-group"},
                "fault": {"respond": 529, "delay": 1},
            }
        )
        seen: list[list[int]] = []

        async def call() -> None:
            client = await bench.tls()
            statuses = []
            while not statuses or statuses[-1] != 200:
                statuses.append((await client.ask(PLAIN)).status)
                await trio.sleep(1)
            seen.append(statuses)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(call)
        assert seen == [[529, 529, 200]] * 5


# Clients that try again at once


async def number_of_eager(bench: Bench, sign: bytes | None) -> int:
    """Return which attempt a request is that is made at once when a sign has come.

    It is served before the write that brought the sign returns; with None, the connection's end.
    """
    client, numbers = bench.connect(), list[int]()
    door = bench.doors[-1]
    send_all, aclose, send_eof = door.send_all, door.aclose, door.send_eof

    async def act(*, ended: bool = False) -> None:
        if not numbers and (ended if sign is None else sign in door.sent):
            numbers.append(0)
            numbers.append(2 if (await bench.connect().ask(PLAIN)).status == SECOND else 1)

    async def send(data: bytes | bytearray | memoryview) -> None:
        await send_all(data)
        await act()

    async def close() -> None:
        await aclose()
        await act(ended=True)

    async def end() -> None:
        await send_eof()
        await act(ended=True)

    door.send_all, door.aclose, door.send_eof = send, close, end  # type: ignore[method-assign]
    await client.send(ASK)
    await client.end()
    await trio.testing.wait_all_tasks_blocked()
    assert len(numbers) == 2, "nobody was eager"
    return numbers[-1]


@pytest.mark.parametrize(
    ("fault", "sign", "number"),
    [
        ({"respond": 529}, b" 529 ", 2),
        ({"respond": {"status": 529, "retry_after": 1}}, b" 529 ", 2),
        ({"respond": 529, "delay": 5}, b" 529 ", 2),
        ({"respond": 529, "delay": {"fixed": 5, "before": "body"}}, b"_error", 2),
        ({"respond": {"status": 529, "upstream": "answered"}}, b" 529 ", 2),
        ({"respond": {"status": 200, "body": "<html>"}}, b"<html>", 2),
        ({"break": "garbage"}, b"", 2),
        ({"break": "reset"}, None, 2),
        ({"break": {"how": "hang", "for": "5s"}}, None, 2),
        ({"stream": {"after": {"count": 2}, "cut": True}}, None, 2),
        ({"stream": {"after": {"count": 2}, "reset": True}}, None, 2),
        ({"stream": {"after": {"count": 2}, "error": True}}, b"event: error", 2),
        ({"stream": {"after": {"count": 2}, "error": True, "upstream": "skipped"}}, b": error", 2),
        ({"stream": {"after": {"count": 2}, "garble": 1}}, b"\r\n0\r\n\r\n", 2),
        ({"delay": 3}, b"\r\n0\r\n\r\n", 1),
        ({"stream": {"chunks": "split"}}, b"\r\n0\r\n\r\n", 1),
    ],
)
async def test_what_a_rule_did_to_one_that_tries_again_at_once(
    autojump_clock, fault: dict[str, Any], sign: bytes | None, number: int
) -> None:
    """The attempt is over when its client can have its last bytes."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(COUNTING, {"name": "r", "when": {"first": 1}, "fault": fault})
        assert await number_of_eager(bench, sign) == number


async def drips(upstream: Peer) -> None:
    """Answer each request by a 529, its body a second later."""
    head, body = ok(b"{}").replace(b" 200 OK", b" 529 X")[:-2], b"{}"
    while await upstream.read_message():
        await upstream.send(head)
        await trio.sleep(1)
        await upstream.send(body)


@pytest.mark.parametrize(
    ("script", "sign", "number"),
    [
        (always(200), b"200", 1), (always(529), b" 529 ", 2), (always(429), b" 429 ", 2),
        (drips, b"\r\n\r\n{}", 2), (drips, b" 529 ", 1),
        (answers(b"nonsense\r\n\r\n"), b" 502 ", 2), (answers(HEAD), None, 2),
        (streams(), b"\r\n0\r\n\r\n", 1),
    ],
)  # fmt: skip
async def test_what_the_api_did_to_one_that_tries_again_at_once(
    autojump_clock, script: Script, sign: bytes | None, number: int
) -> None:
    """One that does not wait for an answer's body overlaps: the first attempt is not over."""
    async with open_bench(upstream=script) as bench:
        bench.rules(COUNTING)
        assert await number_of_eager(bench, sign) == number


@pytest.mark.parametrize(
    "fault",
    [{"respond": 529}, {"respond": 529, "delay": 1}, {"stream": {"error": True}}],
)
async def test_an_answer_that_its_client_does_not_take(
    autojump_clock, fault: dict[str, Any]
) -> None:
    """Is not over: what comes meanwhile overlaps, however long it waits for room."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(COUNTING, {"name": "r", "when": {"first": 1}, "fault": fault})
        client, room = bench.connect(), trio.Event()
        bench.doors[-1].wait_send_all_might_not_block = room.wait  # type: ignore[method-assign]
        await client.send(ASK)
        await trio.sleep(50)
        assert await number_of_next(bench) == 1
        room.set()
        await client.end()


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ({"stream": {"after": {"count": 2}, "stall": {}}}, 2),
        ({"stream": {"after": {"count": 2}, "stall": {}, "upstream": "skipped"}}, 2),
        ({"break": "hang"}, 2),
        ({"respond": 529, "delay": 600}, 2),
        ({"stream": {"after": {"count": 999}, "cut": True}}, 1),
    ],
)
async def test_a_client_that_leaves_and_asks_again_at_once(
    autojump_clock, fault: dict[str, Any], number: int
) -> None:
    """Its attempt is over when it is seen to have left, not when all is tidied up."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(COUNTING, {"name": "r", "when": {"first": 1}, "fault": fault})
        client = bench.connect()
        await client.send(ASK)
        await trio.sleep(3.5)
        await client.close()
        await trio.testing.wait_all_tasks_blocked()
        status = (await bench.connect().ask(PLAIN)).status
        assert status == (SECOND if number == 2 else 200)


async def test_a_client_that_leaves_at_the_head_of_a_failure(autojump_clock) -> None:
    """It has had the API's failure, though not its words."""
    async with open_bench(upstream=drips) as bench:
        bench.rules(COUNTING)
        await ask_and_read(bench, 0.5)
        assert await number_of_next(bench) == 2


def claude_code(*, stream: bool) -> bytes:
    """Return a request as Claude Code makes it: its count is always 0."""
    body: dict[str, Any] = {"model": "m", "max_tokens": 32000, "messages": [], "stream": True}
    if not stream:
        del body["stream"]
        body["max_tokens"] = 21333
    headers = (b"User-Agent: claude-cli/2.1", b"x-stainless-retry-count: 0", b"x-api-key: k")
    return post("/v1/messages", json.dumps(body).encode(), *headers)


@pytest.mark.parametrize(
    "preset",
    [
        ChosenPreset("overload-storm"),
        ChosenPreset("retry-torture"),
        ChosenPreset("overloaded", first=2),
    ],
)
async def test_an_agent_that_counts_nothing_gets_past_a_preset(
    autojump_clock, preset: ChosenPreset
) -> None:
    """At its third attempt, whether it asks for a stream in each or not."""
    async with open_bench(upstream=always(200), preset=(preset,)) as bench:
        client = await bench.tls()
        for _ in range(3):
            seen = []
            for stream in (True, True, False):
                seen.append((await client.ask(claude_code(stream=stream))).status)
                await trio.sleep(1)
            assert min(seen[:2]) >= 429
            assert seen[2] == 200


@pytest.mark.parametrize(
    ("status", "headers", "transient"),
    [
        (200, (), False), (400, (), False), (409, (), False), (425, (), True), (429, (), True),
        (500, (), True), (529, (), True), (200, ((b"x-should-retry", b"true"),), True),
        (500, ((b"X-Should-Retry", b"false"),), False), (500, ((b"x-should-retry", b"?"),), True),
    ],
)  # fmt: skip
def test_transient(status: int, headers: Any, transient: bool) -> None:
    """What the status says, unless the answer says more."""
    head = response(status, headers)
    assert is_transient(head) is transient
    assert is_transient(response(409, ()), TRANSIENT | {409})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), 0), (((b"Retry-After", b"2"),), 2), (((b"retry-after", b"1.5"),), 1.5),
        (((b"retry-after", b"9"), (b"Retry-After-Ms", b"250")), 0.25),
        (((b"retry-after", b"soon"),), 0), (((b"retry-after", b"-1"),), 0),
        (((b"retry-after", b"\xff"),), 0), (((b"retry-after", b"9" * 400),), 0),
        (((b"retry-after", b"Thu, 01 Jan 1970 00:01:40 GMT"),), 90),
        (((b"retry-after", b"Thu, 01 Jan 1970 00:00:01 GMT"),), 0),
    ],
)  # fmt: skip
def test_the_wait_in_an_answer(headers: Any, seconds: float) -> None:
    """In seconds, in milliseconds, or as a date; nonsense is no wait."""
    wait = asked_wait(response(429, headers), None, 10.0)
    assert (0.0 if wait is None else wait[0]) == seconds


def response(status: int, headers: Any) -> ResponseHead:
    """Return the head of an answer."""
    return ResponseHead(status, b"", tuple(headers))
