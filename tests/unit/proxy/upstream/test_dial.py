"""Dialling upstreams: real sockets and certificates on loopback, and every way to fail."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from attrs import define, evolve, field
from trio.testing import MockClock

from faultinject.authority import Authority, ConnectTo
from faultinject.errors import UpstreamError
from faultinject.proxy.upstream import dial
from faultinject.proxy.upstream.dial import Dialer, Origin
from faultinject.tls.layer import TlsSide
from faultinject.tls.stream import TlsStream

NAME = "api.example"
Serve = Callable[[trio.SocketStream], Awaitable[None]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the upstreams' certificates."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate as a file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@define
class TlsUpstream:
    """An upstream that echoes over TLS, and what its clients have said in their handshakes."""

    context: ssl.SSLContext
    names: list[str | None] = field(factory=list)
    protocols: list[str | None] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Shake hands and echo."""
        tls = trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)
        try:
            await tls.do_handshake()
        except trio.BrokenResourceError:
            return
        self.protocols.append(tls.selected_alpn_protocol())
        await echo(tls)


async def echo(stream: trio.abc.Stream) -> None:
    """Send back what comes."""
    try:
        while data := await stream.receive_some():
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass


def tls_upstream(authority: trustme.CA, *names: str, **more: Any) -> TlsUpstream:
    """Return an upstream with a certificate for some names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or (NAME,)), **more).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return TlsUpstream(context)


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """Serve on loopback as long as the block; gives the port."""

    async def serve_and_close(stream: trio.SocketStream) -> None:
        async with stream:
            await serve(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            lambda *, task_status: trio.serve_tcp(
                serve_and_close, 0, host="127.0.0.1", task_status=task_status
            )
        )
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def dialer(
    *connect_to: str,
    upstream_ca: Path | None = None,
    insecure: bool = False,
    limit_seconds: float = 20.0,
    ourselves: int = 0,
) -> Dialer:
    """Return a dialer that looks up names in `Resolver`.

    ``ourselves`` is the port that leads back to the proxy.
    """
    trio.socket.set_custom_hostname_resolver(Resolver())
    return Dialer(
        tuple(ConnectTo.parse(text) for text in connect_to),
        upstream_ca,
        insecure,
        limit_seconds,
        lambda connected: connected.getpeername()[1] == ourselves,
    )


def origin(text: str, address: str = "", *, tls: bool = True) -> Origin:
    return Origin(Authority.parse(text), Authority.parse(address or text), tls)


async def assert_echoes(stream: trio.abc.Stream) -> None:
    """Show that both directions work, and close."""
    async with stream:
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"


async def failure(call: Awaitable[object]) -> UpstreamError:
    """Return the error of a dial that must fail, whose words are for a user."""
    with pytest.raises(UpstreamError) as caught:
        await call
    assert str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


class Resolver(trio.abc.HostnameResolver):
    """Names of the tests' own."""

    async def getaddrinfo(self, host: Any, port: Any, family: Any = 0, *more: Any) -> list[Any]:
        """Look a name up in what this resolver knows."""
        name = host.decode("ascii")
        if name == "slow.example":
            await trio.sleep_forever()
        count = {"twice.example": 2, "my_service": 1, NAME: 1}.get(name)
        if count is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, ("127.0.0.1", int(port)))] * count

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Nobody asks."""
        raise NotImplementedError


# That works


def test_an_origin_knows_its_scheme() -> None:
    """That of the URLs of what is there."""
    assert origin("a:443").scheme == "https"
    assert origin("a:80", tls=False).scheme == "http"


async def test_a_plain_origin_is_dialled_without_tls() -> None:
    """By its name."""
    async with listening(echo) as port:
        await assert_echoes(await dialer().dial(origin(f"{NAME}:{port}", tls=False)))


async def test_a_blind_connection_is_the_bare_socket() -> None:
    """Whose halves can be closed one by one."""
    async with listening(echo) as port:
        stream = await dialer().dial_blind(Authority("127.0.0.1", port))
        assert isinstance(stream, trio.abc.HalfCloseableStream)
        await assert_echoes(stream)


async def test_names_with_an_underscore_can_be_dialled() -> None:
    """Internal DNS is full of them."""
    async with listening(echo) as port:
        await assert_echoes(await dialer().dial_blind(Authority("my_service", port)))


async def test_tls_names_its_host_and_offers_http_1_1(authority: trustme.CA, ca_file: Path) -> None:
    """In SNI and ALPN; the certificate is verified with the user's file too."""
    upstream = tls_upstream(authority)
    async with listening(upstream.serve) as port:
        await assert_echoes(await dialer(upstream_ca=ca_file).dial(origin(f"{NAME}:{port}")))
    assert upstream.names == [NAME]
    assert upstream.protocols == ["http/1.1"]


async def test_an_address_is_verified_as_one(authority: trustme.CA, ca_file: Path) -> None:
    """Without SNI, which has no addresses (RFC 6066 section 3)."""
    upstream = tls_upstream(authority, "127.0.0.1")
    async with listening(upstream.serve) as port:
        await assert_echoes(await dialer(upstream_ca=ca_file).dial(origin(f"127.0.0.1:{port}")))
    assert upstream.names == [None]


async def test_the_origins_name_counts_not_the_address_that_is_dialled(
    authority: trustme.CA, ca_file: Path
) -> None:
    """A client may name an address in CONNECT and the host in its ClientHello."""
    upstream = tls_upstream(authority)
    async with listening(upstream.serve) as port:
        asked = origin(f"{NAME}:443", f"127.0.0.1:{port}")
        await assert_echoes(await dialer(upstream_ca=ca_file).dial(asked))
    assert upstream.names == [NAME]


async def test_many_connections_share_what_was_read_of_the_roots(
    authority: trustme.CA, ca_file: Path
) -> None:
    """The file is needed for the first one only."""
    upstream = tls_upstream(authority)
    copy = ca_file.with_name("copy.pem")
    copy.write_bytes(ca_file.read_bytes())
    the_dialer = dialer(upstream_ca=copy)
    async with listening(upstream.serve) as port:
        await assert_echoes(await the_dialer.dial(origin(f"{NAME}:{port}")))
        copy.unlink()
        await assert_echoes(await the_dialer.dial(origin(f"{NAME}:{port}")))


async def test_the_roots_are_read_once_and_the_others_do_not_wait(
    authority: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two first connections share them, and whatever else there is goes on meanwhile."""
    reads = 0
    reading, may_go_on = trio.Event(), threading.Event()
    read = dial.default_context

    def read_slowly() -> ssl.SSLContext:
        nonlocal reads
        reads += 1
        trio.from_thread.run_sync(reading.set)
        assert may_go_on.wait(10)
        return read()

    monkeypatch.setattr(dial, "default_context", read_slowly)
    upstream = tls_upstream(authority)
    the_dialer = dialer(upstream_ca=ca_file)

    async def use(stream: trio.abc.Stream) -> None:
        await assert_echoes(await the_dialer.start_tls(stream, origin(f"{NAME}:443")))

    async with (
        listening(upstream.serve) as port,
        listening(echo) as other,
        trio.open_nursery() as nursery,
    ):
        for stream in [await the_dialer.dial_blind(Authority("127.0.0.1", port)) for _ in "ab"]:
            nursery.start_soon(use, stream)
        await reading.wait()
        await assert_echoes(await the_dialer.dial_blind(Authority("127.0.0.1", other)))
        may_go_on.set()
    assert reads == 1
    assert upstream.names == [NAME, NAME]


async def test_an_authority_that_has_gone_before_the_first_connection(ca_file: Path) -> None:
    """That is a gateway error as any other, and nothing is left of the connection."""
    copy = ca_file.with_name("gone.pem")
    copy.write_bytes(ca_file.read_bytes())
    the_dialer = dialer(upstream_ca=copy)
    copy.unlink()
    ours, theirs = trio.testing.memory_stream_pair()
    error = await failure(the_dialer.start_tls(ours, origin(f"{NAME}:443")))
    assert error.kind == "certificate"
    assert "gone.pem: cannot be read" in str(error)
    assert await theirs.receive_some() == b""


# --connect-to


async def test_connect_to_says_where_to_really_connect(
    authority: trustme.CA, ca_file: Path
) -> None:
    """The first that fits counts; the certificate is still that of the name."""
    upstream = tls_upstream(authority, "unknown.example")
    async with listening(upstream.serve) as port:
        maps = ("other.example:::9", f"unknown.example:443:127.0.0.1:{port}", ":::9")
        the_dialer = dialer(*maps, upstream_ca=ca_file)
        await assert_echoes(await the_dialer.dial(origin("unknown.example:443")))
    assert upstream.names == ["unknown.example"]


async def test_connect_to_is_for_the_address_that_would_be_dialled() -> None:
    """As for curl; relayed hosts included."""
    async with listening(echo) as port:
        the_dialer = dialer(f"10.0.0.1:443:127.0.0.1:{port}")
        await assert_echoes(await the_dialer.dial_blind(Authority("10.0.0.1", 443)))
        asked = origin("unknown.example:443", "10.0.0.1:443", tls=False)
        await assert_echoes(await the_dialer.dial(asked))


# That fails


async def test_a_name_that_nobody_knows() -> None:
    """The resolver says why."""
    for call in (
        dialer().dial_blind(Authority("unknown.example", 443)),
        dialer().dial(origin("unknown.example:443")),
    ):
        error = await failure(call)
        assert (error.kind, error.status) == ("dns", 502)
        assert str(error) == "cannot look up unknown.example: Name or service not known"


@pytest.mark.parametrize("name", ["127.0.0.1", NAME, "twice.example"])
async def test_a_port_where_nobody_listens(name: str) -> None:
    """One reason, however many addresses were tried."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        error = await failure(dialer().dial_blind(Authority(name, port)))
    assert (error.kind, error.status) == ("connect", 502)
    assert str(error) == f"cannot connect to {name}:{port}: Connection refused"


async def test_a_failure_names_the_address_that_was_really_tried() -> None:
    """Else the user of --connect-to would look in the wrong place."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        the_dialer = dialer(f"{NAME}:443:127.0.0.1:{port}")
        error = await failure(the_dialer.dial_blind(Authority(NAME, 443)))
    assert f"127.0.0.1:{port}" in str(error)


async def test_the_proxy_itself_is_not_asked() -> None:
    """The connection is closed again, with nothing said."""
    heard = []

    async def listen(stream: trio.SocketStream) -> None:
        heard.append(await stream.receive_some())
        done.set()

    done = trio.Event()
    async with listening(listen) as port:
        the_dialer = dialer(f"{NAME}:443:127.0.0.1:{port}", ourselves=port)
        error = await failure(the_dialer.dial(origin(f"{NAME}:443")))
        assert (error.kind, error.status) == ("loop", 502)
        assert str(error) == f"127.0.0.1:{port} is this proxy itself"
        await done.wait()
    assert heard == [b""]


@pytest.mark.parametrize(
    ("names", "more", "trusted", "words"),
    [
        ([NAME], {}, False, "unable to get local issuer certificate"),
        (["other.example"], {}, True, "Hostname mismatch"),
        (["127.0.0.1"], {}, True, "Hostname mismatch"),
        ([NAME], {"not_after": datetime.now(UTC) - timedelta(days=1)}, True, "expired"),
    ],
    ids=["unknown authority", "another name", "an address", "expired"],
)
async def test_a_certificate_that_is_not_trusted(
    authority: trustme.CA,
    ca_file: Path,
    names: list[str],
    more: dict[str, Any],
    trusted: bool,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason and the ways out are told; who insists gets through."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    upstream = tls_upstream(authority, *names, **more)
    careful = dialer(upstream_ca=ca_file if trusted else None)
    async with listening(upstream.serve) as port:
        asked = origin(f"{NAME}:{port}")
        error = await failure(careful.dial(asked))
        assert (error.kind, error.status) == ("certificate", 502)
        assert str(error).startswith(f"the certificate of {NAME}:{port} is not trusted: ")
        assert words in str(error)
        assert ".;" not in str(error)
        assert str(error).endswith("give --upstream-ca FILE or --insecure-upstream")
        await assert_echoes(await evolve(careful, insecure=True).dial(asked))


async def test_a_replaced_set_of_roots_is_pointed_out(
    authority: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users set SSL_CERT_FILE for their clients, and the proxy may inherit it."""
    other = ca_file.with_name("other.pem")
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    async with listening(tls_upstream(authority).serve) as port:
        error = await failure(dialer().dial(origin(f"{NAME}:{port}")))
    assert f"SSL_CERT_FILE={other}, which replaces the roots" in str(error)


async def say_http(stream: trio.SocketStream) -> None:
    """Speak HTTP where TLS was expected."""
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def say_nothing(stream: trio.SocketStream) -> None:
    """End at once."""
    await stream.receive_some()


async def reset(stream: trio.SocketStream) -> None:
    """End with RST."""
    await stream.receive_some()
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (say_http, "(WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE)"),
        (say_nothing, "the peer ended within the handshake"),
        (reset, "Connection reset by peer"),
    ],
)
async def test_an_upstream_that_speaks_no_tls(serve: Serve, words: str) -> None:
    """Whatever it does instead."""
    async with listening(serve) as port:
        error = await failure(dialer().dial(origin(f"{NAME}:{port}")))
    assert (error.kind, error.status) == ("tls", 502)
    with pytest.raises(UpstreamError, match=f"^no TLS with {NAME}:{port}: {words}$"):
        raise error


async def test_an_upstream_that_refuses_the_handshake(authority: trustme.CA, ca_file: Path) -> None:
    """Its alert is named."""
    context = tls_upstream(authority).context
    alert = ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    context.sni_callback = lambda *_: alert  # type: ignore[assignment]

    async def refuse(stream: trio.SocketStream) -> None:
        with pytest.raises(trio.BrokenResourceError):  # Trio's own TLS would not send the alert
            await TlsStream(stream, TlsSide(context)).do_handshake()

    async with listening(refuse) as port:
        error = await failure(dialer(upstream_ca=ca_file).dial(origin(f"{NAME}:{port}")))
    assert error.kind == "tls"
    assert "UNRECOGNIZED_NAME" in str(error)


# That takes too long


async def test_a_resolver_that_does_not_answer(autojump_clock: MockClock) -> None:
    """The time for dialling includes the look-up."""
    started = trio.current_time()
    for call in (
        dialer().dial_blind(Authority("slow.example", 443)),
        dialer().dial(origin("slow.example:443")),
    ):
        error = await failure(call)
        assert (error.kind, error.status) == ("timeout", 504)
        assert str(error) == "slow.example:443 did not take the connection within 20 s"
    assert trio.current_time() - started == 40


async def test_an_upstream_that_does_not_answer_the_handshake(mock_clock: MockClock) -> None:
    """The time for dialling includes TLS; the connection is closed then."""

    async def wait(stream: trio.SocketStream) -> None:
        assert (await stream.receive_some())[0] == 0x16  # it is asked
        mock_clock.jump(10)
        assert await stream.receive_some() == b""
        ended.set()

    ended = trio.Event()
    async with listening(wait) as port:
        error = await failure(dialer(limit_seconds=10).dial(origin(f"{NAME}:{port}")))
        await ended.wait()
    assert (error.kind, error.status) == ("timeout", 504)
    assert str(error) == f"{NAME}:{port} did not take the connection within 10 s"


async def test_a_dial_that_is_cancelled_leaves_nothing_open() -> None:
    """The upstream sees the end."""

    async def wait(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        scope.cancel()
        assert await stream.receive_some() == b""
        ended.set()

    ended, scope = trio.Event(), trio.CancelScope()
    async with listening(wait) as port:
        with scope:
            await dialer().dial(origin(f"{NAME}:{port}"))
        assert scope.cancelled_caught
        await ended.wait()


async def test_a_defect_leaves_nothing_open_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes out as it is; the upstream sees the end."""

    async def wait(stream: trio.SocketStream) -> None:
        assert await stream.receive_some() == b""
        ended.set()

    async def fail(_stream: TlsStream) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TlsStream, "do_handshake", fail)
    ended = trio.Event()
    async with listening(wait) as port:
        with pytest.raises(ZeroDivisionError):
            await dialer().dial(origin(f"{NAME}:{port}"))
        await ended.wait()
