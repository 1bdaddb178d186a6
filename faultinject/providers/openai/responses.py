"""OpenAI's Responses: documents and streams, and a stream on its way."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from faultinject.providers.documents import (
    BASE62,
    TEXT,
    ToolCall,
    compact,
    event,
    identifier,
    member,
    pieces,
    read_usage,
    words,
)
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.sse import SSE
from faultinject.providers.openai.chat import ErrorOf, called
from faultinject.providers.openai.errors import failure_error
from faultinject.providers.shape import ApiRequest, Failure, Fields, StreamShape, Uniform, Usage
from faultinject.providers.structured_output import answer_text

Document = dict[str, Any]


@frozen(eq=False, repr=False)
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
            "usage": usage(self.input_tokens, self.output_tokens),
        }

    input_tokens: int = 0

    @property
    def output_tokens(self) -> int:
        """The tokens of the answer, approximately."""
        return len(pieces(self.text) if self.call is None else self.call.fragments)


def _answer(request: ApiRequest, fields: Fields, uniform: Uniform, text: str) -> _Answer:
    call, text = called(request), answer_text(request, text)
    begun = begun_response(request.model, fields, uniform)
    item = _message(text, uniform) if call is None else _function_call(call, uniform)
    return _Answer(begun, item, text, call, words(request.get("input")))


def minimal_response(
    request: ApiRequest, fields: Fields, uniform: Uniform, text: str = TEXT
) -> bytes:
    """Return a response that says a text or, if the request lets it, calls a function."""
    return compact(_answer(request, fields, uniform, text).finished)


def minimal_stream(
    request: ApiRequest, fields: Fields, uniform: Uniform, text: str = TEXT
) -> list[bytes]:
    """Return the same response as a stream; its events are numbered."""
    answer = _answer(request, fields, uniform, text)
    inner = _text_events(answer.item, answer.text)
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


def usage(input_tokens: int, output_tokens: int) -> Document:
    """Return the usage part of a response."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
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


KEPT_BYTES = 1024 * 1024
"""How much of an answer is kept, to be repeated in its end as the API does. What comes after that
is passed on, and is missing in the end only."""

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TEXT_DELTA = "response.output_text.delta"
_CALL_DELTA = "response.function_call_arguments.delta"


@define(eq=False, repr=False)
class _OpenItem:
    """An item of the output that was begun."""

    index: int
    item: Document
    content_index: int | None = None
    """Of the text that was begun in it."""
    deltas: list[str] = field(factory=list)

    def closing(self) -> list[tuple[str, Document]]:
        """Return the events that end it unfinished, and leave it so in `item`."""
        text = "".join(self.deltas)
        at = {"item_id": self.item.get("id"), "output_index": self.index}
        events: list[tuple[str, Document]] = []
        self.item = self.item | {"status": "incomplete"}
        if self.item.get("type") == "function_call":
            self.item["arguments"] = text
            events = [("response.function_call_arguments.done", at | {"arguments": text})]
        elif self.content_index is not None:
            at |= {"content_index": self.content_index}
            self.item["content"] = [text_part(text)]
            events = [
                ("response.output_text.done", at | {"text": text, "logprobs": []}),
                ("response.content_part.done", at | {"part": text_part(text)}),
            ]
        done = {"output_index": self.index, "item": self.item}
        return [*events, ("response.output_item.done", done)]


@define(eq=False, repr=False)
class ResponsesProgress:
    """What has passed of a stream."""

    error_of: ErrorOf = failure_error
    usual_form: str = "both"
    usage: Usage | None = None
    _response: Any = None
    _number: int = 0
    _open: dict[int, _OpenItem] = field(factory=dict)
    _done: dict[int, Document] = field(factory=dict)
    _kept_bytes: int = 0
    _deltas: int = 0
    _ended: bool = False

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""
        document = event.json
        kind = member(document, "type")
        if not isinstance(kind, str):
            return
        number = document.get("sequence_number")
        self._number = (number if isinstance(number, int) else self._number) + 1
        index = document.get("output_index")
        if kind == "response.created":
            self._response = member(document, "response")
        elif kind in _ENDS or kind == "error":
            self._ended = True
            self.usage = read_usage(member(document, "response", "usage"))
        elif isinstance(index, int):
            self._observe_item(kind, index, document, len(event.data))

    def _observe_item(self, kind: str, index: int, document: Document, size: int) -> None:
        item = document.get("item")
        if kind == "response.output_item.added" and isinstance(item, dict):
            if self._keep(size):
                self._open[index] = _OpenItem(index, item)
        elif kind == "response.output_item.done" and isinstance(item, dict):
            self._open.pop(index, None)
            if self._keep(size):
                self._done[index] = item
        elif (opened := self._open.get(index)) is not None:
            self._observe_within(opened, kind, document, size)

    def _observe_within(self, opened: _OpenItem, kind: str, document: Document, size: int) -> None:
        if kind == "response.content_part.added":
            part = document.get("content_index")
            opened.content_index = part if isinstance(part, int) else 0
        elif kind in (_TEXT_DELTA, _CALL_DELTA):
            self._deltas += 1
            if self._keep(size):
                opened.deltas.append(str(document.get("delta")))

    def _keep(self, size: int) -> bool:
        self._kept_bytes += size
        return self._kept_bytes <= KEPT_BYTES

    # Ends

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream, in one of four forms.

        ``both``, the usual one, is ``nested`` and then ``failed``. ``nested`` and ``flat`` are
        events called ``error``, with a type, a code and a message. ``failed`` is the response
        itself, whose error has a code and a message. docs/providers/openai.md says who reads which.
        """
        error = self.error_of(failure, fields)
        order = {name: error.get(name) for name in ("type", "code", "message", "param")}
        number = {"sequence_number": self._number}
        form = form or self.usual_form
        if form == "failed":
            return self._failed(error, self._number, fields, uniform)
        if form == "flat":
            return event({**order, "type": "error"} | number, "error")
        nested = event({"type": "error", "error": order} | number, "error")
        if form == "nested":
            return nested
        return nested + self._failed(error, self._number + 1, fields, uniform)

    def _failed(self, error: Document, number: int, fields: Fields, uniform: Uniform) -> bytes:
        begun = self._response
        if not isinstance(begun, dict):
            begun = begun_response(fields.model, fields, uniform)
        code = error.get("code") or error.get("type")
        response_error = {"code": code, "message": error["message"]}
        response = begun | {"status": "failed", "error": response_error}
        return numbered("response.failed", number, {"response": response})

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the end of a response that reached its ``max_output_tokens``.

        The prompt's tokens are unknown here and given as 0. That a begun call of a function
        gets its ``done`` events is not verified.
        """
        del uniform
        if not isinstance(self._response, dict) or self._ended:
            return []
        events = [one for _, item in sorted(self._open.items()) for one in item.closing()]
        items = self._done | {index: opened.item for index, opened in self._open.items()}
        response = self._response | {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [items[index] for index in sorted(items)],
            "usage": usage(0, self._deltas),
        }
        events.append(("response.incomplete", {"response": response}))
        return [
            numbered(name, self._number + more, inner) for more, (name, inner) in enumerate(events)
        ]


FORMS = ("both", "nested", "flat", "failed")


def stream(error_of: ErrorOf, forms: tuple[str, ...] = FORMS) -> StreamShape:
    """Return the stream of an API that words its errors in its own way.

    ``error_of`` makes an object with a message, and a type or a code.
    """
    return StreamShape(
        framing=SSE,
        is_terminator=lambda event: event.name in _ENDS,
        progress=lambda: ResponsesProgress(error_of, forms[0]),
        minimal=minimal_stream,
        error_forms=forms,
    )


STREAM = stream(failure_error)
"""A stream of one response."""
