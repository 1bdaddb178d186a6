"""Anthropic's Messages API as it answers when all is well, and its errors' shape.

Documents and events: https://docs.anthropic.com/en/api/messages and
https://docs.anthropic.com/en/docs/build-with-claude/streaming. Knows nothing of HTTP.
"""

from __future__ import annotations

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
from faultinject.providers.anthropic import error_type

# The API's ping is the only event that is written with a space and without padding.
_PING = event('{"type": "ping"}', "ping")
_PADDINGS = (4, 0, 13, 7, 2, 9, 15, 1, 11, 6)


def answer(request: dict[str, Any], text: str, number: int) -> Answer:
    """Answer the ``number``-th request with a text, whole or as a stream."""
    message: dict[str, Any] = {
        "id": identifier("msg_01", number, 22),
        "type": "message",
        "role": "assistant",
        "model": model_of(request),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": words(request.get("messages")), "output_tokens": 1},
    }
    if request.get("stream") is True:
        return Streamed(tuple(_events(message, text)))
    said = {
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": message["usage"] | {"output_tokens": len(pieces(text))},
    }
    return Whole(compact(message | said).encode())


def _events(message: dict[str, Any], text: str) -> list[bytes]:
    """Return the events of a streamed message, from message_start to message_stop."""
    said = pieces(text)
    block = {"type": "text", "text": ""}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    opening: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    rest: list[dict[str, Any]] = [
        *({"type": "content_block_delta", "index": 0, "delta": _delta(word)} for word in said),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": len(said)}},
        {"type": "message_stop"},
    ]
    events = [_padded(document, number) for number, document in enumerate(opening + rest)]
    return [*events[: len(opening)], _PING, *events[len(opening) :]]


def _delta(word: str) -> dict[str, str]:
    return {"type": "text_delta", "text": word}


def _padded(document: dict[str, Any], number: int) -> bytes:
    """Return an event with the spaces that the API puts before its last brace (0 to 15)."""
    padding = " " * _PADDINGS[number % len(_PADDINGS)]
    return event(compact(document)[:-1] + padding + "}", document["type"])


def error(status: int, message: str, request_id: str) -> Whole:
    """Return an error document (https://docs.anthropic.com/en/api/errors)."""
    inner = {"type": error_type(status), "message": message}
    document = {"type": "error", "error": inner, "request_id": request_id}
    return Whole(compact(document).encode(), status)
