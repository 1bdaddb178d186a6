"""A simulated host: the two copy loops of Fault 0.16.0 around one tunnel, faults included.

A plugin meets here what it meets behind the real Fault, deterministically and without a clock of
its own. The three loops of code that matter (`GrpcPluginStream` of Fault, `CopyBuffer` of tokio,
and the join of the two directions) are followed branch by branch, polls and wakers included,
because what Fault loses and where it stalls comes from just those:

- **P1**: while a write call is in flight the copy loop tops its buffer up, and a reply that was
  flushed acknowledges the whole buffer, the bytes that came since included.
- **P2**: an empty `Replace` to a write call makes Fault call again at once.
- **P3**: a reply that the socket takes only in part leaves the task without a waker.

A poll returns None for "pending". The plugin is called as
`faultinject.plugin.interface.TunnelPlugin` says, and the peers are streams in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import trio
from attrs import define, field, frozen

from faultinject.plugin.interface import Close, Direction, PassThrough, Replace, Reply, Side
from tests.support.fault_sockets import Connection, connection

READ_BYTES = 4096
"""Most of what one chunk of the read path holds."""
COPY_BYTES = 8192
"""The size of a copy loop's buffer."""
LIMIT_SECONDS = 100_000.0
"""How long a test's tunnel may run by its clock."""


@frozen
class Buffer:
    """The reply that no plugin should give: the chunk is swallowed and the direction stalls."""


class Plugin(Protocol):
    """A plugin under test; it may also answer `Buffer`."""

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply | Buffer:
        """Say what shall become of a chunk."""
        ...


@frozen
class Call:
    """A call that was made, for the record."""

    side: Side
    direction: Direction
    chunk: bytes


class FaultIoError(Exception):
    """What ends a direction: an I/O error as Rust has them."""


@define(eq=False)
class _Rpc:
    """A call in flight; it wakes the task when its reply is there."""

    reply: Reply | Buffer | None = None
    failed: bool = False


@define(eq=False)
class _PluginStream:
    """Fault's wrapper of one peer's connection (`GrpcPluginStream`); without one, a bare socket."""

    side: Side
    socket: Connection
    wrapped: bool
    call: Callable[[Side, Direction, bytes], _Rpc]
    wake: Callable[[], None]
    _read_rpc: _Rpc | None = None
    _write_rpc: _Rpc | None = None
    _pending_read: bytearray = field(factory=bytearray)
    _pending_write: bytearray = field(factory=bytearray)

    def poll_read(self, most: int) -> bytes | None:
        """Return what was read, nothing at the end."""
        if not self.wrapped:
            return self.socket.poll_read(most, self.wake)
        if self._pending_read:
            return self._take_pending_read(most)
        if self._read_rpc is not None:
            return self._poll_read_rpc(most)
        data = self.socket.poll_read(READ_BYTES, self.wake)
        if data:
            self._read_rpc = self.call(self.side, Direction.FROM_PEER, data)
            self.wake()
            return None
        return data

    def _take_pending_read(self, most: int) -> bytes:
        data = bytes(self._pending_read[:most])
        del self._pending_read[:most]
        return data

    def _poll_read_rpc(self, most: int) -> bytes | None:
        rpc = self._read_rpc
        assert rpc is not None
        if rpc.failed:
            raise FaultIoError("the plugin failed")
        if rpc.reply is None:
            return None
        self._read_rpc = None
        match rpc.reply:
            case Replace(data) | PassThrough(data):
                self._pending_read += data
                return self.poll_read(most)
            case Close():
                return b""
            case Buffer():
                return None  # nobody will wake the task for this

    def poll_write(self, buffer: bytes) -> int | None:
        """Return how much of the buffer counts as written."""
        if not self.wrapped:
            return self.socket.poll_write(buffer, self.wake)
        if self._pending_write:
            return self._poll_flush(buffer)
        if self._write_rpc is not None:
            return self._poll_write_rpc(buffer)
        self._write_rpc = self.call(self.side, Direction.TO_PEER, buffer)
        self.wake()
        return None

    def _poll_flush(self, buffer: bytes) -> int | None:
        taken = self.socket.poll_write(bytes(self._pending_write), self.wake)
        if taken is None:
            return None
        del self._pending_write[:taken]
        if self._pending_write:
            return None  # P3: pending, and no waker
        return len(buffer)  # P1: whatever the plugin was shown of it

    def _poll_write_rpc(self, buffer: bytes) -> int | None:
        rpc = self._write_rpc
        assert rpc is not None
        if rpc.failed:
            raise FaultIoError("the plugin failed")
        if rpc.reply is None:
            return None
        self._write_rpc = None
        match rpc.reply:
            case Replace(data):
                self._pending_write += data
            case PassThrough(data):
                self._pending_write += data or buffer
            case Close():
                return 0
            case Buffer():
                return None
        self.wake()
        return None  # P2: with nothing to write, the next poll calls again


@define(eq=False)
class _Copy:
    """One direction: tokio's `copy`, then a half-close (`CopyBuffer`)."""

    reader: _PluginStream
    writer: _PluginStream
    done: bool = False
    error: Exception | None = None
    _buffer: bytearray = field(factory=bytearray)
    _read_done: bool = False

    def poll(self) -> None:
        """Go on as far as it goes."""
        if self.done:
            return
        try:
            self.done = self._poll_copy()
        except (FaultIoError, ConnectionError) as error:
            self.done, self.error = True, error
            return
        if self.done:
            self.writer.socket.shutdown()

    def forget_buffer(self) -> None:
        """Start anew with an empty buffer: what a `select!` does to the direction that goes on."""
        self._buffer.clear()
        self._read_done = False

    def _poll_copy(self) -> bool:
        while True:
            room = len(self._buffer) < COPY_BYTES and not self._read_done
            if room and not self._fill() and not self._buffer:
                return False
            while self._buffer:
                written = self.writer.poll_write(bytes(self._buffer))
                if written is None:
                    if not self._read_done and len(self._buffer) < COPY_BYTES:
                        self._fill()
                    return False
                if written == 0:
                    raise FaultIoError("write zero byte into writer")
                del self._buffer[:written]
            if self._read_done:
                return True

    def _fill(self) -> bool:
        """Read what there is room for; say whether the reader was ready."""
        data = self.reader.poll_read(COPY_BYTES - len(self._buffer))
        if data is None:
            return False
        self._read_done = not data
        self._buffer += data
        return True


@define(eq=False)
class FaultTunnel:
    """One tunnel of the host, from its opening to its end.

    ``client`` and ``upstream`` are the peers' own ends. ``sides`` are the registrations: with
    one of them the other peer's socket is bare. ``raw`` is a ``--proxy`` mapping instead of
    CONNECT: there an error ends the tunnel at once, and when one direction ends the other one's
    buffer is lost.
    """

    plugin: Plugin
    tunnel_id: str = "00000000-0000-4000-8000-000000000001"
    sides: tuple[Side, ...] = (Side.CLIENT, Side.UPSTREAM)
    raw: bool = False
    socket_bytes: int = 64 * 1024
    client: Connection = field(init=False)
    upstream: Connection = field(init=False)
    calls: list[Call] = field(factory=list)
    _up: _Copy = field(init=False)
    _down: _Copy = field(init=False)
    _nursery: trio.Nursery | None = None
    _woken: bool = True
    _task: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _in_flight: set[tuple[Side, Direction]] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.client, client_socket = connection(self.socket_bytes)
        self.upstream, upstream_socket = connection(self.socket_bytes)
        client = self._wrap(Side.CLIENT, client_socket)
        upstream = self._wrap(Side.UPSTREAM, upstream_socket)
        self._up, self._down = _Copy(client, upstream), _Copy(upstream, client)

    def _wrap(self, side: Side, socket: Connection) -> _PluginStream:
        return _PluginStream(side, socket, side in self.sides, self._call, self._wake)

    @property
    def errors(self) -> list[str]:
        """What ended each direction, where that was an error."""
        return [str(copy.error) for copy in (self._up, self._down) if copy.error]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[trio.Event]:
        """Run within the block; the event says that the tunnel has ended by itself.

        At the latest `LIMIT_SECONDS` after, it is `trio.TooSlowError`: for an autojumping clock.
        """
        over = trio.Event()

        async def run() -> None:
            await self.run()
            over.set()

        with trio.fail_after(LIMIT_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                yield over
                nursery.cancel_scope.cancel()

    async def run(self) -> None:
        """Copy until both directions are over; then drop both sockets and the calls in flight."""
        try:
            async with trio.open_nursery() as self._nursery:
                while not self._poll():
                    await self._sleep()
                self._nursery.cancel_scope.cancel()
        finally:
            self._up.reader.socket.close()
            self._down.reader.socket.close()

    def _poll(self) -> bool:
        """Poll both directions, as the task does on every wake; say whether it is over."""
        self._woken = False
        for copy, other in ((self._up, self._down), (self._down, self._up)):
            was_done = copy.done
            copy.poll()
            if self.raw and copy.done and not was_done:
                if copy.error:
                    return True
                other.forget_buffer()
        return self._up.done and self._down.done

    async def _sleep(self) -> None:
        if self._woken:
            await trio.lowlevel.checkpoint()
        else:
            await self._task.park()

    def _wake(self) -> None:
        self._woken = True
        self._task.unpark()

    def _call(self, side: Side, direction: Direction, chunk: bytes) -> _Rpc:
        assert (side, direction) not in self._in_flight
        self._in_flight.add((side, direction))
        self.calls.append(Call(side, direction, chunk))
        rpc = _Rpc()
        assert self._nursery is not None
        self._nursery.start_soon(self._answer, rpc, side, direction, chunk)
        return rpc

    async def _answer(self, rpc: _Rpc, side: Side, direction: Direction, chunk: bytes) -> None:
        try:
            rpc.reply = await self.plugin.process_tunnel_data(
                side, direction, self.tunnel_id, chunk
            )
        except Exception:  # an RPC that fails is an I/O error to Fault
            rpc.failed = True
        self._in_flight.discard((side, direction))
        self._wake()
