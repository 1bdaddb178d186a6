"""Anthropic's Messages as documents and streams, and the tools that a made answer calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faultinject.providers.documents import (
    TEXT,
    ToolCall,
    compact,
    entries,
    identifier,
    member,
    pieces,
    tool_call,
    words,
)
from faultinject.providers.framing.sse import encode
from faultinject.providers.shape import ApiRequest, Fields, Uniform
from faultinject.providers.structured_output import answer_text

_PATH = {"type": "string"}
_RUN_BY_THE_CLIENT: dict[str, Any] = {
    "bash": {"properties": {"command": {"type": "string"}}},
    "text_editor": {"properties": {"command": {"enum": ["view"]}, "path": _PATH}},
    "computer": {"properties": {"action": {"enum": ["screenshot"]}}},
    "memory": {"properties": {"command": {"enum": ["view"]}, "path": {"enum": ["/memories"]}}},
}
"""Tools that the API defines and the client runs, by their type without its date.

A request has no schema for them. These arguments only read."""


def called(request: ApiRequest) -> ToolCall | None:
    """Return a call of the first tool that the client runs.

    None if there is none, if it may not be called, or if the last message answers a call. So a
    client that works until no tool is called comes to an end.
    """
    choice = request.get("tool_choice")
    if member(choice, "type") == "none" or _answers(request):
        return None
    return tool_call(_own(request), wanted=member(choice, "name"))


def _answers(request: ApiRequest) -> bool:
    return any(
        part.get("type") == "tool_result"
        for message in entries(request.get("messages"))[-1:]
        for part in entries(message.get("content"))
    )


def _own(request: ApiRequest) -> Iterator[tuple[Any, Any]]:
    """Yield names and schemas of tools, but not of those that the API runs itself (web search)."""
    for tool in entries(request.get("tools")):
        kind = tool.get("type") or "custom"
        family = kind.rpartition("_")[0] if isinstance(kind, str) else ""
        if "input_schema" in tool or kind == "custom":
            yield tool.get("name"), tool.get("input_schema")
        elif family in _RUN_BY_THE_CLIENT:
            yield tool.get("name"), _RUN_BY_THE_CLIENT[family]


Document = dict[str, Any]

PING = encode("ping", b'{"type": "ping"}')
"""The only event that is written with a space and without padding."""


def padded(document: Document, uniform: Uniform) -> bytes:
    """Return an event with the 0 to 15 spaces that the API puts before its last brace.

    They are in captures of 2025 and 2026. How they are chosen is not known.
    """
    padding = b" " * int(uniform() * 16)
    return encode(document["type"], compact(document)[:-1] + padding + b"}")


# The smallest answers


def minimal_response(
    request: ApiRequest, fields: Fields, uniform: Uniform, text: str = TEXT
) -> bytes:
    """Return a message that says a text, and calls a tool if the request lets it.

    A request to count tokens gets their number.
    """
    del fields
    if request.path.endswith("/count_tokens"):
        return compact({"input_tokens": words(request.get("messages"))})
    message, call, text = _begun(request, uniform), called(request), answer_text(request, text)
    content: list[Document] = [{"type": "text", "text": text}]
    if call is not None:
        content.append(_tool_use(call, uniform) | {"input": call.arguments})
    complete = {
        "content": content,
        "stop_reason": _stop_reason(call),
        "usage": message["usage"] | {"output_tokens": _output_tokens(text, call)},
    }
    return compact(message | complete)


def minimal_stream(
    request: ApiRequest, fields: Fields, uniform: Uniform, text: str = TEXT
) -> list[bytes]:
    """Return the same message as a stream, with a ping after the first block's start."""
    del fields
    documents = list(stream_documents(request, uniform, text))
    events = [padded(document, uniform) for document in documents]
    return [*events[:2], PING, *events[2:]]


def stream_documents(request: ApiRequest, uniform: Uniform, text: str = TEXT) -> Iterator[Document]:
    """Yield the events of a message as documents, without pings."""
    call, text = called(request), answer_text(request, text)
    yield {"type": "message_start", "message": _begun(request, uniform)}
    yield from _block(
        0,
        {"type": "text", "text": ""},
        [{"type": "text_delta", "text": word} for word in pieces(text)],
    )
    if call is not None:
        fragments = ["", *call.fragments]
        yield from _block(
            1,
            _tool_use(call, uniform),
            [{"type": "input_json_delta", "partial_json": piece} for piece in fragments],
        )
    yield from ending(_stop_reason(call), _output_tokens(text, call))


def _block(index: int, block: Document, deltas: list[Document]) -> Iterator[Document]:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def ending(stop_reason: str, output_tokens: int) -> list[Document]:
    """Return the events that say why and that a message ends."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    usage = {"output_tokens": output_tokens}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


def _begun(request: ApiRequest, uniform: Uniform) -> Document:
    return {
        "id": identifier("msg_01", uniform(), 22),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": words(request.get("messages")), "output_tokens": 1},
    }


def _tool_use(call: ToolCall, uniform: Uniform) -> Document:
    name = call.name
    return {
        "type": "tool_use", "id": identifier("toolu_01", uniform(), 22), "name": name, "input": {},
    }  # fmt: skip


def _stop_reason(call: ToolCall | None) -> str:
    return "end_turn" if call is None else "tool_use"


def _output_tokens(text: str, call: ToolCall | None) -> int:
    return len(pieces(text)) + (0 if call is None else len(call.fragments))
