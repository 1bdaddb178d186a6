"""The connections of a gRPC port, as grpclib and h2 serve them, with bounds.

grpclib takes any message that its caller announces, and h2 answers any number of PINGs. So each
connection has an allowance of frames (`frames`), and each port bounds what it holds of calls
(`port`). Both are asked before grpclib sees anything. Nothing of grpclib is replaced globally.
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
"""Most calls under way that a connection is allowed: no bound, for at the bound (100 unless one
says otherwise) the host stands still. The port has a bound that answers."""
GOODBYE_SECONDS = 1.0
"""How long a client may take to read what was written to it, once we stop."""
REST_SECONDS = 1.0
"""How long after a surge its memory is given back: connections end meanwhile."""

Warn = Callable[[str], None]

_STATUSES = {
    Reason.TOO_MUCH: Status.RESOURCE_EXHAUSTED,
    Reason.TOO_LONG: Status.DEADLINE_EXCEEDED,
    Reason.NOT_ONE_MESSAGE: Status.INVALID_ARGUMENT,
}


@define(eq=False)
class ServedPort:
    """A port and the clock for it: one timer, for the call whose time is over next."""

    loop: asyncio.AbstractEventLoop
    largest: Mapping[str, int]
    """The longest message of each path."""
    port: Port
    give_back: Callable[[], None] | None = None
    """Gives spare memory back to the system; None if that is not ours to do."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def begin(self, path: str, refuse: Callable[[Reason, str], None]) -> PortCall | None:
        """Take a new call in; None if it was refused."""
        largest = self.largest.get(path, max(self.largest.values()))  # grpclib refuses others
        call, now = PortCall(largest, refuse), self.loop.time()
        if not self.port.begin(call, now):
            return None
        self._wake_by(now + self.port.bounds.coming_seconds)
        return call

    def end(self, call: PortCall) -> None:
        """Forget a call that is over; a while after a surge memory may be given back."""
        self.port.end(call)
        if self.port.surge_is_over() and self.give_back is not None:
            self.loop.call_later(REST_SECONDS, self.give_back)

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
    """grpclib's, of calls that the port has taken in."""

    def __init__(self, handler: Handler, connection: Connection, served: ServedPort) -> None:
        super().__init__(handler, connection)
        self._handler = handler
        self._served = served
        self._http2 = connection._connection
        self._calls: dict[int, PortCall] = {}
        # HTTP/2 has it that frames of unknown types are ignored (RFC 9113 section 4.1); grpclib
        # fails over them.
        self.processors[UnknownFrameReceived] = lambda _event: None
        self.became_whole: Callable[[], None] = lambda: None

    def is_open(self, stream_id: int) -> bool:
        """Whether a stream has a call whose message is whole and that was not answered."""
        call = self._calls.get(stream_id)
        return call is not None and call.whole

    def process_request_received(self, event: RequestReceived) -> None:
        """Begin a call, if the port takes it in."""
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
        """Hand on what came for a call, if the port bears it."""
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
        """Keep nothing of a call whose task is over; grpclib would keep some, for a while."""
        self._served.end(self._calls.pop(stream_id))
        self.streams.pop(stream_id, None)
        self._handler._tasks.pop(stream, None)

    def _refuse(self, stream_id: int, status: Status, words: str) -> None:
        stream = self.streams.get(stream_id)
        if stream is not None and stream.wrapper is not None:
            stream.wrapper.cancel(GRPCError(status, words))  # the task answers so
            return
        # No task has begun with it. h2 has taken all that came: the client may have ended it since.
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
    """A client's connection, known for as long as it is open."""

    def __init__(self, callers: Callers, served: ServedPort, *of_grpclib: Any) -> None:
        super().__init__(*of_grpclib)
        self._callers = callers
        self._served = served
        self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # asyncio and grpclib leave Nagle on, 40 ms a call, where a listening socket was made
        # without saying that it is for TCP, as `socket.create_server` makes it.
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
        """Take what came, in pieces, for as long as the frames in it are allowed."""
        # Who does not read what we write earns nothing by time: our answers to PINGs would pile up.
        useful = self.connection.write_ready.is_set()
        self._frames.wait(self._served.loop.time(), useful=useful)
        for start in range(0, len(data), PIECE_BYTES):
            if self._leaving or self._transport.is_closing():
                return
            piece = data[start : start + PIECE_BYTES]
            if self._frames.spend(piece):
                self._take(piece)
            else:
                self._leave(ErrorCodes.ENHANCE_YOUR_CALM)
                self._callers.warn("a gRPC client sent too many frames that belong to no call")

    def _take(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - only this connection is the worse for it
            self._callers.warn(f"a gRPC client's connection failed: {error!r}")
            self.abort()

    def _leave(self, code: ErrorCodes) -> None:
        """Say goodbye, end its calls, and throw away what still comes until the client has left.

        Closing at once would reset the connection, and the goodbye might be lost.
        """
        self._leaving = True
        self._http2.close_connection(code)
        self.connection.flush()
        for stream in self.processor.streams.values():
            stream.buffer.unacked_size()  # takes it out: there will be no acknowledgement
        self.handler.close()
        self._transport.write_eof()
        self._served.loop.call_later(GOODBYE_SECONDS, self._transport.abort)

    def connection_lost(self, error: BaseException | None) -> None:
        """End."""
        super().connection_lost(error)
        self._callers.lost(self)

    def close(self) -> None:
        """Say goodbye and close once that is sent."""
        if not (self._leaving or self._transport.is_closing()):
            self._http2.close_connection()
            self.connection.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


@define(eq=False)
class Callers:
    """The connections that are open."""

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
        """Close all of them, within `GOODBYE_SECONDS`."""
        for connection in tuple(self._open):
            connection.close()
        with trio.move_on_after(GOODBYE_SECONDS):
            await self._none_left()
        for connection in tuple(self._open):
            connection.abort()
        await self._none_left()

    async def _none_left(self) -> None:
        self._all_lost = trio.Event()
        if self._open:
            await self._all_lost.wait()
