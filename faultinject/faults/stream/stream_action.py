"""What a fault of a stream has to say about itself, and what it is told of the answer.

Each fault is a subclass of `StreamAction` in a module of this package, with all that is particular
to it. `faultinject.faults.stream` names them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from attrs import frozen

from faultinject.faults.place import START, Ability, Point
from faultinject.faults.transform import Action
from faultinject.observed import Failure as SeenFailure
from faultinject.providers.framing import Decoder
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Failure, Fields, Progress, Shape, StreamShape, Uniform
from faultinject.reading.value import TRUE, Value

Numbers = Callable[[str], Uniform]
"""Returns the random numbers for a purpose. The same purpose gets the same numbers."""


@frozen(eq=False, repr=False)
class ResponseInfo:
    """What is known of an answer when its head has come."""

    provider: Provider
    shape: StreamShape | None
    """The form of its stream; None if it is not a stream."""
    encoded: bool
    """Whether its body is compressed, so that its events cannot be read."""
    fields: Fields
    """The fields for what is added to it. The request id is the answer's own."""
    numbers: Numbers

    unknown_stream: str | None = None
    """Its content type if it is a stream of an unknown form."""

    @property
    def why_no_stream(self) -> str:
        """Why there is no `shape`, in words."""
        if self.unknown_stream is None:
            return "the answer is no stream"
        return f"the answer is a stream of {self.unknown_stream}, which is not recognised"

    @property
    def readable_shape(self) -> StreamShape | None:
        """The form of its stream, if its events can be read."""
        return None if self.encoded else self.shape


@frozen(eq=False, repr=False)
class EventStream:
    """A stream whose events can be read."""

    answer: ResponseInfo
    shape: StreamShape
    progress: Progress
    """By the time of the point it has seen what came before."""
    uniform: Uniform

    def decoder(self) -> Decoder:
        """Return a new decoder of its events."""
        return self.shape.framing.decoder()


class StreamAction:
    """A fault of a streamed answer, as a rule describes it."""

    __slots__ = ()

    key = ""
    """Its key under ``stream`` in a rule."""
    label = ""
    """Its name in events and headers."""
    about = ""
    """What it does, in a sentence, which editors show at its key."""
    point: Point = START
    """Where it begins if a rule gives no point."""
    throughout = False
    """Whether a rule may have it beside another at the same point: then it begins at the start."""
    paces = False
    """Whether it passes everything on, in pieces with pauses between them."""
    lacking = ""
    """What a stream lacks to which it does nothing, although its events can be read."""
    causes: SeenFailure | None = None
    """How a client's attempt fails that saw what it did, if that follows from it alone."""

    @classmethod
    def written(cls) -> Value[Self]:
        """Return how a rule writes it, under its key: ``true``, unless a fault says otherwise."""
        return TRUE.into(lambda _: cls())

    def on_bytes(self, uniform: Uniform) -> Action | None:  # noqa: ARG002
        """Return what carries it out on bytes of an unknown form; None if it needs events."""
        return None

    def on_events(self, stream: EventStream) -> Action | None:  # noqa: ARG002
        """Return what carries it out on events; None if bytes are enough for it."""
        return None

    @property
    def needs(self) -> frozenset[Ability]:
        """What the proxy or plugin must be able to do, besides `Ability.ANSWER`."""
        return frozenset()

    @property
    def ends(self) -> bool:
        """Whether no other fault can follow it."""
        return False

    @property
    def whole_events(self) -> bool:
        """Whether it handles complete events, so that it must not begin within one."""
        return False

    @property
    def keeps_length(self) -> bool:
        """Whether a body that goes on to its end keeps its length."""
        return False

    @property
    def harms(self) -> bool:
        """Whether it changes what arrives. If not, the same arrives later or in other pieces."""
        return True

    @property
    def lasts_seconds(self) -> float:
        """How long it takes at most; 0 if it takes no time, infinity if there is no limit."""
        return 0.0

    # What it is to an API

    @property
    def depends_on_api(self) -> bool:
        """Whether there may be APIs for which it means nothing."""
        return False

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:  # noqa: ARG002
        """Return why it means nothing for an API and what is spoken there; None if it does."""
        return None

    @property
    def named_failure(self) -> str | None:
        """The name of one of the API's failures that it has, if any."""
        return None

    def failure_of(self, provider: Provider) -> Failure | None:  # noqa: ARG002
        """Return the error that it sends, in the API's terms; None if it sends none."""
        return None
