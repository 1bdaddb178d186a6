"""OpenAI's Chat Completions as documents and streams.

https://platform.openai.com/docs/api-reference/chat. Only what clients need: one choice, text,
and a call of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
from faultinject.providers.structured_output import answer_text


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
    base = begun(request, fields, identifier("chatcmpl-", uniform(), 29, BASE62))
    return compact(completion(base, request, uniform, text))


def completion(base: Document, request: ApiRequest, uniform: Uniform, text: str = TEXT) -> Document:
    """Return the same as a document, with the members of ``base`` first."""
    call, text = called(request), answer_text(request, text)
    message: Document = {"role": "assistant", "content": text, "refusal": None}
    if call is not None:
        message |= {"content": None, "tool_calls": [_tool_call(call, uniform)]}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish_reason(call),
    }
    return base | {"choices": [choice], "usage": usage_of(request, text)}


def minimal_stream(
    request: ApiRequest, fields: Fields, uniform: Uniform, text: str = TEXT
) -> list[bytes]:
    """Return the same completion as a stream, with its usage if the request wants it."""
    base = begun_chunk(request, fields, identifier("chatcmpl-", uniform(), 29, BASE62))
    return encoded(counted_chunks(base, request, uniform, usage_of(request, text), text))


def counted_chunks(
    base: Document, request: ApiRequest, uniform: Uniform, usage: Document, text: str = TEXT
) -> list[Document]:
    """Return a completion in chunks, with the usage in one of its own if the request wants it."""
    if not wants_usage(request):
        return chunks(base, request, uniform, text)
    base = base | {"usage": None}
    last = base | {"choices": [], "usage": usage}
    return [*chunks(base, request, uniform, text), last]


def wants_usage(request: ApiRequest) -> bool:
    """Return True if a request asks for a chunk with the usage."""
    return member(request.get("stream_options"), "include_usage") is True


def chunks(
    base: Document,
    request: ApiRequest,
    uniform: Uniform,
    text: str = TEXT,
    *,
    whole_call: bool = False,
) -> list[Document]:
    """Return a completion in chunks that share the members of ``base``.

    With ``whole_call`` the arguments of a function come in one piece.
    """
    call = called(request)
    deltas = _text_deltas(answer_text(request, text))
    if call is not None:
        deltas = _whole_call(call, uniform) if whole_call else _call_deltas(call, uniform)
    made = [_chunk(base, delta, None) for delta in deltas]
    return [*made, _chunk(base, {}, _finish_reason(call))]


def encoded(documents: Iterable[Document]) -> list[bytes]:
    """Return chunks as events, and the end."""
    return [*map(event, documents), DONE]


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


def _whole_call(call: ToolCall, uniform: Uniform) -> list[Document]:
    calls = [{"index": 0, **_tool_call(call, uniform)}]
    return [{"role": "assistant", "content": ""}, {"content": "", "tool_calls": calls}]


def _chunk(base: Document, delta: Document, reason: str | None, index: int = 0) -> Document:
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return base | {"choices": [choice]}


def begun(request: ApiRequest, fields: Fields, completion_id: str) -> Document:
    """Return the members that come first in a completion."""
    return {
        "id": completion_id,
        "object": "chat.completion",
        "created": int(fields.now_seconds),
        "model": request.model,
    }


def begun_chunk(request: ApiRequest, fields: Fields, completion_id: str) -> Document:
    """Return the members that come first in each chunk of a stream."""
    return begun(request, fields, completion_id) | {"object": "chat.completion.chunk"}


def _tool_call(call: ToolCall, uniform: Uniform) -> Document:
    function = {"name": call.name, "arguments": call.json}
    return {
        "id": identifier("call_", uniform(), 24, BASE62), "type": "function", "function": function,
    }  # fmt: skip


def _finish_reason(call: ToolCall | None) -> str:
    return "stop" if call is None else "tool_calls"


def _completion_tokens(text: str, call: ToolCall | None) -> int:
    return len(pieces(text)) if call is None else len(call.fragments)


def usage_of(request: ApiRequest, text: str = TEXT) -> Document:
    """Return the usage of a completion that says a text or calls a function."""
    text, prompt = answer_text(request, text), words(request.get("messages"))
    return _usage(prompt, _completion_tokens(text, called(request)))


def _usage(input_tokens: int, output_tokens: int) -> Document:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


# A stream on its way


ErrorOf = Callable[[Failure, Fields], Any]
"""Makes the value of ``error`` in an API's own words."""
ErrorForm = Callable[[Failure, Fields, Document], bytes]
"""Writes an error within a stream. The document is what the stream's chunks share."""
_OF_ONE_CHUNK = frozenset({"choices", "x_groq"})
"""What is not the same in all chunks of a stream."""


def as_data(error_of: ErrorOf) -> ErrorForm:
    """Return the usual form of an error: data without an event's name."""
    return lambda failure, fields, _shared: event({"error": error_of(failure, fields)})


def as_named_event(error_of: ErrorOf) -> ErrorForm:
    """Return the form of an error that is an event called ``error``."""
    return lambda failure, fields, _shared: event({"error": error_of(failure, fields)}, "error")


def as_last_chunk(reason: str, error_of: ErrorOf | None = None) -> ErrorForm:
    """Return the form of an error that is a chunk with a ``finish_reason``, and then the end.

    Without ``error_of`` nothing but the reason tells of the error.
    """

    def write(failure: Failure, fields: Fields, shared: Document) -> bytes:
        error = {} if error_of is None else {"error": error_of(failure, fields)}
        return event(_chunk(shared | error, {"content": ""}, reason)) + DONE

    return write


@define(eq=False, repr=False)
class ChatProgress:
    """What has passed of a stream."""

    forms: Mapping[str, ErrorForm]
    """The forms of an error by name, the usual one first."""
    usage: Usage | None = None
    _shared: Document | None = None
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
        reported = document.get("usage") or member(document, "x_groq", "usage")
        self.usage = read_usage(reported, *TOKEN_NAMES) or self.usage
        choices = entries(document.get("choices"))
        if choices and self._shared is None:
            self._shared = {k: value for k, value in document.items() if k not in _OF_ONE_CHUNK}
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
        """Return an error as it comes in a stream."""
        del uniform
        write = self.forms.get(form) or next(iter(self.forms.values()))
        shared = self._shared
        if shared is None:
            unknown = ApiRequest("", {"model": fields.model})
            shared = begun_chunk(unknown, fields, fields.request_id)
        return write(failure, fields, shared)

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the end of a completion that reached its limit of tokens.

        Where the chunks have a ``usage``, as they do if the request asked for it, the usage is
        given too; the prompt's tokens are unknown here and given as 0.
        """
        del uniform
        if self._shared is None or self._ended:
            return []
        last = [_chunk(self._shared, {}, "length", index) for index in sorted(self._open)]
        if "usage" in self._shared and self.usage is None:
            last.append(self._shared | {"choices": [], "usage": _usage(0, self._deltas)})
        return encoded(last)


Minimal = Callable[[ApiRequest, Fields, Uniform], list[bytes]]


_ARGUMENTS = "choices[0].delta.tool_calls[0].function.arguments"


def stream(
    forms: Mapping[str, ErrorForm],
    minimal: Minimal = minimal_stream,
    ping: bytes | None = None,
    *,
    whole_calls: bool = False,
) -> StreamShape:
    """Return the stream of an API that words its errors in its own way.

    ``whole_calls`` says that all tool calls come whole, in one event.
    """
    return StreamShape(
        framing=SSE,
        is_terminator=lambda event: event.data == b"[DONE]",
        progress=lambda: ChatProgress(forms),
        minimal=minimal,
        error_forms=tuple(forms),
        ping=ping,
        whole_calls_at=_ARGUMENTS if whole_calls else None,
    )


STREAM = stream({"data": as_data(failure_error)})
"""A stream of one completion."""
