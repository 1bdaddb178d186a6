"""gRPC on Trio: grpclib, which is written for asyncio, runs on trio-asyncio's loop.

A call is a Trio function. It may wait as long as it likes. It is cancelled when its client cancels
it, when its deadline passes, and when its client is gone. `callers` has the connections, and `port`
limits what a port holds for them.

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
from typing import Any

import grpclib.utils
import trio
from attrs import field, frozen
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server, Stream
from h2.exceptions import StreamClosedError

from faultinject.authority import bracketed
from faultinject.errors import StartError
from faultinject.plugin.bridge.callers import Caller, Callers, ServedPort, Warn
from faultinject.plugin.bridge.port import Port, PortBounds
from faultinject.plugin.interface import TooMuchError

try:
    with warnings.catch_warnings():
        # Python 3.12 and 3.13 warn of the removal because of which this import fails on 3.14.
        warnings.filterwarnings("ignore", "'AbstractChildWatcher' is dep", DeprecationWarning)
        import trio_asyncio
except Exception as error:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise StartError(
        f"the plugin needs trio-asyncio, which cannot be loaded on this Python ({version}):"
        f" {error}; Python 3.11 to 3.13 can"
    ) from error

# trio-asyncio replaces this function, because asyncio's own fails on Trio with Python 3.12 and
# later. grpclib keeps the function that it found, so the order of imports would matter. A program
# that uses grpclib without Trio sees no change: there the new function does what asyncio's does.
grpclib.utils._current_task = asyncio.current_task

Call = Callable[[Any], Awaitable[Any]]
"""A Trio function that answers one message by another."""


@frozen(eq=False, repr=False)
class Endpoint:
    """A gRPC service of unary calls: where it listens, and what answers."""

    host: str
    port: int
    """0 lets the system pick a free one."""
    option: str
    """The option for the port, for the error if the port cannot be used."""
    service: ServiceDescriptor
    calls: Mapping[str, Call]
    """A call for each method's name. If it raises `TooMuchError`, the answer is
    RESOURCE_EXHAUSTED."""
    largest: Mapping[str, int]
    """The longest message of each method, in bytes."""
    bounds: PortBounds = field(factory=PortBounds)
    """The port's limits."""
    give_back: Callable[[], None] | None = None
    """Gives spare memory back to the system some time after a surge; None if we may not."""


@asynccontextmanager
async def open_grpc(endpoints: Sequence[Endpoint], warn: Warn) -> AsyncIterator[list[int]]:
    """Serve gRPC while the block runs. The value is each endpoint's port.

    ``warn`` gets a message for each problem below the calls. Leaving the block cancels every call
    and closes every connection, within about `CLOSE_SECONDS`. Raises `StartError` if a port cannot
    be used.
    """
    failure: Exception | None = None
    async with AsyncExitStack() as owned:
        sockets = [owned.enter_context(_listen(endpoint)) for endpoint in endpoints]
        ports = [each.getsockname()[1] for each in sockets]
        loop = await owned.enter_async_context(trio_asyncio.open_loop())
        # The default handler ends the whole loop because of one bad connection, or one too many.
        loop.set_exception_handler(lambda _loop, problem: warn(_in_words(problem)))
        connections = Callers(warn)
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
        reason = str(error.strerror).partition(" (while ")[0]  # then comes the address again
        port_is_why = error.errno in (errno.EADDRINUSE, errno.EACCES)
        option = f"{endpoint.option} (0 picks a free one)" if port_is_why else "--host"
        raise StartError(
            f"cannot listen on {bracketed(endpoint.host)}:{endpoint.port}: {reason};"
            f" choose another with {option}"
        ) from error


def _in_words(problem: Mapping[str, Any]) -> str:
    error = problem.get("exception")
    words = str(problem.get("message", "an error in the event loop"))
    return words if error is None else f"{words} ({type(error).__name__}: {error})"


async def _message(stream: Stream[Any, Any]) -> Any:
    """Return a call's message. One that cannot be read is the client's mistake, not our defect."""
    try:
        request = await stream.recv_message()
    except NotImplementedError:  # grpclib raises it for a compressed message
        raise GRPCError(Status.UNIMPLEMENTED, "compressed messages are not read") from None
    except (DecodeError, AssertionError, struct.error):  # the last two if it is cut short
        raise GRPCError(Status.INVALID_ARGUMENT, "the message cannot be read") from None
    if request is None:
        raise GRPCError(Status.INVALID_ARGUMENT, "the call has no message")
    return request


async def _stop(servers: Sequence[Server], connections: Callers) -> None:
    """Stop listening, cancel every call, and close every connection.

    `Server.wait_closed` is not used: since Python 3.12 it waits for clients to leave, and the host
    stays.
    """
    for server in servers:
        server.close()
    await connections.close()


class _Server(Server):
    """grpclib's server, with calls on Trio and a list of its connections."""

    def __init__(
        self, endpoint: Endpoint, loop: trio_asyncio.TrioEventLoop, connections: Callers
    ) -> None:
        self._endpoint = endpoint
        self._trio_loop = loop
        self._connections = connections
        prefix = f"/{endpoint.service.full_name}/"
        largest = {prefix + method: most for method, most in endpoint.largest.items()}
        self._port = ServedPort(loop, largest, Port(endpoint.bounds), endpoint.give_back)
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
            try:
                reply = await loop.trio_as_future(call, request)
            except TooMuchError as error:
                raise GRPCError(Status.RESOURCE_EXHAUSTED, str(error)) from None
            try:
                await stream.send_message(reply)
            except StreamClosedError:
                # The client has cancelled the call, which had its answer all the same. Taken for a
                # cancellation, as it is one; else grpclib writes of a failure.
                raise asyncio.CancelledError from None

        request_type = GetMessageClass(method.input_type)
        response_type = GetMessageClass(method.output_type)
        return Handler(answer, Cardinality.UNARY_UNARY, request_type, response_type)

    def _protocol_factory(self) -> H2Protocol:
        plain = super()._protocol_factory()
        return Caller(self._connections, self._port, plain.handler, plain.config, plain.h2_config)
