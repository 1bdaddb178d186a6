"""Amazon Bedrock's Converse as documents and streams.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define

from faultinject.providers.bedrock.frames import CONTENT_TYPE, FORMS, error_frame, frame, padding
from faultinject.providers.documents import (
    BASE62,
    TEXT,
    ToolCall,
    compact,
    entries,
    identifier,
    member,
    pieces,
    read_usage,
    tool_call,
    words,
)
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM
from faultinject.providers.shape import ApiRequest, Failure, Fields, StreamShape, Uniform, Usage

Document = dict[str, Any]
_TOKEN_NAMES = ("inputTokens", "outputTokens")


def called(request: ApiRequest) -> ToolCall | None:
    """Return a call of the first tool; None if there is none, or the last message answers one."""
    last = entries(request.get("messages"))[-1:]
    if any("toolResult" in part for each in last for part in entries(each.get("content"))):
        return None
    config = request.get("toolConfig")
    own = [member(tool, "toolSpec") for tool in entries(member(config, "tools"))]
    schemas = ((member(one, "name"), member(one, "inputSchema", "json")) for one in own)
    return tool_call(schemas, wanted=member(config, "toolChoice", "tool", "name"))


def minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    """Return a message that says a text, and calls a tool if the request lets it.

    A request to have tokens counted gets their number.
    """
    if request.path.endswith("/count-tokens"):
        return compact({"inputTokens": words(request.document)})
    call = called(request)
    content: list[Document] = [{"text": TEXT}]
    if call is not None:
        content.append({"toolUse": _tool_use(call, uniform) | {"input": call.arguments}})
    return compact({
        "metrics": {"latencyMs": fields.processing_ms},
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": _stop_reason(call),
        "usage": _usage(words(request.get("messages")), _output_tokens(call)),
    })  # fmt: skip


def _tool_use(call: ToolCall, uniform: Uniform) -> Document:
    return {"toolUseId": identifier("tooluse_", uniform(), 22, BASE62), "name": call.name}


def _stop_reason(call: ToolCall | None) -> str:
    return "end_turn" if call is None else "tool_use"


def _output_tokens(call: ToolCall | None) -> int:
    return len(pieces(TEXT)) + (0 if call is None else len(call.fragments))


def _usage(input_tokens: int, output_tokens: int) -> Document:
    return {
        "inputTokens": input_tokens,
        "outputTokens": output_tokens,
        "totalTokens": input_tokens + output_tokens,
    }


def minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return the same message as a stream, frame by frame."""
    events = list(_events(request, fields, uniform))
    return [frame(name, document | padding(uniform)) for name, document in events]


def _events(
    request: ApiRequest, fields: Fields, uniform: Uniform
) -> Iterator[tuple[str, Document]]:
    call = called(request)
    yield "messageStart", {"role": "assistant"}
    for word in pieces(TEXT):
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}}
    yield "contentBlockStop", {"contentBlockIndex": 0}
    if call is not None:
        start = {"toolUse": _tool_use(call, uniform)}
        yield "contentBlockStart", {"contentBlockIndex": 1, "start": start}
        for piece in call.fragments:
            delta = {"toolUse": {"input": piece}}
            yield "contentBlockDelta", {"contentBlockIndex": 1, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": 1}
    yield "messageStop", {"stopReason": _stop_reason(call)}
    usage = _usage(words(request.get("messages")), _output_tokens(call))
    yield "metadata", {"metrics": {"latencyMs": fields.processing_ms}, "usage": usage}


def usage(document: Any) -> Usage | None:
    """Return the tokens that a response took."""
    return read_usage(member(document, "usage"), *_TOKEN_NAMES)


@define(eq=False, repr=False)
class ConverseProgress:
    """What has passed of a stream."""

    usage: Usage | None = None
    _begun: bool = False
    _open: int | None = None
    _deltas: int = 0
    _stopped: bool = False
    _ended: bool = False

    def observe(self, event: StreamEvent) -> None:
        """Take note of a frame that was passed on."""
        match event.name:
            case "messageStart":
                self._begun = True
            case "contentBlockStart" | "contentBlockDelta":
                index = member(event.json, "contentBlockIndex")
                self._open = index if isinstance(index, int) else 0
                self._deltas += 1
            case "contentBlockStop":
                self._open = None
            case "messageStop":
                self._stopped = True
            case "metadata":
                self.usage, self._ended = usage(event.json), True
            case name if name == "error" or (name or "").endswith("Exception"):
                self._ended = True

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream, in one of `FORMS`."""
        del uniform
        return error_frame(failure, fields, form)

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the end of a message that reached its limit of tokens.

        The prompt's tokens are unknown here and given as 0.
        """
        if not self._begun or self._ended:
            return []
        events: list[tuple[str, Document]] = []
        if self._open is not None:
            events.append(("contentBlockStop", {"contentBlockIndex": self._open}))
        if not self._stopped:
            events.append(("messageStop", {"stopReason": "max_tokens"}))
        metadata = {"metrics": {"latencyMs": 0}, "usage": _usage(0, self._deltas)}
        events.append(("metadata", metadata))
        return [frame(name, document | padding(uniform)) for name, document in events]


STREAM = StreamShape(
    framing=AWS_EVENT_STREAM,
    is_terminator=lambda event: event.name == "metadata",
    progress=ConverseProgress,
    minimal=minimal_stream,
    error_forms=FORMS,
    content_type=CONTENT_TYPE,
)
"""A stream of one message. Its end is ``messageStop``, and then what it took."""
