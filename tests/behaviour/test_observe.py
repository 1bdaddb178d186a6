"""What is told of each exchange as an attempt of a call, over whole sessions in memory."""

from __future__ import annotations

import gzip
import json
import ssl
import sys
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any

import pytest
import trio

from faultinject.events import CommandEnded, ExchangeStarted
from faultinject.http.message import ResponseHead
from faultinject.observed import Observed
from faultinject.proxy.exchange_end import ExchangeEnd
from faultinject.proxy.observe import Observer
from faultinject.proxy.traffic_copy import BODY_BYTES, ROOM_BYTES, CopyRoom
from faultinject.report.judge import Judge
from faultinject.rules.backlog import MOST_BYTES
from tests.support.bench import (
    TARGET,
    Bench,
    Script,
    answers,
    get,
    ok,
    open_bench,
    post,
    trusting_context,
)
from tests.support.llm_api import message_events
from tests.support.peer import Cut, Peer
from tests.support.sample_events import sample
from tests.support.tls_peers import client_hello
from tests.unit.rules.support import request

DOCUMENT = {
    "model": "claude-x",
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "hi"}],
}
BODY = json.dumps(DOCUMENT).encode()
STREAM = post(
    "/v1/messages", json.dumps({**DOCUMENT, "stream": True}).encode(), b"Connection: close"
)
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True, params=[False, True], ids=["at once", "late"], name="late")
def _open_bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether all is found out at once or late, the same is told."""
    late: bool = request.param
    opens = partial(open_bench, observes_late=late)
    monkeypatch.setattr(sys.modules[__name__], "open_bench", opens)
    return late


def ask(*headers: bytes, body: bytes = BODY, path: str = "/v1/messages") -> bytes:
    """Return a request to a model."""
    return post(path, body, b"X-Api-Key: k1", b"Connection: close", *headers)


async def observed(
    upstream: Script, *requests: bytes, rules: Any = (), gap_seconds: float = 1.0
) -> list[Observed]:
    """Return what is observed of requests, each on a connection of its own."""
    async with open_bench(upstream=upstream) as bench:
        bench.rules(*rules)
        for request in requests:
            client = await bench.tls()
            await client.send(request)
            with trio.move_on_after(20), suppress(Cut):
                await client.end()
            await client.cut()
            await trio.sleep(gap_seconds)
        return seen(bench)


def seen(bench: Bench) -> list[Observed]:
    """Return what was observed so far."""
    events = [event for event in bench.events if event.NAME == "exchange"]
    return [event.observed for event in events]  # type: ignore[attr-defined]


def always(answer: bytes) -> Script:
    """Return a script that answers one request a connection."""
    return answers(answer)


async def silent(upstream: Peer) -> None:
    """Read a request and never answer it."""
    await upstream.read_message()
    await trio.sleep_forever()


STATED = (b"Idempotency-Key: a", b"X-Stainless-Timeout: 600000",
          b"X-Stainless-Read-Timeout: 60", b"X-Stainless-Retry-Count: 0")  # fmt: skip


@pytest.mark.parametrize("after_failure", [False, True])
async def test_a_whole_answer(
    autojump_clock: trio.testing.MockClock, late: bool, after_failure: bool
) -> None:
    """Nothing failed; that a key was there is told. More of it only once something has failed.

    Then the model is known, too, where nothing is written of each exchange.
    """
    usage = {"usage": {"input_tokens": 5, "output_tokens": 7}}
    answer = {"id": "msg_1", "type": "message", "content": [], **usage}
    failed = [post("/v1/messages", b"fail")] if after_failure else []
    rules = [{"name": "r", "when": {"first": 1}, "fault": {"respond": 529}}]
    script = always(ok(json.dumps(answer).encode()))
    told = (await observed(script, *failed, ask(*STATED), rules=rules if failed else ()))[-1]
    asked = ("claude-x", False) if after_failure or not late else (None, None)
    assert (told.provider, told.model, told.stream) == ("anthropic", *asked)
    assert (told.call, told.attempt, told.retry_count) == (1 + len(failed), 1, 0)
    assert (told.taken, told.failure, told.gap_seconds) == ("whole", None, None)
    assert (told.timeout_seconds, told.read_timeout_seconds) == (600.0, 60.0)
    assert told.idempotency_key
    assert None not in (told.credential, told.body, told.first_byte_seconds)
    assert "k1" not in str(told.as_dict())
    more = [told.request, told.system, told.prefix, told.message_count, told.input_tokens]
    assert [each is not None for each in more] == [after_failure] * 5
    if after_failure:
        assert (told.input_tokens, told.output_tokens) == (5, 7)
        assert told.message_count == len(told.messages) == 1
        assert "hi" not in [message.text for message in told.messages]


async def test_how_long_a_failure_makes_all_requests_be_looked_at(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Ten minutes: then no attempt can follow it any more."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        bench.rules({"name": "r", "when": {"first": 1}, "fault": {"respond": 529}})
        for pause in (1, 590, 20, 0):
            client = await bench.tls()
            await client.ask(ask())
            await client.cut()
            await trio.sleep(pause)
        assert [each.request is not None for each in seen(bench)] == [True, True, True, False]
        assert [each.call for each in seen(bench)] == [1, 1, 2, 3]


async def test_a_longer_wait_that_was_asked_for(autojump_clock: trio.testing.MockClock) -> None:
    """Until it is over all requests are looked at, though it may be found out as late as that."""
    throttled = b"HTTP/1.1 429 Too Many\r\nRetry-After: 3600\r\nContent-Length: 2\r\n\r\n{}"
    replies = iter([throttled, ok(b"{}"), ok(b"{}")])

    async def in_turn(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(next(replies))

    async with open_bench(upstream=in_turn) as bench:
        for pause in (700, 3000, 0):
            client = await bench.tls()
            await client.ask(ask())
            await client.cut()
            await trio.sleep(pause)
        assert [each.request is not None for each in seen(bench)] == [True, True, False]


async def test_a_count_of_the_client_s_own(autojump_clock: trio.testing.MockClock) -> None:
    """It says that something failed that was not seen here, so all is looked at."""
    [told] = await observed(always(ok(b"{}")), ask(b"X-Stainless-Retry-Count: 1"))
    assert (told.attempt, told.retry_count) == (2, 1)
    assert told.request is not None


@pytest.mark.parametrize(("closes", "attempts"), [(True, [1, 2, 3]), (False, [1, 1, 1])])
async def test_a_client_for_each_attempt(
    autojump_clock: trio.testing.MockClock, closes: bool, attempts: list[int]
) -> None:
    """Each counts from 0. The one before has closed its connection, or may ask again itself."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        bench.rules({"name": "r", "fault": {"respond": 529}})
        for _ in range(3):
            client = await bench.tls()
            await client.ask(post("/v1/messages", BODY, b"X-Stainless-Retry-Count: 0"))
            if closes:
                await client.cut()
            await trio.sleep(0.09)
        assert [each.attempt for each in seen(bench)] == attempts


@pytest.mark.parametrize(
    "fault",
    [
        {"respond": {"status": 529, "connection": "close"}},
        {"stream": {"after": {"count": 2}, "cut": True}},
        {"stream": {"after": {"count": 2}, "reset": True}},
        {"break": "reset"},
    ],
)
async def test_a_connection_that_a_fault_ends(
    autojump_clock: trio.testing.MockClock, fault: Any
) -> None:
    """The client cannot go on by it: another says nothing of another task."""
    pieces = [b"%x\r\n%b\r\n" % (len(each), each) for each in message_events()]
    streamed = json.dumps({**DOCUMENT, "stream": True}).encode()
    async with open_bench(upstream=always(b"".join([SSE, *pieces, b"0\r\n\r\n"]))) as bench:
        bench.rules({"name": "r", "fault": fault})
        for _ in range(3):
            client = await bench.tls()
            await client.send(post("/v1/messages", streamed, b"X-Stainless-Retry-Count: 0"))
            await client.end()
            await trio.sleep(0.09)
        assert [each.attempt for each in seen(bench)] == [1, 2, 3]


@pytest.mark.parametrize("id_", [(), (b"Amz-Sdk-Invocation-Id: i",)])
async def test_an_invocation_of_aws(
    autojump_clock: trio.testing.MockClock, id_: tuple[bytes, ...]
) -> None:
    """That there is one is told, as of an idempotency key."""
    error = b"HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\n{}"
    [told] = await observed(always(error), ask(*id_))
    assert told.invocation_id is bool(id_)


async def test_an_invocation_of_aws_that_went_well(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its id alone says what else belongs to its call, so it is looked at."""
    same = ask(b"Amz-Sdk-Invocation-Id: i")
    told = await observed(always(ok(b"{}")), same, same, ask(b"Amz-Sdk-Invocation-Id: j"))
    assert [(each.call, each.attempt) for each in told] == [(1, 1), (1, 2), (2, 1)]
    assert [each.invocation_id for each in told] == [True] * 3


async def test_attempts_of_a_call(autojump_clock: trio.testing.MockClock) -> None:
    """They have one number, and the gap counts from the failed answer's head."""
    error = b"HTTP/1.1 429 X\r\nRetry-After: 2\r\nContent-Length: 2\r\n\r\n{}"
    first, second = await observed(always(error), ask(), ask(), gap_seconds=3)
    assert (first.call, first.attempt, first.gap_seconds) == (1, 1, None)
    assert (second.call, second.attempt) == (1, 2)
    assert second.gap_seconds is not None
    assert 3 <= second.gap_seconds < 3.1
    assert (first.failure, first.failure_kind) == ("answer", "throttled")
    assert (first.wait_asked_seconds, first.wait_asked_by) == (2.0, "retry-after")
    assert first.body == second.body
    assert first.request == second.request


async def test_an_error_whose_body_comes_late(autojump_clock: trio.testing.MockClock) -> None:
    """The client knows of it by its head."""

    async def slow(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 529 X\r\nContent-Length: 2\r\n\r\n")
        await trio.sleep(20)
        await upstream.send(b"{}")

    async with open_bench(upstream=slow) as bench:
        for _ in range(2):
            client = await bench.tls()
            await client.ask(ask())
            await client.cut()
            await trio.sleep(3)
        _, second = seen(bench)
    assert second.attempt == 2
    assert second.gap_seconds == pytest.approx(23, abs=0.1)


@pytest.mark.parametrize(
    ("fault", "failure"),
    [({"respond": 400}, "answer"), ({"respond": {"status": 200, "json": {"id": "m"}}}, None)],
)
@pytest.mark.parametrize("count", [(), (b"X-Stainless-Retry-Count: 0",)])
async def test_tasks_that_ask_the_same_at_once(
    autojump_clock: trio.testing.MockClock,
    fault: dict[str, Any],
    failure: str | None,
    count: tuple[bytes, ...],
) -> None:
    """Are calls of their own though one begins when others have failed, and the totals say so."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench, trio.open_nursery() as nursery:
        bench.rules({"name": "r", "fault": fault | {"delay": 3}})
        judge = Judge()

        async def task(start: float) -> None:
            await trio.sleep(start)
            client = await bench.tls()
            await client.ask(ask(*count))
            await client.cut()

        for start in range(10):
            nursery.start_soon(task, start)
        await trio.sleep(60)
        assert [(each.attempt, each.failure) for each in seen(bench)] == [(1, failure)] * 10
        for event in bench.events:
            judge.listen(event)
        totals = judge.report().totals
        assert (totals.calls, totals.attempts) == (10, 10)


async def test_what_makes_a_body_another(autojump_clock: trio.testing.MockClock) -> None:
    """A client that mends a header or a parameter does not repeat what failed."""
    told = await observed(
        always(ok(b"{}")),
        ask(),
        ask(b"Anthropic-Beta: x"),
        ask(path="/v1/messages?beta=true"),
        ask(path="/v1/messages?key=secret"),
        ask(body=BODY + b" "),
    )
    digests = [each.body for each in told]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 4
    assert told[3].credential != told[0].credential


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ({"respond": 529}, "answer"),
        ({"break": "reset"}, "no-answer"),
        ({"break": {"how": "hang", "for": "5s"}}, "stalled"),
        ({"break": {"how": "hang"}}, "stalled"),
        ({"stream": {"after": {"count": 2}, "cut": True}}, "truncated"),
        ({"stream": {"after": {"count": 2}, "end": True}}, "truncated"),
        ({"stream": {"after": {"count": 2}, "error": True}}, "error-event"),
        ({"stream": {"after": {"count": 2}, "garble": 1}}, "malformed"),
        ({"stream": {"after": {"count": 2}, "stall": {}}}, "stalled"),
        ({"delay": 5}, None),
    ],
)
async def test_faults(
    autojump_clock: trio.testing.MockClock, late: bool, fault: Any, failure: str | None
) -> None:
    """Each is told as the failure that the client saw."""
    pieces = [b"%x\r\n%b\r\n" % (len(each), each) for each in message_events()]
    [told] = await observed(
        always(b"".join([SSE, *pieces, b"0\r\n\r\n"])), STREAM, rules=[{"fault": fault}]
    )
    assert told.stream is (True if failure or not late else None)
    assert told.failure == failure
    assert told.failure_kind == (None if failure is None else "transient")


HTML = {"respond": {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<html>"}}


@pytest.mark.parametrize(
    ("path", "fault", "failure"),
    [
        ("/v1/messages", HTML, "malformed"),
        ("/v1/messages", {"respond": {"status": 200, "body": ""}}, "malformed"),
        ("/v1/messages", {"respond": {"status": 200, "json": {"content": []}}}, None),
        ("/v1/files", HTML, None),  # it may be none in the API either
        ("/v1/messages", {"delay": 1}, None),
    ],
)
async def test_whole_answers_that_are_not_json(
    autojump_clock: trio.testing.MockClock, path: str, fault: Any, failure: str | None
) -> None:
    """A model's is a failure if a rule made it so."""
    [told] = await observed(always(ok(b"hello")), ask(path=path), rules=[{"fault": fault}])
    assert (told.failure, told.taken) == (failure, "whole")


async def test_a_client_that_leaves(autojump_clock: trio.testing.MockClock) -> None:
    """That is no failure of the API, and the silence until then is told; pings do not count."""

    async def pinging(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(SSE)
        for each in (*[b"data: 1\n\n"] * 10, *[b": ping\n\n"] * 90):
            await trio.sleep(1)
            await upstream.send(b"%x\r\n%b\r\n" % (len(each), each))

    async with open_bench(upstream=pinging) as bench:
        client = await bench.tls()
        await client.send(STREAM)
        await trio.sleep(30)
        await client.cut()
        await trio.sleep(5)
        [told] = seen(bench)
    assert (told.taken, told.failure) == ("left", None)
    assert told.quiet_seconds == pytest.approx(20, abs=0.1)


async def test_a_client_that_leaves_once_it_has_sent_its_request(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """While it was sending nobody kept silent, however long that took."""

    async with open_bench(upstream=silent) as bench:
        client = await bench.tls()
        await client.send(ask()[: -len(BODY)])
        for at in range(0, len(BODY), 4):
            await client.send(BODY[at : at + 4])
            await trio.sleep(60)
        await client.cut()
        await trio.sleep(5)
        [told] = seen(bench)
    assert told.taken == "left"
    assert told.call is not None
    assert told.quiet_seconds is not None
    assert told.quiet_seconds <= 61


async def test_a_client_that_leaves_behind_its_request_s_head(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Then the silence began with that."""
    async with open_bench(upstream=silent) as bench:
        await trio.sleep(60)
        client = await bench.tls()
        await client.send(ask()[: -len(BODY)])
        await trio.sleep(5)
        await client.cut()
        await trio.sleep(1)
        [told] = seen(bench)
    assert told.quiet_seconds == pytest.approx(5, abs=0.1)


CHUNKED_HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % (
    TARGET.encode()
)
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("pieces", "content"),
    [
        ([ask()], True),
        ([ask()[: -len(BODY)], BODY], True),
        ([ask()[: -len(BODY)], BODY[:1], BODY[1:-1], BODY[-1:]], True),
        ([CHUNKED_HEAD, CHUNKED], True),
        ([ask(b"Expect: 100-continue")], True),
        ([get("/v1/messages/batches")], True),
        ([ask(b"Expect: 100-continue")[: -len(BODY)]], False),
        ([ask()[:-1]], False),
        ([ask(body=b" " * (BODY_BYTES + 1))], False),
    ],
    ids=[
        "at once", "body later", "in pieces", "in chunks", "unasked", "no body",
        "body not wanted", "not whole", "too long",
    ],
)  # fmt: skip
async def test_a_client_that_leaves_during_a_delay(
    autojump_clock: trio.testing.MockClock, pieces: list[bytes], *, content: bool
) -> None:
    """What it asks for is read meanwhile, if it sends it: so its next attempt is known for one."""
    asked: list[object] = []

    async def remembers(upstream: Peer) -> None:
        asked.append(await upstream.read_message())

    async with open_bench(upstream=remembers) as bench:
        bench.rules({"fault": {"delay": 60}})
        for _ in range(2):
            client = await bench.tls()
            for piece in pieces:
                await client.send(piece)
                await trio.sleep(0.1)
            await trio.sleep(5)
            await client.cut()
            await trio.sleep(1)
        told = seen(bench)
    assert asked == []
    assert [each.attempt for each in told] == ([1, 2] if content else [None, None])
    assert [each.request is not None for each in told] == [content] * 2
    assert [each.taken for each in told] == ["left"] * 2


@pytest.mark.parametrize("leaves", [False, True])
async def test_requests_that_are_delayed_share_their_room(
    autojump_clock: trio.testing.MockClock, *, leaves: bool
) -> None:
    """Without room a request waits where it is; that its client leaves is not seen meanwhile.

    They give their room back whether they are passed on or not.
    """
    body = json.dumps({**DOCUMENT, "system": "x" * 600_000}).encode()
    bodies: list[bytes] = []

    async def remembers(upstream: Peer) -> None:
        message = await upstream.read_message()
        bodies.append(message.body if message else b"")
        await upstream.send(ok(b"{}"))

    async def asks(bench: Bench, number: int) -> None:
        await trio.sleep(number)
        client = await bench.tls()
        with trio.move_on_after(10 if leaves else inf):
            assert (await client.ask(ask(body=body))).status == 200
        await client.cut()

    async with open_bench(upstream=remembers) as bench:
        bench.runtime.delay_room = CopyRoom(1_000_000)
        bench.rules({"fault": {"delay": 30}})
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(asks, bench, number)
            await trio.sleep(5)
            least = bench.runtime.delay_room.left_bytes
        await trio.sleep(1)
        noticed = len(seen(bench))
        await trio.sleep(60)
    assert -200_000 < least <= 0
    assert bench.runtime.delay_room.left_bytes == 1_000_000
    assert noticed == (1 if leaves else 3)
    assert leaves or bodies == [body] * 3


async def test_a_request_that_was_delayed_gives_its_room_back_once_it_is_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """However long its answer takes."""

    async with open_bench(upstream=silent) as bench:
        bench.rules({"fault": {"delay": 5}})
        client = await bench.tls()
        await client.send(ask())
        left = []
        for _ in range(2):
            await trio.sleep(4)
            left.append(ROOM_BYTES - bench.runtime.delay_room.left_bytes)
        await client.cut()
    assert left == [len(BODY), 0]


async def test_what_is_found_out_late_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """What is kept till then, too: the copies of these bodies."""
    overloaded = b"HTTP/1.1 529 X\r\nContent-Length: 2\r\n\r\n{}"
    async with open_bench(upstream=always(overloaded)) as bench:
        for number in range(8):
            client = await bench.tls()
            body = json.dumps({**DOCUMENT, "system": f"{number}" * 100_000}).encode()
            await client.ask(ask(body=body))
            await client.cut()
        await trio.sleep(1)
        kept = ROOM_BYTES - bench.runtime.copy_room.left_bytes
    assert kept <= MOST_BYTES


async def test_what_went_well_takes_no_room(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing of its body is kept."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        client = await bench.tls()
        await client.ask(ask())
        await trio.sleep(1)
        assert [each.call for each in seen(bench)] == [1]
        assert bench.runtime.copy_room.left_bytes == ROOM_BYTES


@pytest.mark.parametrize("fault", [None, {"delay": 1}])
async def test_what_is_kept_of_what_waits(
    autojump_clock: trio.testing.MockClock, late: bool, fault: Any
) -> None:
    """Nothing that is secret, and nothing of what a rule did: it is looked at at once."""
    overloaded = b"HTTP/1.1 529 X\r\nContent-Length: 2\r\n\r\n{}"
    async with open_bench(upstream=always(overloaded)) as bench:
        bench.rules(*([{"fault": fault}] if fault else ()))
        client = await bench.tls()
        await client.ask(ask())
        await bench.exchange()
        waiting = list(bench.runtime.counters.backlog.steps)
        assert len(waiting) == (late and fault is None)
        for each in waiting:
            assert isinstance(each, Observer)
            assert each._facts.headers == {}


async def test_what_follows_is_looked_at_from_the_end_of_the_attempt_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Though its exchange is not over: the client may be the quicker one."""
    head = ResponseHead(200, b"OK", ())
    async with open_bench() as bench:
        await (await bench.tls()).cut()
        attempts = bench.runtime.counters.attempts
        for whole in (True, False):
            observer = Observer(bench.runtime, request(body={}))
            observer.end(ExchangeEnd("forwarded", head, answered=whole), None)
            assert (attempts.quiet_from > 0) is not whole


async def test_attempts_are_counted_in_order_though_only_some_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """One to which a rule does something is looked at as it is over, and those before it then."""
    overloaded = b"HTTP/1.1 529 X\r\nContent-Length: 2\r\n\r\n{}"
    rule = {"match": {"header": {"x-slow": "1"}}, "fault": {"delay": 1}}
    told = await observed(always(overloaded), ask(), ask(b"X-Slow: 1"), ask(), rules=[rule])
    assert [(each.call, each.attempt) for each in told] == [(1, 1), (1, 2), (1, 3)]


async def early(upstream: Peer, status: int) -> None:
    """Answer before the request's end."""
    await upstream.read_until(b"\r\n\r\n")
    await upstream.send(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status)
    await trio.sleep_forever()


async def test_an_answer_that_comes_before_its_request_s_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Of what call the request was is asked at the answer's end, when it is not known."""
    async with open_bench(upstream=partial(early, status=529)) as bench:
        client = await bench.tls()
        await client.send(ask()[: -len(BODY)])
        await trio.sleep(1)
        await client.send(BODY)
        await trio.sleep(1)
        await client.cut()
        [told] = seen(bench)
    assert (told.call, told.taken, told.failure) == (None, "whole", "answer")


async def test_an_answer_that_went_well_to_a_request_without_its_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What has come of its body is not taken for all."""
    async with open_bench(upstream=partial(early, status=200)) as bench:
        client = await bench.tls()
        await client.send(ask()[:-1])
        await trio.sleep(1)
        await client.cut()
        await trio.sleep(1)
        [told] = seen(bench)
    assert (told.call, told.taken, told.failure, told.body) == (1, "whole", None, None)


async def test_requests_that_are_not_read(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing can be said of them, and that is told."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        bench.rules({"fault": {"break": {"how": "reset", "at": "request"}}})
        for _ in range(3):
            client = await bench.tls()
            await client.send(ask()[: -len(BODY)])
            with pytest.raises((Cut, trio.BrokenResourceError)):
                await client.answer()
        judge = Judge()
        for event in bench.events:
            judge.listen(event)
        report = judge.report()
    assert report.totals.calls == 0
    assert [line.split(":")[1] for line in report.not_judged] == [
        " 3 requests, which were not followed as calls"
    ]


async def test_a_request_that_breaks_its_protocol_during_a_delay(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is refused as soon as that is seen."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        bench.rules({"fault": {"delay": 60}})
        client = await bench.tls()
        await client.send(CHUNKED_HEAD + b"2\r\n{}\r\n")
        await trio.sleep(1)
        began = trio.current_time()
        assert (await client.ask(b"no\r\n")).status == 400
        assert trio.current_time() - began < 1
        await bench.ended()


async def test_a_client_that_leaves_a_broken_event(autojump_clock: trio.testing.MockClock) -> None:
    """It leaves because of that."""

    async def slow(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(SSE)
        for each in message_events():
            await upstream.send(b"%x\r\n%b\r\n" % (len(each), each))
            await trio.sleep(10)

    async with open_bench(upstream=slow) as bench:
        bench.rules({"fault": {"stream": {"after": {"count": 1}, "garble": 1}}})
        client = await bench.tls()
        await client.send(STREAM)
        await trio.sleep(25)
        await client.cut()
        await trio.sleep(5)
        [told] = seen(bench)
    assert (told.taken, told.failure) == ("left", "malformed")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "cut"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n{", "cut"),
        (b"", "answer"),  # our own 502
        (SSE + b"8\r\ndata: 1\n\r\n", "truncated"),
        (
            SSE + b"17\r\nevent: error\ndata: {}\n\n\r\n0\r\n\r\n",
            "error-event",
        ),
    ],
)
async def test_failures_of_the_upstream(
    autojump_clock: trio.testing.MockClock, answer: bytes, failure: str
) -> None:
    """They are told as those that a rule makes."""
    [told] = await observed(always(answer), STREAM)
    assert told.failure == failure


async def test_the_run_ends_first(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing is claimed of how it would have gone on."""

    async with open_bench(upstream=silent) as bench:
        client = await bench.tls()
        await client.send(ask())
        await trio.sleep(1)
        bench.cancel_sessions()
        await trio.sleep(1)
        [told] = seen(bench)
    assert (told.taken, told.failure) == ("stopped", None)


async def test_bodies_that_tell_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Compressed ones are read once something has failed; others are no hindrance."""
    packed = gzip.compress(BODY)
    nested = b"[" * 5000 + b"]" * 5000
    deeper, deep = (
        b'{"messages":[{"content":' + b"[" * depth + b"]" * depth + b"}]}"
        for depth in (100_000, 800)
    )
    rules = [{"name": "r", "when": {"first": 1}, "fault": {"respond": 529}}]
    _, plain, told, broken, *others = await observed(
        always(ok(b"[" * 5000)),
        ask(path="/v1/messages?x"),
        ask(),
        ask(b"Content-Encoding: gzip", body=packed),
        ask(b"Content-Encoding: gzip", body=b"no gzip"),
        ask(body=nested),
        ask(body=deeper),
        ask(body=deep),  # how deep a value may be depends on Python's version
        rules=rules,
    )
    assert (told.model, told.prefix, told.request) == ("claude-x", plain.prefix, plain.request)
    assert (broken.model, broken.call) == (None, None)
    assert [each.prefix for each in others[:2]] == [None, None]
    assert len({each.call for each in others}) == 3


async def test_a_model_in_the_path(autojump_clock: trio.testing.MockClock) -> None:
    """Gemini and Bedrock have it there."""
    document = json.dumps({"contents": [{"parts": [{"text": "hi"}]}]}).encode()
    path = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
    signed = b"Authorization: AWS4-HMAC-SHA256 Credential=AKIA1/2027/x, Signature=%d"
    told = await observed(
        always(ok(b"{}")),
        post(path, document, signed % 1),
        post(path, document, signed % 2),
        post(path, document, b"Authorization: AWS4-HMAC-SHA256 odd"),
    )
    assert (told[0].model, told[0].stream) == ("gemini-x", True)
    assert told[0].credential == told[1].credential != told[2].credential


@pytest.mark.parametrize(
    ("body", "model", "stream"),
    [
        (b'{"model": "m", "stream": true}', "m", True),
        (b'{"stream" : false, "model" :\n"m"}', "m", False),
        (b'{"model": "m", "x": "\\"model\\": \\"n\\" \\"stream\\": true"}', "m", False),
        (b'{"model": "m", "x": {"model": "n"}}', None, None),
        (b'{"model": "m", "stream": true, "x": {"stream": 1}}', None, None),
        (b'{"model": "m", "stream": 1}', None, None),
        (b'{"model": 1}', None, None),
        (b'{"x": "model"}', None, None),
        (b"{}", None, None),
        (b"", None, False),
    ],
)
async def test_what_is_seen_of_a_body_that_is_not_parsed(
    autojump_clock: trio.testing.MockClock,
    late: bool,
    body: bytes,
    model: str | None,
    stream: bool | None,
) -> None:
    """The model and whether a stream is asked for, where that is sure, and is told."""
    [told] = await observed(always(ok(b"{}")), ask(body=body))
    assert (told.model, told.stream) == ((None, None) if late and body else (model, stream))


async def test_what_is_no_call(autojump_clock: trio.testing.MockClock) -> None:
    """Of housekeeping nothing is kept, whether or not a rule counts attempts."""
    host = "api.anthropic.com"
    async with open_bench(upstream=always(ok(b"{}")), targets=(host,)) as bench:
        for rules in ([], [COUNTING]):
            bench.rules(*rules)
            client = await bench.tls(f"{host}:443", host)
            await client.ask(get("/api/hello", host))
        assert seen(bench) == [None, None]


async def test_an_interim_answer(autojump_clock: trio.testing.MockClock) -> None:
    """It is not the head that a client waits for."""

    async def hints(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await trio.sleep(5)
        await upstream.send(ok(b"{}"))

    [told] = await observed(hints, ask())
    assert told.first_byte_seconds is not None
    assert told.first_byte_seconds >= 5


COUNTING: Any = {
    "match": {"attempt": {"at_least": 2}},
    "fault": {"respond": 529},
}


async def test_rules_that_count_attempts(autojump_clock: trio.testing.MockClock) -> None:
    """What they counted is what is told."""
    error = b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}"
    told = await observed(always(error), ask(), ask(), rules=[COUNTING])
    assert [(each.call, each.attempt) for each in told] == [(1, 1), (1, 2)]


async def test_a_body_that_is_too_long(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing is told of what it says."""
    [told] = await observed(always(ok(b"{}")), ask(body=b" " * (BODY_BYTES + 1)))
    assert (told.body, told.call, told.model) == (None, 1, None)
    assert told.taken == "whole"
    error = b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}"
    [told] = await observed(always(error), ask(body=b" " * (BODY_BYTES + 1)))
    assert (told.body, told.call, told.failure) == (None, None, "answer")


async def test_the_judge_follows(autojump_clock: trio.testing.MockClock) -> None:
    """A client that does not wait is found out, one that does is not."""
    error = b"HTTP/1.1 429 X\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\n{}"
    for gap, ids in ((1.0, ["retry-after-ignored"] * 2), (6.0, [])):
        async with open_bench(upstream=always(error)) as bench:
            for _ in range(3):
                client = await bench.tls()
                await client.ask(ask())
                await client.cut()
                await trio.sleep(gap)
            judge = Judge(ignore=["not-retried"])
            for event in bench.events:
                judge.listen(event)
        assert [finding.id for finding in judge.report().findings] == ids


async def test_a_final_answer_amid_attempts(autojump_clock: trio.testing.MockClock) -> None:
    """Ends the call, but not the trying: the last attempt is not all that the client tried."""
    statuses = [529, 529, 400, 529]
    heads = (b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % each for each in statuses)

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(next(heads))

    async with open_bench(upstream=script) as bench:
        for _ in statuses:
            client = await bench.tls()
            await client.ask(ask())
            await client.cut()
            await trio.sleep(1)
        assert [(each.call, each.attempt) for each in seen(bench)] == [
            (1, 1),
            (1, 2),
            (1, 3),
            (2, 1),
        ]
        judge = Judge(only=["not-retried"])
        for event in (*bench.events, sample(CommandEnded, time=bench.events[-1].time, code=1)):
            judge.listen(event)
    assert judge.report().findings == []


# Connections that a rule breaks


async def broken(bench: Bench, wait: float = 0.0, agent: bytes = b"a/1") -> None:
    """Ask for a tunnel, and begin TLS within it, as far as it goes; leave after a time."""
    client = bench.connect()
    head = b"CONNECT %b:443 HTTP/1.1\r\nHost: %b\r\nUser-Agent: %b\r\n\r\n"
    connect = head % (TARGET.encode(), TARGET.encode(), agent)
    with trio.move_on_after(wait or 1000), suppress(Cut, ssl.SSLError, trio.BrokenResourceError):
        if (await client.ask(connect)).status == 200:
            await client.start_tls(trusting_context(), TARGET)
            await client.ask(ask())
    await client.cut()
    await trio.sleep(1)


@pytest.mark.parametrize(
    ("fault", "failure", "kind"),
    [
        ({"respond": {"status": 502, "at": "connect"}}, "connect", "transient"),
        ({"respond": {"status": 407, "at": "connect"}}, "connect", "final"),
        ({"break": {"how": "reset", "at": "connect"}}, "connect", "transient"),
        ({"break": {"how": "reset", "at": "handshake"}}, "handshake", "transient"),
        ({"break": {"how": "tls-alert", "at": "handshake"}}, "handshake", "final"),
        (
            {"break": {"how": "tls-alert", "at": "handshake", "alert": "internal_error"}},
            "handshake",
            "transient",
        ),
        ({"break": {"how": "garbage", "at": "handshake"}, "delay": 2}, "handshake", "transient"),
    ],
)
async def test_connections_that_break_and_one_that_does_not(
    autojump_clock: trio.testing.MockClock, fault: Any, failure: str, kind: str
) -> None:
    """They are attempts of one call, by host and client, with the request that goes well."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        bench.rules({"when": {"first": 2}, "fault": fault})
        for _ in range(3):
            await broken(bench)
        await broken(bench, agent=b"b/1")
        first, second, third, other = seen(bench)
    assert [(each.call, each.attempt) for each in (first, second, third)] == [
        (1, n) for n in (1, 2, 3)
    ]
    assert (other.call, other.attempt) == (2, 1)
    assert {(each.failure, each.failure_kind, each.taken) for each in (first, second)} == {
        (failure, kind, "broken" if "break" in fault else "whole")
    }
    assert first.request == second.request != third.request
    assert second.gap_seconds == pytest.approx(1, abs=0.1)
    assert (third.failure, third.taken) == (None, "whole")
    assert third.gap_seconds == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("at", ["connect", "handshake"])
@pytest.mark.parametrize("wait", [3, None])
async def test_a_client_that_leaves_a_connection_which_hangs(
    autojump_clock: trio.testing.MockClock, at: str, wait: float | None
) -> None:
    """It is told, as is that it did not leave."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        bench.rules({"fault": {"break": {"how": "hang", "at": at, "for": 9}}})
        await broken(bench, wait or 0.0)
        [told] = seen(bench)
    assert (told.failure, told.taken) == (at, "left" if wait else "broken")


@pytest.mark.parametrize("expired", [False, True])
async def test_a_handshake_that_hangs_till_the_end(
    autojump_clock: trio.testing.MockClock, expired: bool
) -> None:
    """Of the run, or of the longest time that a connection may take."""
    async with open_bench(upstream=always(ok(b"{}"))) as bench:
        bench.rules({"fault": {"break": {"how": "hang", "at": "handshake"}}})
        client = await bench.tunnel()
        await client.send(client_hello(trusting_context(), TARGET))
        await trio.sleep(bench.runtime.limits.idle_seconds + 1 if expired else 1)
        if not expired:
            bench.cancel_sessions()
        await bench.ended()
        [told] = seen(bench)
    assert told.taken == ("broken" if expired else "stopped")


async def test_a_broken_connection_to_what_is_no_target(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is no call."""
    async with open_bench() as bench:
        bench.rules({"fault": {"respond": {"status": 502, "at": "connect"}}})
        client = bench.connect()
        connect = b"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example\r\n\r\n"
        assert (await client.ask(connect)).status == 502
        assert (await bench.exchange()).observed is None


async def test_only_the_first_request_of_a_connection_is_in_the_place_of_a_broken_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The next is a call of its own."""
    async with open_bench() as bench:
        bench.rules({"when": {"first": 1}, "fault": {"break": {"how": "reset", "at": "handshake"}}})
        with suppress(ssl.SSLError, trio.BrokenResourceError):
            await bench.tls()
        client = await bench.tls()
        for number in (b"1", b"2"):
            await client.ask(post("/v1/messages", number))
        assert [(each.call, each.attempt) for each in seen(bench)] == [(1, 1), (1, 2), (2, 1)]


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_that_an_exchange_begins(autojump_clock: trio.testing.MockClock, level: str) -> None:
    """Is told at debug, before what happens in it; else it would be one more line for each."""
    async with open_bench() as bench:
        bench.runtime.tells_starts = level == "debug"
        client = await bench.tls()
        await client.ask(post("/v1/messages?key=secret", b"{}"))
        ended = await bench.exchange()
        started = bench.of(ExchangeStarted)
        assert len(started) == (level == "debug")
        for event in started:
            same = ("session", "exchange", "client", "method", "host", "port", "path", "kind")
            assert [getattr(event, name) for name in same] == [
                getattr(ended, name) for name in same
            ]
            assert bench.events.index(event) < bench.events.index(ended)
