"""gRPC on Trio, called by grpcio and by HTTP/2 written by hand."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
import trio
import trio.testing
from attrs import define, evolve, field

pytest.importorskip("trio_asyncio", exc_type=Exception)

from faultinject.errors import StartError
from faultinject.plugin import wire
from faultinject.plugin._generated import plugin_pb2 as pb
from faultinject.plugin.bridge import callers, grpc_server
from faultinject.plugin.bridge.grpc_server import Endpoint, open_grpc
from faultinject.plugin.bridge.port import MOST_FRAMES, PortBounds
from faultinject.plugin.interface import TooMuchError
from tests.plugin.support import GIVEN_UP_SECONDS, HeldCall, ended, host, tasks

AT_ONCE = 400
PATH = "/plugin.PluginService/ProcessTunnelData"


async def echo(request: pb.ProcessTunnelDataRequest) -> pb.ProcessTunnelDataResponse:
    """Return the chunk."""
    return pb.ProcessTunnelDataResponse(replace=pb.Replace(modified_chunk=request.chunk))


@define(eq=False)
class Held(HeldCall):
    """A tunnel call that is held, and then returns its chunk."""

    async def __call__(self, request: Any) -> Any:
        """Hold, then return the chunk."""
        return await echo(await HeldCall.__call__(self, request))


@define(eq=False)
class Served:
    """A service under test."""

    port: int
    problems: list[str]


def endpoint(
    call: grpc_server.Call,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    bounds: PortBounds = PortBounds(),  # noqa: B008 - a frozen value
) -> Endpoint:
    """A service whose every call is answered by the one given."""
    calls = {method.name: call for method in wire.SERVICE.methods}
    largest = wire.largest_messages("reply")
    return Endpoint(host, port, "--port", wire.SERVICE, calls, largest, bounds)


@asynccontextmanager
async def serving(
    call: grpc_server.Call = echo, give_back: Callable[[], None] | None = None, **bounds: float
) -> AsyncIterator[Served]:
    """Serve; nothing may be left when that is over."""
    before, problems = tasks(), list[str]()
    served = evolve(endpoint(call, bounds=PortBounds(**bounds)), give_back=give_back)
    async with open_grpc([served], problems.append) as (port,):
        yield Served(port, problems)
    await trio.testing.wait_all_tasks_blocked()
    assert tasks() == before


# Calls


async def test_hundreds_of_calls_are_held_at_once():
    """HTTP/2's usual limit of 100 is lifted; the calls get their own answers when let go."""
    held = Held()
    async with serving(held) as served:
        with host(served.port) as calling:
            calls = [
                calling.start("ProcessTunnelData", chunk=b"%d" % number)
                for number in range(AT_ONCE)
            ]
            await held.until(lambda held: held.arrived == AT_ONCE)
            held.release()
            for number, call in enumerate(calls):
                assert await ended(call) is grpc.StatusCode.OK
                assert call.result().replace.modified_chunk == b"%d" % number
        assert held.cancelled == 0


async def test_calls_that_the_client_cancels():
    """They are cancelled as Trio code is, and leave no task."""
    held = Held()
    async with serving(held) as served:
        with host(served.port) as calling:
            held.release()
            await calling.call("ProcessTunnelData")  # so that the connection is there
            held._released = trio.Event()
            await trio.testing.wait_all_tasks_blocked()
            idle, held.arrived = tasks(), 0
            calls = [calling.start("ProcessTunnelData") for _ in range(AT_ONCE)]
            await held.until(lambda held: held.arrived == AT_ONCE)
            assert len(tasks()) >= len(idle) + AT_ONCE
            for call in calls:
                call.cancel()
            await held.until(lambda held: held.cancelled == AT_ONCE)
            held.release()
            await calling.call("ProcessTunnelData")  # the connection is as good as before
            await trio.testing.wait_all_tasks_blocked()
            assert tasks() == idle


async def test_calls_past_their_deadline():
    """The deadline of the client is kept by us too, whether the client says so or not."""
    held = Held()
    async with serving(held) as served:
        with host(served.port) as calling:
            calls = [calling.start("ProcessTunnelData", timeout=0.4) for _ in range(AT_ONCE)]
            for call in calls:
                assert await ended(call) is grpc.StatusCode.DEADLINE_EXCEEDED
            await held.until(lambda held: held.arrived == held.cancelled)


async def test_a_deadline_of_a_client_that_does_not_keep_it():
    """The call is cancelled, and answered by the status for that."""
    held = Held()
    async with serving(held) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest(), ("grpc-timeout", "100m"))
        assert (await client.trailers())["grpc-status"] == str(
            grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        )
        assert held.cancelled == 1


async def test_calls_of_a_client_that_is_gone():
    """A process that is killed with its calls under way."""
    held = Held()
    async with serving(held) as served:
        command = [sys.executable, "-m", "tests.plugin.hold_calls", str(served.port), str(AT_ONCE)]
        run = partial(trio.run_process, command, check=False, capture_stdout=True)
        idle = tasks()
        async with trio.open_nursery() as nursery:
            client = await nursery.start(run)
            await held.until(lambda held: held.arrived == AT_ONCE)
            client.kill()
            await held.until(lambda held: held.cancelled == AT_ONCE)
        await trio.testing.wait_all_tasks_blocked()
        assert tasks() == idle


async def test_messages_of_4_mb():
    """As large as either side's library takes them, both ways."""
    chunk = bytes(range(256)) * 15_625
    assert len(chunk) == 4_000_000
    async with serving() as served:
        with host(served.port) as calling:
            answer = await calling.call("ProcessTunnelData", chunk=chunk)
            assert answer.replace.modified_chunk == chunk


async def test_answers_are_not_held_back_by_nagle():
    """The quickest of some calls is far from the 40 ms that a delayed acknowledgement takes."""
    async with serving() as served:
        with host(served.port) as calling:
            seconds = []
            for _ in range(20):
                started = time.perf_counter()
                await calling.call("ProcessTunnelData")
                seconds.append(time.perf_counter() - started)
            assert min(seconds) < 0.03


async def test_an_exception_is_that_calls_alone(caplog):
    """An RPC error for it, and its traceback in the log; others are served."""

    async def fails(request):
        if request.chunk == b"bad":
            raise RuntimeError("something broke")
        return await echo(request)

    async with serving(fails) as served:
        with host(served.port) as calling:
            with pytest.raises(grpc.RpcError) as caught:
                await calling.call("ProcessTunnelData", chunk=b"bad")
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            assert "something broke" in caplog.text
            assert "something broke" not in caught.value.details()
            assert (await calling.call("ProcessTunnelData", chunk=b"ok")).HasField("replace")


async def test_a_method_that_there_is_not():
    """The status for that."""
    async with serving() as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest(), path="/plugin.PluginService/Other")
        trailers = await client.trailers()
        assert trailers["grpc-status"] == str(grpc.StatusCode.UNIMPLEMENTED.value[0])


async def test_two_services_share_the_loop():
    """Each on a port of its own."""
    held = Held()
    async with open_grpc([endpoint(held), endpoint(echo)], print) as ports:
        with host(ports[0]) as one, host(ports[1]) as other:
            call = one.start("ProcessTunnelData", chunk=b"one")
            await held.until(lambda held: held.arrived == 1)
            answer = await other.call("ProcessTunnelData", chunk=b"other")
            assert answer.replace.modified_chunk == b"other"
            assert not call.done()


# Connections


@define(eq=False)
class Http2Client:
    """HTTP/2 by hand, for what grpcio would not send."""

    stream: trio.SocketStream
    http2: h2.connection.H2Connection
    events: list[h2.events.Event] = field(factory=list)

    async def call(self, request: Any, *headers: tuple[str, str], path: str = PATH) -> None:
        """Begin a call."""
        message = request.SerializeToString()
        body = b"\0" + len(message).to_bytes(4, "big") + message
        await self.begin(*headers, path=path, end_stream=False)
        self.http2.send_data(self.http2.highest_outbound_stream_id, body, end_stream=True)
        await self.flush()

    async def begin(self, *headers: tuple[str, str], path: str = PATH, end_stream: bool) -> None:
        """Send a call's headers."""
        self.http2.send_headers(
            self.http2.get_next_available_stream_id(),
            [
                (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
                ("content-type", "application/grpc"), ("te", "trailers"), *headers,
            ],
            end_stream=end_stream,
        )  # fmt: skip
        await self.flush()

    async def flush(self) -> None:
        """Send what there is to send."""
        await self.stream.send_all(self.http2.data_to_send())

    async def until(self, kind: type[Any]) -> Any:
        """Read until something of that kind has come."""
        with trio.fail_after(GIVEN_UP_SECONDS):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        self.events.remove(event)
                        return event
                data = await self.stream.receive_some()
                assert data, "the connection was closed"
                self.events += self.http2.receive_data(data)
                await self.flush()

    async def trailers(self) -> dict[str, str]:
        """Return a call's last headers, those of an answer without a message included."""
        while True:
            event = await self.until((h2.events.ResponseReceived, h2.events.TrailersReceived))
            headers = {name.decode(): value.decode() for name, value in event.headers}
            if "grpc-status" in headers:
                return headers

    async def rest(self) -> bytes:
        """Read to the end of the connection, as it is."""
        read = b""
        with trio.fail_after(GIVEN_UP_SECONDS), suppress(trio.BrokenResourceError):
            while data := await self.stream.receive_some():
                read += data
        return read


@asynccontextmanager
async def http2(port: int, window_bytes: int = 65_535) -> AsyncIterator[Http2Client]:
    """Connect."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        client = Http2Client(stream, h2.connection.H2Connection())
        client.http2.initiate_connection()
        if window_bytes > 65_535:
            window = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
            client.http2.update_settings({window: window_bytes})
            client.http2.increment_flow_control_window(window_bytes - 65_535)
        await client.flush()
        yield client


async def test_pings_are_answered_while_a_call_is_held():
    """A host may use them to see whether we are alive."""
    held = Held()
    async with serving(held) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest())
        await held.until(lambda held: held.arrived == 1)
        client.http2.ping(b"12345678")
        await client.flush()
        assert (await client.until(h2.events.PingAckReceived)).ping_data == b"12345678"


async def test_the_limit_of_streams_that_is_announced():
    """The last word on it is ours."""
    async with serving() as served, http2(served.port) as client:
        limit = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
        while client.http2.remote_settings.get(limit) != callers.CALLS_AT_ONCE:
            await client.until(h2.events.RemoteSettingsChanged)


async def test_frames_of_unknown_types_are_ignored():
    """As HTTP/2 wants it; the connection goes on."""
    async with serving() as served, http2(served.port) as client:
        await client.stream.send_all(b"\0\0\x03\x42\0\0\0\0\0abc")
        await client.call(pb.ProcessTunnelDataRequest())
        assert (await client.trailers())["grpc-status"] == "0"
        assert served.problems == []


async def test_a_call_without_a_message():
    """Is refused; the connection goes on."""
    async with serving() as served, http2(served.port) as client:
        await client.begin(end_stream=True)
        trailers = await client.trailers()
        assert trailers["grpc-status"] == str(grpc.StatusCode.INVALID_ARGUMENT.value[0])
        assert trailers["grpc-message"] == "the call has no message"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\0\0\0\0\3\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\0\0\0\0\3\x0a", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\0\0", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\1\0\0\0\1x", grpc.StatusCode.UNIMPLEMENTED),
    ],
    ids=["not the contract's", "cut short", "cut short in its length", "compressed"],
)
async def test_a_message_that_cannot_be_read(caplog, body, status):
    """Is refused without a traceback, for it is no defect of ours; the connection goes on."""
    async with serving() as served, http2(served.port) as client:
        await client.begin(end_stream=False)
        client.http2.send_data(client.http2.highest_outbound_stream_id, body, end_stream=True)
        await client.flush()
        assert (await client.trailers())["grpc-status"] == str(status.value[0])
        await client.call(pb.ProcessTunnelDataRequest())
        assert (await client.trailers())["grpc-status"] == "0"
    assert "Traceback" not in caplog.text


async def test_what_is_no_http2():
    """Ends that connection; another goes on with its call."""
    held = Held()
    async with serving(held) as served:
        with host(served.port) as calling:
            call = calling.start("ProcessTunnelData")
            await held.until(lambda held: held.arrived == 1)
            async with await trio.open_tcp_stream("127.0.0.1", served.port) as stream:
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                stranger = Http2Client(stream, h2.connection.H2Connection())
                assert b"HTTP/1.1" not in await stranger.rest()
            held.release()
            assert await ended(call) is grpc.StatusCode.OK
        assert held.cancelled == 0


async def test_a_defect_below_the_calls_ends_one_connection(monkeypatch):
    """It is told, and the next connection is served."""

    def breaks(_protocol, _data):
        raise RuntimeError("grpclib broke")

    async with serving() as served:
        with monkeypatch.context() as patch:
            patch.setattr(callers.H2Protocol, "data_received", breaks)
            async with http2(served.port) as client:
                await client.rest()
        assert served.problems == [
            "a gRPC client's connection failed: RuntimeError('grpclib broke')"
        ]
        with host(served.port) as calling:
            assert (await calling.call("ProcessTunnelData")).HasField("replace")


async def test_an_error_in_the_loop_does_not_end_it():
    """It is told: what asyncio finds to say, whether there is an exception or not."""

    def fails():
        raise RuntimeError("some callback")

    async with serving() as served:
        loop = grpc_server.trio_asyncio.current_loop.get()
        loop.call_soon(fails)
        loop.call_exception_handler({"message": "no more sockets"})
        loop.call_exception_handler({})
        with host(served.port) as calling:
            assert (await calling.call("ProcessTunnelData")).HasField("replace")
        told = sorted(served.problems)
        assert told[1:] == ["an error in the event loop", "no more sockets"]
        assert told[0].startswith("Exception in callback")
        assert told[0].endswith("(RuntimeError: some callback)")


# Bounds


def status_of(trailers: dict[str, str]) -> grpc.StatusCode:
    """Return the status that trailers tell."""
    number = int(trailers["grpc-status"])
    return next(status for status in grpc.StatusCode if status.value[0] == number)


async def half_a_message(client: Http2Client, announced: int, sent: bytes = b"") -> None:
    """Begin a call, and its message."""
    await client.begin(end_stream=False)
    stream_id = client.http2.highest_outbound_stream_id
    client.http2.send_data(stream_id, b"\0" + announced.to_bytes(4, "big") + sent)
    await client.flush()


@pytest.mark.parametrize("method", [method.name for method in wire.SERVICE.methods])
async def test_a_message_that_is_too_large(method):
    """Is refused once its length was read, whatever is called; the connection goes on."""
    async with serving() as served, http2(served.port) as client:
        await client.begin(path=f"/plugin.PluginService/{method}", end_stream=False)
        stream_id = client.http2.highest_outbound_stream_id
        client.http2.send_data(stream_id, b"\0\xff\xff\xff\xff")
        await client.flush()
        trailers = await client.trailers()
        assert status_of(trailers) is grpc.StatusCode.RESOURCE_EXHAUSTED
        largest = wire.largest_messages("reply")[method]
        assert trailers["grpc-message"] == f"a message of this call has at most {largest} bytes"
        assert (await client.until(h2.events.StreamReset)).error_code == 0
        await client.call(pb.ProcessTunnelDataRequest())
        assert status_of(await client.trailers()) is grpc.StatusCode.OK


async def test_what_still_comes_for_a_refused_call():
    """Is thrown away, and acknowledged: the connection's window does not fill up."""
    async with serving() as served, http2(served.port) as client:
        window = client.http2.outbound_flow_control_window
        for _ in range(100):
            await half_a_message(client, 2**32 - 1, b"x" * 16_000)
            await client.trailers()
        await client.call(pb.ProcessTunnelDataRequest())
        assert status_of(await client.trailers()) is grpc.StatusCode.OK
        assert client.http2.outbound_flow_control_window > window - 100 * 16_000


async def test_a_second_message():
    """Is refused, though the first one is held."""
    held = Held()
    async with serving(held) as served, http2(served.port) as client:
        await half_a_message(client, 0)
        await held.until(lambda held: held.arrived == 1)
        client.http2.send_data(client.http2.highest_outbound_stream_id, b"more")
        await client.flush()
        assert status_of(await client.trailers()) is grpc.StatusCode.INVALID_ARGUMENT
        await held.until(lambda held: held.cancelled == 1)


async def test_a_call_that_asks_for_too_much():
    """Is told so by its status."""

    async def refuses(_request):
        raise TooMuchError("no more than so much")

    async with serving(refuses) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest())
        trailers = await client.trailers()
        assert status_of(trailers) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert trailers["grpc-message"] == "no more than so much"


async def test_half_a_message_has_its_time():
    """Then the call ends, and the connection goes on; also while a call is held."""
    held = Held()
    async with serving(held, coming_seconds=0.05) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest())
        await held.until(lambda held: held.arrived == 1)
        for _ in range(2):
            await half_a_message(client, 5, b"1234")
            assert status_of(await client.trailers()) is grpc.StatusCode.DEADLINE_EXCEEDED
        held.release()
        assert status_of(await client.trailers()) is grpc.StatusCode.OK


async def test_an_unanswered_call_has_its_time():
    """Then it is cancelled."""
    held = Held()
    async with (
        serving(held, coming_seconds=0.05, open_seconds=0.1) as served,
        http2(served.port) as client,
    ):
        await client.call(pb.ProcessTunnelDataRequest())
        await held.until(lambda held: held.arrived == 1)
        assert status_of(await client.trailers()) is grpc.StatusCode.DEADLINE_EXCEEDED
        await held.until(lambda held: held.cancelled == 1)


async def test_halves_of_messages_on_many_connections():
    """Their number is the port's: the oldest goes, and whole ones are served."""
    async with serving(coming=2) as served, AsyncExitStack() as clients:
        some = [await clients.enter_async_context(http2(served.port)) for _ in range(3)]
        for client in some:
            await half_a_message(client, 5, b"1234")
            client.http2.ping(b"12345678")
            await client.flush()
            await client.until(h2.events.PingAckReceived)
        trailers = await some[0].trailers()
        assert status_of(trailers) is grpc.StatusCode.RESOURCE_EXHAUSTED
        with host(served.port) as calling:
            assert (await calling.call("ProcessTunnelData")).HasField("replace")


async def test_more_calls_than_there_may_be():
    """A new one is refused at once, before it has a task; the others are held."""
    held = Held()
    async with serving(held, calls=1) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest())
        await held.until(lambda held: held.arrived == 1)
        await client.call(pb.ProcessTunnelDataRequest())
        trailers = await client.trailers()
        assert status_of(trailers) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert trailers["grpc-message"] == "there are 1 calls already"
        held.release()
        assert status_of(await client.trailers()) is grpc.StatusCode.OK
        await client.call(pb.ProcessTunnelDataRequest())
        assert status_of(await client.trailers()) is grpc.StatusCode.OK


async def test_memory_is_given_back_after_a_surge(monkeypatch):
    """Once the calls that held much are over."""
    given_back = trio.Event()
    monkeypatch.setattr(callers, "GIVE_BACK_SECONDS", 0.0)
    held = Held()
    async with serving(held, given_back.set) as served:
        with host(served.port) as calling:
            calls = [calling.start("ProcessTunnelData", chunk=b"x" * 4_000_000) for _ in range(3)]
            await held.until(lambda held: held.arrived == 3)
            assert not given_back.is_set()
            held.release()
            for call in calls:
                assert await ended(call) is grpc.StatusCode.OK
            with trio.fail_after(GIVEN_UP_SECONDS):
                await given_back.wait()


PING = b"\0\0\x08\x06\0\0\0\0\0abcdefgh"
EMPTY_SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


@pytest.mark.parametrize("frame", [PING, EMPTY_SETTINGS], ids=["PING", "SETTINGS"])
async def test_frames_without_end(frame):
    """The client is told to calm down, its call is cancelled, and another one's is served."""
    held = Held()
    async with serving(held) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest())
        await half_a_message(client, 100, b"x" * 50)
        await held.until(lambda held: held.arrived == 1)
        await client.stream.send_all(frame * (2 * MOST_FRAMES))
        told = await client.until(h2.events.ConnectionTerminated)
        assert told.error_code == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
        await held.until(lambda held: held.cancelled == 1)
        await client.stream.send_all(frame)  # nobody reads it, and nobody minds
        assert await client.rest() == b""
        held.release()
        with host(served.port) as calling:
            assert (await calling.call("ProcessTunnelData")).HasField("replace")
        assert served.problems == ["a gRPC client sent too many frames that belong to no call"]


async def endless_pings(stream: trio.SocketStream) -> None:
    """Go on for as long as the connection is there."""
    with trio.fail_after(GIVEN_UP_SECONDS):
        while True:
            await stream.send_all(PING)


async def test_a_client_that_does_not_leave(monkeypatch):
    """Though it was told to: it is left, in time and when all ends."""
    monkeypatch.setattr(callers, "CLOSE_SECONDS", 0.05)
    async with serving() as served, http2(served.port) as client:
        await client.stream.send_all(PING * (2 * MOST_FRAMES))
        await client.until(h2.events.ConnectionTerminated)
        with pytest.raises(trio.BrokenResourceError):
            await endless_pings(client.stream)
        monkeypatch.setattr(callers, "CLOSE_SECONDS", GIVEN_UP_SECONDS)
        async with http2(served.port) as other:
            await other.stream.send_all(PING * (2 * MOST_FRAMES))
            await other.until(h2.events.ConnectionTerminated)


async def test_many_calls_are_no_flood():
    """Nor are their ends: each call brings what it takes."""
    async with serving() as served, http2(served.port) as client:
        for _ in range(MOST_FRAMES // 4):
            for _ in range(8):
                client.http2.ping(b"12345678")
            await client.call(pb.ProcessTunnelDataRequest())
            assert status_of(await client.trailers()) is grpc.StatusCode.OK
        assert served.problems == []


BARE_HEADERS = ((":method", "POST"), (":scheme", "http"), (":authority", "x"))


async def test_a_refused_call_that_its_client_has_ended_or_reset():
    """Whatever of it came in one piece, the connection goes on."""
    held = Held()
    async with serving(held, calls=1) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest())
        await held.until(lambda held: held.arrived == 1)
        headers = [*BARE_HEADERS, (":path", PATH)]
        for what in ("ended", "reset", "sent"):
            stream_id = client.http2.get_next_available_stream_id()
            client.http2.send_headers(stream_id, headers, end_stream=what == "ended")
            if what == "reset":
                client.http2.reset_stream(stream_id)
            elif what == "sent":
                client.http2.send_data(stream_id, b"\0\0\0\0\0", end_stream=True)
        await client.flush()
        assert status_of(await client.trailers()) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert status_of(await client.trailers()) is grpc.StatusCode.RESOURCE_EXHAUSTED
        held.release()
        assert status_of(await client.trailers()) is grpc.StatusCode.OK
        assert served.problems == []


async def test_a_call_whose_answer_is_there_as_its_client_resets_it(caplog):
    """The answer is not sent, which is no defect; the connection goes on."""
    arrived, was_reset = trio.Event(), trio.Event()

    async def answers_all_the_same(request):
        if request.chunk == b"reset":
            arrived.set()
            with trio.CancelScope(shield=True):
                await was_reset.wait()
        return await echo(request)

    async with serving(answers_all_the_same) as served, http2(served.port) as client:
        await client.call(pb.ProcessTunnelDataRequest(chunk=b"reset"))
        await arrived.wait()
        client.http2.reset_stream(client.http2.highest_outbound_stream_id)
        for _ in range(2):
            await client.call(pb.ProcessTunnelDataRequest())
            assert status_of(await client.trailers()) is grpc.StatusCode.OK
            was_reset.set()
            await trio.testing.wait_all_tasks_blocked()
    assert caplog.text == ""


async def test_calls_that_are_reset_before_they_began():
    """Leave no task, and nothing of the connection is kept for them."""
    async with serving() as served, http2(served.port) as client:
        for _ in range(100):
            headers = [*BARE_HEADERS, (":path", PATH)]
            client.http2.send_headers(client.http2.get_next_available_stream_id(), headers)
            client.http2.reset_stream(client.http2.highest_outbound_stream_id)
        await client.flush()
        await client.call(pb.ProcessTunnelDataRequest())
        assert status_of(await client.trailers()) is grpc.StatusCode.OK
        await trio.testing.wait_all_tasks_blocked()
        (caller,) = served_callers()
        assert caller.processor.streams == {}
        assert caller.processor._calls == {}


def served_callers() -> list[callers.Caller]:
    """Return the connections that there are: those of tests that are over are gone."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, callers.Caller)]


# Beginning and end


async def test_the_end_while_a_client_stays(monkeypatch):
    """Prompt, though the client keeps its connection and its calls."""
    monkeypatch.setattr(callers, "CLOSE_SECONDS", GIVEN_UP_SECONDS)
    held = Held()
    async with serving(held) as served:
        stays = host(served.port)
        calling = stays.__enter__()
        calls = [calling.start("ProcessTunnelData") for _ in range(AT_ONCE)]
        await held.until(lambda held: held.arrived == AT_ONCE)
        stopping = trio.current_time()
    assert trio.current_time() - stopping < GIVEN_UP_SECONDS
    assert held.cancelled == AT_ONCE
    assert {await ended(call) for call in calls} == {grpc.StatusCode.UNAVAILABLE}
    stays.__exit__(None, None, None)


async def test_the_end_when_cancelled():
    """The same, from outside; the cancellation goes on."""
    held = Held()
    with trio.CancelScope() as scope:
        async with serving(held) as served:
            with host(served.port) as calling:
                call = calling.start("ProcessTunnelData")
                await held.until(lambda held: held.arrived == 1)
                assert not call.done()
                scope.cancel()
                await trio.sleep_forever()
    assert scope.cancelled_caught
    assert held.cancelled == 1


async def test_a_client_that_does_not_read_is_given_up(monkeypatch):
    """What it was sent is thrown away once it had its time."""
    monkeypatch.setattr(callers, "CLOSE_SECONDS", 0.1)
    large = pb.ProcessTunnelDataRequest(chunk=b"x" * 4_000_000)

    async def answer(_request):
        return await echo(large)

    before = tasks()
    async with AsyncExitStack() as clients:
        async with open_grpc([endpoint(answer)], print) as (port,):
            client = await clients.enter_async_context(http2(port, window_bytes=2**30))
            for _ in range(8):  # far more than the sockets' buffers hold
                await client.call(pb.ProcessTunnelDataRequest())
            await trio.testing.wait_all_tasks_blocked(0.05)
            stopping = trio.current_time()
        seconds = trio.current_time() - stopping
        assert callers.CLOSE_SECONDS <= seconds < GIVEN_UP_SECONDS
        assert tasks() == before


async def test_an_exception_of_the_block():
    """Comes out as it is, in no group."""
    with pytest.raises(ValueError, match="of the block"):
        async with serving():
            raise ValueError("of the block")


async def test_a_port_that_is_taken():
    """One line that names the option."""
    async with serving() as served:
        with pytest.raises(StartError) as caught:
            async with open_grpc([endpoint(echo, port=served.port)], print):
                pass
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{served.port}: Address already in use;"
        " choose another with --port (0 picks a free one)"
    )


async def test_a_taken_port_frees_the_others():
    """What was listened on before the error can be had at once."""
    async with serving() as served:
        async with open_grpc([endpoint(echo)], print) as (free,):
            pass
        with pytest.raises(StartError):
            async with open_grpc(
                [endpoint(echo, port=free), endpoint(echo, port=served.port)], print
            ):
                pass
        async with open_grpc([endpoint(echo, port=free)], print) as (port,):
            assert port == free


async def test_ipv6():
    """An address of it is listened on, and written in brackets."""
    async with open_grpc([endpoint(echo, host="::1")], print) as (port,):
        async with await trio.open_tcp_stream("::1", port):
            pass
        with pytest.raises(StartError, match=rf"cannot listen on \[::1\]:{port}: "):
            async with open_grpc([endpoint(echo, host="::1", port=port)], print):
                pass
