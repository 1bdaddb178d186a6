"""Faults that end an answer: *cut*, *reset*, *end*, *half an event*, and *end early*.

The stream's `Progress` knows how a message ends early.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Self

from attrs import frozen

from faultinject.faults.place import FIRST_EVENT, Ability
from faultinject.faults.stream.stream_action import EventStream, StreamAction
from faultinject.faults.transform import Act, Action, Cut, Finish, Reset, Send, at_once
from faultinject.providers.framing import Decoder, StreamEvent
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Progress, Shape, Uniform
from faultinject.reading.value import Value, constant, meaning, word


@frozen
class CutStream(StreamAction):
    """FIN, without the body's proper end."""

    key = label = "cut"
    about = "FIN, without the proper end."
    needs = frozenset({Ability.CLOSE})
    ends = True
    keeps_length = True

    def on_bytes(self, uniform: Uniform) -> Action:  # noqa: ARG002
        """Return what does it."""
        return at_once(Cut())


@frozen
class ResetStream(StreamAction):
    """RST."""

    key = label = "reset"
    about = "RST."
    needs = frozenset({Ability.RESET})
    ends = True
    keeps_length = True

    def on_bytes(self, uniform: Uniform) -> Action:  # noqa: ARG002
        """Return what does it."""
        return at_once(Reset())


@frozen
class EndStream(StreamAction):
    """The body's proper end without the stream's last event, as if nothing were wrong."""

    key = label = "end"
    about = "The proper end, without the last event: silent truncation."
    ends = True

    def on_bytes(self, uniform: Uniform) -> Action:  # noqa: ARG002
        """Return what does it."""
        return at_once(Finish())


@frozen
class HalfEvent(StreamAction):
    """Half of the next event's bytes, and then the end."""

    key, label = "half_event", "half-event"
    about = "Half of the next event's bytes, then the proper end, or FIN (`cut`)."
    point = FIRST_EVENT
    ends = True
    whole_events = True
    causes = "truncated"

    is_cut: bool = False
    """Whether it ends with FIN and not with the body's proper end."""

    @classmethod
    def written(cls) -> Value[Self]:
        """Return that it is how it ends: ``true`` or ``end`` for properly, ``cut``."""
        return constant(True, cls(), meaning({"end": cls(), "cut": cls(is_cut=True)}))

    @property
    def needs(self) -> frozenset[Ability]:
        """That the connection can be ended, if it is to be."""
        return frozenset({Ability.CLOSE} if self.is_cut else ())

    def on_events(self, stream: EventStream) -> Action:
        """Return what does it."""
        return Halving(stream.decoder(), Cut() if self.is_cut else Finish())


class Halving(Action):
    """Ends the answer within the next event, as soon as all of that has come."""

    def __init__(self, decoder: Decoder, ending: Act) -> None:
        """End it so."""
        self.done = False
        self._decoder = decoder
        self._ending = ending

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        yield from self._pass_pieces(self._decoder.feed(data))

    def _pass_rest(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        yield from self._pass_pieces(self._decoder.end())

    def _pass_pieces(self, pieces: list[StreamEvent]) -> Iterator[Act]:
        before = list(takewhile(lambda piece: not piece.is_event, pieces))
        for piece in before:
            yield Send(piece.raw)
        if len(before) < len(pieces):
            self.done = True
            event = pieces[len(before)].raw
            yield Send(event[: max(1, len(event) // 2)])
            yield self._ending

    def release(self) -> bytes:
        """Return the incomplete event."""
        return self._decoder.pending


@frozen
class EndEarly(StreamAction):
    """End the message as the API does at the token limit."""

    key, label = "end_early", "end-early"
    about = "The message ends as if `max_tokens` were reached."
    point = FIRST_EVENT
    ends = True
    whole_events = True
    depends_on_api = True

    @classmethod
    def written(cls) -> Value[Self]:
        """Return that it is ``true``, or why the message ends: ``max_tokens`` alone, so far."""
        return constant(True, cls(), word("max_tokens").into(lambda _: cls()))

    def on_events(self, stream: EventStream) -> Action:
        """Return what ends it."""
        return EndingEarly(stream.progress, stream.decoder(), stream.uniform)

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:  # noqa: ARG002
        """Return why it means nothing for what is spoken; None if it means something."""
        if shape.ends_early:
            return None
        return f"how a message of {shape.name} ends early is not known; use end"


class EndingEarly(Action):
    """Ends the message at the point, or as soon after it as a message has begun."""

    def __init__(self, progress: Progress, decoder: Decoder, uniform: Uniform) -> None:
        """Use a progress that has seen what came before the point."""
        self.done = False
        self._progress = progress
        self._decoder = decoder
        self._uniform = uniform

    def begin(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        """End the message, if it has begun."""
        yield from self._try()

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        yield from self._pass_pieces(self._decoder.feed(data))

    def _pass_rest(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        yield from self._pass_pieces(self._decoder.end())

    def _pass_pieces(self, pieces: list[StreamEvent]) -> Iterator[Act]:
        for piece in pieces:
            yield Send(piece.raw)
            self._progress.observe(piece)
            yield from self._try(piece.missing_end)  # nothing is asked for behind its end

    def _try(self, missing_end: bytes = b"") -> Iterator[Act]:
        if events := self._progress.end_early(self._uniform):
            self.done = True
            first, *others = events
            yield from map(Send, [missing_end + first, *others])
            yield Finish()

    def release(self) -> bytes:
        """Return the incomplete event."""
        return self._decoder.pending
