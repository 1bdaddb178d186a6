"""Ollama's ``/api/chat`` and ``/api/generate`` as documents and streams of lines.

https://github.com/ollama/ollama/blob/main/docs/api.md. A stream is the default there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import define

from faultinject.http.message import standard_phrase
from faultinject.providers.documents import (
    ToolCall,
    compact,
    entries,
    member,
    message_of,
    pieces,
    read_usage,
    tool_call,
    words,
)
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.ndjson import NDJSON, encode
from faultinject.providers.shape import ApiRequest, Failure, Fields, StreamShape, Uniform, Usage
from faultinject.providers.structured_output import answer_text

Document = dict[str, Any]
_TOKEN_NAMES = ("prompt_eval_count", "eval_count")
_NANOSECONDS = 1_000_000_000

_MESSAGES = {
    400: "missing request body",
    401: "unauthorized",
    404: "model '{model}' not found",
    # With two spaces, as its scheduler has it.
    503: "server busy, please try again.  maximum pending requests exceeded",
}


def error_text(failure: Failure, fields: Fields) -> str:
    """Return the words of a failure; for statuses without known words, the status's phrase."""
    default = _MESSAGES.get(failure.status) or standard_phrase(failure.status).lower()
    return message_of(failure, fields, default)


def called(request: ApiRequest) -> ToolCall | None:
    """Return a call of the first function; None if the last message answers a call."""
    last = entries(request.get("messages"))[-1:]
    if not request.path.endswith("/chat") or any(each.get("role") == "tool" for each in last):
        return None
    functions = [member(tool, "function") for tool in entries(request.get("tools"))]
    return tool_call((member(one, "name"), member(one, "parameters")) for one in functions)


def minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    """Return a response that says a text, and calls a function if the request lets it."""
    del uniform
    if request.path.endswith("/embed"):
        return compact({"model": request.model, "embeddings": [[1.0, 0.0, 0.0]]})
    return compact(
        _begun(request, fields)
        | _message(request, answer_text(request), called(request))
        | _ending("stop", *_counts(request))
    )


def _counts(request: ApiRequest) -> tuple[int, int]:
    prompt = request.get("messages") if request.path.endswith("/chat") else request.get("prompt")
    return words(prompt), len(pieces(answer_text(request)))


def _begun(request: ApiRequest, fields: Fields) -> Document:
    moment = datetime.fromtimestamp(fields.now_seconds, UTC).isoformat(timespec="microseconds")
    return {"model": request.model, "created_at": moment.replace("+00:00", "Z")}


def _message(request: ApiRequest, text: str, call: ToolCall | None = None) -> Document:
    if not request.path.endswith("/chat"):
        return {"response": text}
    message: Document = {"role": "assistant", "content": text}
    if call is not None:
        function = {"name": call.name, "arguments": call.arguments}
        message["tool_calls"] = [{"function": function}]
    return {"message": message}


def _ending(reason: str, input_tokens: int, output_tokens: int) -> Document:
    return {
        "done": True,
        "done_reason": reason,
        "total_duration": (output_tokens + 1) * _NANOSECONDS // 50,
        "load_duration": _NANOSECONDS // 100,
        "prompt_eval_count": input_tokens,
        "prompt_eval_duration": _NANOSECONDS // 100,
        "eval_count": output_tokens,
        "eval_duration": output_tokens * _NANOSECONDS // 50,
    }


def minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return the same response line by line; a call comes whole."""
    del uniform
    return [encode(compact(document)) for document in _lines(request, fields)]


def _lines(request: ApiRequest, fields: Fields) -> Iterator[Document]:
    begun, call = _begun(request, fields), called(request)
    for word in pieces(answer_text(request)):
        yield begun | _message(request, word) | {"done": False}
    if call is not None:
        yield begun | _message(request, "", call) | {"done": False}
    yield begun | _message(request, "") | _ending("stop", *_counts(request))


def usage(document: Any) -> Usage | None:
    """Return the tokens that a response took."""
    return read_usage(document, *_TOKEN_NAMES)


@define(eq=False, repr=False)
class OllamaProgress:
    """What has passed of a stream."""

    usage: Usage | None = None
    _line: Document | None = None
    """The last line; None if there was none, or if the stream has ended."""
    _count: int = 0

    def observe(self, event: StreamEvent) -> None:
        """Take note of a line that was passed on."""
        document = event.json
        if isinstance(document, dict):
            self._count += 1
            self.usage = usage(document) or self.usage
            ended = document.get("done") is True or "error" in document
            self._line = None if ended else document

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream, which then ends."""
        del uniform, form
        return encode(compact({"error": error_text(failure, fields)}))

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the last line of a response that reached its limit of tokens.

        The prompt's tokens are unknown here and given as 0.
        """
        del uniform
        if self._line is None:
            return []
        line = {name: self._line[name] for name in ("model", "created_at") if name in self._line}
        chat = {"message": {"role": "assistant", "content": ""}}
        empty = chat if "message" in self._line else {"response": ""}
        return [encode(compact(line | empty | _ending("length", 0, self._count)))]


def _is_last(event: StreamEvent) -> bool:
    return b'"done":true' in event.data.replace(b" ", b"")


STREAM = StreamShape(
    framing=NDJSON,
    is_terminator=_is_last,
    progress=OllamaProgress,
    minimal=minimal_stream,
    content_type="application/x-ndjson",
)
"""A stream of lines."""
