"""A port for each target: there every base-URL request is for that one."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from faultinject.authority import TargetPattern
from faultinject.events import ExchangeEnded
from faultinject.proxy.server import RunningProxy
from tests.support.peer import Peer
from tests.support.running import leads_to, running, upstream

TARGETS = ("a.example", "http://127.0.0.1:11434", "*.b.example")


async def plain(client: Peer) -> None:
    """Answer as a server without TLS does, with the Host that was asked for."""
    while request := await client.read_message():
        host = request.header(b"host") or b""
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(host), host))


def port_of(proxy: RunningProxy, target: str) -> int:
    """Return the port of a target's own."""
    return int(proxy.base_urls[TargetPattern.parse_target(target)].rpartition(":")[2])


async def asked(port: int, target: bytes = b"/v1/x") -> bytes:
    """Ask at a port; return the answer's body."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        request = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (target, port)
        return (await Peer(stream).ask(request)).body


async def test_each_target_that_is_one_host_has_a_port(tmp_path: Path) -> None:
    """Of a pattern nobody could say which host is meant."""
    async with running(tmp_path, target_host=TARGETS, port_per_target=True) as run:
        names = [str(target) for target in run.proxy.base_urls]
        assert names == ["a.example", "http://127.0.0.1:11434"]
        ports = {run.proxy.port, *(port_of(run.proxy, name) for name in names)}
        assert len(ports) == 3
    async with running(tmp_path, target_host=TARGETS) as run:
        assert run.proxy.base_urls == {}


@pytest.mark.parametrize("absolute", [False, True])
async def test_a_request_there_is_for_the_target(tmp_path: Path, absolute: bool) -> None:
    """Also of a client that uses the proxy for this machine, too: it would be a loop otherwise."""
    async with upstream(plain) as port:
        options = {
            "target_host": TARGETS,
            "port_per_target": True,
            "connect_to": (leads_to(port, "127.0.0.1", 11434),),
        }
        async with running(tmp_path, **options) as run:
            own = port_of(run.proxy, "http://127.0.0.1:11434")
            url = b"http://localhost:%d/v1/x" % own
            if absolute:
                assert await asked(run.proxy.port, url) == b"127.0.0.1:11434"
            else:
                assert await asked(own) == b"127.0.0.1:11434"
            [exchange] = await run.wait_for(ExchangeEnded)
            assert (exchange.target, exchange.scheme) == ("http://127.0.0.1:11434", "http")
            assert exchange.path == "/v1/x"


async def test_other_absolute_requests_go_where_they_say(tmp_path: Path) -> None:
    """The port of a target's own is ours on this machine only."""
    async with upstream(plain) as port:
        options = {"target_host": TARGETS, "port_per_target": True}
        async with running(tmp_path, **options) as run:
            url = b"http://127.0.0.1:%d/" % port
            assert await asked(run.proxy.port, url) == b"127.0.0.1:%d" % port
            own = port_of(run.proxy, "a.example")
            answer = await asked(run.proxy.port, b"http://c.invalid:%d/" % own)
            assert b"c.invalid" in answer


async def test_at_the_proxys_own_port_path_and_headers_decide(tmp_path: Path) -> None:
    """As without ports of their own; a server without TLS is asked without it."""
    async with upstream(plain) as port:
        options = {
            "target_host": ("http://127.0.0.1:11434",),
            "connect_to": (leads_to(port, "127.0.0.1", 11434),),
        }
        async with running(tmp_path, **options) as run:
            assert await asked(run.proxy.port) == b"127.0.0.1:11434"
