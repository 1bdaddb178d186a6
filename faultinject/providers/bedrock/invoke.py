"""Streams of Amazon Bedrock's InvokeModelWithResponseStream: a model's own events within frames.

The models are Anthropic's here: their events as JSON, without names, in base64.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from attrs import define, field

from faultinject.providers.anthropic.messages import stream_documents
from faultinject.providers.anthropic.stream import MessagesProgress
from faultinject.providers.bedrock.frames import CONTENT_TYPE, FORMS, error_frame, frame, padding
from faultinject.providers.documents import compact, member
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM
from faultinject.providers.shape import ApiRequest, Failure, Fields, StreamShape, Uniform, Usage


def _chunk(document: dict[str, Any], uniform: Uniform) -> bytes:
    inner = base64.b64encode(compact(document)).decode()
    return frame("chunk", {"bytes": inner} | padding(uniform))


def _inner(event: StreamEvent) -> StreamEvent:
    """Return the model's event within a frame; one without data if there is none."""
    encoded = member(event.json, "bytes")
    try:
        data = base64.b64decode(encoded) if isinstance(encoded, str) else b""
    except (binascii.Error, ValueError):  # the latter for what is not ASCII
        data = b""
    kind = member(StreamEvent(b"", None, data).json, "type")
    return StreamEvent(event.raw, kind if isinstance(kind, str) else None, data)


def minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return a message as a stream, frame by frame; the last tells what it took."""
    documents = list(stream_documents(request, uniform))
    counts = {
        "inputTokenCount": documents[0]["message"]["usage"]["input_tokens"],
        "outputTokenCount": documents[-2]["usage"]["output_tokens"],
        "invocationLatency": fields.processing_ms,
        "firstByteLatency": fields.processing_ms,
    }
    documents[-1] = documents[-1] | {"amazon-bedrock-invocationMetrics": counts}
    return [_chunk(document, uniform) for document in documents]


@define(eq=False, repr=False)
class InvokeProgress:
    """What has passed of a stream."""

    _messages: MessagesProgress = field(factory=MessagesProgress)
    _failed: bool = False

    def observe(self, event: StreamEvent) -> None:
        """Take note of a frame that was passed on."""
        if event.name == "chunk":
            self._messages.observe(_inner(event))
        else:
            self._failed = True

    @property
    def usage(self) -> Usage | None:
        """The tokens that were reported so far."""
        return self._messages.usage

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream, in one of `FORMS`."""
        del uniform
        return error_frame(failure, fields, form)

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the end of a message that reached its ``max_tokens``."""
        if self._failed:
            return []
        return [_chunk(document, uniform) for document in self._messages.documents_to_end()]


def _is_last(event: StreamEvent) -> bool:
    return event.name == "chunk" and _inner(event).name == "message_stop"


STREAM = StreamShape(
    framing=AWS_EVENT_STREAM,
    is_terminator=_is_last,
    progress=InvokeProgress,
    minimal=minimal_stream,
    error_forms=FORMS,
    content_type=CONTENT_TYPE,
)
"""A stream of one message of Anthropic's."""
