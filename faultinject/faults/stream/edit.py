"""The faults *drop*, *duplicate*, *garble* and *wrong checksum*, which change complete events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Self

from attrs import frozen

from faultinject.faults.place import FIRST_EVENT
from faultinject.faults.stream.stream_action import EventStream, StreamAction
from faultinject.faults.transform import Act, Action, Send
from faultinject.providers.framing import Decoder, Framing, StreamEvent
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Shape, Uniform
from faultinject.reading.value import WHOLE, Value, constant


@frozen
class _EditEvents(StreamAction):
    """A fault that changes the next events."""

    point = FIRST_EVENT
    whole_events = True

    events: int | None = 1
    """None for all that follow."""

    @classmethod
    def written(cls) -> Value[Self]:
        """Return that it is a number of events, ``true`` for one, or ``all``."""
        return constant(True, cls(1), constant("all", cls(None), WHOLE.into(cls)))


@frozen
class Drop(_EditEvents):
    """Leave out the next events."""

    key = label = "drop"
    about = "The next events are left out."

    def on_events(self, stream: EventStream) -> Action:
        """Return what leaves them out."""
        return EditingEvents(drop, self.events, stream.decoder())


@frozen
class Duplicate(_EditEvents):
    """Send the next events twice, each after itself."""

    key = label = "duplicate"
    about = "The next events are sent twice."

    def on_events(self, stream: EventStream) -> Action:
        """Return what sends them twice."""
        return EditingEvents(duplicate, self.events, stream.decoder())


@frozen
class Garble(_EditEvents):
    """Change a byte in each of the next events, so that their data is not JSON any more."""

    key = label = "garble"
    about = "The next events are turned into invalid JSON."
    keeps_length = True
    causes = "malformed"

    def on_events(self, stream: EventStream) -> Action:
        """Return what garbles them."""
        edit = garbler(stream.uniform, stream.shape.framing)
        return EditingEvents(edit, self.events, stream.decoder())


@frozen
class WrongChecksum(_EditEvents):
    """Make the checksum of each of the next events wrong. Their data stays as it is."""

    key, label = "wrong_checksum", "wrong-checksum"
    about = "The next events get a wrong checksum, in AWS' event stream; others have none."
    keeps_length = True
    causes = "malformed"
    depends_on_api = True
    lacking = "its events have no checksums"

    def on_events(self, stream: EventStream) -> Action | None:
        """Return what makes them wrong; None if the events of such a stream have none."""
        write = stream.shape.framing.with_wrong_checksum
        if write is None:
            return None
        return EditingEvents(lambda event: write(event.raw), self.events, stream.decoder())

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:  # noqa: ARG002
        """Return that events have no checksums, if that is so; else None."""
        if any(stream.framing.with_wrong_checksum for stream in shape.streams):
            return None
        return f"events of {shape.name} have no checksums; use garble"


Edit = Callable[[StreamEvent], bytes]
"""Returns what is sent in place of an event."""

_QUOTE, _VISIBLE = re.compile(b'"'), re.compile(rb"\S")


def drop(_event: StreamEvent) -> bytes:
    """Leave an event out."""
    return b""


def duplicate(event: StreamEvent) -> bytes:
    """Send an event twice."""
    return event.raw + event.missing_end + event.raw


def garbler(uniform: Uniform, framing: Framing) -> Edit:
    """Return an edit that changes one byte of an event's data, so that it is not JSON any more.

    The byte is one of the quotes, at random, because the others no longer pair up without it. If
    there is no quote, it is the first byte. A checksum of the framing stays right.
    """

    def garble(event: StreamEvent) -> bytes:
        number, raw = uniform(), bytearray(event.raw)
        spans = framing.data_spans(event.raw)
        quotes = _places(_QUOTE, event.raw, spans)
        if candidates := quotes or _places(_VISIBLE, event.raw, spans)[:1]:
            raw[candidates[int(number * len(candidates))]] = ord("~")
        return framing.sealed(bytes(raw))

    return garble


def _places(what: re.Pattern[bytes], raw: bytes, spans: list[tuple[int, int]]) -> list[int]:
    return [found.start() for span in spans for found in what.finditer(raw, *span)]


class EditingEvents(Action):
    """Edits the next events. It holds an event back until it is complete."""

    def __init__(self, edit: Edit, events: int | None, decoder: Decoder) -> None:
        """Edit a number of events; None for all that follow."""
        self.done = False
        self._edit = edit
        self._left = events
        self._decoder = decoder

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        if self._left != 0:
            data = b"".join([self._edited(piece) for piece in self._decoder.feed(data)])
            if self._left == 0:
                data += self._decoder.pending
        if data:
            yield Send(data)

    def _pass_rest(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        if self._left != 0 and (data := b"".join(map(self._edited, self._decoder.end()))):
            yield Send(data)

    def _edited(self, piece: StreamEvent) -> bytes:
        if not piece.is_event or self._left == 0:
            return piece.raw
        self.done = True
        if self._left is not None:
            self._left -= 1
        return self._edit(piece)

    def release(self) -> bytes:
        """Return the incomplete event."""
        return b"" if self._left == 0 else self._decoder.pending
