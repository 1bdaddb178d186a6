"""``--fake-upstream`` in a whole proxy: targets are answered, and the network is not reached.

Every name leads to a trap on loopback: a listener that counts who comes.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from attrs import define, field

from faultinject.authority import ConnectTo, TargetPattern
from faultinject.events import Event, ExchangeEnded, HandshakeFailed, RelayEnded
from faultinject.proxy.server import RunningProxy, serve
from faultinject.proxy.upstream.fake.fake_api import TEXT
from faultinject.settings import Limits, Settings
from tests.support.peer import Peer
from tests.support.proxy import ProxyRun
from tests.support.raw_client import Connected

TARGET = "api.example.com"
E = TypeVar("E", bound=Event)
BODY = json.dumps({"model": "m", "messages": []}).encode()
GREETING = b"220 a trap\r\n"
_HEAD = "POST %s HTTP/1.1\r\nHost: " + TARGET + "\r\nContent-Length: %d\r\n\r\n"


def post(target: str, body: bytes = BODY) -> bytes:
    """Return a POST."""
    return (_HEAD % (target, len(body))).encode() + body


@define(eq=False)
class Trap:
    """Whatever leaves the proxy comes here; it greets, and waits for the end."""

    visitors: int = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """Count and greet a visitor."""
        self.visitors += 1
        async with stream:
            await stream.send_all(GREETING)
            while await stream.receive_some():
                pass


@define(eq=False)
class Run:
    """A proxy that runs, and what has happened in it."""

    trap: Trap
    events: list[Event] = field(factory=list)
    _proxy: RunningProxy | None = None
    _told: trio.Event = field(factory=trio.Event)

    async def start(self, settings: Settings, nursery: trio.Nursery) -> None:
        """Start the proxy."""
        self._proxy = await nursery.start(partial(serve, settings, listener=self._listen))

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        self._told.set()
        self._told = trio.Event()

    @property
    def proxy(self) -> RunningProxy:
        """The proxy."""
        assert self._proxy is not None
        return self._proxy

    async def connect(self) -> Peer:
        """Return a client of the proxy."""
        return Peer(await trio.open_tcp_stream(self.proxy.host, self.proxy.port))

    async def tunnel(self, host: str = TARGET) -> Peer:
        """Return a client with a tunnel."""
        client = await self.connect()
        answer = await client.ask(b"CONNECT %b:443 HTTP/1.1\r\nHost: x\r\n\r\n" % host.encode())
        assert answer.status == 200
        return client

    async def first(self, kind: type[E]) -> E:
        """Return the first event of a kind, once there is one."""
        with trio.fail_after(60):
            while not (found := [event for event in self.events if isinstance(event, kind)]):
                await self._told.wait()
        return found[0]


@asynccontextmanager
async def running(folder: Path, *, fake: bool = True, **more: Any) -> AsyncIterator[Run]:
    """Run a proxy for which every address is the trap's."""
    run = Run(Trap())
    async with trio.open_nursery() as nursery:
        serve_trap = partial(trio.serve_tcp, run.trap.serve, 0, host="127.0.0.1")
        [listener] = await nursery.start(serve_trap)
        settings = Settings(
            proxy_port=0,
            target_host=(TargetPattern(TARGET),),
            data_dir=folder,
            fake_upstream=fake,
            connect_to=(ConnectTo(None, None, "127.0.0.1", listener.socket.getsockname()[1]),),
            limits=Limits(silent_tunnel_seconds=0.02),
            **({"error_probability": 0.0} | more),
        )
        await run.start(settings, nursery)
        yield run
        nursery.cancel_scope.cancel()


def client_context(run: Run, *alpn: str) -> ssl.SSLContext:
    """Return the TLS settings of a client that trusts the proxy's authority only."""
    context = ssl.create_default_context(cafile=str(run.proxy.ca_cert))
    context.set_alpn_protocols(alpn)
    return context


# Answered


@pytest.mark.parametrize("target", ["/v1/messages", f"http://{TARGET}/v1/messages"])
async def test_plain_requests(tmp_path: Path, target: str) -> None:
    """As base URL and as a proxy of plain HTTP, the proxy answers with the fake API."""
    async with running(tmp_path) as run:
        client = await run.connect()
        for _ in range(2):
            answer = await client.ask(post(target))
            assert answer.json()["content"][0]["text"] == TEXT
        assert (await run.first(ExchangeEnded)).outcome == "forwarded"
        assert run.trap.visitors == 0
        await client.close()


async def test_a_websocket_is_declined_whatever_the_rules_say(tmp_path: Path) -> None:
    """A client that asks for one first, as Codex does, goes on to the requests that may fail."""
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with running(tmp_path, error_probability=1.0, status_code=503) as run:
        client = await run.connect()
        declined = await client.ask(b"GET /v1/responses HTTP/1.1\r\nHost: x\r\n" + upgrade)
        assert declined.status == 426
        assert declined.header(b"x-faultinject") is None
        assert (await client.ask(post("/v1/responses"))).status == 503
        await client.close()


async def test_tls_in_a_tunnel(tmp_path: Path) -> None:
    """A client that verifies our certificate gets the fake API in its tunnel."""
    async with running(tmp_path) as run:
        client = await run.tunnel()
        await client.start_tls(client_context(run, "http/1.1"), TARGET)
        answer = await client.ask(post("/v1/chat/completions"))
        assert answer.json()["choices"][0]["message"]["content"] == TEXT
        assert run.trap.visitors == 0
        await client.cut()


async def test_plain_http_in_a_tunnel(tmp_path: Path) -> None:
    """So does one that speaks plain HTTP in it."""
    async with running(tmp_path) as run:
        client = await run.tunnel()
        assert (await client.ask(post("/v1/messages"))).status == 200
        assert run.trap.visitors == 0
        await client.close()


# Kept from the network


@pytest.mark.parametrize("speaks", [b"\x00\x01\x02 no HTTP\r\n", b""], ids=["first", "second"])
async def test_what_is_not_http_is_refused(tmp_path: Path, speaks: bytes) -> None:
    """A target's tunnel without TLS and HTTP ends, whoever speaks first in that protocol."""
    async with running(tmp_path) as run:
        client = await run.tunnel()
        await client.send(speaks)
        if not speaks:
            await client.half_close()
        assert await client.rest() == b""
        relay = await run.first(RelayEnded)
        assert relay.error is not None
        assert "the fake API, which speaks HTTP only" in relay.error
        assert run.trap.visitors == 0
        await client.close()


async def test_other_protocols_in_tls_are_refused(tmp_path: Path) -> None:
    """A client that offers only HTTP/2 gets TLS's alert for that."""
    async with running(tmp_path) as run:
        client = await run.tunnel()
        with pytest.raises(trio.BrokenResourceError) as caught:
            await client.start_tls(client_context(run, "h2"), TARGET)
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        assert "no application protocol" in str(caught.value.__cause__).replace("_", " ").lower()
        failure = await run.first(HandshakeFailed)
        assert failure.host == TARGET
        assert not failure.refused
        assert "h2" in failure.reason
        assert run.trap.visitors == 0
        await client.cut()


async def test_a_silent_client_is_waited_for(tmp_path: Path) -> None:
    """No greeting is fetched from a target, and a client that hesitates is served all the same."""
    async with running(tmp_path) as run:
        client = await run.tunnel()
        await trio.sleep(0.1)  # well beyond the time after which an upstream is asked to greet
        assert (await client.ask(post("/v1/messages"))).status == 200
        assert run.trap.visitors == 0
        await client.close()


# The others


async def test_others_reach_the_network(tmp_path: Path) -> None:
    """What is no target is dialled as ever."""
    async with running(tmp_path) as run:
        client = await run.tunnel("other.example.com")
        assert await client.receive() == GREETING
        assert run.trap.visitors == 1
        await client.close()


@pytest.mark.parametrize("speaks", [b"", b"\x00\x01\x02 no HTTP\r\n"], ids=["silent", "speaks"])
async def test_without_the_option_targets_reach_the_network(tmp_path: Path, speaks: bytes) -> None:
    """The trap does catch what the option keeps in."""
    async with running(tmp_path, fake=False) as run:
        client = await run.tunnel()
        await client.send(speaks)
        assert await client.receive() == GREETING
        assert run.trap.visitors == 1
        await client.close()


def test_the_command(tmp_path: Path) -> None:
    """`faultinject proxy --fake-upstream` answers for its default target, with TLS and without."""
    options = ("--fake-upstream", "--error-probability", "0", "--connect-to", "::127.0.0.1:9")
    with ProxyRun(tmp_path, *options) as proxy:
        with Connected(proxy.port, proxy.ca_file, connect=True).open() as client:
            client.send(post("/v1/messages", b'{"stream":true}'))
            assert client.wire.read_until(b"event: content_block_delta").startswith(b"HTTP/1.1 200")
        with Connected(proxy.port, None).open() as client:
            answer = client.ask(post("/v1/messages"))
        assert json.loads(answer.body)["content"][0]["text"] == TEXT
        assert [event["status"] for event in proxy.exchanges(2)] == [200, 200]
