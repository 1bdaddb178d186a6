"""HTTP/1.1 over a Trio stream: receives and sends the parts of messages.

`faultinject.http.h1.machine` turns bytes into parts and back. The caller sets the time limit of
each wait, except for what drips.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from faultinject.errors import ClientGoneError, ClientProtocolError, PeerError, UpstreamError
from faultinject.http.exchange_sides import ClientExchange, UpstreamExchange
from faultinject.http.h1.framing import last_of_connection
from faultinject.http.h1.incoming import MessageError
from faultinject.http.h1.machine import Machine
from faultinject.http.h1.roles import ClientMachine, ServerMachine
from faultinject.http.message import End, Part, RequestHead
from faultinject.net.streams import bottom_of, half_close, was_reset, was_truncated

READ_NUM_BYTES = 64 * 1024
"""Most bytes of one read. A TLS record has up to 16 KiB, a socket's buffer usually more."""

_LOOK_TURNS = 16
"""How many turns of the loop the check of an idle connection may take. Each layer of a stream that
has something to return takes one or two."""


class HttpConnection:
    """A connection in either role: reads and writes parts of messages.

    Cancellation: a cancelled `receive` loses nothing and may be called again. After a cancelled
    `send` it is unknown what the peer got, and the connection can only be closed.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        machine: Machine,
        on_partial_read: Callable[[], None] | None,
        head_seconds: float,
    ) -> None:
        """Use a stream, which the caller still has to close."""
        self.stream = stream
        self.bottom = bottom_of(stream)
        self._head_seconds = head_seconds
        self._line_ends_by = math.inf
        self._machine = machine
        self._on_partial_read = on_partial_read

    # Reading

    def buffered_parts(self) -> list[Part]:
        """Return the parts that have arrived and were not yet returned, without waiting.

        It stops after an `End`, so that the next message stays unread. Raises the peer's
        `PeerError`.
        """
        if parts := self._machine.take_ready():
            return parts
        while (part := self._next_part()) is not None:
            parts.append(part)
            parts += self._machine.take_ready()
            if isinstance(parts[-1], End):
                break
        if parts:
            self._line_ends_by = math.inf
        return parts

    def _next_part(self) -> Part | None:
        try:
            return self._machine.next_part()
        except MessageError as error:
            if self._machine.at_eof:
                raise self._gone("the connection ended within a message") from error
            raise self._broke_protocol(error) from error

    async def receive(self) -> list[Part]:
        """Wait for the next parts, and return all that one read brought, at least one.

        An empty list means that the peer has ended its side between two messages.
        """
        while not (parts := self.buffered_parts()):
            if self._machine.at_eof:
                return []
            if self._machine.within_line:
                await self._read_in_time()
            else:
                await self.read_more()
        return parts

    async def _read_in_time(self) -> None:
        """Read more. A head, a chunk's line and trailers have a time limit, in case they drip.

        A body has none, because streams come slowly.
        """
        self._line_ends_by = min(self._line_ends_by, trio.current_time() + self._head_seconds)
        with trio.CancelScope(deadline=self._line_ends_by) as scope:
            await self.read_more()
        if scope.cancelled_caught:
            raise self._too_slow(f"a line of it did not end within {self._head_seconds:g} s")

    async def read_more(self) -> bool:
        """Wait for bytes from the peer and keep them; return False at its end.

        It does not parse them, so it can also watch a peer that should not send anything now.
        """
        if self._machine.at_eof:
            return False
        if self._on_partial_read is not None and self._machine.within_message:
            self._on_partial_read()
        try:
            data = await self.stream.receive_some(READ_NUM_BYTES)
        except trio.BrokenResourceError as error:
            raise self._broken(error) from error
        self._machine.receive_data(data)
        return bool(data)

    @property
    def unread(self) -> bytes:
        """The bytes that have arrived and belong to no returned part."""
        return self._machine.unread

    @property
    def has_unread(self) -> bool:
        """Whether there are `unread` bytes."""
        return self._machine.has_unread

    @property
    def body_bytes_received(self) -> int:
        """How many bytes of the current body were received."""
        return self._machine.body_bytes_received

    # Writing

    async def send(self, *parts: Part) -> None:
        """Send parts of a message in one write.

        Raises the peer's `PeerError` if it is gone, and `h11.LocalProtocolError` (a defect of ours)
        if the parts are not allowed now.
        """
        if not (data := self._machine.encode(*parts)):
            return
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise self._broken(error) from error

    @property
    def has_room(self) -> bool:
        """Whether some KiB could be sent at once; False if that is unknown."""
        return self.bottom is not None and self.bottom.has_room()

    async def wait_for_room(self) -> None:
        """Wait until something can be sent. Raises the peer's `PeerError` if it is gone.

        Where there is room, no other task gets a turn.
        """
        if self.has_room:
            return
        try:
            await self.stream.wait_send_all_might_not_block()
        except trio.BrokenResourceError as error:
            raise self._broken(error) from error

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are. Raises the peer's `PeerError` if it is gone."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise self._broken(error) from error

    @property
    def body_bytes_sent(self) -> int:
        """How many bytes of the current body were sent."""
        return self._machine.body_bytes_sent

    # The end

    def next_cycle(self) -> bool:
        """Prepare for the next request; return False if none may follow.

        It may follow if both messages are over and neither side wants to close.
        """
        return self._machine.next_cycle()

    @property
    def half_closeable(self) -> bool:
        """Whether the peer can end its sending and still read."""
        return isinstance(self.stream, trio.abc.HalfCloseableStream)

    def _broken(self, error: trio.BrokenResourceError) -> PeerError:
        gone = self._gone(str(error.__cause__ or error) or "the connection broke")
        gone.was_reset = was_reset(error)
        return gone

    def _gone(self, reason: str) -> PeerError:
        raise NotImplementedError

    def _too_slow(self, reason: str) -> PeerError:
        raise NotImplementedError

    def _broke_protocol(self, error: MessageError) -> PeerError:
        raise NotImplementedError


class ClientConnection(HttpConnection, ClientExchange):
    """The connection to a client, which sends requests; and the side of the present exchange."""

    _machine: ServerMachine

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        head_bytes: int,
        head_seconds: float = math.inf,
        on_partial_read: Callable[[], None] | None = None,
    ) -> None:
        """Use a stream, which the caller still has to close.

        ``head_bytes`` limits a head, a chunk's line and trailers. ``head_seconds`` limits the time
        of the latter two; the caller limits that of a head. ``on_partial_read`` is called before a
        read, if the last one brought only a part of a message.
        """
        super().__init__(stream, ServerMachine(head_bytes), on_partial_read, head_seconds)

    def buffered_parts(self) -> list[Part]:
        """Return the parts that have arrived; see the base class."""
        parts = super().buffered_parts()
        if parts and self.listener is not None:
            self.listener.received(parts)
        return parts

    async def send(self, *parts: Part) -> None:
        """Send parts of an answer; see the base class."""
        if self.closes:
            parts = tuple([last_of_connection(part) for part in parts])
        await super().send(*parts)
        if self.listener is not None:
            self.listener.sent(parts)

    def buffered_request(self) -> RequestHead | None:
        """Return the next request's head if it has arrived. Raises `ClientProtocolError`."""
        part = self._next_part()
        return part if isinstance(part, RequestHead) else None

    async def receive_request(self) -> RequestHead | None:
        """Wait for the next request's head; None if the client ends its side before one begins.

        Raises `ClientGoneError`, `ClientProtocolError`.
        """
        while (request := self.buffered_request()) is None:
            if self._machine.at_eof:
                return None
            await self.read_more()
        return request

    @property
    def waits_for_continue(self) -> bool:
        """Whether the client holds its body back until a 100 (RFC 9110 section 10.1.1)."""
        return self._machine.waits_for_continue

    @property
    def is_last_request(self) -> bool:
        """Whether the current request is the client's last, because it says so, or is HTTP/1.0."""
        return self._machine.is_last_request

    @property
    def request_ended(self) -> bool:
        """Whether the request was received to its end."""
        return self._machine.request_ended

    @property
    def response_started(self) -> bool:
        """Whether a response to the current request has begun, so that no other can."""
        return self._machine.response_started

    async def wait_until_gone(self, may_read: Callable[[bytes], bool], most_bytes: int) -> bool:
        """Watch the client while it waits for its response; see the base class.

        A client that has announced its last request may end its side of a TCP connection and still
        read. If it has not, the end means that it does not want the response any more.
        """
        may_half_close = self.half_closeable and self.is_last_request
        while len(self.unread) < most_bytes and may_read(self.unread):
            if not await self.read_more():
                if may_half_close:
                    return True  # it sends nothing more, and may well be reading
                raise ClientGoneError("the client closed the connection before the answer's end")
        return False

    async def end_sending(self) -> None:
        """Half-close. What the client still sends can be received."""
        self.ended = True
        await half_close(self.stream)

    def next_cycle(self) -> bool:
        """Get ready for the next request; see the base class."""
        return not self.ended and super().next_cycle()

    def _gone(self, reason: str) -> PeerError:
        return ClientGoneError(reason)

    def _too_slow(self, reason: str) -> PeerError:
        return ClientProtocolError(f"the request is too slow: {reason}", 408)

    def _broke_protocol(self, error: MessageError) -> PeerError:
        return ClientProtocolError(str(error), error.status)


class UpstreamConnection(HttpConnection, UpstreamExchange):
    """The connection to an upstream, which gets requests from us; and our side of the exchange."""

    _machine: ClientMachine

    def __init__(
        self, stream: trio.abc.Stream, *, head_bytes: int, head_seconds: float = math.inf
    ) -> None:
        """Use a stream, which the caller still has to close.

        ``head_bytes`` and ``head_seconds`` limit a head, a chunk's line and trailers.
        """
        super().__init__(stream, ClientMachine(head_bytes), None, head_seconds)

    @property
    def idle(self) -> bool:
        """Whether a request may be sent, as far as is known."""
        return self._machine.idle

    def next_cycle(self) -> bool:
        """Get ready for the next request; see the base class."""
        self.was_used = super().next_cycle()
        return self.was_used

    @property
    def cycle_ended(self) -> bool:
        """Whether everything was sent, so that the connection may be closed cleanly.

        After an upgrade this is unknown.
        """
        return self._machine.cycle_ended

    def _next_part(self) -> Part | None:
        """Return the next part. Raises `UpstreamError` for an end that may be forged.

        A body that ends with the connection is complete only if TLS ends properly (RFC 9112 section
        9.8).
        """
        part = super()._next_part()
        if isinstance(part, End) and self._machine.at_eof and was_truncated(self.stream):
            raise self._gone("the upstream's TLS ended without close_notify within a body")
        return part

    async def still_idle(self) -> bool:
        """Read what has arrived meanwhile; return whether a request may be sent.

        This notices that the upstream has ended the connection, or has sent something unasked,
        before a request is sent. What has arrived may be TLS's own (a session ticket). The check
        has no time limit, because on a busy machine it may take any time to read what is there.
        """
        if self._machine.idle and self._may_have_arrived:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_a_few_turns, nursery.cancel_scope)
                await self.wait_until_not_idle()
                nursery.cancel_scope.cancel()
        return self._machine.idle

    @property
    def _may_have_arrived(self) -> bool:
        return self.bottom is None or self.bottom.has_arrived()

    async def wait_until_not_idle(self) -> None:
        """Return when the upstream ends an idle connection, or sends anything on it."""
        try:
            await self.read_more()
        except UpstreamError:
            self._machine.receive_data(b"")

    def _gone(self, reason: str) -> PeerError:
        return UpstreamError("disconnected", reason)

    def _too_slow(self, reason: str) -> PeerError:
        return UpstreamError("timeout", f"the answer is too slow: {reason}", 504)

    def _broke_protocol(self, error: MessageError) -> PeerError:
        return UpstreamError("protocol", f"the answer is not HTTP/1.1: {error}")


async def _a_few_turns(ended: trio.CancelScope) -> None:
    for _ in range(_LOOK_TURNS):
        await trio.lowlevel.checkpoint()
    ended.cancel()
