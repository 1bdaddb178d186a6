"""What happens to an answer from its point on: what all such actions share.

Knows nothing of points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from faultinject.faults.transform import Act, Finish, Send
from faultinject.http.message import End

BodyPiece = bytes | End


class Action:
    """Passes everything on, from its point on, in the pieces in which it comes."""

    done = True
    """Whether the answer has been changed; asked only once it has begun."""

    def begin(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        """Return what is to be done at the point itself."""
        yield from ()

    def step(self, piece: BodyPiece, now_seconds: float) -> Iterator[Act]:
        """Return what is to be done about what comes behind the point."""
        if isinstance(piece, End):
            yield from self._end(piece, now_seconds)
        else:
            yield from self._pass(piece, now_seconds)

    def release(self) -> bytes:
        """Return what is held back, for there will be no further step."""
        return b""

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        yield Send(data)

    def _end(self, end: End, now_seconds: float) -> Iterator[Act]:
        yield from self._pass_rest(now_seconds)
        yield Finish(end.trailers)

    def _pass_rest(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        """Return what is to be done about what is held back, for the answer ends."""
        if held := self.release():
            yield Send(held)


class AtOnce(Action):
    """Does all that it does at the point, and nothing comes behind."""

    def __init__(self, acts: Callable[[float], list[Act]]) -> None:
        """Do these acts, given the time."""
        self._acts = acts

    def begin(self, now_seconds: float) -> Iterator[Act]:
        """Return the acts, the last of which ends the answer."""
        yield from self._acts(now_seconds)
