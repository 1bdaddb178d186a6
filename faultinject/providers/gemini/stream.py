"""A stream of Gemini's on its way: what has passed, and how it can end there."""

from __future__ import annotations

import re
from typing import Any

from attrs import define

from faultinject.providers.documents import entries, indented, member, read_usage
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.json_array import JSON_ARRAY
from faultinject.providers.framing.sse import SSE
from faultinject.providers.gemini import content
from faultinject.providers.gemini.errors import failure_document
from faultinject.providers.shape import Failure, Fields, StreamShape, Uniform, Usage

_FINISHED = re.compile(rb'"finishReason"\s*:\s*"')
_TOKEN_NAMES = ("promptTokenCount", "candidatesTokenCount")


def is_last(event: StreamEvent) -> bool:
    """Return True if a chunk says why the response ends: nothing else ends a stream."""
    return _FINISHED.search(event.data) is not None


def usage(document: Any) -> Usage | None:
    """Return the tokens that a response took."""
    return read_usage(member(content.unwrapped(document), "usageMetadata"), *_TOKEN_NAMES)


@define(eq=False, repr=False)
class GeminiProgress:
    """What has passed of a stream."""

    in_array: bool
    usage: Usage | None = None
    _chunks: int = 0
    _wrapped: bool = False
    _begun: bool = False
    _ended: bool = False

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""
        self._chunks += 1
        document = event.json
        chunk = content.unwrapped(document)
        self._wrapped = chunk is not document
        self.usage = usage(document) or self.usage
        self._begun = self._begun or bool(entries(member(chunk, "candidates")))
        self._ended = self._ended or is_last(event) or member(document, "error") is not None

    def _written(self, document: dict[str, Any]) -> bytes:
        if self.in_array:
            return content.element(document, self._chunks) + content.ARRAY_END
        return content.event(document)

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream.

        ``data`` is a chunk of its own; ``raw`` is the indented document in place of an event, which
        was seen with the flex tier.
        """
        del uniform
        document = failure_document(failure, fields)
        return indented(document) if form == "raw" else self._written(document)

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return a chunk that says that the limit of tokens was reached, without content."""
        del uniform
        if not self._begun or self._ended:
            return []
        chunk: dict[str, Any] = {"candidates": [{"finishReason": "MAX_TOKENS", "index": 0}]}
        return [self._written({"response": chunk} if self._wrapped else chunk)]


STREAMS = (
    StreamShape(
        framing=SSE,
        is_terminator=is_last,
        progress=lambda: GeminiProgress(in_array=False),
        minimal=content.minimal_events,
        error_forms=("data", "raw"),
        content_type="text/event-stream",
    ),
    StreamShape(
        framing=JSON_ARRAY,
        is_terminator=is_last,
        progress=lambda: GeminiProgress(in_array=True),
        minimal=content.minimal_array,
        content_type="application/json; charset=UTF-8",
    ),
)
"""Of events, for which ``alt=sse`` asks, or a JSON array."""
