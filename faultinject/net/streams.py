"""Small additions to Trio's streams."""

from __future__ import annotations

import contextlib
import enum
from abc import abstractmethod
from typing import Protocol, runtime_checkable

import trio
from attrs import define

LINGER_SECONDS = 2.0
"""How long a peer may still send after our last byte. It is enough for a peer that reads our
answer and closes; one that goes on sending is cut off."""

CLOSE_NOTIFY_SECONDS = 0.1
"""How long a close_notify may wait for room in the peer's window. Mostly there is some at once."""


@runtime_checkable
class Resettable(Protocol):
    """A stream that can end as a broken connection does, instead of with a FIN."""

    def reset(self) -> None:
        """Close at once, with a reset (RST) if there is a TCP connection below."""
        ...


class Layered(trio.abc.Stream):
    """A stream that speaks a protocol such as TLS over another stream.

    This is a class and not a `Protocol`, because it is asked for at the end of each connection:
    `isinstance` with a `Protocol` searches for attributes, and took a twentieth of a short
    connection's time.
    """

    __slots__ = ()

    transport: trio.abc.Stream
    """The stream below."""

    truncated = False
    """Whether the peer's bytes ended without this protocol's end message (TLS: close_notify)."""

    @abstractmethod
    async def end_sending(self) -> None:
        """Send this protocol's end message. The peer's bytes can still be received."""


class Peekable(trio.abc.Stream):
    """A stream that knows whether something has arrived, and maybe whether there is room."""

    __slots__ = ()

    def has_arrived(self) -> bool:
        """Return True if a read would return, or raise, at once."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Return True if some KiB could be sent at once, False if not, or if that is unknown."""
        return False


def bottom_of(stream: trio.abc.Stream) -> Peekable | None:
    """Return the lowest of a stream's layers; None if it is not known what has arrived there."""
    lowest = _lowest(stream)
    return lowest if isinstance(lowest, Peekable) else None


async def reset(stream: trio.abc.Stream) -> None:
    """Close a stream at once, with a reset if it can send one."""
    if isinstance(stream, Resettable):
        stream.reset()
    await trio.aclose_forcefully(stream)


def was_reset(error: trio.BrokenResourceError) -> bool:
    """Return True if a stream broke because its peer reset the connection."""
    return isinstance(error.__cause__, ConnectionResetError)


@define(eq=False, repr=False)
class PrefixedStream(trio.abc.HalfCloseableStream):
    """A stream some of whose bytes were already read: these are received again first."""

    _prefix: bytes
    _stream: trio.abc.Stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive the prefix, then what the stream receives."""
        if self._prefix:
            await trio.lowlevel.checkpoint()
            data, self._prefix = (
                self._prefix[:max_bytes],
                self._prefix[max_bytes or len(self._prefix) :],
            )
            return data
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send on the stream."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the stream might take bytes."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Half-close the stream, if it can be half-closed."""
        await half_close(self._stream)

    def reset(self) -> None:
        """Reset the stream, if it can be reset."""
        if isinstance(self._stream, Resettable):
            self._stream.reset()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


async def half_close(stream: trio.abc.Stream) -> None:
    """End sending on a stream, if it can be half-closed. A peer that is gone is no error."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while isinstance(stream, Layered):
            await stream.end_sending()
            stream = stream.transport
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()


async def send_close_notify(stream: trio.abc.Stream) -> None:
    """Send TLS's close_notify on a stream that is about to be closed, if the stream is TLS.

    RFC 8446 section 6.1 demands it. Cancellation does not stop it, because a connection may end
    when its task is cancelled; a peer that takes no bytes has `CLOSE_NOTIFY_SECONDS`. Nothing is
    sent on a stream that can send only in reply to its peer (`NeedsNoLinger`).
    """
    if isinstance(stream, Layered) and not isinstance(_lowest(stream), NeedsNoLinger):
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_NOTIFY_SECONDS):
            await stream.end_sending()


def was_truncated(stream: trio.abc.Stream) -> bool:
    """Return True if a peer's bytes ended without TLS's close_notify (RFC 9112 section 9.8)."""
    return isinstance(stream, Layered) and stream.truncated


class CloseMode(enum.Enum):
    """How to close a connection."""

    CLEAN = enum.auto()
    """Everything was sent and received."""
    LINGER = enum.auto()
    """Everything was sent, but the peer may still be sending: read that before closing."""
    TRUNCATE = enum.auto()
    """Something is missing, and the peer shall see that: no close_notify, no last chunk."""
    TRUNCATE_LINGERING = enum.auto()
    """As `TRUNCATE`, but the peer may still be sending, and shall see no reset."""
    RESET = enum.auto()
    """As `TRUNCATE`, and the connection ends with a reset."""


class NeedsNoLinger:
    """Marks a stream that delivers what was sent last even if received bytes were not read.

    A TCP connection may lose it (see `_linger`).
    """


_WITHOUT_LINGER = {
    CloseMode.LINGER: CloseMode.CLEAN,
    CloseMode.TRUNCATE_LINGERING: CloseMode.TRUNCATE,
}


async def close(stream: trio.abc.Stream, mode: CloseMode) -> None:
    """Close a connection. Waits `LINGER_SECONDS` at most for the peer; always closes the stream."""
    if isinstance(_lowest(stream), NeedsNoLinger):
        mode = _WITHOUT_LINGER.get(mode, mode)
    if mode is CloseMode.RESET:
        await reset(stream)
        return
    if mode is CloseMode.TRUNCATE:
        await trio.aclose_forcefully(stream)
        return
    if mode is CloseMode.TRUNCATE_LINGERING:
        await _truncate_lingering(stream)
        return
    try:
        if mode is CloseMode.LINGER:
            with trio.CancelScope(deadline=trio.current_time() + LINGER_SECONDS):
                await _linger(stream)
    finally:
        await stream.aclose()


async def _truncate_lingering(stream: trio.abc.Stream) -> None:
    """Half-close what is below TLS, if there is any, so that no close_notify is sent."""
    try:
        with trio.CancelScope(deadline=trio.current_time() + LINGER_SECONDS):
            await _linger(_lowest(stream))
    finally:
        await trio.aclose_forcefully(stream)


def _lowest(stream: trio.abc.Stream) -> trio.abc.Stream:
    while isinstance(stream, Layered):
        stream = stream.transport
    return stream


async def _linger(stream: trio.abc.Stream) -> None:
    """Half-close, and read until the peer does.

    If bytes of the peer are unread when a TCP socket closes, it sends a reset, which may destroy
    what we sent last (RFC 9112 section 9.6). What the bytes mean does not matter, so they are
    read below TLS.
    """
    await half_close(stream)
    lowest = _lowest(stream)
    try:
        while await lowest.receive_some(64 * 1024):
            pass
    except trio.BrokenResourceError:
        pass
