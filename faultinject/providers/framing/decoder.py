"""Events of a stream as values, and the interfaces of decoders."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

from attrs import field, frozen

EVENT_BYTES = 8 * 1024 * 1024
"""The largest event that is waited for. The largest known ones hold a picture or the text of a
whole answer, a few megabytes."""
KEPT_BYTES = 16 * 1024
"""How many bytes of its last event a `Tail` keeps."""


@frozen
class StreamEvent:
    """One piece of a stream: an event, or bytes between events."""

    raw: bytes
    """The exact bytes, with what separates the piece from the next."""
    name: str | None = None
    """The name of the event, if it has one."""
    data: bytes = field(default=b"", repr=False)
    """The event's data, without the framing."""
    is_event: bool = True
    """Whether a reader gets an event from it. If not, only ``raw`` is set: for a comment, a blank
    line, or anything after the decoder gave up."""
    missing_end: bytes = b""
    """What must follow ``raw`` before another event can: the stream ended within the framing."""

    @cached_property
    def json(self) -> Any:
        """The data as a JSON value, read at its first use; None if it is not JSON."""
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):  # the latter if it is nested too deeply
            return None


class Tail(Protocol):
    """Remembers the last event of a stream that is only passed on, and whether it has ended."""

    def observe(self, data: bytes) -> None:
        """Take the next bytes of the stream, split anywhere."""

    @property
    def last(self) -> StreamEvent | None:
        """The last event, its first `KEPT_BYTES`; None if it has not ended, or none came."""


class Decoder(Protocol):
    """Splits a stream into events, as its bytes come.

    The ``raw`` of all pieces returned so far, and then `pending`, are always the bytes that were
    fed, in order.
    """

    @property
    def pending(self) -> bytes:
        """The bytes of an event whose end has not come."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take the next bytes, split anywhere; return the pieces that they complete."""

    def end(self) -> list[StreamEvent]:
        """Take the stream's end; return what was pending, as an event if it has data.

        Nothing is fed afterwards.
        """


class BufferedDecoder:
    """What the decoders share: the bytes of an event whose end has not come, up to a limit."""

    def __init__(self, event_bytes: int = EVENT_BYTES) -> None:
        """Wait for events of that size at most."""
        self._most_bytes = event_bytes
        self._buffer = bytearray()
        self._gave_up = False  # an event was too large, or what came begins none: none follows

    @property
    def pending(self) -> bytes:
        """The bytes of an event whose end has not come."""
        return bytes(self._buffer)

    def _take_rest(self) -> list[StreamEvent]:
        """Return all that is held, as a piece that is no event."""
        raw = bytes(self._buffer)
        self._buffer.clear()
        return [StreamEvent(raw, is_event=False)] if raw else []


def _unchanged(event: bytes) -> bytes:
    return event


@frozen(eq=False, repr=False)
class Framing:
    """One way to write a stream of events as bytes."""

    name: str
    content_types: frozenset[str]
    """The media types of such streams, in lower case."""
    decoder: Callable[[], Decoder]
    data_spans: Callable[[bytes], list[tuple[int, int]]]
    """Returns where the data begin and end in the bytes of an event."""
    tail: Callable[[], Tail] | None = None
    """None if only reading the whole stream shows the last event."""
    sealed: Callable[[bytes], bytes] = _unchanged
    """Corrects the checksum of an event whose data was changed in place."""
    with_wrong_checksum: Callable[[bytes], bytes] | None = None
    """Makes the checksum of an event wrong; None if events have none."""
