"""Small additions to Trio's streams.

Knows nothing of TLS, HTTP, or whose stream it is.
"""

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

FAREWELL_SECONDS = 0.1
"""How long a last word may wait for room in the peer's window. Mostly there is some at once."""


@runtime_checkable
class Resettable(Protocol):
    """A stream that can end as a broken connection does, instead of with a FIN."""

    def reset(self) -> None:
        """Close at once, with a reset (RST) if there is a TCP connection below."""
        ...


class Layered(trio.abc.Stream):
    """A stream that speaks a protocol of its own over another one.

    Each connection's end asks whether its stream is one. Of a `Protocol` that is a search for
    attributes, and took a twentieth of a short connection's time.
    """

    __slots__ = ()

    transport: trio.abc.Stream
    """The stream below."""

    truncated = False
    """Whether the peer's bytes ended without the word that this protocol has for an end."""

    @abstractmethod
    async def end_sending(self) -> None:
        """Send this protocol's word for an end. The peer's bytes can still be received."""


class Peekable(trio.abc.Stream):
    """A stream that can say without reading whether something has arrived."""

    __slots__ = ()

    def has_arrived(self) -> bool:
        """Say whether a read would return, or raise, at once."""
        raise NotImplementedError


def has_arrived(stream: trio.abc.Stream) -> bool:
    """Say whether something, or the end, may have arrived on a stream; True if it is unknown."""
    lowest = _lowest(stream)
    return not isinstance(lowest, Peekable) or lowest.has_arrived()


async def reset(stream: trio.abc.Stream) -> None:
    """Close a stream with a reset if it has a way to, else with nothing but its end."""
    if isinstance(stream, Resettable):
        stream.reset()
    await trio.aclose_forcefully(stream)


def was_reset(error: trio.BrokenResourceError) -> bool:
    """Say whether a stream broke because its peer reset the connection."""
    return isinstance(error.__cause__, ConnectionResetError)


@define
class PrefixedStream(trio.abc.HalfCloseableStream):
    """A stream some of whose bytes were already read: they are read again first."""

    _prefix: bytes
    _stream: trio.abc.Stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive the prefix, then what the stream brings."""
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
        """Half-close the stream, if it can be."""
        await half_close(self._stream)

    def reset(self) -> None:
        """Reset the stream, if it can be."""
        if isinstance(self._stream, Resettable):
            self._stream.reset()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


async def half_close(stream: trio.abc.Stream) -> None:
    """Say that nothing more will be sent, if the stream has a way to; a gone peer is fine."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while isinstance(stream, Layered):
            await stream.end_sending()
            stream = stream.transport
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()


async def say_end(stream: trio.abc.Stream) -> None:
    """Send the last word of TLS, if it is spoken on a stream that is about to be closed.

    RFC 8446 section 6.1 demands it. Cancellation does not stop it, for a connection may end
    because its task is cancelled; a peer that takes no bytes has `FAREWELL_SECONDS`. A peer that
    is told something only when it has spoken is not told.
    """
    if isinstance(stream, Layered) and not isinstance(_lowest(stream), KeepsLastWords):
        with trio.CancelScope(shield=True, deadline=trio.current_time() + FAREWELL_SECONDS):
            await stream.end_sending()


def was_truncated(stream: trio.abc.Stream) -> bool:
    """Return whether a peer's bytes ended without TLS's close_notify (RFC 9112 section 9.8)."""
    return isinstance(stream, Layered) and stream.truncated


class Ending(enum.Enum):
    """How a peer's connection shall end."""

    WHOLE = enum.auto()
    """All was said and read."""
    UNREAD = enum.auto()
    """All was said, but the peer may still be sending."""
    CUT = enum.auto()
    """Something is missing, and the peer shall see that: no close_notify, no last chunk."""
    CUT_UNREAD = enum.auto()
    """As `CUT`, but the peer may still be sending, and shall see no reset."""
    RESET = enum.auto()
    """As `CUT`, and the connection ends with a reset."""


class KeepsLastWords:
    """Marks a stream whose peer gets what was written last though its own words were not read.

    A TCP connection may lose them (see `_read_away`).
    """


_AS_IF_READ = {Ending.UNREAD: Ending.WHOLE, Ending.CUT_UNREAD: Ending.CUT}


async def close(stream: trio.abc.Stream, ending: Ending) -> None:
    """End a connection. The stream is always closed; its peer has at most `LINGER_SECONDS`."""
    if isinstance(_lowest(stream), KeepsLastWords):
        ending = _AS_IF_READ.get(ending, ending)
    if ending is Ending.RESET:
        await reset(stream)
        return
    if ending is Ending.CUT:
        await trio.aclose_forcefully(stream)
        return
    if ending is Ending.CUT_UNREAD:
        await _cut_unread(stream)
        return
    try:
        if ending is Ending.UNREAD:
            with trio.CancelScope(deadline=trio.current_time() + LINGER_SECONDS):
                await _read_away(stream)
    finally:
        await stream.aclose()


async def _cut_unread(stream: trio.abc.Stream) -> None:
    """Half-close what is below TLS, if there is any, so that TLS has no last word."""
    try:
        with trio.CancelScope(deadline=trio.current_time() + LINGER_SECONDS):
            await _read_away(_lowest(stream))
    finally:
        await trio.aclose_forcefully(stream)


def _lowest(stream: trio.abc.Stream) -> trio.abc.Stream:
    while isinstance(stream, Layered):
        stream = stream.transport
    return stream


async def _read_away(stream: trio.abc.Stream) -> None:
    """Half-close, and read until the peer does.

    Bytes of the peer that are unread when a TCP socket closes make its end a reset, which may
    destroy our last words on their way (RFC 9112 section 9.6). What they mean does not matter, so
    they are read below TLS.
    """
    await half_close(stream)
    lowest = _lowest(stream)
    try:
        while await lowest.receive_some(64 * 1024):
            pass
    except trio.BrokenResourceError:
        pass
