"""One exchange's two sides, whatever the version of HTTP: a request of a client's, one of ours.

Each side is an object that receives and sends the parts of its messages. With HTTP/1.1 a connection
is itself the side of the one exchange that it has at a time (`faultinject.http.h1.connection`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from faultinject.http.message import End, Part
from faultinject.net.streams import Peekable


class ExchangeSide(ABC):
    """What both sides have.

    Cancellation: a cancelled `receive` loses nothing and may be called again. After a cancelled
    `send` it is unknown what the peer got, and the exchange can only be broken off.
    """

    stream: trio.abc.Stream
    """What bytes pass over once the exchange has become something else, by a 101."""
    bottom: Peekable | None
    """The lowest layer of the stream; None if it is not known what has arrived there."""

    @abstractmethod
    def buffered_parts(self) -> list[Part]:
        """Return the parts that have arrived and were not yet returned, without waiting.

        It stops after an `End`. Raises the peer's `PeerError`.
        """

    @abstractmethod
    async def receive(self) -> list[Part]:
        """Wait for the next parts, at least one; none if the peer has ended its side before one.

        Raises the peer's `PeerError`.
        """

    @property
    @abstractmethod
    def unread(self) -> bytes:
        """The bytes that have arrived and belong to no returned part."""

    @property
    @abstractmethod
    def body_bytes_received(self) -> int:
        """How many bytes of the peer's body were received."""

    @abstractmethod
    async def send(self, *parts: Part) -> None:
        """Send parts of a message in one write. Raises the peer's `PeerError` if it is gone."""

    @abstractmethod
    async def send_raw(self, data: bytes) -> None:
        """Send bytes that are no part of a message. Raises the peer's `PeerError`."""

    @property
    @abstractmethod
    def body_bytes_sent(self) -> int:
        """How many bytes of our body were sent."""


class BodyPiece:
    """A body, or the beginning of one, in one piece: a peer may send it in millions."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._end: End | None = None

    def __len__(self) -> int:
        """Return how many bytes have come."""
        return len(self._body)

    @property
    def ended(self) -> bool:
        """Whether all of it has come."""
        return self._end is not None

    def add(self, parts: Sequence[Part]) -> None:
        """Add the next parts."""
        for part in parts:
            self._body += part if isinstance(part, bytes) else b""
        if parts and isinstance(parts[-1], End):
            self._end = parts[-1]

    @property
    def parts(self) -> list[Part]:
        """What has come: its bytes, if there are any, and its `End`, if that has."""
        body: list[Part] = [bytes(self._body)] if self._body else []
        return body if self._end is None else [*body, self._end]


class PartsListener(Protocol):
    """Is told the parts that pass between a client and us."""

    def received(self, parts: Sequence[Part]) -> None:
        """Take parts behind the request's head, as they are read."""

    def sent(self, parts: Sequence[Part]) -> None:
        """Take parts of the response, once they are sent."""


class ClientExchange(ExchangeSide):
    """A client's request, and our response to it. The request's head was read already."""

    ended = False
    """Whether we have ended our side: nothing more is sent to the client."""
    closes = False
    """Whether the connection ends after the response. Set it before the response is sent."""
    listener: PartsListener | None = None
    """Is told what passes."""

    @property
    @abstractmethod
    def waits_for_continue(self) -> bool:
        """Whether the client holds its body back until a 100 (RFC 9110 section 10.1.1)."""

    @property
    @abstractmethod
    def request_ended(self) -> bool:
        """Whether the request was received to its end."""

    @property
    @abstractmethod
    def response_started(self) -> bool:
        """Whether a response has begun, so that no other can."""

    @property
    def has_room(self) -> bool:
        """Whether some KiB could be sent at once; False if that is unknown."""
        return False

    @abstractmethod
    async def wait_for_room(self) -> None:
        """Wait until something can be sent. Raises `ClientGoneError`."""

    @abstractmethod
    async def end_sending(self) -> None:
        """End our side. What the client still sends can be received."""

    @abstractmethod
    async def wait_until_gone(self, may_read: Callable[[bytes], bool], most_bytes: int) -> bool:
        """Watch the client while it waits for its response.

        Raises `ClientGoneError` when it does not want the response any more. Returns True when it
        has ended its side and may still be reading; False when nothing can be seen of it any more.
        Before each read ``may_read`` is called with what was read ahead, and may forbid it; at most
        ``most_bytes`` are read ahead.
        """


class UpstreamExchange(ExchangeSide):
    """A request of ours to an upstream, and its response."""

    was_used = False
    """Whether its connection has served an exchange before."""

    @abstractmethod
    async def read_more(self) -> bool:
        """Wait for bytes from the upstream and keep them; return False when it has ended its side.

        Raises `UpstreamError`.
        """

    # When the exchange is over

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether a request may be sent, as far as is known."""

    @abstractmethod
    def next_cycle(self) -> bool:
        """Get ready for the next exchange; return False if none may follow."""

    @abstractmethod
    async def still_idle(self) -> bool:
        """Look at what has arrived meanwhile; return whether a request may be sent."""

    @abstractmethod
    async def wait_until_not_idle(self) -> None:
        """Return when the upstream ends an idle connection, or sends anything on it."""

    @property
    @abstractmethod
    def cycle_ended(self) -> bool:
        """Whether everything was sent, so that the connection may be closed cleanly."""
