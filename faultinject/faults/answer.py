"""What faults are told of an answer, as a value.

Knows nothing of how it was found out.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from faultinject.providers.provider import Fields, Provider, StreamShape, Uniform

Numbers = Callable[[str], Uniform]
"""Returns the random numbers for a purpose, always the same for the same."""


@frozen
class Answer:
    """What is known of an answer once its head is there."""

    provider: Provider
    shape: StreamShape | None
    """How its stream is written; None if it is no stream."""
    encoded: bool
    """Whether its body is compressed, so that no events can be seen in it."""
    fields: Fields = field(repr=False)
    """What is drawn for what we say in it; the request's id is the answer's own."""
    numbers: Numbers = field(repr=False)

    unknown_stream: str | None = None
    """Its content type if it is a stream whose form is not known."""

    @property
    def why_no_stream(self) -> str:
        """Why there is no `shape`, in words."""
        if self.unknown_stream is None:
            return "the answer is no stream"
        return f"the answer is a stream of {self.unknown_stream}, which is not recognised"

    @property
    def readable_shape(self) -> StreamShape | None:
        """How its stream is written, if events can be seen in it."""
        return None if self.encoded else self.shape
