"""OpenAI's Chat Completions as documents and streams.

https://platform.openai.com/docs/api-reference/chat. Only what clients need: one choice, text,
and a call of a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from faultinject.providers.documents import (
    BASE62,
    TEXT,
    ToolCall,
    compact,
    entries,
    event,
    identifier,
    member,
    pieces,
    read_usage,
    tool_call,
    words,
)
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.sse import SSE, encode
from faultinject.providers.openai.errors import failure_error
from faultinject.providers.shape import ApiRequest, Failure, Fields, StreamShape, Uniform, Usage


def called(request: ApiRequest) -> ToolCall | None:
    """Return a call of the first function of the client's own.

    None if there is none, if it may not be called, or if the last message answers a call. So a
    client that works until no tool is called comes to an end.
    """
    choice = request.get("tool_choice")
    if choice == "none" or _answers(request):
        return None
    functions = [tool for tool in entries(request.get("tools")) if tool.get("type") == "function"]
    nested = (member(tool, "function") or tool for tool in functions)
    own = ((member(tool, "name"), member(tool, "parameters")) for tool in nested)
    return tool_call(own, wanted=member(choice, "function", "name") or member(choice, "name"))


def _answers(request: ApiRequest) -> bool:
    last = [*entries(request.get("messages")), *entries(request.get("input"))][-1:]
    return any(
        one.get("role") == "tool" or one.get("type") == "function_call_output" for one in last
    )


Document = dict[str, Any]

MOST_CHOICES = 128
"""How many choices a request can ask for (``n``)."""
TOKEN_NAMES = ("prompt_tokens", "completion_tokens")
DONE = encode(None, b"[DONE]")
"""The end of a stream. It is not JSON."""


# The smallest answers


def minimal_response(
    request: ApiRequest, fields: Fields, uniform: Uniform, text: str = TEXT
) -> bytes:
    """Return a completion that says a text or, if the request lets it, calls a function."""
    call = called(request)
    message: Document = {"role": "assistant", "content": text, "refusal": None}
    if call is not None:
        message |= {"content": None, "tool_calls": [_tool_call(call, uniform)]}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish_reason(call),
    }
    usage = _usage(words(request.get("messages")), _completion_tokens(text, call))
    return compact(_begun(request, fields, uniform) | {"choices": [choice], "usage": usage})


def minimal_stream(
    request: ApiRequest, fields: Fields, uniform: Uniform, text: str = TEXT
) -> list[bytes]:
    """Return the same completion as a stream, with its usage if the request wants it."""
    call = called(request)
    chunk = _begun(request, fields, uniform) | {"object": "chat.completion.chunk"}
    counted = member(request.get("stream_options"), "include_usage") is True
    if counted:
        chunk["usage"] = None
    deltas = _text_deltas(text) if call is None else _call_deltas(call, uniform)
    events = [_chunk(chunk, delta, None) for delta in deltas]
    events.append(_chunk(chunk, {}, _finish_reason(call)))
    if counted:
        usage = _usage(words(request.get("messages")), _completion_tokens(text, call))
        events.append(event(chunk | {"choices": [], "usage": usage}))
    return [*events, DONE]


def _text_deltas(text: str) -> list[Document]:
    return [{"role": "assistant", "content": ""}, *({"content": word} for word in pieces(text))]


def _call_deltas(call: ToolCall, uniform: Uniform) -> list[Document]:
    first = _tool_call(call, uniform)
    first = {"index": 0, **first, "function": {"name": call.name, "arguments": ""}}
    opening = {"role": "assistant", "content": None, "tool_calls": [first]}
    return [
        opening,
        *(
            {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            for piece in call.fragments
        ),
    ]


def _chunk(chunk: Document, delta: Document, reason: str | None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return event(chunk | {"choices": [choice]})


def _begun(request: ApiRequest, fields: Fields, uniform: Uniform) -> Document:
    return {
        "id": identifier("chatcmpl-", uniform(), 29, BASE62),
        "object": "chat.completion",
        "created": int(fields.now_seconds),
        "model": request.model,
    }


def _tool_call(call: ToolCall, uniform: Uniform) -> Document:
    function = {"name": call.name, "arguments": call.json}
    return {
        "id": identifier("call_", uniform(), 24, BASE62), "type": "function", "function": function,
    }  # fmt: skip


def _finish_reason(call: ToolCall | None) -> str:
    return "stop" if call is None else "tool_calls"


def _completion_tokens(text: str, call: ToolCall | None) -> int:
    return len(pieces(text)) if call is None else len(call.fragments)


def _usage(input_tokens: int, output_tokens: int) -> Document:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


# A stream on its way


ErrorOf = Callable[[Failure, Fields], Any]
"""Makes the value of ``error`` in an API's own words."""


@define
class ChatProgress:
    """What has passed of a stream."""

    error_of: ErrorOf = failure_error
    usage: Usage | None = None
    _chunk: Document | None = None
    """The first chunk without its choices: all chunks of a stream share what is in it."""
    _open: set[int] = field(factory=set)
    """The choices that have not ended yet."""
    _deltas: int = 0
    _ended: bool = False

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""
        document = event.json
        if not isinstance(document, dict):
            self._ended = self._ended or event.data == b"[DONE]"
            return
        self._ended = self._ended or "error" in document
        self.usage = read_usage(document.get("usage"), *TOKEN_NAMES) or self.usage
        choices = entries(document.get("choices"))
        if choices and self._chunk is None:
            self._chunk = {key: value for key, value in document.items() if key != "choices"}
        for choice in choices:
            self._observe_choice(choice)

    def _observe_choice(self, choice: Document) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        self._deltas += 1
        if choice.get("finish_reason") is not None:
            self._open.discard(index)
        elif len(self._open) < MOST_CHOICES:
            self._open.add(index)

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream: data without an event's name."""
        del uniform, form
        return event({"error": self.error_of(failure, fields)})

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the end of a completion that reached its limit of tokens.

        Where the chunks have a ``usage``, as they do if the request asked for it, the usage is
        given too; the prompt's tokens are unknown here and given as 0.
        """
        del uniform
        if self._chunk is None or self._ended:
            return []
        events = [_chunk(self._chunk, {}, "length", index) for index in sorted(self._open)]
        if "usage" in self._chunk and self.usage is None:
            events.append(event(self._chunk | {"choices": [], "usage": _usage(0, self._deltas)}))
        return [*events, DONE]


def stream(error_of: ErrorOf) -> StreamShape:
    """Return the stream of an API that words its errors in its own way."""
    return StreamShape(
        framing=SSE,
        is_terminator=lambda event: event.data == b"[DONE]",
        progress=lambda: ChatProgress(error_of),
        minimal=minimal_stream,
    )


STREAM = stream(failure_error)
"""A stream of one completion."""
