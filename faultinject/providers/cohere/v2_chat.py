"""Cohere's ``/v2/chat`` as documents and streams, and its ``/v2/embed`` and ``/v2/rerank``.

https://docs.cohere.com/reference/chat-stream. The order of members is that of captures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define

from faultinject.providers.cohere.errors import document_id, message
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
from faultinject.providers.shape import ApiRequest, Failure, Fields, StreamShape, Uniform, Usage
from faultinject.providers.structured_output import answer_text

Document = dict[str, Any]
DONE = encode(None, b"[DONE]")
"""What follows the last event (captured). The SDK stops reading there."""


def called(request: ApiRequest) -> ToolCall | None:
    """Return a call of the first function.

    None if there is none, if it may not be called, or if the last message answers a call: a
    client that works until no function is called comes to an end.
    """
    last = entries(request.get("messages"))[-1:]
    if request.get("tool_choice") == "NONE" or any(each.get("role") == "tool" for each in last):
        return None
    functions = [member(tool, "function") for tool in entries(request.get("tools"))]
    return tool_call((member(one, "name"), member(one, "parameters")) for one in functions)


def minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    """Return a message that says a text, or plans and makes a call if the request lets it."""
    if request.path.endswith("/embed"):
        return _embeddings(request, fields)
    if request.path.endswith("/rerank"):
        return _ranks(request, fields)
    call = called(request)
    text = TEXT if call is not None else answer_text(request)
    said: Document = {"role": "assistant"}
    if call is None:
        said["content"] = [{"type": "text", "text": text}]
    else:
        whole = _function(call, uniform)
        whole["function"]["arguments"] = call.json
        said |= {"tool_plan": text, "tool_calls": [whole]}
    return compact(
        {
            "id": document_id(fields),
            "message": said,
            "finish_reason": _reason(call),
            "usage": _usage(words(request.get("messages")), _output_tokens(call, text)),
        }
    )


_VERSION = {"version": "2"}


def _embeddings(request: ApiRequest, fields: Fields) -> bytes:
    texts = request.get("texts")
    texts = texts if isinstance(texts, list) else []
    billed = {"input_tokens": words(texts)}
    return compact(
        {
            "id": document_id(fields),
            "embeddings": {"float": [[1.0, 0.0, 0.0] for _ in texts]},
            "texts": texts,
            "meta": {"api_version": _VERSION, "billed_units": billed},
            "response_type": "embeddings_by_type",
        }
    )


def _ranks(request: ApiRequest, fields: Fields) -> bytes:
    documents = request.get("documents")
    count = len(documents) if isinstance(documents, list) else 0
    results = [{"index": n, "relevance_score": round(1 / (n + 2), 4)} for n in range(count)]
    meta = {"api_version": _VERSION, "billed_units": {"search_units": 1}}
    return compact({"id": document_id(fields), "results": results, "meta": meta})


def _function(call: ToolCall, uniform: Uniform) -> Document:
    drawn = identifier(f"{call.name}_", uniform(), 12, BASE62).lower()
    number = call.name + drawn[len(call.name) :]
    return {"id": number, "type": "function", "function": {"name": call.name, "arguments": ""}}


def _reason(call: ToolCall | None) -> str:
    return "COMPLETE" if call is None else "TOOL_CALL"


def _output_tokens(call: ToolCall | None, text: str) -> int:
    return len(pieces(text)) + (0 if call is None else len(call.fragments))


def _usage(input_tokens: int, output_tokens: int) -> Document:
    counts = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    return {"billed_units": counts, "tokens": counts, "cached_tokens": 0}


def minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return the same message as a stream."""
    call = called(request)
    text = TEXT if call is not None else answer_text(request)
    documents = [
        _begun(document_id(fields)),
        *(_text(text) if call is None else _call(call, uniform)),
        _ended(_reason(call), words(request.get("messages")), _output_tokens(call, text)),
    ]
    return [*(event(document, document["type"]) for document in documents), DONE]


def _begun(number: str) -> Document:
    lists: Document = {"tool_plan": "", "tool_calls": [], "citations": []}
    delta = {"message": {"role": "assistant", "content": []} | lists}
    return {"id": number, "type": "message-start", "delta": delta}


def _text(text: str) -> Iterator[Document]:
    yield _delta("content-start", "content", {"type": "text", "text": ""})
    for word in pieces(text):
        yield _delta("content-delta", "content", {"text": word})
    yield {"type": "content-end", "index": 0}


def _call(call: ToolCall, uniform: Uniform) -> Iterator[Document]:
    for word in pieces(TEXT):
        yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": word}}}
    yield _delta("tool-call-start", "tool_calls", _function(call, uniform))
    for piece in call.fragments:
        yield _delta("tool-call-delta", "tool_calls", {"function": {"arguments": piece}})
    yield {"type": "tool-call-end", "index": 0}


def _delta(kind: str, part: str, value: Document) -> Document:
    return {"type": kind, "index": 0, "delta": {"message": {part: value}}}


def _ended(reason: str, input_tokens: int, output_tokens: int) -> Document:
    delta = {"finish_reason": reason, "usage": _usage(input_tokens, output_tokens)}
    return {"type": "message-end", "delta": delta}


def usage(document: Any) -> Usage | None:
    """Return the tokens that a response took."""
    return _read(member(document, "usage"))


def _read(found: Any) -> Usage | None:
    return read_usage(member(found, "tokens")) or read_usage(member(found, "billed_units"))


_OPENED = {"content-start": "content-end", "tool-call-start": "tool-call-end"}


@define(eq=False, repr=False)
class CohereProgress:
    """What has passed of a stream."""

    usage: Usage | None = None
    _begun: bool = False
    _open: str | None = None
    """The name of the event that ends what is open."""
    _index: int = 0
    _deltas: int = 0
    _ended: bool = False

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""
        match event.name:
            case "message-start":
                self._begun = True
            case "content-start" | "tool-call-start" as name:
                index = member(event.json, "index")
                self._open, self._index = _OPENED[name], index if isinstance(index, int) else 0
            case "content-end" | "tool-call-end":
                self._open = None
            case "message-end":
                self.usage = _read(member(event.json, "delta", "usage")) or self.usage
                self._ended = True
            case name if name is not None and name.endswith("-delta"):
                self._deltas += 1

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return the end of a message that failed: there is no other error (read in the SDK)."""
        del uniform, form
        delta = {"error": message(failure, fields), "finish_reason": "ERROR"}
        return event({"type": "message-end", "delta": delta}, "message-end")

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the end of a message that reached its limit of tokens.

        The prompt's tokens are unknown here and given as 0.
        """
        del uniform
        if not self._begun or self._ended:
            return []
        documents: list[Document] = []
        if self._open is not None:
            documents.append({"type": self._open, "index": self._index})
        documents.append(_ended("MAX_TOKENS", 0, self._deltas))
        return [*(event(document, document["type"]) for document in documents), DONE]


STREAM = StreamShape(
    framing=SSE,
    # Either is enough: a gateway of one's own may leave out what follows the last event.
    is_terminator=lambda event: event.name == "message-end" or event.data == b"[DONE]",
    progress=CohereProgress,
    minimal=minimal_stream,
    error_forms=("message-end",),
    content_type="text/event-stream",
)
"""A stream of one message."""
