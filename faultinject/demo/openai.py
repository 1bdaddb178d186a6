"""OpenAI's Chat Completions and Responses as they answer when all is well, and their errors' shape.

As little as clients need: text, one choice. Documents and events:
https://platform.openai.com/docs/api-reference. Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import time
from typing import Any

from faultinject.demo.answer import (
    Answer,
    Streamed,
    Whole,
    compact,
    event,
    identifier,
    model_of,
    pieces,
    words,
)

_DONE = event("[DONE]")


# Chat Completions


def chat_completion(request: dict[str, Any], text: str, number: int) -> Answer:
    """Answer the ``number``-th request with a text, whole or as a stream."""
    completion = {
        "id": identifier("chatcmpl-", number, 29),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model_of(request),
    }
    if request.get("stream") is True:
        return Streamed((*_chunks(completion, text), _DONE))
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    asked, said = words(request.get("messages")), len(pieces(text))
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    return Whole(compact(completion | {"choices": [choice], "usage": usage}).encode())


def _chunks(completion: dict[str, Any], text: str) -> list[bytes]:
    deltas: list[dict[str, str]] = [
        {"role": "assistant", "content": ""},
        *({"content": word} for word in pieces(text)),
        {},
    ]
    chunk = completion | {"object": "chat.completion.chunk"}
    reasons = [None] * (len(deltas) - 1) + ["stop"]
    return [
        event(compact(chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))
        for delta, reason in zip(deltas, reasons, strict=True)
    ]


# Responses


def response(request: dict[str, Any], text: str, number: int) -> Answer:
    """Answer the ``number``-th request with a text, whole or as a stream."""
    item = {"id": identifier("msg_", number, 24), "type": "message", "role": "assistant"}
    document = {
        "id": identifier("resp_", number, 24),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model_of(request),
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    asked, said = words(request.get("input")), len(pieces(text))
    finished = {
        "status": "completed",
        "output": [item | {"status": "completed", "content": [_part(text)]}],
        "usage": {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked + said,
        },
    }
    if request.get("stream") is True:
        return Streamed(tuple(_response_events(document, document | finished, item, text)))
    return Whole(compact(document | finished).encode())


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response_events(
    begun: dict[str, Any], finished: dict[str, Any], item: dict[str, Any], text: str
) -> list[bytes]:
    """Return the events from response.created to response.completed, numbered."""
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = item | {"status": "in_progress", "content": []}
    deltas = ({"delta": word, "logprobs": []} for word in pieces(text))
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": empty}),
        ("response.content_part.added", at | {"part": _part("")}),
        *(("response.output_text.delta", at | delta) for delta in deltas),
        ("response.output_text.done", at | {"text": text, "logprobs": []}),
        ("response.content_part.done", at | {"part": _part(text)}),
        ("response.output_item.done", {"output_index": 0, "item": finished["output"][0]}),
        ("response.completed", {"response": finished}),
    ]
    return [
        event(compact({"type": name, "sequence_number": number} | fields), name)
        for number, (name, fields) in enumerate(events)
    ]


# Errors


def error(status: int, message: str, request_id: str) -> Whole:
    """Return an error document, indented as the API sends it; it holds no request id."""
    del request_id
    inner = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return Whole((json.dumps({"error": inner}, indent=2) + "\n").encode(), status)
