"""The APIs that the SDKs ask, as far as their success needs it: pages for `origin.Origin`.

Anthropic's Messages API, OpenAI's Chat Completions and Responses, plain and streamed, with the
events spaced in time. The shapes are those of the vendors' API references
(https://docs.anthropic.com/en/api/messages, https://platform.openai.com/docs/api-reference).
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.exchange import Exchange
from tests.support.origin import Page

TEXT = "Hello world"
"""What every model says."""
WORDS = ("Hello", " world")
ZERO_CHUNK = b"0\r\n\r\n"

_SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Connection: keep-alive\r\n"
    b"Cache-Control: no-cache\r\n"
    b"request-id: req_011CorigincorigincoriginX\r\n"
    b"X-Robots-Tag: none\r\n"
    b"Server: cloudflare\r\n"
    b"CF-RAY: 96905098c993faae-SJC\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    """Return data as one chunk (RFC 9112 section 7.1)."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def json_answer(value: Any) -> bytes:
    """Return a whole 200 answer with a JSON body."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"request-id: req_011CorigincorigincoriginX\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


def sse_event(data: Any, name: str | None = None) -> bytes:
    """Return one server-sent event, as both vendors write them."""
    line = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return (f"event: {name}\n" if name else "").encode() + f"data: {line}\n\n".encode()


def _typed(*events: dict[str, Any]) -> list[bytes]:
    return [sse_event(event, event["type"]) for event in events]


def _message(content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_01Origin", "type": "message", "role": "assistant", "model": "m",
        "content": content, "stop_reason": stop_reason, "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }  # fmt: skip


def message_events() -> list[bytes]:
    """Return the events of a streamed message, a ping among them."""
    delta = {"type": "content_block_delta", "index": 0}
    begin = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        *_typed({"type": "message_start", "message": _message([], None)}, begin),
        sse_event('{"type": "ping"}', "ping"),
        *_typed(*(delta | {"delta": {"type": "text_delta", "text": word}} for word in WORDS)),
        *_typed(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ),
    ]


def _completion(kind: str, **choice: Any) -> dict[str, Any]:
    first = {"index": 0, "finish_reason": None} | choice
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "m", "choices": [first]}


def completion_events() -> list[bytes]:
    """Return the events of a streamed chat completion, ``[DONE]`` included."""
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS)]
    chunks = [_completion("chat.completion.chunk", delta=delta) for delta in deltas]
    last = _completion("chat.completion.chunk", delta={}, finish_reason="stop")
    return [*map(sse_event, [*chunks, last]), sse_event("[DONE]")]


def _response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status,
        "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip


def response_events() -> list[bytes]:
    """Return the events of a streamed response (OpenAI's Responses API)."""
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress"}
    done = item | {"status": "completed", "content": [part]}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    out = "response.output_"
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": out + "item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.content_part.added", **at, "part": part | {"text": ""}},
        *({"type": out + "text.delta", **at, "delta": word, "logprobs": []} for word in WORDS),
        {"type": out + "text.done", **at, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": out + "item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": _response("completed", [done])},
    ]
    return _typed(*(event | {"sequence_number": n} for n, event in enumerate(events)))


def send_stream(exchange: Exchange, events: list[bytes], gap_seconds: float) -> None:
    """Send a chunked event stream, an event a chunk, pausing before each event."""
    exchange.send(_SSE_HEAD)
    for event in events:
        exchange.pause(gap_seconds)
        exchange.send(chunk(event))
    exchange.send(ZERO_CHUNK)


def llm_pages(gap_seconds: float = 0.01) -> dict[str, Page]:
    """Return the pages; streamed events are ``gap_seconds`` apart."""

    def page(plain: Any, events: list[bytes]) -> Page:
        def answer(exchange: Exchange) -> None:
            if json.loads(exchange.read_body()).get("stream"):
                send_stream(exchange, events, gap_seconds)
            else:
                exchange.send(json_answer(plain))

        return answer

    text = {"type": "output_text", "text": TEXT, "annotations": []}
    said = {"role": "assistant", "content": TEXT}
    reply = {"id": "msg_1", "type": "message", "status": "completed", **said, "content": [text]}
    completion = _completion("chat.completion", message=said, finish_reason="stop")
    return {
        "/v1/messages": page(
            _message([{"type": "text", "text": TEXT}], "end_turn"), message_events()
        ),
        "/v1/chat/completions": page(completion, completion_events()),
        "/v1/responses": page(_response("completed", [reply]), response_events()),
    }
