"""The proxy on real sockets: start and stop, limits, resets, many clients."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from attrs import define

from faultinject.errors import DataDirectoryError, SettingsError, StartError
from faultinject.events import (
    Event,
    ExchangeEnded,
    HandshakeFailed,
    ProxyDraining,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    SessionEnded,
    SessionStarted,
    Warned,
)
from faultinject.net.listener import SocketListener
from faultinject.proxy.server import RunningProxy, _loop_test, serve
from faultinject.proxy.upstream.fake.fake_api import FakeApi
from faultinject.settings import Limits, Settings, WrittenRules
from tests.support.authorities import AuthorityFiles
from tests.support.bench import (
    TARGET,
    echoes,
    get,
    ok,
    post,
    trusting_context,
)
from tests.support.certificates import Certificates
from tests.support.peer import Peer
from tests.support.running import leads_to, reset, running, upstream
from tests.support.tls_peers import client_hello


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    """A data directory whose certificate authority is made once."""
    return tmp_path_factory.mktemp("data")


# Start


async def test_the_start_is_told(data_dir):
    """With all that a client needs, and a summary of the settings."""
    async with running(data_dir, error_probability=0.25, seed=7, target="*.example.com") as run:
        [started] = run.of(ProxyStarted)
        assert started.url == run.proxy.url == f"http://127.0.0.1:{run.proxy.port}"
        assert (started.targets, started.error_probability) == (("*.example.com",), 0.25)
        assert (started.status_code, started.seed, started.fake_upstream) == (429, 7, False)
        assert started.ca_cert == str(run.proxy.ca_cert) == str(data_dir / "fault-ca.crt")
        client = await run.connect()
        assert (await client.ask(b"nonsense\r\n\r\n")).status == 400
        assert run.of(SessionStarted)[0].client.startswith("127.0.0.1:")


async def test_a_certificate_authority_of_ones_own(tmp_path):
    """Its files are used, and nothing is created."""
    certificate, key = AuthorityFiles().write(tmp_path)
    options = {"ca_cert": certificate, "ca_key": key, "error_probability": 1.0}
    async with running(tmp_path / "unused", **options) as run:
        assert run.proxy.ca_cert == certificate
        assert (await (await run.tls()).ask(get("/"))).status == 429
    assert not (tmp_path / "unused").exists()


_DEFAULT_DATA_DIR = "faultinject.tls.certificate_authority.default_data_dir"


def no_directory() -> Path:
    """Stand for a user without a home."""
    raise DataDirectoryError("nowhere")


async def test_without_a_place_for_an_authority(tmp_path, monkeypatch):
    """Base-URL mode works; a tunnel to a target is refused, and TLS for one in another, too."""
    taken = tmp_path / "taken"
    taken.write_text("")
    monkeypatch.setattr(_DEFAULT_DATA_DIR, lambda: taken / "data")
    async with running(None, error_probability=1.0) as run:
        [started], [warned] = run.of(ProxyStarted), run.of(Warned)
        assert started.ca_cert is run.proxy.ca_cert is None
        assert warned.message.endswith("that this user may write with --data-dir")
        assert (await (await run.connect()).ask(get("/", "127.0.0.1"))).status == 429
        client = await run.connect()
        connect = b"CONNECT %b:443 HTTP/1.1\r\nHost: x\r\n\r\n" % TARGET.encode()
        assert (await client.ask(connect)).status == 501
    assert [event.outcome for event in run.of(ExchangeEnded)] == ["injected", "refused"]


async def test_tls_for_a_target_that_connect_did_not_name(monkeypatch):
    """Without an authority its handshake ends with an alert, and the event says why."""
    monkeypatch.setattr(_DEFAULT_DATA_DIR, no_directory)
    async with upstream(echoes) as port, running(None) as run:
        client = await run.tunnel(f"127.0.0.1:{port}")
        await client.send(client_hello(trusting_context(), TARGET))
        assert (await client.rest())[:1] == b"\x15"
        [failed] = await run.wait_for(HandshakeFailed)
        assert failed.reason == "no certificate can be made: nowhere"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o640, 1)])
async def test_a_key_that_others_may_read_gives_a_warning(tmp_path, mode, warnings):
    """It is used all the same: mounted secrets often are so."""
    certificate, key = AuthorityFiles().write(tmp_path)
    key.chmod(mode)
    async with running(tmp_path, ca_cert=certificate, ca_key=key) as run:
        found = [warned.message for warned in run.of(Warned)]
        assert len(found) == warnings
        assert all(message.startswith(f"{key}: other users") for message in found)


async def test_a_hidden_rule_gives_a_warning(data_dir):
    """Whoever embeds the proxy is told as well as who reads its log."""
    rules = (WrittenRules("respond 503 name=first"), WrittenRules("respond 500 name=second"))
    async with running(data_dir, rules=rules) as run:
        [warned] = run.of(Warned)
        assert warned.message.startswith("--rule: rule: it is never reached: ")
        assert isinstance(run.events[0], ProxyStarted)


async def test_settings_that_cannot_be_used(tmp_path):
    """They are found before anything listens."""
    missing = tmp_path / "missing.crt"
    with pytest.raises(SettingsError, match=r"missing\.crt"):
        await serve(Settings(ca_cert=missing, ca_key=missing))


async def test_a_port_in_use(data_dir):
    """One line that says what would be right."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError) as caught:
            await serve(Settings(proxy_port=port, data_dir=data_dir))
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use;"
        " choose another with --proxy-port (0 picks a free one)"
    )


async def test_an_address_that_is_not_ours(data_dir):
    """The same for an address that no interface has."""
    words = r"listen on 192\.0\.2\.1:.*; choose another with --host \(it is where to listen;"
    with pytest.raises(StartError, match=words):
        await serve(Settings(host="192.0.2.1", proxy_port=0, data_dir=data_dir))


def test_the_url_of_a_proxy_on_ipv6():
    """The address stands in brackets."""
    assert running_on("::1").url == "http://[::1]:8080"


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:8080"), ("::", "http://[::1]:8080")]
)
def test_the_url_of_a_proxy_on_every_address(host, url):
    """One that can be connected to."""
    proxy = running_on(host)
    assert (proxy.url, proxy.host) == (url, host)


def running_on(host):
    """Return a proxy that listens on an address."""
    return RunningProxy(ca_cert=Path("ca.crt"), draining=trio.Event(), host=host, port=8080)


# Upstreams over the network


async def test_a_target_is_asked_over_verified_tls(data_dir, tmp_path):
    """The whole way, with ``--connect-to`` and ``--upstream-ca``."""
    certificates = Certificates()
    ca_file = certificates.write_authority(tmp_path / "origin.pem")
    target = "api.anthropic.com"
    async with upstream(echoes, certificates.origin_context()) as port:
        options = {"connect_to": (leads_to(port, target),), "upstream_ca": ca_file}
        async with running(data_dir, target=target, **options) as run:
            client = await run.tls(f"{target}:443")
            assert (await client.ask(get("/v1", target))).body == b"GET /v1 HTTP/1.1 0"
            base_url = await run.connect()
            assert (await base_url.ask(get("/v2", "127.0.0.1"))).body == b"GET /v2 HTTP/1.1 0"


async def test_a_certificate_that_is_not_trusted(data_dir):
    """502, and what to do about it."""
    target = "api.anthropic.com"
    async with (
        upstream(echoes, Certificates().origin_context()) as port,
        running(data_dir, target=target, connect_to=(leads_to(port, target),)) as run,
    ):
        answer = await (await run.tls(f"{target}:443")).ask(get("/", target))
        assert (answer.status, answer.header(b"x-faultinject-error")) == (502, b"certificate")
        assert "--upstream-ca" in answer.json()["error"]["message"]


async def test_connect_to_holds_for_relays_too(data_dir):
    """A host that is no target is found where the option says."""
    async with (
        upstream(echoes) as port,
        running(data_dir, connect_to=(leads_to(port, "other.example", 80),)) as run,
    ):
        client = await run.tunnel("other.example:80")
        assert (await client.ask(get("/"))).body == b"GET / HTTP/1.1 0"
        await client.half_close()
        assert await client.rest() == b""
        assert (await run.wait_for(RelayEnded))[0].error is None


async def test_nobody_listens_there(data_dir):
    """502 for a tunnel, and for a request."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    async with running(data_dir) as run:
        client = await run.connect()
        answer = await client.ask(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        assert (answer.status, answer.header(b"x-faultinject-error")) == (502, b"connect")
        client = await run.connect()
        answer = await client.ask(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        assert (answer.status, answer.header(b"x-faultinject-error")) == (502, b"connect")


async def test_an_upstream_that_resets_at_once(data_dir):
    """Whenever the reset is seen, it is a 502."""

    async def resets(peer: Peer) -> None:
        reset(peer.stream)

    async with upstream(resets) as port, running(data_dir) as run:
        for _ in range(5):
            client = await run.connect()
            request = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port
            assert (await client.ask(request)).status == 502


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_request_for_the_proxy_itself_is_refused(data_dir, host):
    """It would come back for ever: as a tunnel, as a URL, and as a base URL's target."""
    async with running(data_dir, host=host) as run:
        port = run.proxy.port
        for request in (
            b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port,
            b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port,
        ):
            client = await run.connect()
            answer = await client.ask(request)
            assert (answer.status, answer.header(b"x-faultinject-error")) == (502, b"loop")


@define
class Socket:
    """What a socket is called at both its ends."""

    local: str
    peer: str = ""
    port: int = 8080

    @property
    def socket(self) -> Socket:
        """The socket of a listener: it is one itself."""
        return self

    def getsockname(self) -> tuple[str, int]:
        """Return our end; a listener's port is the one of interest."""
        return self.local, self.port if not self.peer else 50000

    def getpeername(self) -> tuple[str, int]:
        """Return the other end."""
        return self.peer, self.port


@pytest.mark.parametrize(
    ("listens_on", "connected", "back"),
    [
        ("127.0.0.1", Socket("127.0.0.1", "127.0.0.1"), True),
        ("127.0.0.1", Socket("127.0.0.1", "127.0.0.1", port=8081), False),
        ("127.0.0.1", Socket("127.0.0.1", "127.0.0.2"), False),
        ("127.0.0.1", Socket("::ffff:127.0.0.1", "::ffff:127.0.0.1"), True),
        ("::1", Socket("::1", "::1"), True),
        ("::1", Socket("127.0.0.1", "127.0.0.1"), False),
        ("0.0.0.0", Socket("192.0.2.1", "192.0.2.1"), True),
        ("0.0.0.0", Socket("192.0.2.1", "192.0.2.2"), False),
        ("0.0.0.0", Socket("127.0.0.1", "127.0.0.2"), True),
        ("0.0.0.0", Socket("::ffff:192.0.2.1", "::ffff:192.0.2.1"), True),
        ("0.0.0.0", Socket("::1", "::1"), False),
        ("::", Socket("2001:db8::1", "2001:db8::1"), True),
        ("::", Socket("127.0.0.1", "127.0.0.1"), False),
    ],
)
def test_the_proxy_is_known_by_each_of_its_addresses(listens_on, connected, back):
    """However they are written; what another program listens on at the same port is not ours."""
    assert _loop_test([Socket(listens_on)])(connected) is back


async def test_a_target_that_leads_to_the_proxy_itself(data_dir):
    """By ``--connect-to``, say."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"proxy_port": port, "connect_to": (leads_to(port),)}
    async with running(data_dir, **options) as run:
        answer = await (await run.connect()).ask(get("/"))
        assert answer.json()["error"]["kind"] == "loop"


# Sockets


async def test_a_body_beyond_the_limit_does_not_destroy_the_answer(data_dir):
    """The client sends on and on; what we leave unread would make our close a reset."""
    limits = Limits(drained_body_bytes=100_000)
    async with running(data_dir, error_probability=1.0, limits=limits) as run:
        client = await run.tls()
        await client.send(post("/", b"x" * 3_000_000))
        answer = await client.answer()
        assert (answer.status, answer.header(b"connection")) == (429, b"close")
        await client.close()


@pytest.mark.parametrize(
    ("flood", "status"),
    [(b"garbage\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: ", 431),
     (b"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
     (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n", 502)],
)  # fmt: skip
async def test_a_flood_does_not_destroy_the_refusal(data_dir, flood, status):
    """The same for what is no request."""
    async with running(data_dir) as run:
        client = await run.connect()
        await client.send(flood + b"x" * 1_000_000)
        assert (await client.answer()).status == status
        await client.half_close()
        assert await client.rest() == b""


async def test_a_client_that_resets_ends_the_upstreams_work(data_dir):
    """Mid-request, mid-answer, and in a relay."""
    gone = []

    async def works(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        at_work.release()
        try:
            await peer.rest()
        finally:
            gone.append(1)
            at_work.release()

    at_work = trio.Semaphore(0)
    async with upstream(works) as port, running(data_dir) as run:
        url = b"http://127.0.0.1:%d/" % port
        whole = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % url
        part = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" % url
        clients = [await run.connect(), await run.connect()]
        clients.append(await run.tunnel(f"127.0.0.1:{port}"))
        for client, said in zip(clients, (whole, part, b"x"), strict=True):
            await client.send(said)
            await at_work.acquire()
            reset(client.stream)
            await at_work.acquire()
        assert gone == [1, 1, 1]
        await run.wait_for(SessionEnded, 3)
        assert [event.outcome for event in run.of(ExchangeEnded)] == ["client-gone"] * 2
        assert run.of(RelayEnded)[0].error


@pytest.mark.parametrize("tls", [False, True])
async def test_a_client_that_leaves_while_the_upstream_thinks(data_dir, tmp_path, tls):
    """The upstream is let go, though at first only its answer was waited for."""
    asked, gone, options = trio.Event(), trio.Event(), {}
    target, context = "api.anthropic.com", None

    async def thinks(peer: Peer) -> None:
        await peer.read_message()
        asked.set()
        try:
            await peer.rest()
        finally:
            gone.set()

    if tls:
        certificates = Certificates()
        context = certificates.origin_context()
        options = {"upstream_ca": certificates.write_authority(tmp_path / "origin.pem")}
    async with upstream(thinks, context) as port:
        options |= {"connect_to": (leads_to(port, target),)} if tls else {}
        async with running(data_dir, target=target, **options) as run:
            if tls:
                client = await run.tls(f"{target}:443")
                await client.send(get("/v1", target))
            else:
                client = await run.connect()
                await client.send(get(f"http://127.0.0.1:{port}/"))
            await asked.wait()
            await client.stream.aclose()
            with trio.fail_after(30):
                await gone.wait()
            [ended] = await run.wait_for(ExchangeEnded)
            assert (ended.outcome, ended.status) == ("client-gone", None)


@pytest.mark.parametrize("thinks_seconds", [0, 0.2])
async def test_an_upstream_that_ends_an_idle_connection(data_dir, thinks_seconds):
    """The client's ends too, though at first only its next request was waited for."""

    async def answers_twice(peer: Peer) -> None:
        for _ in range(2):
            await peer.read_message()
            await trio.sleep(thinks_seconds)
            await peer.send(ok(b"hi"))
        await trio.sleep(0.2)

    async with upstream(answers_twice) as port, running(data_dir) as run:
        client = await run.connect()
        for _ in range(2):
            assert (await client.ask(get(f"http://127.0.0.1:{port}/"))).body == b"hi"
        with trio.fail_after(30):
            assert await client.rest() == b""
        assert (await run.wait_for(SessionEnded))[0].exchanges == 2


async def test_an_upstream_that_resets_mid_answer_breaks_the_clients_connection(data_dir):
    """In a tunnel's TLS there is no close_notify."""

    async def half(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await told.wait()
        reset(peer.stream)

    told = trio.Event()
    async with upstream(half) as port, running(data_dir) as run:
        client = await run.connect()
        await client.send(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        await client.read_until(b"half")
        told.set()
        assert await client.end() == b""
        assert (await run.wait_for(ExchangeEnded))[0].outcome == "upstream-error"


async def test_a_client_that_reads_slowly_slows_its_upstream_down(data_dir):
    """Nothing is gathered in between: a large answer waits where it comes from."""

    async def pours(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        begun.set()
        for _ in range(1000):
            await peer.send(b"x" * 100_000)
            poured.append(100_000)

    poured: list[int] = []
    begun = trio.Event()
    async with upstream(pours) as port, running(data_dir) as run:
        client = await run.connect()
        await client.send(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        await begun.wait()
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert 0 < sum(poured) < 50_000_000  # what four buffers of the system hold at most
        await client.cut()
        await run.wait_for(SessionEnded)
        assert run.of(ExchangeEnded)[0].outcome == "client-gone"


# Limits and draining


async def test_one_client_too_many(data_dir):
    """It gets a 503 that says so, whatever it was about to send; others are served on."""
    async with running(data_dir, error_probability=1.0, limits=Limits(sessions=2)) as run:
        one, two = await run.connect(), await run.connect()
        for client in (one, two):
            assert (await client.ask(get("/"))).status == 429
        three = await run.connect()
        answer = await three.answer()
        assert (answer.status, answer.header(b"x-faultinject-error")) == (503, b"busy")
        assert answer.header(b"connection") == b"close"
        await three.send(get("/"))
        await three.half_close()
        assert await three.rest() == b""
        await one.close()
        await run.wait_for(SessionEnded)
        assert (await (await run.connect()).ask(get("/"))).status == 429
        assert len(run.of(SessionStarted)) == 3


def connect_and_reset(port: int) -> None:
    """Be gone before the proxy's loop has a turn."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_one_client_too_many_that_leaves_at_once(data_dir):
    """Nobody is there to be told."""
    async with running(data_dir, limits=Limits(sessions=0)) as run:
        connect_and_reset(run.proxy.port)
        client = await run.connect()
        assert (await client.answer()).status == 503


async def test_a_client_that_is_gone_before_it_is_served(data_dir):
    """Its address is not known any more."""
    async with running(data_dir) as run:
        connect_and_reset(run.proxy.port)
        await run.wait_for(SessionEnded)
        assert run.of(SessionStarted)[0].client == "unknown"


async def test_memory_is_given_back_once_a_surge_is_over(monkeypatch, data_dir):
    """When of four connections three have left, here; no sooner, and only once."""
    given_back, told = [], trio.Event()

    def collect() -> None:
        given_back.append(len(run.of(SessionEnded)))
        trio.from_thread.run_sync(told.set)

    monkeypatch.setattr("faultinject.proxy.spare_memory.gc", SimpleNamespace(collect=collect))
    monkeypatch.setattr("faultinject.proxy.spare_memory.SURGE_CONNECTIONS", 4)
    async with running(data_dir, error_probability=1.0, gives_memory_back=True) as run:
        clients = [await run.connect() for _ in range(4)]
        for client in clients:
            assert (await client.ask(get("/"))).status == 429
        for left, client in enumerate(clients, 1):
            await client.close()
            await run.wait_for(SessionEnded, left)
        with trio.fail_after(60):
            await told.wait()
    assert given_back[0] >= 3
    assert len(given_back) == 1


async def test_targets_may_be_answered_by_the_fake_api(data_dir):
    """Without a network; other hosts are as ever."""
    async with upstream(echoes) as port, running(data_dir, fake_upstream=True) as run:
        client = await run.tls()
        assert (await client.ask(get("/v1/models"))).status == 200
        assert run.of(ProxyStarted)[0].fake_upstream
        other = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port
        assert (await (await run.connect()).ask(other)).body == b"GET / HTTP/1.1 0"


async def test_the_pace_of_the_fake_api(data_dir, monkeypatch):
    """Is the one that was chosen."""
    made: list[float] = []

    def api(gap_seconds: float) -> FakeApi:
        made.append(gap_seconds)
        return FakeApi(gap_seconds=gap_seconds)

    monkeypatch.setattr("faultinject.proxy.upstream.fake.fake_api.FakeApi", api)
    async with running(data_dir, fake_upstream=True, fake_pace=0.125):
        pass
    assert made == [0.125]


async def test_draining(data_dir):
    """No new clients, idle ones end at once, an open exchange finishes; then `serve` returns."""

    async def slowly(peer: Peer) -> None:
        await peer.read_message()
        asked.set()
        await seen.wait()
        await peer.send(ok(b"in time"))
        await peer.rest()

    asked, seen = trio.Event(), trio.Event()
    limits = Limits(drain_seconds=1000)  # as long as the exchange, not as this
    async with upstream(slowly) as port, running(data_dir, limits=limits) as run:
        idle, busy = await run.connect(), await run.connect()
        await busy.send(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        await asked.wait()
        run.proxy.drain()
        assert await idle.rest() == b""
        with pytest.raises(OSError):
            await run.connect()
        seen.set()
        assert (await busy.answer()).body == b"in time"
        assert await busy.rest() == b""
        [stopped] = await run.wait_for(ProxyStopped)
        assert stopped.reason == "told to stop"
        assert {event.outcome for event in run.of(ExchangeEnded)} == {"forwarded"}
        [draining] = run.of(ProxyDraining)
        assert (draining.exchanges, draining.seconds) == (1, 1000)


async def test_draining_does_not_last(data_dir):
    """What is not done in time is cut."""

    async def stays(peer: Peer) -> None:
        if await peer.receive():  # the tunnel says nothing
            asked.set()
        await peer.rest()

    asked = trio.Event()
    async with (
        upstream(stays) as port,
        running(data_dir, limits=Limits(drain_seconds=0.2)) as run,
    ):
        client = await run.connect()
        tunnel = await run.tunnel(f"127.0.0.1:{port}")
        await client.send(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        await asked.wait()
        started = trio.current_time()
        run.proxy.drain()
        for peer in (client, tunnel):
            assert await peer.end() == b""
        await run.wait_for(ProxyStopped)
        assert trio.current_time() - started >= 0.2
        assert [event.outcome for event in run.of(ExchangeEnded)] == ["upstream-error"]
        [draining] = run.of(ProxyDraining)
        assert (draining.exchanges, draining.sessions, draining.seconds) == (1, 1, 0.2)


async def test_draining_with_nothing_open_tells_of_no_wait(data_dir):
    """There is none."""
    async with running(data_dir) as run:
        run.proxy.drain()
        await run.wait_for(ProxyStopped)
        assert run.of(ProxyDraining) == []


async def test_cancelling_ends_all_at_once(data_dir):
    """Nothing is waited for."""
    async with trio.open_nursery() as nursery:
        events: list[Event] = []
        settings = Settings(proxy_port=0, data_dir=data_dir)
        proxy = await nursery.start(partial(serve, settings, listener=events.append))
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as client:
            await client.send_all(get("/")[:10])
            await trio.testing.wait_all_tasks_blocked(0.05)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                assert await client.receive_some() == b""
    assert [event.reason for event in events if isinstance(event, ProxyStopped)] == ["cancelled"]


async def test_a_name_of_two_addresses(monkeypatch, data_dir):
    """Each would pick a free port of its own, and only one can be told: one is listened on."""
    opened = []

    async def two(port, *, host):
        listeners = [listener for _ in range(2) for listener in await open_one(port, host=host)]
        opened.extend(listeners)
        return listeners

    open_one = trio.open_tcp_listeners
    monkeypatch.setattr(trio, "open_tcp_listeners", two)
    async with running(data_dir, error_probability=1.0) as run:
        assert (await (await run.connect()).ask(get("/"))).status == 429
        assert opened[0].socket.getsockname()[1] == run.proxy.port
        assert opened[1].socket.fileno() == -1


async def test_a_system_without_room(monkeypatch, data_dir):
    """It is told, with the mend; who waits is served when another client has left."""
    answers = [None, OSError(errno.EMFILE, "Too many open files")]

    async def accept(listener):
        if answers and (refusal := answers.pop(0)):
            raise refusal
        return await accept_one(listener)

    accept_one = SocketListener.accept
    monkeypatch.setattr(SocketListener, "accept", accept)
    async with running(data_dir, error_probability=1.0) as run:
        first, second = await run.connect(), await run.connect()
        assert (await first.ask(get("/"))).status == 429
        [warned] = await run.wait_for(Warned)
        assert "no room for it (Too many open files): allow more open files" in warned.message
        await first.close()
        assert (await second.ask(get("/"))).status == 429


async def test_a_listener_is_optional(data_dir):
    """Events nobody wants are dropped."""
    async with trio.open_nursery() as nursery:
        proxy = await nursery.start(serve, Settings(proxy_port=0, data_dir=data_dir))
        proxy.drain()


# Many


@pytest.fixture
def clock():
    """A clock that jumps to a limit once nothing has moved for a while, sockets included."""
    return trio.testing.MockClock(autojump_threshold=0.05)


def open_files() -> int:
    """How many descriptors this program has open."""
    folder = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    return len(list(Path(folder).iterdir()))


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are counted by a file system")
async def test_500_handshakes_that_never_finish(clock, data_dir):
    """They hold up nobody, end at their limit, and leave no task and no descriptor behind."""
    hello = client_hello(trusting_context(), TARGET)
    async with running(data_dir, error_probability=1.0) as run:
        await (await run.tls()).close()  # whose leaf the others have, too
        await trio.testing.wait_all_tasks_blocked(0.05)
        tasks = trio.lowlevel.current_statistics().tasks_living
        files = open_files()
        hanging = []
        for number in range(500):
            client = await run.tunnel()
            await client.send(hello if number % 2 else hello[: number % len(hello)])
            hanging.append(client)
        assert trio.lowlevel.current_statistics().tasks_living >= tasks + 500
        neighbour = await run.tls()
        assert (await neighbour.ask(get("/"))).status == 429
        await neighbour.close()
        await run.wait_for(SessionEnded, 502, seconds=10_000)
        for client in hanging:
            await client.cut()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert open_files() == files
        assert len(run.of(HandshakeFailed)) == 250


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_an_upstream_that_breaks_off_does_so_to_the_client_in_the_same_way(data_dir, how):
    """A reset stays a reset and an end an end: a body that ends with its connection tells."""
    begun = b"HTTP/1.1 200 OK\r\n\r\nhalf of"

    async def breaks_off(peer: Peer) -> None:
        await peer.read_message()
        await peer.send(begun)
        await answered.wait()
        if how == "reset":
            reset(peer.stream)

    answered = trio.Event()
    async with (
        upstream(breaks_off) as port,
        running(data_dir, connect_to=(leads_to(port, "other.example", 80),)) as run,
    ):
        client = await run.connect()
        await client.send(b"GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert await client.read_exactly(len(begun)) == begun
        answered.set()
        if how == "reset":
            with pytest.raises(trio.BrokenResourceError, match="reset"):
                await client.rest()
        else:
            assert await client.rest() == b""
