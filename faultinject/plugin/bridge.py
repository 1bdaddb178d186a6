"""gRPC on Trio: grpclib, which is written for asyncio, on the loop of trio-asyncio.

The only module that imports asyncio. A call is a Trio function here: it may wait for as long as
it likes, and is cancelled when its client cancels it, lets its deadline pass, or is gone. Knows
nothing of what is called.

Importing this module raises `StartError` where trio-asyncio cannot be imported.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import grpclib.utils
import trio
from attrs import define, field, frozen
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server, Stream
from h2.events import UnknownFrameReceived
from h2.settings import SettingCodes

from faultinject.authority import bracketed
from faultinject.errors import StartError

try:
    with warnings.catch_warnings():
        # Python 3.12 and 3.13 announce what 3.14 has removed, which is why it fails there.
        warnings.filterwarnings("ignore", "'AbstractChildWatcher' is dep", DeprecationWarning)
        import trio_asyncio
except Exception as error:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise StartError(
        f"the plugin needs trio-asyncio, which cannot be loaded on this Python ({version}):"
        f" {error}; Python 3.11 to 3.13 can"
    ) from error

# trio-asyncio puts its own function in the place of this one, which on Python 3.12 and later fails
# on Trio. grpclib keeps the one that it found, so what is imported first must not matter.
grpclib.utils._current_task = asyncio.current_task

CALLS_AT_ONCE = 1_000_000
"""Most calls under way that a connection is allowed: no bound, for at the bound (100 unless one
says otherwise) the host stands still. What calls hold on to bounds them."""
GOODBYE_SECONDS = 1.0
"""How long a client may take to read what was written to it, once we stop."""

Call = Callable[[Any], Awaitable[Any]]
"""A Trio function that answers one message by another."""
Tell = Callable[[str], None]


@frozen
class Endpoint:
    """A gRPC service of unary calls: where it listens, and what answers."""

    host: str
    port: int
    """0 lets the system pick a free one."""
    option: str
    """The option that chooses the port, for the error if it cannot be had."""
    service: ServiceDescriptor
    calls: Mapping[str, Call]
    """A call for each method's name."""


@asynccontextmanager
async def open_grpc(endpoints: Sequence[Endpoint], tell: Tell) -> AsyncIterator[list[int]]:
    """Serve gRPC for as long as the block runs; the value is each endpoint's port.

    ``tell`` gets what goes wrong below the calls, in words. Leaving the block cancels every call
    and closes every connection, within some `GOODBYE_SECONDS`. Raises `StartError` if a port
    cannot be had.
    """
    failure: Exception | None = None
    async with AsyncExitStack() as owned:
        sockets = [owned.enter_context(_listen(endpoint)) for endpoint in endpoints]
        ports = [each.getsockname()[1] for each in sockets]
        loop = await owned.enter_async_context(trio_asyncio.open_loop())
        # Its own handler ends the whole loop for one bad connection, or one too many.
        loop.set_exception_handler(lambda _loop, problem: tell(_in_words(problem)))
        connections = _Connections(tell)
        servers = [_Server(endpoint, loop, connections) for endpoint in endpoints]
        for server, listening in zip(servers, sockets, strict=True):
            await trio_asyncio.aio_as_trio(server.start)(sock=listening)
        try:
            yield ports
        except Exception as error:  # noqa: BLE001 - raised below, outside of the loop's nurseries
            failure = error
        finally:
            with trio.CancelScope(shield=True):
                await _stop(servers, connections)
    if failure is not None:
        raise failure


def _listen(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        return socket.create_server((endpoint.host, endpoint.port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while ")[0]  # what follows is the address again
        port_is_why = error.errno in (errno.EADDRINUSE, errno.EACCES)
        mend = f"{endpoint.option} (0 picks a free one)" if port_is_why else "--host"
        raise StartError(
            f"cannot listen on {bracketed(endpoint.host)}:{endpoint.port}: {reason};"
            f" choose another with {mend}"
        ) from error


def _in_words(problem: Mapping[str, Any]) -> str:
    error = problem.get("exception")
    words = str(problem.get("message", "an error in the event loop"))
    return words if error is None else f"{words} ({type(error).__name__}: {error})"


async def _message(stream: Stream[Any, Any]) -> Any:
    """Return a call's message; what is none is the client's mistake, and no defect of ours."""
    try:
        request = await stream.recv_message()
    except NotImplementedError:  # so grpclib says that it is compressed
        raise GRPCError(Status.UNIMPLEMENTED, "compressed messages are not read") from None
    except (DecodeError, AssertionError, struct.error):  # the last two if it is cut short
        raise GRPCError(Status.INVALID_ARGUMENT, "the message cannot be read") from None
    if request is None:
        raise GRPCError(Status.INVALID_ARGUMENT, "the call has no message")
    return request


async def _stop(servers: Sequence[Server], connections: _Connections) -> None:
    """Accept nobody, cancel every call, and close every connection.

    Not by `Server.wait_closed`, which since Python 3.12 waits for clients to leave: the host
    stays.
    """
    for server in servers:
        server.close()
    await connections.close()


class _Server(Server):
    """grpclib's, with calls on Trio and connections that are known."""

    def __init__(
        self, endpoint: Endpoint, loop: trio_asyncio.TrioEventLoop, connections: _Connections
    ) -> None:
        self._endpoint = endpoint
        self._trio_loop = loop
        self._connections = connections
        super().__init__([self])

    def __mapping__(self) -> dict[str, Handler]:
        service = self._endpoint.service
        return {
            f"/{service.full_name}/{method.name}": self._handler(method)
            for method in service.methods
        }

    def _handler(self, method: MethodDescriptor) -> Handler:
        call, loop = self._endpoint.calls[method.name], self._trio_loop

        async def answer(stream: Stream[Any, Any]) -> None:
            request = await _message(stream)
            await stream.send_message(await loop.trio_as_future(call, request))

        request_type = GetMessageClass(method.input_type)
        response_type = GetMessageClass(method.output_type)
        return Handler(answer, Cardinality.UNARY_UNARY, request_type, response_type)

    def _protocol_factory(self) -> H2Protocol:
        plain = super()._protocol_factory()
        return _Connection(self._connections, plain.handler, plain.config, plain.h2_config)


class _Connection(H2Protocol):
    """A client's connection, known for as long as it is open."""

    def __init__(self, connections: _Connections, *of_grpclib: Any) -> None:
        super().__init__(*of_grpclib)
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio and grpclib leave Nagle on, 40 ms a call, where a listening socket was made
        # without saying that it is for TCP, as `socket.create_server` makes it.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._transport = cast("asyncio.Transport", transport)
        self._connections.opened(self)
        self._http2 = self.connection._connection
        self._http2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: CALLS_AT_ONCE})
        self.connection.flush()
        # HTTP/2 has it that frames of unknown types are ignored (RFC 9113 section 4.1); grpclib
        # fails over them.
        self.processor.processors[UnknownFrameReceived] = lambda _event: None

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - only this connection is the worse for it
            self._connections.tell(f"a gRPC client's connection failed: {error!r}")
            self.abort()

    def connection_lost(self, error: BaseException | None) -> None:
        super().connection_lost(error)
        self._connections.lost(self)

    def close(self) -> None:
        """Say goodbye and close once that is sent."""
        if not self._transport.is_closing():
            self._http2.close_connection()
            self.connection.flush()
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


@define(eq=False)
class _Connections:
    """The connections that are open."""

    tell: Tell
    _open: set[_Connection] = field(factory=set, init=False)
    _all_lost: trio.Event = field(factory=trio.Event, init=False)

    def opened(self, connection: _Connection) -> None:
        self._open.add(connection)

    def lost(self, connection: _Connection) -> None:
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
