"""MCP over streamable HTTP, through the proxy: how it is known, and how it fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define

from faultinject.config.rules import read_rules
from faultinject.events import ExchangeEnded
from faultinject.proxy.upstream.fake.fake_api import FakeApi
from faultinject.rules import RuleSet
from tests.support.bench import Bench, open_bench
from tests.support.peer import Cut, Message, Peer

HOST = "mcp.example.com"
BOTH = "Accept: application/json, text/event-stream"
SESSION = "Mcp-Session-Id: abc"
INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
CALL = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {"name": "add", "arguments": {"a": 1, "b": 2}},
}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
NOTE = {"jsonrpc": "2.0", "method": "notifications/initialized"}


@define
class Program:
    """A program that asks an MCP server, which is the fake API."""

    bench: Bench

    async def ask(
        self, document: Any, *headers: str, method: str = "POST", path: str = "/mcp"
    ) -> Message:
        """Ask once, on a connection of its own."""
        client = await self.bench.tls(f"{HOST}:443", HOST)
        body = b"" if document is None else json.dumps(document).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(headers or (BOTH,))]
        length = f"Content-Length: {len(body)}"
        try:
            return await client.ask("\r\n".join([*lines, length, "", ""]).encode() + body)
        finally:
            await client.cut()


@asynccontextmanager
async def program(*rules: dict[str, Any]) -> AsyncIterator[Program]:
    """Run rules, and yield a program."""
    api = FakeApi()

    async def serve(upstream: Peer) -> None:
        await api.serve(upstream.stream)

    async with open_bench(upstream=serve, targets=(HOST,)) as bench:
        bench.runtime.rule_set = RuleSet(read_rules(list(rules), "test").rules, 1)
        yield Program(bench)


def messages(answer: Message) -> list[Any]:
    """Return the messages of a stream, without events that have no data."""
    blocks = answer.body.decode().split("\n\n")
    lines = [line for block in blocks for line in block.split("\n") if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


FAILS = {"match": {"provider": "mcp"}, "fault": {"respond": {"failure": "internal-error"}}}


@pytest.mark.parametrize(
    ("document", "headers", "path", "is_known"),
    [
        (CALL, [BOTH], "/mcp", True),
        (CALL, ["Accept: text/event-stream", "Accept: application/json"], "/", True),
        (CALL, ["MCP-Protocol-Version: 2025-06-18"], "/x/y?z", True),
        ([LIST, CALL], [SESSION], "/mcp", True),
        (CALL, ["Accept: application/json"], "/mcp", False),
        ({"id": 7, "method": "tools/call"}, [SESSION], "/mcp", False),
        ([], [SESSION], "/mcp", False),
        ("text", [SESSION], "/mcp", False),
        (CALL, [SESSION], "/v1/messages", False),
    ],
)
async def test_what_is_known(
    document: Any, headers: list[str], path: str, is_known: bool, autojump_clock: trio.abc.Clock
) -> None:
    """By a mark in the head and by the body, and only if no other API has the path."""
    async with program(FAILS) as one:
        answer = await one.ask(document, *headers, path=path)
        assert (b"Internal error" in answer.body) is is_known
        one.bench.runtime.rule_set = RuleSet((), 1)
        await one.ask(document, *headers, path=path)
        seen = [event.observed for event in one.bench.of(ExchangeEnded)]
        assert [each is not None and each.provider == "mcp" for each in seen] == [is_known] * 2


async def test_requests_without_a_body(autojump_clock: trio.abc.Clock) -> None:
    """One of the headers is enough for them; they are no calls."""
    async with program({"fault": {"respond": {"status": 404}}}) as one:
        for method in ("GET", "DELETE"):
            answer = await one.ask(None, SESSION, method=method)
            assert answer.json()["error"]["message"] == "Session not found"
            answer = await one.ask(None, BOTH, method=method)
            assert "jsonrpc" not in answer.json()
        kinds = [event.kind for event in one.bench.of(ExchangeEnded)]
        assert kinds == ["housekeeping", "api"] * 2


async def test_rules_before_the_body_do_not_know_it(autojump_clock: trio.abc.Clock) -> None:
    """There it is plain: a break at the request is for the former, and happens."""
    rule = {"match": {"provider": "plain"}, "fault": {"break": {"how": "close", "at": "request"}}}
    async with program(FAILS, rule) as one:
        with pytest.raises((Cut, trio.BrokenResourceError)):
            await one.ask(CALL)


async def test_the_message_says_what_a_request_is_for(autojump_clock: trio.abc.Clock) -> None:
    """On one path and with one head."""
    rule = {
        "match": {"housekeeping": False},
        "fault": {"respond": {"failure": "tool-error"}},
    }
    async with program(rule) as one:
        begun = await one.ask(INITIALIZE)
        assert begun.json()["result"]["serverInfo"]["name"] == "faultinject"
        assert (await one.ask(NOTE)).status == 202
        assert (await one.ask(PING)).json()["result"] == {}
        answer = (await one.ask(CALL)).json()
        assert (answer["id"], answer["result"]["isError"]) == (7, True)
        answer = (await one.ask(LIST)).json()
        assert (answer["id"], answer["error"]["code"]) == (1, -32603)
        assert (await one.ask(NOTE)).status == 202


async def test_a_rule_of_ones_own_meets_the_beginning_of_a_session(
    autojump_clock: trio.abc.Clock,
) -> None:
    """If it does not leave out housekeeping, as presets do."""
    rule = {"match": {"json": {"method": "initialize"}}, "fault": {"respond": {"status": 503}}}
    async with program(rule) as one:
        assert (await one.ask(INITIALIZE)).status == 503
        assert (await one.ask(LIST)).status == 200


async def test_the_headers_of_the_fake_server(autojump_clock: trio.abc.Clock) -> None:
    """A session has an id, and no other API's id of a request stands beside it."""
    async with program() as one:
        for document in (INITIALIZE, LIST, CALL, NOTE, [LIST]):
            answer = await one.ask(document)
            names = {name.lower() for name, _ in answer.headers}
            assert (b"mcp-session-id" in names) is (document is INITIALIZE)
            assert not any(b"request-id" in name for name in names)


async def test_attempts_have_other_ids(autojump_clock: trio.abc.Clock) -> None:
    """The same message with another number, and another token, is the next attempt."""
    rule = {
        "match": {"attempt": 1},
        "fault": {"respond": {"status": 503}},
    }
    async with program(rule) as one:
        again = CALL | {"id": 8, "params": CALL["params"] | {"_meta": {"progressToken": 1}}}  # type: ignore[operator]
        assert [(await one.ask(each)).status for each in (CALL, again)] == [503, 200]
        other = CALL | {"params": {"name": "echo", "arguments": {"text": "x"}}}
        assert (await one.ask(other)).status == 503


@pytest.mark.parametrize(
    ("form", "last"),
    [
        ("error", {"code": -32603, "message": "Service Unavailable"}),
        ("tool", {"content": [{"type": "text", "text": "no"}], "isError": True}),
    ],
)
async def test_streams_that_fail(
    form: str, last: dict[str, Any], autojump_clock: trio.abc.Clock
) -> None:
    """The last message has the request's id."""
    words = {"message": "no"} if form == "tool" else {}
    error = {"failure": "overloaded", "form": form, **words}
    rule = {"match": {"stream": True}, "fault": {"stream": {"after": {"count": 3}, "error": error}}}
    async with program(rule) as one:
        said = messages(await one.ask(CALL))
        assert len(said) == 3  # the first event has no data
        assert said[-1] == {
            "jsonrpc": "2.0",
            "id": 7,
            "error" if form == "error" else "result": last,
        }


async def test_the_rest_of_a_stream(autojump_clock: trio.abc.Clock) -> None:
    """An event with an id says how to come back; the fake API has the rest for any."""
    rule = {
        "match": {"json": {"method": "tools/call"}},
        "fault": {"stream": {"at": "first-event", "error": {"form": "resumable"}}},
    }
    async with program(rule) as one:
        answer = await one.ask(CALL | {"id": "a-1"})
        assert answer.body == b"id: %22a-1%22-resumed\nretry: 500\ndata: \n\n"
        answer = await one.ask(None, SESSION, "Last-Event-ID: %22a-1%22-resumed", method="GET")
        [said] = messages(answer)
        assert (said["id"], said["result"]["isError"]) == ("a-1", False)


async def test_a_stream_without_its_result(autojump_clock: trio.abc.Clock) -> None:
    """Made up, it has no event with an id: the rest cannot be asked for."""
    point = {"before": {"where": {"result": {"present": True}}}, "end": True}
    rule = {"match": {"stream": True}, "fault": {"stream": point | {"upstream": "skipped"}}}
    async with program(rule) as one:
        answer = await one.ask(CALL)
        assert b"id: " not in answer.body
        assert all("method" in each for each in messages(answer))


async def test_a_client_that_leaves_at_the_answer_has_all(autojump_clock: trio.abc.Clock) -> None:
    """As the SDKs do."""

    async def serve(upstream: Peer) -> None:
        await upstream.read_message()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        await upstream.send(
            head + b'event: message\r\ndata: {"jsonrpc":"2.0","id":7,"result":{}}\r\n\r\n'
        )
        await upstream.rest()

    async with open_bench(upstream=serve, targets=(HOST,)) as bench:
        client = await bench.tls(f"{HOST}:443", HOST)
        body = json.dumps(CALL).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: {HOST}\r\n{BOTH}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        await client.send(head.encode() + body)
        seen = b""
        while b"result" not in seen:
            seen += await client.receive()
        await client.cut()
    [event] = bench.of(ExchangeEnded)
    assert event.outcome == "forwarded"


async def test_a_small_server(autojump_clock: trio.abc.Clock) -> None:
    """What the fake API answers, as JSON and as a stream."""
    async with program() as one:
        answer = await one.ask(INITIALIZE)
        assert answer.json()["result"]["protocolVersion"] == "2025-06-18"
        assert answer.header(b"mcp-session-id")
        asked = INITIALIZE | {"params": {"protocolVersion": "2025-11-25"}}
        assert (await one.ask(asked)).json()["result"]["protocolVersion"] == "2025-11-25"
        tools = (await one.ask(LIST)).json()["result"]["tools"]
        assert [tool["name"] for tool in tools] == ["echo", "add"]
        assert (await one.ask(LIST | {"method": "ping"})).json()["result"] == {}
        assert (await one.ask(LIST | {"method": "x"})).json()["error"]["code"] == -32601
        said = messages(await one.ask(CALL))
        assert said[0]["method"] == "notifications/message"
        assert said[-1]["result"]["content"][0]["text"] == "3"
        for arguments, text in (({"a": 1}, "must be numbers"), ({"a": "x", "b": 2}, "numbers")):
            call = CALL | {"params": {"name": "add", "arguments": arguments}}
            result = messages(await one.ask(call))[-1]["result"]
            assert result["isError"]
            assert text in result["content"][0]["text"]
        call = CALL | {
            "params": {"name": "echo", "arguments": {"text": "x"}, "_meta": {"progressToken": 5}}
        }
        said = messages(await one.ask(call))
        assert (said[0]["params"]["progressToken"], said[-1]["result"]["content"][0]["text"]) == (
            5,
            "x",
        )
        unknown = CALL | {"params": {"name": "y"}}
        assert messages(await one.ask(unknown))[-1]["error"]["code"] == -32602
        assert (await one.ask(None, SESSION, method="GET")).status == 405
        assert (await one.ask(None, SESSION, "Last-Event-ID: x", method="GET")).status == 405
        assert (await one.ask(None, SESSION, method="DELETE")).status == 200
        assert (await one.ask(None, BOTH, method="DELETE")).status == 404
