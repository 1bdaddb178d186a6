"""The six calls of a registration, without gRPC."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import trio
from attrs import define

import faultinject
from faultinject.events import SessionFailed
from faultinject.plugin import wire
from faultinject.plugin._generated import plugin_pb2 as pb
from faultinject.plugin.guard import TunnelGuard
from faultinject.plugin.http_forward import HttpForward
from faultinject.plugin.interface import Close, Direction, PassThrough, Replace, Side, TooMuchError
from faultinject.plugin.registrations import ROUND_SECONDS, Registrations
from faultinject.plugin.service import PluginService
from tests.plugin.support import FakeTunnels, make_services
from tests.support.fault_host import FaultTunnel

CHUNK = pb.ProcessTunnelDataRequest
LARGE = b"x" * wire.MAX_REPLY_BYTES
PATHS = [("/v1/messages?beta=true", "/v1/messages"), ("/", "/"), ("", "/"), ("?a", "/")]


def new_service(
    side=Side.CLIENT, mode="duplex", http_forward=False, answer=None, registrations=None, **rule
):
    events = []
    runtime = make_services(events, **rule)
    return PluginService(
        side,
        registrations or Registrations(mode, {side: f"http://{side.name}" for side in Side}),
        TunnelGuard(FakeTunnels(answer), events.append),
        HttpForward(runtime, http_forward),
    ), events


def test_there_is_a_call_for_each_of_the_contract():
    """No more and no fewer."""
    service, _ = new_service()
    assert set(service.calls()) == {method.name for method in wire.SERVICE.methods}


@pytest.mark.parametrize(
    ("tunnel_id", "taken"), [("x" * 128, True), ("x" * 129, False), ("é" * 65, False)]
)
async def test_ids_have_a_length(tunnel_id, taken):
    """Longer ones are refused before anything is kept of them; Fault's have 36 characters."""
    service, _ = new_service()
    with nullcontext() if taken else pytest.raises(TooMuchError, match="at most 128 bytes"):
        await service.tunnel_data(CHUNK(id=tunnel_id))
    assert len(service.tunnels.tunnels.asked) == taken


# What the host asks to know


async def test_health(autojump_clock):
    """The two registrations know of each other."""
    client, _ = new_service(Side.CLIENT)
    upstream, _ = new_service(Side.UPSTREAM, registrations=client.registrations)
    assert await client.health(pb.HealthCheckRequest()) == pb.HealthCheckResponse(
        healthy=True, message="ready"
    )
    await trio.sleep(20)
    told = await client.health(pb.HealthCheckRequest())
    assert not told.healthy
    assert "--grpc-plugin http://CLIENT --grpc-plugin http://UPSTREAM" in told.message
    assert (await upstream.health(pb.HealthCheckRequest())).healthy
    assert (await client.health(pb.HealthCheckRequest())).healthy


@pytest.mark.parametrize(
    "call", ["HealthCheck", "GetPluginInfo", "GetPluginCapabilities", "ProcessTunnelData"]
)
async def test_each_of_these_calls_shows_a_registration(autojump_clock, call):
    """Whichever comes first."""
    service, _ = new_service()
    await service.calls()[call](getattr(pb, f"{call}Request")())
    await trio.sleep(20)
    assert service.registrations.problem() is not None


@pytest.mark.parametrize(("side", "number"), [(Side.CLIENT, 0), (Side.UPSTREAM, 1)])
async def test_info(side, number):
    """The side is what Fault goes by."""
    service, _ = new_service(side)
    told = await service.about(pb.GetPluginInfoRequest())
    assert (told.name, told.version, told.side) == ("faultinject", faultinject.__version__, number)
    assert told.direction == pb.GetPluginInfoResponse.BOTH


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("http_forward", [False, True])
async def test_capabilities(side, http_forward):
    """Tunnels always; requests only if told to, and only once for each."""
    service, _ = new_service(side, http_forward=http_forward)
    told = await service.capabilities(pb.GetPluginCapabilitiesRequest())
    assert told == pb.GetPluginCapabilitiesResponse(
        can_handle_tunnel=True,
        can_handle_http_forward=http_forward and side is Side.CLIENT,
        protocols=[pb.GetPluginCapabilitiesResponse.HTTP, pb.GetPluginCapabilitiesResponse.HTTPS],
    )


# Tunnels


@pytest.mark.parametrize(
    ("side", "number"), [(Side.CLIENT, CHUNK.CLIENT), (Side.UPSTREAM, CHUNK.SERVER)]
)
@pytest.mark.parametrize(
    ("direction", "code"),
    [(Direction.FROM_PEER, CHUNK.INGRESS), (Direction.TO_PEER, CHUNK.EGRESS)],
)
async def test_chunks(side, number, direction, code):
    """Each side and direction, in our words."""
    service, _ = new_service(side)
    reply = await service.tunnel_data(CHUNK(id="t", side=number, direction=code, chunk=b"c"))
    assert reply == pb.ProcessTunnelDataResponse(replace=pb.Replace(modified_chunk=b"c"))
    assert service.tunnels.tunnels.asked == [(side, direction, "t", b"c")]


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (Replace(), "replace", pb.Replace()),
        (PassThrough(b"c"), "pass_through", pb.PassThrough(chunk=b"c")),
        (Close("over"), "close", pb.Close(reason="over")),
        (Replace(LARGE), "replace", pb.Replace(modified_chunk=LARGE)),
    ],
    ids=["nothing", "the chunk", "the end", "much"],
)
async def test_replies(reply, kind, message):
    """An action is always set, also for no bytes; Buffer is never said."""

    async def answer(_chunk):
        return reply

    service, events = new_service(answer=answer)
    answered = await service.tunnel_data(CHUNK(id="t"))
    assert answered.WhichOneof("action") == kind
    assert getattr(answered, kind) == message
    assert answered.ByteSize() < 4 * 1024 * 1024
    assert events == []


async def test_a_reply_that_is_too_large():
    """Would be an RPC error in the host: a defect, which closes the tunnel."""

    async def answer(_chunk):
        return Replace(b"x" * (wire.MAX_REPLY_BYTES + 1))

    service, events = new_service(answer=answer)
    for _ in range(2):
        assert (await service.tunnel_data(CHUNK(id="t"))).close.reason == "a defect in faultinject"
    (told,) = events
    assert isinstance(told, SessionFailed)
    assert (told.client, told.error) == (
        "tunnel t", "ValueError: a reply of 4000001 bytes is more than the host takes"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("side", "direction"),
    [(CHUNK.SERVER, CHUNK.INGRESS), (CHUNK.CLIENT, CHUNK.BOTH), (7, 0), (0, 7)],
)
async def test_a_chunk_that_does_not_belong_here(side, direction):
    """Of the other side, or of none that there is: the tunnel is closed, with the reason."""
    service, _ = new_service(Side.CLIENT)
    reply = await service.tunnel_data(CHUNK(id="t", side=side, direction=direction))
    assert reply.close.reason == f"no call for side {side}, direction {direction} here"
    assert service.tunnels.tunnels.asked == []


async def test_a_chunk_that_is_too_large():
    """Could not be returned as it came: its tunnel is closed, and that is no defect of ours."""
    service, events = new_service(mode="reply")
    most = wire.MAX_CHUNK_BYTES
    await service.tunnel_data(CHUNK(id="t", chunk=LARGE[:most]))
    (asked,) = service.tunnels.tunnels.asked
    assert len(asked[-1]) == most
    reply = await service.tunnel_data(CHUNK(id="t", chunk=LARGE[: most + 1]))
    assert reply.close.reason == "a chunk has more than 3900000 bytes"
    assert len(service.tunnels.tunnels.asked) == 1
    assert not events


async def test_a_host_that_answers_the_sender_may_use_one_port():
    """In reply mode the side is what the chunk says."""
    service, _ = new_service(Side.CLIENT, mode="reply")
    await service.tunnel_data(CHUNK(id="t", side=CHUNK.SERVER, chunk=b"c"))
    assert service.tunnels.tunnels.asked == [(Side.UPSTREAM, Direction.FROM_PEER, "t", b"c")]


@define(eq=False)
class LoneRegistration:
    """The plugin as a host calls it that has registered one side only."""

    service: PluginService

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Replace | Close:
        """Call as the host does."""
        reply = await self.service.tunnel_data(
            CHUNK(
                id=tunnel_id,
                side=[Side.CLIENT, Side.UPSTREAM].index(side),
                direction=[Direction.FROM_PEER, Direction.TO_PEER].index(direction),
                chunk=chunk,
            )
        )
        if reply.WhichOneof("action") == "close":
            return Close(reply.close.reason)
        return Replace(reply.replace.modified_chunk)


@pytest.mark.parametrize("side", Side)
async def test_a_tunnel_that_only_one_registration_sees(autojump_clock, side):
    """Ends at once for its client, and no session is begun; what is missing is told once."""
    told = []
    registrations = Registrations(
        "duplex", {each: each.name for each in Side}, "fault", told.append
    )
    service, _ = new_service(side, registrations=registrations)
    await service.health(pb.HealthCheckRequest())
    await trio.sleep(ROUND_SECONDS)
    for _ in range(2):
        tunnel = FaultTunnel(LoneRegistration(service), sides=(side,))
        async with tunnel.running():
            started = trio.current_time()
            await tunnel.client.send_all(b"\x16\x03\x01 a ClientHello")
            # A TLS server: an alert or an end makes it end the connection.
            data = await tunnel.upstream.receive_some()
            assert data in (b"", b"\x15\x03\x03\x00\x02\x02\x50")
            tunnel.upstream.close()
            assert await tunnel.client.receive_some() == b""
            assert trio.current_time() == started
    assert service.tunnels.tunnels.asked == []
    assert len(told) == 1


# HTTP


def http_request(path="/", body=b"body", method="POST", **headers):
    return pb.ProcessHttpRequestRequest(
        request=pb.HttpRequest(
            method=method,
            path=path,
            headers=[pb.HttpHeader(name=name, value=value) for name, value in headers.items()],
            body=body,
        )
    )


@pytest.mark.parametrize(("path", "returned"), PATHS)
@pytest.mark.parametrize(("side", "http_forward"), [(Side.CLIENT, False), (Side.UPSTREAM, True)])
async def test_a_request_that_goes_on(path, returned, side, http_forward):
    """Whole, but for the query; also if we did not ask to be called, or the other side decides."""
    service, events = new_service(side, http_forward=http_forward)
    request = http_request(path, host="api.example.com", accept="*/*")
    reply = await service.http_request(request)
    expected = pb.HttpRequest()
    expected.CopyFrom(request.request)
    expected.path = returned
    assert reply == pb.ProcessHttpRequestResponse(modified_request=expected)
    assert events == []


async def test_an_empty_method():
    """Would be a panic in the host."""
    service, _ = new_service()
    reply = await service.http_request(http_request(method=""))
    assert reply.modified_request.method == "GET"


async def test_a_request_without_anything():
    """Is answered all the same."""
    service, events = new_service(http_forward=True)
    reply = await service.http_request(pb.ProcessHttpRequestRequest())
    assert reply.modified_request == pb.HttpRequest(method="GET", path="/")
    assert events == []


async def test_an_injected_response():
    """Without a content-length, whatever the case it is written in."""
    service, _ = new_service(http_forward=True, body=b"oops", headers=((b"Retry-After", b"7"),))
    reply = await service.http_request(http_request(host="api.example.com"))
    assert reply == pb.ProcessHttpRequestResponse(
        action=pb.ProcessHttpRequestResponse.ABORT,
        abort_response=pb.HttpResponse(
            status_code=429,
            headers=[
                pb.HttpHeader(name="Content-Type", value="text/plain; charset=utf-8"),
                pb.HttpHeader(name="Retry-After", value="7"),
                pb.HttpHeader(name="X-Faultinject", value="options"),
            ],
            body=b"oops",
        ),
    )


async def test_a_defect_in_the_decision():
    """Is told, and the request goes on."""
    service, events = new_service(http_forward=True)
    service.http.runtime.rule_set = None
    reply = await service.http_request(http_request("/a?b", host="api.example.com"))
    assert reply.modified_request.path == "/a"
    (told,) = events
    assert isinstance(told, SessionFailed)
    assert told.client == "behind-fault"
    assert told.error.startswith("AttributeError: ")


def http_response(body=b"body", status=200, **headers):
    return pb.ProcessHttpResponseRequest(
        response=pb.HttpResponse(
            status_code=status,
            headers=[
                pb.HttpHeader(name=name.replace("_", "-"), value=value)
                for name, value in headers.items()
            ],
            body=body,
        )
    )


async def test_a_response_that_goes_on():
    """As it came, if it has a length."""
    service, _ = new_service(http_forward=True)
    request = http_response(content_type="text/plain", Content_Length="4")
    assert await service.http_response(request) == pb.ProcessHttpResponseResponse(
        modified_response=request.response
    )


async def test_a_response_without_a_length():
    """Gets one, for the host panics over a response that has none."""
    service, _ = new_service()
    request = http_response(transfer_encoding="chunked")
    reply = await service.http_response(request)
    assert [(header.name, header.value) for header in reply.modified_response.headers] == [
        ("transfer-encoding", "chunked"), ("content-length", "4"),
    ]  # fmt: skip
    assert reply.modified_response.body == b"body"
    assert "content-length" not in str(request)


# Bodies that no answer can hold


async def test_a_large_request():
    """Goes on if it is not returned, and has no query; else the client gets our own error."""
    service, _ = new_service()
    assert await service.http_request(http_request("/a", LARGE)) == pb.ProcessHttpRequestResponse()
    reply = await service.http_request(http_request("/a?b", LARGE))
    assert reply.action == pb.ProcessHttpRequestResponse.ABORT
    assert_our_error(reply.abort_response, "request", status=502)


async def test_a_large_injected_response():
    """Our own error instead."""
    service, _ = new_service(http_forward=True, body=LARGE)
    reply = await service.http_request(http_request(host="api.example.com"))
    assert reply.action == pb.ProcessHttpRequestResponse.ABORT
    assert_our_error(reply.abort_response, "response", status=502)


async def test_a_large_response():
    """Goes on if it is not returned, and has a length; else its body is our own error."""
    service, _ = new_service()
    reply = await service.http_response(http_response(LARGE, content_length=str(len(LARGE))))
    assert reply == pb.ProcessHttpResponseResponse()
    reply = await service.http_response(http_response(LARGE, transfer_encoding="chunked"))
    assert_our_error(reply.modified_response, "response", status=0)
    assert "content-length" in {header.name.lower() for header in reply.modified_response.headers}


def assert_our_error(response, what, status):
    assert response.status_code == status
    assert (f"the {what} is too large to be passed on").encode() in response.body
    headers = {header.name: header.value for header in response.headers}
    assert headers["X-Faultinject-Error"] == "limit"
    assert ("Content-Length" in headers) is (status == 0)
