"""Gemini's ``generateContent`` as documents and streams.

https://ai.google.dev/api/generate-content. As little as clients need: one candidate, text, and a
call of a function, which comes whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from faultinject.providers.documents import (
    BASE62,
    ToolCall,
    compact,
    entries,
    identifier,
    indented,
    member,
    pieces,
    tool_call,
    words,
)
from faultinject.providers.framing.sse import encode
from faultinject.providers.shape import ApiRequest, Fields, Uniform, model_in_body
from faultinject.providers.structured_output import answer_text

Document = dict[str, Any]
_MODEL = re.compile(r".*/models/([^/:]+)(?::.*)?", re.DOTALL)
_WRAPPED = re.compile(r"/v1internal:.*", re.DOTALL)
"""The paths of Gemini CLI with a login, whose requests and responses are wrapped in another
object."""


def model(request: ApiRequest) -> str | None:
    """Return the model, which the path names; behind Gemini CLI's login the body does."""
    found = _MODEL.fullmatch(request.path)
    return found[1] if found else model_in_body(request)


def is_streamed(request: ApiRequest) -> bool:
    """Return True if the path asks for a stream: the body does not say it."""
    return request.path.endswith((":streamGenerateContent", ":streamRawPredict"))


def is_event_stream(request: ApiRequest) -> bool:
    """Return True if the stream is to be one of events and not a JSON array."""
    return "alt=sse" in request.query.split("&")


def _inner(request: ApiRequest) -> Any:
    return request.get("request") if _WRAPPED.fullmatch(request.path) else request.document


def wrapper(request: ApiRequest) -> Callable[[Document], Document]:
    """Return what puts a response into the object that its path wants around it."""
    if _WRAPPED.fullmatch(request.path):
        return lambda document: {"response": document}
    return lambda document: document


def unwrapped(document: Any) -> Any:
    """Return the response within a document, wrapped or not."""
    inner = member(document, "response")
    return inner if isinstance(inner, dict) else document


def called(request: ApiRequest) -> ToolCall | None:
    """Return a call of the first function.

    None if there is none, if it may not be called, or if the last message answers a call: a
    client that works until no function is called comes to an end.
    """
    inner = _inner(request)
    config = member(inner, "toolConfig", "functionCallingConfig")
    if member(config, "mode") == "NONE" or _answers(inner):
        return None
    allowed = member(config, "allowedFunctionNames")
    own = (
        (each.get("name"), each.get("parametersJsonSchema") or each.get("parameters"))
        for tool in entries(member(inner, "tools"))
        for each in entries(tool.get("functionDeclarations"))
    )
    return tool_call(own, wanted=allowed[0] if isinstance(allowed, list) and allowed else None)


def _answers(inner: Any) -> bool:
    return any(
        "functionResponse" in part
        for content in entries(member(inner, "contents"))[-1:]
        for part in entries(content.get("parts"))
    )


def minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    """Return a response that says a text, and calls a function if the request lets it.

    A request to have tokens counted gets their number.
    """
    if request.path.endswith(":countTokens"):
        return indented({"totalTokens": words(member(_inner(request), "contents"))})
    call, begun = called(request), _begun(request, fields, uniform)
    text = answer_text(request)
    parts: list[Document] = [{"text": text}]
    if call is not None:
        parts.append(_function_call(call))
    response = _candidate(parts, "STOP") | _usage(request, len(pieces(text))) | begun
    return indented(wrapper(request)(response))


def _documents(request: ApiRequest, fields: Fields, uniform: Uniform) -> Iterator[Document]:
    """Yield the chunks of a stream, each with the usage so far; the last says why it ends."""
    call, begun, wrap = called(request), _begun(request, fields, uniform), wrapper(request)
    text_pieces = pieces(answer_text(request))
    for count, word in enumerate(text_pieces, 1):
        last = count == len(text_pieces) and call is None
        chunk = _candidate([{"text": word}], "STOP" if last else None)
        yield wrap(chunk | _usage(request, count) | begun)
    if call is not None:
        chunk = _candidate([_function_call(call)], "STOP")
        yield wrap(chunk | _usage(request, len(text_pieces) + 1) | begun)


def minimal_events(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return the response as a stream of events; there is no event behind the last chunk."""
    return [event(document) for document in _documents(request, fields, uniform)]


def minimal_array(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return the response as a JSON array, a chunk an element."""
    elements = [element(chunk, n) for n, chunk in enumerate(_documents(request, fields, uniform))]
    return [*elements[:-1], elements[-1] + ARRAY_END]


ARRAY_END = b"\r\n]"


def event(document: Document) -> bytes:
    """Return a chunk as an event. Its lines end in CRLF."""
    return encode(None, compact(document), b"\r\n\r\n")


def element(document: Document, before: int) -> bytes:
    """Return a chunk as an element of an array in which there are so many before it."""
    return (b",\r\n" if before else b"[") + indented(document).rstrip(b"\n")


def _begun(request: ApiRequest, fields: Fields, uniform: Uniform) -> Document:
    del fields
    return {"modelVersion": request.model, "responseId": identifier("", uniform(), 22, BASE62)}


def _candidate(parts: list[Document], reason: str | None) -> Document:
    candidate: Document = {"content": {"parts": parts, "role": "model"}}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate | {"index": 0}]}


def _function_call(call: ToolCall) -> Document:
    return {"functionCall": {"name": call.name, "args": call.arguments}}


def _usage(request: ApiRequest, output_tokens: int) -> Document:
    prompt = words(member(_inner(request), "contents"))
    return {
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": output_tokens,
            "totalTokenCount": prompt + output_tokens,
        }
    }
