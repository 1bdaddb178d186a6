"""The fake API: what clients get, to the byte where bytes matter, and what it refuses."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from faultinject.net.memory_stream import memory_stream_pair
from faultinject.proxy.upstream.fake.fake_api import GAP_SECONDS, TEXT, FakeApi
from faultinject.settings import Limits
from tests.support.peer import Message, Peer

MESSAGES = "/v1/messages"
COMPLETIONS = "/v1/chat/completions"
RESPONSES = "/v1/responses"
ASKING = {"model": "some-model", "messages": [{"role": "user", "content": "How are you?"}]}


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Return a POST."""
    lines = "".join(f"{line}\r\n" for line in headers)
    head = f"POST {path} HTTP/1.1\r\nHost: api\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def served(api: FakeApi) -> AsyncIterator[Peer]:
    """Serve the API to one client; the API must end by itself once the client has left."""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(api.serve, far)
        try:
            yield Peer(near)
        finally:
            await near.aclose()


async def ask(path: str, document: Any, api: FakeApi | None = None) -> Message:
    """Ask once."""
    async with served(api or FakeApi(gap_seconds=0)) as client:
        return await client.ask(post(path, json.dumps(document).encode()))


def events_of(answer: Message) -> list[tuple[str | None, str]]:
    """Return the names and data of an answer's server-sent events."""
    blocks = answer.body.decode().split("\n\n")
    assert blocks.pop() == ""
    events = []
    for block in blocks:
        *name, data = block.split("\n")
        events.append((name[0].removeprefix("event: ") if name else None, data))
    assert all(data.startswith("data: ") for _, data in events)
    return [(name, data.removeprefix("data: ")) for name, data in events]


# Anthropic


async def test_a_message() -> None:
    """A plain request gets a message, with the headers that the API sends."""
    answer = await ask(MESSAGES, ASKING)
    assert answer.line == b"HTTP/1.1 200 OK"
    assert answer.header(b"content-type") == b"application/json"
    assert (answer.header(b"request-id") or b"").startswith(b"req_011C")
    message = answer.json()
    assert message["id"].startswith("msg_01")
    assert message | {"id": ""} == {
        "id": "",
        "type": "message",
        "role": "assistant",
        "model": "some-model",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 4, "output_tokens": len(TEXT.split())},
    }


async def test_a_streamed_message() -> None:
    """The events come in the API's order, framed and padded as the API does it."""
    answer = await ask(MESSAGES, ASKING | {"stream": True}, FakeApi("Well, thanks!", 0))
    assert answer.header(b"content-type") == b"text/event-stream; charset=utf-8"
    assert answer.header(b"transfer-encoding") == b"chunked"
    events = events_of(answer)
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    documents = [json.loads(data) for _, data in events]
    assert [document["type"] for document in documents] == [name for name, _ in events]
    assert documents[0]["message"]["content"] == []
    assert documents[3]["delta"] == {"type": "text_delta", "text": "Well,"}
    assert documents[4]["delta"] == {"type": "text_delta", "text": " thanks!"}
    assert documents[6]["delta"]["stop_reason"] == "end_turn"
    assert documents[6]["usage"] == {"output_tokens": 2}


async def test_padding() -> None:
    """Every event but the ping has 0 to 15 spaces before its last brace, and no other spaces."""
    answer = await ask(MESSAGES, ASKING | {"stream": True}, FakeApi("one two three", 0))
    paddings = set()
    for name, data in events_of(answer):
        if name == "ping":
            assert data == '{"type": "ping"}'
            continue
        content = data.removesuffix("}").rstrip(" ")
        assert content + "}" == json.dumps(json.loads(data), separators=(",", ":"))
        paddings.add(len(data) - len(content) - 1)
    assert paddings <= set(range(16))
    assert len(paddings) > 3


async def test_each_event_is_a_chunk_of_its_own() -> None:
    """Chunks and events coincide, and the end is a proper last chunk."""
    answer = await ask(MESSAGES, ASKING | {"stream": True}, FakeApi("one two", 0))
    chunks, rest = [], answer.raw_body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    assert chunks.pop() == b""
    assert len(chunks) == 8
    assert all(chunk.startswith(b"event: ") and chunk.endswith(b"\n\n") for chunk in chunks)


async def test_events_are_spaced_in_time(autojump_clock: trio.testing.MockClock) -> None:
    """A streamed event arrives as it is said, not with the last one."""
    async with served(FakeApi("one two")) as client:
        await client.send(post(MESSAGES, b'{"stream":true}'))
        began, arrivals = trio.current_time(), []
        await client.read_until(b"\r\n\r\n")
        while b"message_stop" not in await client.read_until(b"\n\n"):
            arrivals.append(trio.current_time() - began)
        assert arrivals == pytest.approx([GAP_SECONDS * number for number in range(7)])


# OpenAI


async def test_a_chat_completion() -> None:
    """A plain request gets a completion, with OpenAI's request id."""
    answer = await ask(COMPLETIONS, ASKING)
    assert answer.status == 200
    assert answer.header(b"x-request-id")
    completion = answer.json()
    assert completion["object"] == "chat.completion"
    assert completion["model"] == "some-model"
    [choice] = completion["choices"]
    assert choice["message"]["content"] == TEXT
    assert choice["finish_reason"] == "stop"
    assert completion["usage"]["prompt_tokens"] == 4


async def test_a_streamed_chat_completion() -> None:
    """The chunks hold the text in order and end with [DONE]; their events have no name."""
    answer = await ask(COMPLETIONS, ASKING | {"stream": True}, FakeApi("one two", 0))
    events = events_of(answer)
    assert {name for name, _ in events} == {None}
    assert events.pop() == (None, "[DONE]")
    chunks = [json.loads(data) for _, data in events]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "one"},
        {"content": " two"},
        {},
    ]
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None, None, None, "stop"]


async def test_a_response() -> None:
    """A plain request gets a completed response."""
    answer = await ask(RESPONSES, {"model": "some-model", "input": "Hello there"})
    response = answer.json()
    assert response["status"] == "completed"
    assert response["output"][0]["content"][0]["text"] == TEXT
    assert response["usage"]["input_tokens"] == 2


async def test_a_streamed_response() -> None:
    """The events are numbered, hold the text in order, and end with the whole response."""
    answer = await ask(RESPONSES, {"input": "Hello", "stream": True}, FakeApi("one two", 0))
    events = [(name, json.loads(data)) for name, data in events_of(answer)]
    assert [name for name, _ in events] == [document["type"] for _, document in events]
    documents = [document for _, document in events]
    assert [document["sequence_number"] for document in documents] == list(range(len(events)))
    deltas = [d["delta"] for d in documents if d["type"] == "response.output_text.delta"]
    assert deltas == ["one", " two"]
    assert documents[0]["response"]["status"] == "in_progress"
    assert documents[-1]["type"] == "response.completed"
    assert documents[-1]["response"]["output"][0]["content"][0]["text"] == "one two"


# What is refused


CHAT_TOOL = {"type": "function", "function": {"name": "look"}}
TOOLS = {
    MESSAGES: ({"name": "look", "input_schema": {}}, {"type": "any"}),
    COMPLETIONS: (CHAT_TOOL, CHAT_TOOL),
    RESPONSES: ({"type": "function", "name": "look"}, "required"),
}


def tool(path: str, name: str) -> dict[str, Any]:
    """A tool as a path's requests offer it."""
    return json.loads(json.dumps(TOOLS[path][0]).replace("look", name))


@pytest.mark.parametrize("path", TOOLS)
async def test_a_tool_that_acts_is_called_only_on_demand(path: str) -> None:
    """An offer is not enough, for a program would do what the call says."""
    demand = json.loads(json.dumps(TOOLS[path][1]).replace("look", "buy_now"))
    offered = [tool(path, "buy_now")]
    for more, called in (({}, False), ({"tool_choice": demand}, True)):
        answer = await ask(path, {**ASKING, "input": [], "tools": offered, **more})
        assert (b'"name":"buy_now"' in answer.body) is called


RESULTS = {
    MESSAGES: {"messages": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "look"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
        {"role": "user", "content": "And now?"},
    ]},
    COMPLETIONS: {"messages": [
        {"role": "assistant", "tool_calls": [{"id": "a"}]}, {"role": "tool", "tool_call_id": "a"},
    ]},
    RESPONSES: {"input": [{"type": "function_call_output", "call_id": "a"}]},
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", TOOLS)
async def test_an_agents_loop(path: str, stream: bool) -> None:
    """A tool that only looks is called first; its result gets a text."""
    asking = {**ASKING, "input": [], "stream": stream}
    asking["tools"] = [tool(path, "buy_now"), tool(path, "look_up"), tool(path, "list")]
    first = await ask(path, asking)
    assert b'"name":"look_up"' in first.body
    assert b"buy_now" not in first.body
    second = await ask(path, asking | RESULTS[path], FakeApi("done", 0))
    assert b"look_up" not in second.body
    assert b"done" in second.body


async def test_models() -> None:
    """Two vendors share the path; the version that Anthropic's clients name tells them apart."""
    async with served(FakeApi()) as client:

        async def get(path: str, *lines: str) -> Any:
            headers = "".join(f"{line}\r\n" for line in ("Host: api", *lines))
            answer = await client.ask(f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode())
            assert answer.status == 200
            return answer.json()

        [model] = (await get("/v1/models"))["data"]
        assert (model["id"], model["object"]) == ("fake-model", "model")
        assert (await get("/v1/models/some%2Fmodel"))["id"] == "some/model"
        listed = await get("/v1/models?limit=5", "anthropic-version: 2023-06-01")
        [model] = listed["data"]
        assert (model["id"], model["type"], listed["has_more"]) == ("fake-model", "model", False)
        one = await get("/v1/models/claude", "anthropic-version: 2023-06-01")
        assert (one["id"], one["display_name"]) == ("claude", "claude")
        assert (await client.ask(post("/v1/models", b"{}"))).status == 404
        assert (await client.ask(post("/v1/modelsx", b"{}"))).status == 404


ANTHROPICS, OPENAIS = b'"type":"model"', b'"object":"list"'


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        ("Host: api.anthropic.com\r\n", ANTHROPICS),
        ("Host: API.Anthropic.com:443\r\n", ANTHROPICS),
        ("Host: api.openai.com\r\nanthropic-version: 2023-06-01\r\n", OPENAIS),
        ("Host: gateway.example\r\nanthropic-version: 2023-06-01\r\n", ANTHROPICS),
        ("Host: no host\r\nanthropic-version: 2023-06-01\r\n", ANTHROPICS),
        ("Host:\r\n", OPENAIS),
    ],
)
async def test_whose_models_are_asked_for(lines: str, form: bytes) -> None:
    """The host says it first, then the version of the API that Anthropic's clients name."""
    async with served(FakeApi()) as client:
        answer = await client.ask(f"GET /v1/models HTTP/1.1\r\n{lines}\r\n".encode())
        assert form in answer.body


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("api.openai.com", b'{\n  "error": {'),
        ("api.anthropic.com", b'{"type":"error"'),
        ("x.example", b'{"type":"error"'),
    ],
)
async def test_what_is_not_served_is_refused_in_the_hosts_words(host: str, start: bytes) -> None:
    """A client of OpenAI's cannot read Anthropic's error."""
    async with served(FakeApi()) as client:
        answer = await client.ask(f"GET /v1/none HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.status == 404
        assert answer.body.startswith(start), answer.body


async def test_tokens_are_counted() -> None:
    """As words."""
    answer = await ask(MESSAGES + "/count_tokens", ASKING | {"stream": True})
    assert answer.json() == {"input_tokens": 4}


async def test_embeddings() -> None:
    """The same text has the same vector, of length 1, as numbers or as what SDKs ask for."""
    answer = await ask("/v1/embeddings", {"model": "m", "input": ["a b", "c", "a b"]})
    document = answer.json()
    vectors = [one["embedding"] for one in document["data"]]
    assert [one["index"] for one in document["data"]] == [0, 1, 2]
    assert [len(vector) for vector in vectors] == [1536] * 3
    assert [sum(number**2 for number in vector) for vector in vectors] == [1.0] * 3
    assert vectors[0] == vectors[2] != vectors[1]
    assert document["model"] == "m"
    assert document["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    packed = {"input": "a b", "encoding_format": "base64", "dimensions": 256}
    [one] = (await ask("/v1/embeddings", packed)).json()["data"]
    numbers = struct.unpack("<256f", base64.b64decode(one["embedding"]))
    assert sum(numbers) == 1.0
    for tokens in ([5, 6, 7], [[5, 6], [7]]):
        answer = await ask("/v1/embeddings", {"input": tokens})
        assert answer.json()["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    "request_",
    [{}, {"input": ""}, {"input": []}, {"input": [None]}, {"input": ["a"] * 2049}, {"input": 5},
     {"input": "a", "dimensions": 0}, {"input": "a", "dimensions": "x"}],
)  # fmt: skip
async def test_embeddings_of_nothing(request_: dict[str, Any]) -> None:
    """Are refused as the API does."""
    answer = await ask("/v1/embeddings", request_)
    assert answer.status == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", TOOLS)
async def test_a_base_url_with_v1_and_without(path: str) -> None:
    """Either is answered, and one that has it twice."""
    for sent in (path.removeprefix("/v1"), "/v1" + path):
        assert (await ask(sent, {**ASKING, "input": []})).status == 200
    assert (await ask("/v2" + path, {**ASKING, "input": []})).status == 404


async def test_a_path_that_is_not_served() -> None:
    """Other paths get the API's own 404, whatever the method."""
    async with served(FakeApi()) as client:
        answer = await client.ask(post("/v1/complete?beta=true", b"{}"))
        assert answer.status == 404
        assert answer.json()["error"]["type"] == "not_found_error"
        assert answer.json()["request_id"].encode() == answer.header(b"request-id")
        head = await client.ask(b"HEAD / HTTP/1.1\r\nHost: api\r\n\r\n")
        assert (head.status, head.body) == (404, b"")
        assert (await client.ask(post(MESSAGES + "?beta=true", b"{}"))).status == 200


async def test_a_method_that_is_not_served() -> None:
    """A GET on a path that takes a POST gets a 405."""
    async with served(FakeApi()) as client:
        answer = await client.ask(b"GET /v1/messages HTTP/1.1\r\nHost: api\r\n\r\n")
        assert answer.status == 405
        assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[]", b'"text"', b"[" * 200_000],
    ids=["empty", "cut", "no UTF-8", "a list", "a text", "deep"],
)
@pytest.mark.parametrize("path", [MESSAGES, COMPLETIONS, RESPONSES])
async def test_bad_json(path: str, body: bytes) -> None:
    """A body that is no JSON object gets a 400 in the API's shape; the connection goes on."""
    async with served(FakeApi()) as client:
        answer = await client.ask(post(path, body))
        assert answer.status == 400
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith("The request body is not")
        assert ("param" in error) == (path != MESSAGES)
        assert (await client.ask(post(path, b"{}"))).status == 200


async def test_a_deep_body_is_counted() -> None:
    """The words of nested texts count as the request's tokens, however deep they are."""
    deep: Any = "two words"
    for _ in range(300):
        deep = [{"content": deep, "number": 1}]
    answer = await ask(MESSAGES, {"messages": deep, "model": 5})
    assert answer.json()["usage"]["input_tokens"] == 2
    assert answer.json()["model"] == "fake-model"


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_body_that_is_too_large(framing: str) -> None:
    """It gets a 413 as the API's edge words it, and the connection ends."""
    body = b"x" * 2000
    request = post(MESSAGES, body)
    if framing == "chunks":
        head = b"POST /v1/messages HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n"
        request = head + b"%x\r\n%b\r\n" % (len(body), body)
    async with served(FakeApi(limits=Limits(drained_body_bytes=1000))) as client:
        answer = await client.ask(request)
        assert answer.status == 413
        assert answer.json()["error"]["type"] == "request_too_large"
        assert answer.header(b"connection") == b"close"
        assert await client.rest() == b""


async def test_a_body_that_is_too_large_for_another_api() -> None:
    """It is refused in that API's form."""
    async with served(FakeApi(limits=Limits(drained_body_bytes=1000))) as client:
        body = b"x" * 2000
        answer = await client.ask(
            b"POST /v2/chat HTTP/1.1\r\nHost: api.cohere.com\r\nContent-Length: 2000\r\n\r\n" + body
        )
        assert answer.status == 413
        assert answer.json()["message"] == "Request Entity Too Large"


async def test_a_client_that_waits_for_a_100() -> None:
    """It gets one, then its answer."""
    async with served(FakeApi()) as client:
        request = post(MESSAGES, b"{}", "Expect: 100-continue")
        await client.send(request[:-2])
        assert (await client.answer()).status == 100
        await client.send(request[-2:])
        assert (await client.answer()).status == 200


async def test_what_is_not_http() -> None:
    """It gets a 400, and the connection ends."""
    api = FakeApi()
    async with served(api) as client:
        await client.send(b"EHLO mail\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 400
        assert answer.header(b"connection") == b"close"
        assert await client.rest() == b""


# Connections


async def test_requests_on_one_connection() -> None:
    """A connection serves request after request; each has an id of its own and is counted."""
    api = FakeApi()
    async with served(api) as client:
        answers = [await client.ask(post(MESSAGES, b"{}")) for _ in range(3)]
    assert len({answer.header(b"request-id") for answer in answers}) == 3
    assert len({answer.json()["id"] for answer in answers}) == 3
    assert api.request_count == 3


async def test_the_same_run_gives_the_same_answers() -> None:
    """Ids come from a count, not from a random source."""
    first, second = await ask(MESSAGES, ASKING), await ask(MESSAGES, ASKING)
    assert first.body == second.body


async def test_connection_close_is_obeyed() -> None:
    """A client that asks for the connection's end gets it."""
    async with served(FakeApi()) as client:
        assert (await client.ask(post(MESSAGES, b"{}", "Connection: close"))).status == 200
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "request_bytes",
    [post(MESSAGES, b"{}")[:-1], post(MESSAGES, b'{"stream":true}')],
    ids=["in its request", "in its answer"],
)
async def test_a_client_that_leaves(
    request_bytes: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    """A client that leaves within its request or its answer ends its own connection only."""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(FakeApi().serve, far)
        await near.send_all(request_bytes)
        await trio.testing.wait_all_tasks_blocked()
        await near.aclose()


PREFLIGHT = (
    b"OPTIONS /v1/messages HTTP/1.1\r\nHost: x\r\nOrigin: http://localhost:3000\r\n"
    b"Access-Control-Request-Method: POST\r\n%bContent-Length: 0\r\n\r\n"
)


async def test_a_preflight_of_a_page() -> None:
    """It is allowed what it asks for; then the page may see the answer, and its id."""
    async with served(FakeApi()) as client:
        answer = await client.ask(PREFLIGHT % b"")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.header(b"access-control-allow-origin") == b"*"
        assert answer.header(b"access-control-allow-methods") == b"POST"
        assert answer.header(b"access-control-allow-headers") is None
        wanted = b"authorization,content-type"
        answer = await client.ask(PREFLIGHT % b"Access-Control-Request-Headers: %b\r\n" % wanted)
        assert answer.header(b"access-control-allow-headers") == wanted
        answer = await client.ask(post("/v1/messages", b"{}", "Origin: http://localhost:3000"))
        assert answer.header(b"access-control-allow-origin") == b"*"
        assert b"request-id" in (answer.header(b"access-control-expose-headers") or b"")


async def test_no_page() -> None:
    """Whoever is no browser gets none of that."""
    answer = await ask("/v1/messages", {})
    assert not any(name.lower().startswith(b"access-control") for name, _ in answer.headers)


async def test_a_websocket_is_not_offered(autojump_clock):
    """A 426 has Codex ask again at once without; any other refusal costs it seconds."""
    upgrade = (
        f"GET {RESPONSES} HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\n\r\n"
    )
    async with served(FakeApi(gap_seconds=0)) as client:
        answer = await client.ask(upgrade.encode())
        assert (answer.status, answer.header(b"upgrade")) == (426, b"HTTP/1.1")
        assert b"\r\nConnection: Upgrade\r\n" in answer.head
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert (await client.ask(post(RESPONSES, json.dumps(ASKING).encode()))).status == 200


async def test_a_compressed_request() -> None:
    """It is read as the API reads it; what is not what its header says is no JSON."""
    body = gzip.compress(json.dumps({"model": "m", "messages": []}).encode(), mtime=0)
    async with served(FakeApi(gap_seconds=0)) as client:
        answer = await client.ask(post("/v1/messages", body, "Content-Encoding: gzip"))
        assert answer.status == 200
        answer = await client.ask(post("/v1/messages", body, "Content-Encoding: br"))
        assert answer.status == 400


GEMINI_TOOLS = {"tools": [{"functionDeclarations": [{"name": "delete_file"}]}]}


@pytest.mark.parametrize(
    ("path", "content_type", "says"),
    [
        ("/v1/models/m:generateContent", "application/json", '"candidates"'),
        ("/v1/models/m:streamGenerateContent?alt=sse", "text/event-stream", "data: {"),
        (
            "/v1/models/m:streamGenerateContent",
            "application/json; charset=UTF-8",
            '"finishReason": "STOP"',
        ),
        ("/v1/models/m:countTokens", "application/json", '"totalTokens": 0'),
        ("/model/m/converse", "application/json", '"stopReason":"end_turn"'),
        ("/model/m/converse-stream", "application/vnd.amazon.eventstream", "messageStop"),
        ("/api/chat", "application/x-ndjson", '"done":true'),
    ],
)
async def test_other_apis_say_a_text_in_their_own_form(
    path: str, content_type: str, says: str
) -> None:
    """They call no tool that acts."""
    answer = await ask(path, GEMINI_TOOLS)
    assert answer.line == b"HTTP/1.1 200 OK"
    assert answer.header(b"content-type") == content_type.encode()
    body = answer.body.decode("utf-8", "replace")
    assert says in body
    assert "delete_file" not in body


async def test_other_hosts_refuse_in_their_own_words() -> None:
    """What is not served on a host of a known API is an error of that API."""
    async with served(FakeApi()) as client:
        await client.send(b"GET /v1/x HTTP/1.1\r\nHost: generativelanguage.googleapis.com\r\n\r\n")
        answer = await client.read_message()
    assert answer.line == b"HTTP/1.1 404 Not Found"
    assert b'"status": "NOT_FOUND"' in answer.body


def to(host: str, path: str, document: Any) -> bytes:
    """Return a POST to a host."""
    return post(path, json.dumps(document).encode()).replace(
        b"Host: api", b"Host: " + host.encode()
    )


READ_FILE = {"type": "function", "function": {"name": "read_file", "parameters": {}}}
AZURE = "x.openai.azure.com"


ACTS = {"type": "function", "function": {"name": "delete_file"}}
BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"
GOOGLE = "generativelanguage.googleapis.com"
CHAT_LOOP = (
    ASKING | {"tools": [ACTS, READ_FILE]},
    {"tools": [ACTS], "tool_choice": "required"},
    {"messages": [*ASKING["messages"], {"role": "tool", "tool_call_id": "c", "content": "text"}]},
)
"""A request with tools, what is changed in it to demand a call, and what to answer one."""
COHERE_LOOP = (CHAT_LOOP[0], {"tools": [ACTS], "tool_choice": "REQUIRED"}, CHAT_LOOP[2])
OLLAMA_LOOP = (CHAT_LOOP[0] | {"stream": False}, None, CHAT_LOOP[2])
ASKED_GEMINI = {"role": "user", "parts": [{"text": "What is there?"}]}
GEMINI_LOOP = (
    {
        "contents": [ASKED_GEMINI],
        "tools": [{"functionDeclarations": [{"name": "delete_file"}, {"name": "read_file"}]}],
    },
    {
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["delete_file"]}
        }
    },
    {"contents": [ASKED_GEMINI, {"parts": [{"functionResponse": {"name": "read_file"}}]}]},
)
WRAPPED_LOOP = tuple({"request": GEMINI_LOOP[0] | part} for part in ({}, *GEMINI_LOOP[1:]))
ASKED_CONVERSE = {"role": "user", "content": [{"text": "What is there?"}]}
SPECS = [{"toolSpec": {"name": name}} for name in ("delete_file", "read_file")]
CONVERSE_LOOP = (
    {"messages": [ASKED_CONVERSE], "toolConfig": {"tools": SPECS}},
    {"toolConfig": {"tools": SPECS, "toolChoice": {"tool": {"name": "delete_file"}}}},
    {"messages": [ASKED_CONVERSE, {"role": "user", "content": [{"toolResult": {}}]}]},
)
INVOKE_LOOP = (
    {"messages": [{"role": "user", "content": "What is there?"}],
     "tools": [{"name": name, "input_schema": {}} for name in ("delete_file", "read_file")]},
    {"tool_choice": {"type": "tool", "name": "delete_file"}},
    {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]},
)  # fmt: skip
LOOPS = [
    ("openrouter.ai", "/api/v1/chat/completions", CHAT_LOOP),
    (AZURE, "/openai/deployments/d/chat/completions?api-version=1", CHAT_LOOP),
    ("api.mistral.ai", "/v1/chat/completions", CHAT_LOOP),
    ("api.groq.com", "/openai/v1/chat/completions", CHAT_LOOP),
    ("api.x.ai", "/v1/chat/completions", CHAT_LOOP),
    ("api.deepseek.com", "/chat/completions", CHAT_LOOP),
    ("api.cohere.com", "/v2/chat", COHERE_LOOP),
    ("localhost", "/api/chat", OLLAMA_LOOP),
    (GOOGLE, "/v1/models/m:generateContent", GEMINI_LOOP),
    (GOOGLE, "/v1/models/m:streamGenerateContent?alt=sse", GEMINI_LOOP),
    (GOOGLE, "/v1/models/m:streamGenerateContent", GEMINI_LOOP),
    ("cloudcode-pa.googleapis.com", "/v1internal:streamGenerateContent?alt=sse", WRAPPED_LOOP),
    (BEDROCK, "/model/m/converse", CONVERSE_LOOP),
    (BEDROCK, "/model/m/converse-stream", CONVERSE_LOOP),
    (BEDROCK, "/model/m/invoke", INVOKE_LOOP),
    (BEDROCK, "/model/m/invoke-with-response-stream", INVOKE_LOOP),
]


def said(answer: Message) -> str:
    """Return an answer's text, with what Amazon's frames have in base64 as text."""
    text = answer.body.decode("utf-8", "replace")
    coded = re.findall(r'"bytes":"([^"]*)"', text)
    return text + "".join(base64.b64decode(each).decode() for each in coded)


def calls(answer: Message, name: str) -> bool:
    """Return True if a tool of this name is called."""
    assert answer.status == 200
    return re.search(rf'"name": ?"{name}"', said(answer)) is not None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("host", "path", "loop"), LOOPS, ids=[path for _, path, _ in LOOPS])
async def test_an_agents_loop_at_each_api(
    host: str, path: str, loop: tuple[dict[str, Any], ...], streamed: bool
) -> None:
    """A tool that only reads is called, one that acts on demand alone; a result ends the loop."""
    asks, demand, answered = loop
    flag = {"stream": True} if streamed else {}
    async with served(FakeApi(gap_seconds=0)) as client:
        answer = await client.ask(to(host, path, asks | flag))
        assert calls(answer, "read_file")
        assert not calls(answer, "delete_file")
        if demand is not None:
            assert calls(await client.ask(to(host, path, asks | demand | flag)), "delete_file")
        answer = await client.ask(to(host, path, asks | answered | flag))
        assert not calls(answer, "read_file")
        assert "faultinject" in said(answer)


@pytest.mark.parametrize(
    ("host", "path", "told"),
    [
        ("api.groq.com", "/openai/v1/chat/completions", True),
        (AZURE, "/openai/deployments/d/chat/completions?api-version=1", True),
        ("api.openai.com", "/v1/responses", True),
        ("api.openai.com", "/v1/chat/completions", True),
        ("api.mistral.ai", "/v1/chat/completions", False),
        ("api.anthropic.com", "/v1/messages", False),
        (BEDROCK, "/model/m/converse", False),
    ],
)
async def test_limits_are_told_where_good_answers_have_them(
    host: str, path: str, told: bool
) -> None:
    """Something is left of each, whole and streamed; OpenAI's errors do not have them."""
    async with served(FakeApi(gap_seconds=0)) as client:
        for stream in (False, True):
            answer = await client.ask(to(host, path, ASKING | {"stream": stream}))
            left = [
                answer.header(b"x-ratelimit-remaining-" + what) for what in (b"requests", b"tokens")
            ]
            assert all(int(each) > 0 for each in left if each is not None)
            assert (None not in left) is told
        answer = await client.ask(to(host, path, []))
        has = answer.header(b"x-ratelimit-remaining-requests") is not None
        assert (answer.status, has) == (400, told and host != "api.openai.com")


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("chatgpt.com", "/backend-api/codex/responses"),
        ("api.githubcopilot.com", "/responses"),
        ("api.x.ai", "/v1/responses"),
    ],
)
async def test_responses_elsewhere(host: str, path: str) -> None:
    """Where Codex and Copilot ask, and at other vendors."""
    async with served(FakeApi(gap_seconds=0)) as client:
        answer = await client.ask(to(host, path, {"model": "m", "input": "x"}))
        assert answer.json()["object"] == "response"
        assert (await client.ask(to(host, path + "/x", {}))).status == 404


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (AZURE, "/openai/v1"),
        ("openrouter.ai", "/api/v1"),
        ("api.groq.com", "/openai/v1"),
        ("api.deepseek.com", ""),
    ],
)
async def test_models_and_embeddings_elsewhere(host: str, base: str) -> None:
    """Under each API's own prefix; a bad input is refused in its own words."""
    async with served(FakeApi(gap_seconds=0)) as client:
        await client.send(f"GET {base}/models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await client.read_message()).json()["object"] == "list"
        answer = await client.ask(to(host, f"{base}/embeddings", {"input": "x"}))
        assert len(answer.json()["data"]) == 1
        answer = await client.ask(to(host, f"{base}/embeddings", {"input": 5}))
        assert answer.status == 400
        assert "message" in answer.json()["error"]


MCP = "Accept: application/json, text/event-stream"
LISTED = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}


async def ask_mcp(body: bytes, *headers: str) -> Message:
    """Send a message to the API as an MCP server."""
    async with served(FakeApi(gap_seconds=0)) as client:
        return await client.ask(post("/mcp", body, MCP, *headers))


async def test_mcp_messages_may_be_compressed() -> None:
    """As the proxy reads them too."""
    body = gzip.compress(json.dumps(LISTED).encode())
    answer = await ask_mcp(body, "Content-Encoding: gzip")
    assert json.loads(answer.body)["id"] == 7
    assert (await ask_mcp(body[:-9], "Content-Encoding: gzip")).status == 404


@pytest.mark.parametrize(
    "message",
    [LISTED | {"id": [[1]]}, LISTED | {"id": None}, LISTED | {"id": 1.5}, [LISTED]],
    ids=["list", "null", "fraction", "batch"],
)
async def test_mcp_messages_that_are_refused(message: Any) -> None:
    """What is waited for must not be taken as a notification, which gets no answer."""
    answer = await ask_mcp(json.dumps(message).encode())
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["code"] == -32600
