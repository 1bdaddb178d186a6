"""Both registrations, called by grpcio on their ports."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio

pytest.importorskip("trio_asyncio", exc_type=Exception)

import faultinject
from faultinject.errors import StartError
from faultinject.events import SessionFailed, Warned
from faultinject.plugin.bridge import grpc_server
from faultinject.plugin.interface import Replace, Side
from faultinject.plugin.serving import open_registrations
from faultinject.settings import PluginSettings
from tests.plugin.support import FakeTunnels, host, make_services


@asynccontextmanager
async def opened(answer=None, **settings):
    """Open the front and connect a host to each of its ports."""
    events = []
    chosen = PluginSettings(port=0, upstream_port=0, **settings)
    async with open_registrations(
        chosen, make_services(events), FakeTunnels(answer)
    ) as registrations:
        ports = [int(registrations.urls[side].rpartition(":")[2]) for side in Side]
        with host(ports[0]) as client_side, host(ports[1]) as upstream_side:
            yield client_side, upstream_side, events


async def test_the_six_calls():
    """Each is answered, on both ports."""
    async with opened(http_forward=True) as (client_side, upstream_side, events):
        for calling in (client_side, upstream_side):
            assert (await calling.call("HealthCheck")).healthy  # as in the host's first round
        for number, calling in enumerate([client_side, upstream_side]):
            assert (await calling.call("HealthCheck")).healthy
            info = await calling.call("GetPluginInfo")
            assert (info.name, info.version) == ("faultinject", faultinject.__version__)
            assert info.side == number
            capabilities = await calling.call("GetPluginCapabilities")
            assert capabilities.can_handle_tunnel
            assert capabilities.can_handle_http_forward == (calling is client_side)
            for direction in (0, 1):
                reply = await calling.call(
                    "ProcessTunnelData", id="t", side=number, direction=direction, chunk=b"chunk"
                )
                assert reply.replace.modified_chunk == b"chunk"

        http = client_side.messages
        request = http.HttpRequest(method="GET", path="/a?b")
        request.headers.add(name="host", value="api.example.com")
        reply = await client_side.call("ProcessHttpRequest", request=request)
        assert reply.action == http.ProcessHttpRequestResponse.ABORT
        assert reply.abort_response.status_code == 429
        reply = await upstream_side.call("ProcessHttpRequest", request=request)
        assert reply.modified_request.path == "/a"
        response = http.HttpResponse(status_code=200, body=b"whole")
        reply = await client_side.call("ProcessHttpResponse", response=response)
        assert reply.modified_response.body == b"whole"
        assert [told.outcome for told in events] == ["injected"]


async def test_a_defect_in_a_tunnel():
    """Closes it on both ports; another goes on."""

    async def answer(chunk):
        if chunk == b"bad":
            raise RuntimeError("a broken lane")
        return Replace(chunk)

    async with opened(answer) as (client_side, upstream_side, events):
        for calling, side, chunk in [(client_side, 0, b"bad"), (upstream_side, 1, b"good")]:
            reply = await calling.call("ProcessTunnelData", id="t", side=side, chunk=chunk)
            assert reply.close.reason == "a defect in faultinject"
        reply = await client_side.call("ProcessTunnelData", id="other", chunk=b"good")
        assert reply.replace.modified_chunk == b"good"
        assert [type(told) for told in events] == [SessionFailed]


async def test_health_is_fast_while_calls_are_held():
    """However many there are."""

    async def answer(_chunk):
        await trio.sleep_forever()

    async with opened(answer) as (client_side, upstream_side, _):
        calls = [client_side.start("ProcessTunnelData", id=str(each)) for each in range(200)]
        for calling in (client_side, upstream_side):
            assert (await calling.call("HealthCheck")).healthy
        assert not any(call.done() for call in calls)


async def test_where_it_listens():
    """The URLs are what `fault run` takes; IPv6 is in brackets."""
    async with open_registrations(
        PluginSettings(host="::1", port=0, upstream_port=0), make_services([]), FakeTunnels()
    ) as registrations:
        client_side, upstream_side = (registrations.urls[side] for side in Side)
        assert client_side.startswith("http://[::1]:")
        assert client_side != upstream_side
        assert registrations.flags == (f"--grpc-plugin {client_side} --grpc-plugin {upstream_side}")


@pytest.mark.parametrize("taken", ["port", "upstream_port"])
async def test_a_port_that_is_taken(taken):
    """The error names the option of that port."""
    option = f"--{taken.replace('_', '-')}"
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        ports = {"port": 0, "upstream_port": 0, taken: port}
        with pytest.raises(StartError, match=rf"choose another with {option} \(0 picks"):
            async with open_registrations(
                PluginSettings(**ports), make_services([]), FakeTunnels()
            ):
                pass


async def test_what_goes_wrong_below_the_calls_is_told():
    """As a warning."""
    async with opened() as (client_side, _, events):
        grpc_server.trio_asyncio.current_loop.get().call_exception_handler(
            {"message": "no sockets"}
        )
        await client_side.call("HealthCheck")
        (told,) = events
        assert isinstance(told, Warned)
        assert told.message == "no sockets"


async def test_every_address_is_reached_by_loopback():
    """What Fault is to call is an address that can be called."""
    settings = PluginSettings(host="0.0.0.0", port=0, upstream_port=0)
    async with open_registrations(settings, make_services([]), FakeTunnels()) as registrations:
        assert registrations.urls[Side.CLIENT].startswith("http://127.0.0.1:")
