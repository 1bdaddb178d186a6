"""The connections of a gRPC port, served by grpclib and h2, with limits.

grpclib accepts any message that its caller announces, and h2 answers any number of PINGs. So each
connection has an allowance of frames, and each port limits what it holds for calls (both in
`port`). They are checked before grpclib sees anything. Nothing in grpclib is replaced globally.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

import trio
from attrs import define, field
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import Connection, EventsProcessor, H2Protocol, Stream
from grpclib.server import Handler
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, UnknownFrameReceived
from h2.settings import SettingCodes

from faultinject.plugin.bridge.port import (
    FRAMES_A_CALL,
    PIECE_BYTES,
    FrameAllowance,
    Port,
    PortCall,
    Reason,
)

CALLS_AT_ONCE = 1_000_000
"""Most open calls that a connection is told it may have. It is no real limit, because the host
stands still at it (by default at 100). The port has a limit at which calls are answered."""
CLOSE_SECONDS = 1.0
"""How long a client may take to read what was written to it, when its connection is closed."""
GIVE_BACK_SECONDS = 1.0
"""How long after a surge memory is given back. Connections end meanwhile."""

Warn = Callable[[str], None]

_STATUSES = {
    Reason.TOO_MUCH: Status.RESOURCE_EXHAUSTED,
    Reason.TOO_LONG: Status.DEADLINE_EXCEEDED,
    Reason.NOT_ONE_MESSAGE: Status.INVALID_ARGUMENT,
}


@define(eq=False, repr=False)
class ServedPort:
    """A port with its clock: one timer, for the call that times out next."""

    loop: asyncio.AbstractEventLoop
    largest: Mapping[str, int]
    """The longest message for each path, in bytes."""
    port: Port
    give_back: Callable[[], None] | None = None
    """Gives spare memory back to the system; None if we may not."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def begin(self, path: str, refuse: Callable[[Reason, str], None]) -> PortCall | None:
        """Accept a new call; return None if it was refused."""
        largest = self.largest.get(path, max(self.largest.values()))  # grpclib refuses others
        call, now = PortCall(largest, refuse), self.loop.time()
        if not self.port.begin(call, now):
            return None
        self._wake_by(now + self.port.bounds.coming_seconds)
        return call

    def end(self, call: PortCall) -> None:
        """Forget a call that is over. Some time after a surge memory may be given back."""
        self.port.end(call)
        if self.port.surge_is_over() and self.give_back is not None:
            self.loop.call_later(GIVE_BACK_SECONDS, self.give_back)

    def _wake_by(self, time: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= time:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(time, self._expire)

    def _expire(self) -> None:
        self._timer = None
        ends = self.port.expire(self.loop.time())
        if ends is not None:
            self._wake_by(ends)


class _Processor(EventsProcessor):
    """grpclib's processor, for the calls that the port has accepted."""

    def __init__(self, handler: Handler, connection: Connection, served: ServedPort) -> None:
        super().__init__(handler, connection)
        self._handler = handler
        self._served = served
        self._http2 = connection._connection
        self._calls: dict[int, PortCall] = {}
        # In HTTP/2 frames of unknown types are ignored (RFC 9113 section 4.1). grpclib fails.
        self.processors[UnknownFrameReceived] = lambda _event: None
        self.became_whole: Callable[[], None] = lambda: None

    def is_open(self, stream_id: int) -> bool:
        """Return True if a stream has a call with a complete message and no answer yet."""
        call = self._calls.get(stream_id)
        return call is not None and call.whole

    def process_request_received(self, event: RequestReceived) -> None:
        """Begin a call, if the port accepts it."""
        stream_id = event.stream_id

        def refuse(reason: Reason, words: str) -> None:
            self._refuse(stream_id, _STATUSES[reason], words)

        path = dict(cast("list[tuple[str, str]]", event.headers)).get(":path", "")
        call = self._served.begin(path, refuse)
        if call is None:
            return
        self._calls[stream_id] = call
        super().process_request_received(event)
        stream = self.streams[stream_id]
        self._handler._tasks[stream].add_done_callback(lambda _task: self._ended(stream_id, stream))

    def process_data_received(self, event: DataReceived) -> None:
        """Pass a call's data on, if the port accepts them."""
        call = self._calls.get(event.stream_id)
        if call is not None:
            was_whole = call.whole
            if not self._served.port.receive(call, event.data):
                self.connection.ack(event.stream_id, event.flow_controlled_length)
                return
            if call.whole and not was_whole:
                self.became_whole()
        super().process_data_received(event)

    def _ended(self, stream_id: int, stream: Stream) -> None:
        """Forget a call whose task is over. grpclib would keep parts of it for a while."""
        self._served.end(self._calls.pop(stream_id))
        self.streams.pop(stream_id, None)
        self._handler._tasks.pop(stream, None)

    def _refuse(self, stream_id: int, status: Status, words: str) -> None:
        stream = self.streams.get(stream_id)
        if stream is not None and stream.wrapper is not None:
            stream.wrapper.cancel(GRPCError(status, words))  # the task sends this as the answer
            return
        # It has no running task. h2 has read all that came, so the client may have ended it since.
        if self._is_unfinished(stream_id):
            answer = [
                (":status", "200"),
                ("content-type", "application/grpc+proto"),
                ("grpc-status", str(status.value)),
                ("grpc-message", words),
            ]
            self._http2.send_headers(stream_id, answer, end_stream=True)
        if self._is_unfinished(stream_id):  # the rest of it is not wanted
            self._http2.reset_stream(stream_id, ErrorCodes.NO_ERROR)
        self.connection.flush()
        if stream is not None:
            self._handler.cancel(stream)

    def _is_unfinished(self, stream_id: int) -> bool:
        stream = self._http2.streams.get(stream_id)
        return stream is not None and not stream.closed


class Caller(H2Protocol):
    """A client's connection, which is in `Callers` while it is open."""

    def __init__(self, callers: Callers, served: ServedPort, *of_grpclib: Any) -> None:
        super().__init__(*of_grpclib)
        self._callers = callers
        self._served = served
        self._going_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the connection."""
        # asyncio and grpclib leave Nagle's algorithm on (40 ms per call) if the listening socket
        # does not name TCP as its protocol, and one of `socket.create_server` does not.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._transport = cast("asyncio.Transport", transport)
        self._callers.opened(self)
        self._http2 = self.connection._connection
        self._http2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: CALLS_AT_ONCE})
        self.connection.flush()
        processor = _Processor(cast("Handler", self.handler), self.connection, self._served)
        self._frames = FrameAllowance(processor.is_open, self._served.loop.time())
        processor.became_whole = lambda: self._frames.earn(FRAMES_A_CALL)
        self.processor = processor

    def data_received(self, data: bytes) -> None:
        """Handle the data in pieces, as long as their frames are allowed."""
        # A client that does not read earns nothing by time: our answers to PINGs would pile up.
        useful = self.connection.write_ready.is_set()
        self._frames.wait(self._served.loop.time(), useful=useful)
        for start in range(0, len(data), PIECE_BYTES):
            if self._going_away or self._transport.is_closing():
                return
            piece = data[start : start + PIECE_BYTES]
            if self._frames.spend(piece):
                self._take(piece)
            else:
                self._go_away(ErrorCodes.ENHANCE_YOUR_CALM)
                self._callers.warn("a gRPC client sent too many frames that belong to no call")

    def _take(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - only this connection has to end
            self._callers.warn(f"a gRPC client's connection failed: {error!r}")
            self.abort()

    def _go_away(self, code: ErrorCodes) -> None:
        """Send GOAWAY, end the calls, and drop what still comes until the client has left.

        To close at once would reset the connection, and the GOAWAY might be lost.
        """
        self._going_away = True
        self._http2.close_connection(code)
        self.connection.flush()
        for stream in self.processor.streams.values():
            stream.buffer.unacked_size()  # takes it out: there will be no acknowledgement
        self.handler.close()
        self._transport.write_eof()
        self._served.loop.call_later(CLOSE_SECONDS, self._transport.abort)

    def connection_lost(self, error: BaseException | None) -> None:
        """End the connection."""
        super().connection_lost(error)
        self._callers.lost(self)

    def close(self) -> None:
        """Send GOAWAY, and close the connection once that is sent."""
        if not (self._going_away or self._transport.is_closing()):
            self._http2.close_connection()
            self.connection.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


@define(eq=False, repr=False)
class Callers:
    """The open connections."""

    warn: Warn
    _open: set[Caller] = field(factory=set, init=False)
    _all_lost: trio.Event = field(factory=trio.Event, init=False)

    def opened(self, connection: Caller) -> None:
        """Note a connection."""
        self._open.add(connection)

    def lost(self, connection: Caller) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        if not self._open:
            self._all_lost.set()

    async def close(self) -> None:
        """Close all of them, within `CLOSE_SECONDS`."""
        for connection in tuple(self._open):
            connection.close()
        with trio.move_on_after(CLOSE_SECONDS):
            await self._none_left()
        for connection in tuple(self._open):
            connection.abort()
        await self._none_left()

    async def _none_left(self) -> None:
        self._all_lost = trio.Event()
        if self._open:
            await self._all_lost.wait()
