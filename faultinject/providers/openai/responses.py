"""OpenAI's Responses as documents and streams.

https://platform.openai.com/docs/api-reference/responses. As little as clients need: one item,
which is a text or a call of a function. Knows nothing of HTTP.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from faultinject.providers.documents import TEXT, ToolCall, compact, event, pieces, words
from faultinject.providers.ids import BASE62, identifier
from faultinject.providers.openai.tools import called
from faultinject.providers.provider import Asked, Fields, Uniform

Document = dict[str, Any]


@frozen
class _Answer:
    """A whole response, and its one item."""

    begun: Document
    """The response without an item."""
    item: Document
    text: str
    call: ToolCall | None

    @property
    def finished(self) -> Document:
        """The response with its item and its usage."""
        return self.begun | {
            "status": "completed",
            "output": [self.item],
            "usage": usage(self.asked_tokens, self.said_tokens),
        }

    asked_tokens: int = 0

    @property
    def said_tokens(self) -> int:
        """The tokens of the answer, nearly enough."""
        return len(pieces(self.text) if self.call is None else self.call.fragments)


def _answer(asked: Asked, fields: Fields, uniform: Uniform, text: str) -> _Answer:
    call = called(asked)
    begun = begun_response(asked.model, fields, uniform)
    item = _message(text, uniform) if call is None else _function_call(call, uniform)
    return _Answer(begun, item, text, call, words(asked.get("input")))


def minimal_response(asked: Asked, fields: Fields, uniform: Uniform, text: str = TEXT) -> bytes:
    """Return a response that says a text or, if the request lets it, calls a function."""
    return compact(_answer(asked, fields, uniform, text).finished)


def minimal_stream(asked: Asked, fields: Fields, uniform: Uniform, text: str = TEXT) -> list[bytes]:
    """Return the same response as a stream; its events are numbered."""
    answer = _answer(asked, fields, uniform, text)
    inner = _text_events(answer.item, text)
    if answer.call is not None:
        inner = _call_events(answer.item, answer.call)
    events = [
        ("response.created", {"response": answer.begun}),
        ("response.in_progress", {"response": answer.begun}),
        *inner,
        ("response.output_item.done", {"output_index": 0, "item": answer.item}),
        ("response.completed", {"response": answer.finished}),
    ]
    return [numbered(name, number, inner) for number, (name, inner) in enumerate(events)]


def numbered(name: str, number: int, document: Document) -> bytes:
    """Return an event of a stream, which has its name and its number in its data too."""
    return event({"type": name, "sequence_number": number} | document, name)


def text_part(text: str) -> Document:
    """Return the part of a message that is a text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def usage(asked: int, said: int) -> Document:
    """Return what a response says of the tokens that it took."""
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": asked + said,
    }


def _text_events(item: Document, text: str) -> list[tuple[str, Document]]:
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = item | {"status": "in_progress", "content": []}
    deltas = ({"delta": word, "logprobs": []} for word in pieces(text))
    return [
        ("response.output_item.added", {"output_index": 0, "item": empty}),
        ("response.content_part.added", at | {"part": text_part("")}),
        *(("response.output_text.delta", at | delta) for delta in deltas),
        ("response.output_text.done", at | {"text": text, "logprobs": []}),
        ("response.content_part.done", at | {"part": text_part(text)}),
    ]


def _call_events(item: Document, call: ToolCall) -> list[tuple[str, Document]]:
    at = {"item_id": item["id"], "output_index": 0}
    empty = item | {"status": "in_progress", "arguments": ""}
    name = "response.function_call_arguments"
    return [
        ("response.output_item.added", {"output_index": 0, "item": empty}),
        *((f"{name}.delta", at | {"delta": piece}) for piece in call.fragments),
        (f"{name}.done", at | {"arguments": call.json}),
    ]


def begun_response(model: str, fields: Fields, uniform: Uniform) -> Document:
    """Return a response as it is before its first item."""
    return {
        "id": identifier("resp_", uniform(), 48, "0123456789abcdef"),
        "object": "response",
        "created_at": int(fields.now_seconds),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def _message(text: str, uniform: Uniform) -> Document:
    return {
        "id": identifier("msg_", uniform(), 48, "0123456789abcdef"),
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [text_part(text)],
    }


def _function_call(call: ToolCall, uniform: Uniform) -> Document:
    return {
        "id": identifier("fc_", uniform(), 48, "0123456789abcdef"),
        "type": "function_call",
        "status": "completed",
        "arguments": call.json,
        "call_id": identifier("call_", uniform(), 24, BASE62),
        "name": call.name,
    }
