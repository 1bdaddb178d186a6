"""Follows a stream of Anthropic's Messages: what has passed, and how it can end there.

https://docs.anthropic.com/en/docs/build-with-claude/streaming.
"""

from __future__ import annotations

from typing import Any

from attrs import define

from faultinject.providers.anthropic.errors import failure_document
from faultinject.providers.anthropic.messages import (
    PING,
    Document,
    ending,
    minimal_stream,
    padded,
)
from faultinject.providers.documents import member, read_usage
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.sse import SSE
from faultinject.providers.shape import Failure, Fields, StreamShape, Uniform, Usage


@define(eq=False, repr=False)
class MessagesProgress:
    """What has passed of a stream. It reads the data only of events that open or close."""

    _begun: bool = False
    _open: int | None = None
    _deltas: int = 0
    _stop_told: bool = False
    _ended: bool = False
    _input_tokens: int | None = None
    _output_tokens: int | None = None

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""
        match event.name:
            case "content_block_delta":
                self._deltas += 1
            case "content_block_start":
                index = member(event.json, "index")
                self._open = index if isinstance(index, int) else 0
            case "content_block_stop":
                self._open = None
            case "message_start":
                self._begun = True
                self._count(member(event.json, "message", "usage"))
            case "message_delta":
                self._stop_told = True
                self._count(member(event.json, "usage"))
            case "message_stop" | "error":
                self._ended = True

    def _count(self, usage: Any) -> None:
        reported = read_usage(usage)
        if reported is None:
            return
        if reported.input_tokens is not None:
            self._input_tokens = reported.input_tokens
        if reported.output_tokens is not None:
            self._output_tokens = reported.output_tokens

    @property
    def usage(self) -> Usage | None:
        """The tokens that were reported so far."""
        if self._input_tokens is None and self._output_tokens is None:
            return None
        return Usage(self._input_tokens, self._output_tokens)

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream: often first, never after the end.

        ``details`` comes first, and is null unless the failure has some (captures).
        """
        del form
        document = failure_document(failure, fields)
        error = {"details": None} | document["error"]
        return padded(document | {"error": error}, uniform)

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the end of a message that reached its ``max_tokens``."""
        return [padded(document, uniform) for document in self.documents_to_end()]

    def documents_to_end(self) -> list[Document]:
        """Return the same end as documents."""
        if not self._begun or self._ended:
            return []
        documents: list[Document] = []
        if self._open is not None:
            documents.append({"type": "content_block_stop", "index": self._open})
        # A delta is about one token.
        closing = ending("max_tokens", max(self._deltas, 1))
        documents += closing[1:] if self._stop_told else closing
        return documents


STREAM = StreamShape(
    framing=SSE,
    is_terminator=lambda event: event.name == "message_stop",
    progress=MessagesProgress,
    minimal=minimal_stream,
    error_forms=("event",),
    ping=PING,
)
"""A stream of one message."""
