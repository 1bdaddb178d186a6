"""A proxy that really listens, in the test's own loop, and upstreams on loopback beside it.

For claims about sockets: listening, resets, descriptors, many clients.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio
from attrs import define, field

from faultinject.authority import ConnectTo, TargetPattern
from faultinject.events import Event, SessionFailed
from faultinject.proxy.server import RunningProxy, serve
from faultinject.settings import Settings
from tests.support.bench import TARGET, Script
from tests.support.peer import Cut, Peer
from tests.support.tls_peers import client_context

E = TypeVar("E", bound=Event)
GIVEN_UP_SECONDS = 60.0
"""How long a test waits for what must happen."""


@define(eq=False)
class Running:
    """A run of `serve`."""

    proxy: RunningProxy = field(init=False)
    events: list[Event] = field(factory=list)
    _changed: trio.Event = field(factory=trio.Event)
    _clients: list[trio.SocketStream] = field(factory=list)

    def listen(self, event: Event) -> None:
        """Take an event."""
        self.events.append(event)
        self._changed.set()
        self._changed = trio.Event()

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def wait_for(
        self, kind: type[E], count: int = 1, seconds: float = GIVEN_UP_SECONDS
    ) -> list[E]:
        """Return the events of a kind once there are that many."""
        with trio.fail_after(seconds):
            while len(self.of(kind)) < count:
                await self._changed.wait()
        return self.of(kind)

    async def connect(self) -> Peer:
        """Return a client's connection."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.proxy.port)
        self._clients.append(stream)
        return Peer(stream)

    def hang_up(self) -> None:
        """Close the clients' connections."""
        for stream in self._clients:
            stream.socket.close()

    async def tunnel(self, authority: str = f"{TARGET}:443") -> Peer:
        """Return a client whose CONNECT was answered 200."""
        client = await self.connect()
        answer = await client.ask(b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % authority.encode())
        assert answer.status == 200
        return client

    async def tls(self, authority: str = f"{TARGET}:443") -> Peer:
        """Return a client that speaks TLS through a tunnel."""
        client = await self.tunnel(authority)
        assert self.proxy.ca_cert is not None
        context = client_context(ca_pem=self.proxy.ca_cert.read_text())
        await client.start_tls(context, authority.rpartition(":")[0])
        return client


@asynccontextmanager
async def running(
    data_dir: Path | None, *, target: str = TARGET, **options: Any
) -> AsyncIterator[Running]:
    """Run the proxy on a free port; when left, it is cancelled, and no session may have failed."""
    defaults: dict[str, Any] = {
        "proxy_port": 0,
        "data_dir": data_dir,
        "target_host": (TargetPattern.parse(target),),
        "error_probability": 0.0,
        "status_code": 429,
        "seed": 1,
    }
    settings = Settings(**(defaults | options))
    run = Running()
    async with trio.open_nursery() as nursery:
        run.proxy = await nursery.start(partial(serve, settings, listener=run.listen))
        try:
            yield run
        finally:
            run.hang_up()
            nursery.cancel_scope.cancel()
    failures = [event.traceback for event in run.of(SessionFailed)]
    assert not failures, "\n".join(failures)


@asynccontextmanager
async def upstream(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on loopback for connections that follow a script, and yield the port."""

    async def play(stream: trio.abc.Stream) -> None:
        try:
            if context is not None:
                stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            async with stream:
                await script(Peer(stream))
        except (trio.BrokenResourceError, Cut):
            pass  # the proxy has left

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, play, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def leads_to(port: int, host: str = TARGET, host_port: int = 443) -> ConnectTo:
    """Return the mapping that makes a port of loopback a host's."""
    return ConnectTo(host, host_port, "127.0.0.1", port)


def reset(stream: trio.abc.Stream) -> None:
    """End a TCP connection by RST."""
    assert isinstance(stream, trio.SocketStream)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()
