"""What becomes of a tunnel: looked into, passed on, or refused."""

from __future__ import annotations

import contextlib
import ssl
from typing import cast

import pytest
import trio
import trio.testing
from attrs import frozen

from faultinject.authority import Authority
from faultinject.errors import SettingsError, UpstreamError
from faultinject.events import (
    ClientHelloRead,
    HandshakeCompleted,
    HandshakeFailed,
    RelayEnded,
    Warned,
)
from faultinject.proxy.upstream.dial import Dialer, Origin
from faultinject.settings import Limits
from faultinject.tls.client_hello import AlertDescription, fatal_alert
from tests.support.bench import (
    RSA_ONLY,
    TARGET,
    ScriptedDialer,
    answers,
    get,
    ok,
    open_bench,
    outdated_context,
    rsa_leaves,
    stays_open,
    trusting_context,
)
from tests.support.peer import Peer
from tests.support.tls_peers import client_context, client_hello

IP = "192.0.2.7:443"
IP6 = "[2001:db8::7]:443"
OTHER = "other.example:443"

PROTOCOL_VERSION, DECODE_ERROR, NO_APPLICATION_PROTOCOL = 70, 50, 120


def alert(description: int, minor_version: int = 3) -> bytes:
    """A fatal alert in the clear."""
    return bytes((0x15, 3, minor_version, 0, 2, 2, description))


async def repeats(upstream: Peer) -> None:
    """Send back what comes, and half-close when the client has."""
    while data := await upstream.receive():
        await upstream.send(data)
    await upstream.half_close()


async def greets(upstream: Peer) -> None:
    """Speak first, as SMTP does."""
    await upstream.send(b"220 ready\r\n")
    await repeats(upstream)


@frozen
class SlowDialer:
    """Takes its time to dial."""

    dialer: ScriptedDialer
    seconds: float

    async def dial_blind(self, address: Authority) -> trio.abc.Stream:
        """Stand for `Dialer.dial_blind`."""
        await trio.sleep(self.seconds)
        return await self.dialer.dial_blind(address)


# Looked into


async def test_a_target_is_looked_into(autojump_clock):
    """By the authority of CONNECT; the events tell what was agreed on."""
    async with open_bench(probability=1) as bench:
        client = await bench.tls()
        assert (await client.ask(get("/v1/messages"))).status == 429
        [hello] = bench.of(ClientHelloRead)
        assert (hello.authority, hello.server_name) == (f"{TARGET}:443", TARGET)
        assert hello.alpn == ("http/1.1",)
        [done] = bench.of(HandshakeCompleted)
        assert (done.host, done.tls_version, done.alpn) == (TARGET, "TLSv1.3", "http/1.1")
        assert bench.dialer.dialled == []


async def test_a_target_is_recognised_by_sni(autojump_clock):
    """CONNECT to an address; the upstream is dialled there and called by its name."""
    async with open_bench() as bench:
        client = await bench.tls(IP)
        assert (await client.ask(get("/"))).status == 200
        origin = Origin(Authority(TARGET, 443), Authority("192.0.2.7", 443))
        assert bench.dialer.dialled == [Authority("192.0.2.7", 443), origin]
        assert (await bench.exchange()).host == TARGET


async def test_the_connection_dialled_blindly_is_not_kept_once_sni_names_a_target(autojump_clock):
    """It would sit beside the one that is used."""
    async with open_bench(probability=1) as bench:
        client = await bench.tls(IP)
        assert (await client.ask(get("/"))).status == 429
        assert [pipe.closed for pipe in bench.dialer.pipes] == [True]


@pytest.mark.parametrize(("host", "authority"), [("192.0.2.7", IP), ("2001:db8::7", IP6)])
async def test_a_target_without_sni(autojump_clock, host, authority):
    """The leaf is minted for what CONNECT named, an address as well."""
    async with open_bench(targets=(host,), probability=1) as bench:
        client = await bench.tunnel(authority)
        await client.start_tls(trusting_context(), host)
        assert (await client.ask(get("/"))).status == 429
        [hello] = bench.of(ClientHelloRead)
        assert hello.server_name is None


async def test_a_target_whose_sni_is_another_name(autojump_clock):
    """The leaf is for the name that the client asked for, the rules see the target."""
    async with open_bench() as bench:
        client = await bench.tls(name="alias.example")
        assert (await client.ask(get("/"))).status == 200
        assert bench.of(HandshakeCompleted)[0].host == "alias.example"
        assert (await bench.exchange()).host == TARGET


async def test_tls_1_2(autojump_clock):
    """The oldest version that is spoken."""
    async with open_bench(probability=1) as bench:
        client = await bench.tunnel()
        await client.start_tls(trusting_context(version=ssl.TLSVersion.TLSv1_2), TARGET)
        assert (await client.ask(get("/"))).status == 429
        [done] = bench.of(HandshakeCompleted)
        assert (done.tls_version, done.alpn) == ("TLSv1.2", None)


async def test_a_client_that_knows_rsa_only(autojump_clock):
    """It is shown an RSA certificate."""
    async with open_bench() as bench:
        bench.runtime.leaves = rsa_leaves()
        client = await bench.tunnel()
        await client.start_tls(trusting_context(**RSA_ONLY), TARGET)
        assert (await client.ask(get("/"))).status == 200


async def test_a_hello_that_comes_byte_by_byte(autojump_clock):
    """However it is cut, it is one hello."""
    async with open_bench() as bench:
        client = await bench.tunnel()
        hello = client_hello(trusting_context(alpn=["http/1.1"]), TARGET)
        for byte in hello:
            await client.send(bytes((byte,)))
        assert (await client.receive())[0] == 0x16
        assert bench.of(ClientHelloRead)[0].server_name == TARGET


async def test_plain_http_within_a_tunnel(autojump_clock):
    """Some clients use CONNECT for http URLs too."""
    async with open_bench() as bench:
        client = await bench.tunnel(f"{TARGET}:80")
        assert (await client.ask(get("/a"))).body == b"GET /a HTTP/1.1 0"
        bench.inject(1)
        assert (await client.ask(get("/b"))).status == 429
        api = Authority(TARGET, 80)
        assert bench.dialer.dialled == [Origin(api, api, tls=False)]


async def test_a_request_line_that_comes_in_pieces(autojump_clock):
    """The first letters of a method are not taken for another protocol."""
    async with open_bench() as bench:
        client = await bench.tunnel(f"{TARGET}:80")
        for piece in (b"G", b"E", b"T", b" ", get("/a")[4:]):
            await client.send(piece)
            await trio.testing.wait_all_tasks_blocked()
        assert (await client.answer()).status == 200


async def test_a_clean_end_is_answered_by_one(autojump_clock):
    """The client closes between two requests: close_notify, and nothing is told as failed."""
    async with open_bench(probability=1) as bench:
        client = await bench.tls()
        await client.ask(get("/"))
        await client.close()
        assert (await bench.ended()).reason == "the client's connection was over"


# Passed on


async def test_another_port_of_a_target_is_no_target(autojump_clock):
    """If the target was given with its port."""
    async with open_bench(targets=(f"{TARGET}:443",), upstream=repeats) as bench:
        client = await bench.tunnel(f"{TARGET}:8443")
        hello = client_hello(trusting_context(), TARGET)
        await client.send(hello)
        assert await client.read_exactly(len(hello)) == hello


async def test_another_host_is_relayed_untouched(autojump_clock):
    """TLS that is not ours to end, byte for byte, and both half-closes."""
    async with open_bench(upstream=repeats) as bench:
        client = await bench.tunnel(OTHER)
        hello = client_hello(client_context(alpn=["h2"]), "other.example")
        await client.send(hello)
        assert await client.read_exactly(len(hello)) == hello
        await client.send(bytes(range(256)))
        await client.half_close()
        assert await client.rest() == bytes(range(256))
        await bench.ended()
        [relay] = bench.of(RelayEnded)
        carried = len(hello) + 256
        assert (relay.reason, relay.error, relay.opened) == ("not a target", None, True)
        assert (relay.sent_bytes, relay.received_bytes) == (carried, carried)
        assert (relay.host, relay.port) == ("other.example", 443)
        assert bench.of(Warned) == []


async def test_an_upstream_that_half_closes_first(autojump_clock):
    """The client may go on sending."""

    async def says_all_and_listens(upstream: Peer) -> None:
        await upstream.send(b"all I say")
        await upstream.half_close()
        heard.append(await upstream.rest())

    heard: list[bytes] = []
    async with open_bench(upstream=says_all_and_listens) as bench:
        client = await bench.tunnel(OTHER)
        assert await client.rest() == b"all I say"
        await client.send(b"and", b" I")
        await client.half_close()
        await bench.ended()
    assert heard == [b"and I"]


@pytest.mark.parametrize(
    "opening", [b"SSH-2.0-x\r\n", b"\x00\x01\x02", b"get / HTTP/1.1\r\n", b"PRI"]
)
async def test_another_host_speaks_what_it_likes(autojump_clock, opening):
    """Nothing is expected of it, not even a whole word before the other side answers."""
    async with open_bench(upstream=repeats) as bench:
        client = await bench.tunnel(OTHER)
        await client.send(opening)
        assert await client.read_exactly(len(opening)) == opening


async def test_another_host_may_send_what_looks_like_broken_tls(autojump_clock):
    """Only who asks for a target is told about it."""
    async with open_bench(upstream=repeats) as bench:
        client = await bench.tunnel(OTHER)
        broken = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"
        await client.send(broken)
        assert await client.read_exactly(len(broken)) == broken
        assert bench.of(HandshakeFailed) == []


async def test_another_host_may_speak_first(autojump_clock):
    """The greeting reaches a silent client at once."""
    async with open_bench(upstream=greets) as bench:
        client = await bench.tunnel("mail.example:25")
        started = trio.current_time()
        assert await client.read_exactly(11) == b"220 ready\r\n"
        assert trio.current_time() == started
        await client.send(b"EHLO x\r\n")
        assert await client.read_exactly(8) == b"EHLO x\r\n"


async def test_a_target_may_speak_first(autojump_clock):
    """A silent client: after half a second the upstream is asked, and its first byte decides."""
    async with open_bench(upstream=greets, targets=("mail.example",)) as bench:
        client = await bench.tunnel("mail.example:25")
        started = trio.current_time()
        assert await client.read_exactly(11) == b"220 ready\r\n"
        assert trio.current_time() - started == pytest.approx(0.5)
        await client.send(b"QUIT\r\n")
        await client.half_close()
        assert await client.rest() == b"QUIT\r\n"
        await bench.ended()
        assert bench.of(RelayEnded)[0].reason == "neither TLS nor HTTP"


async def test_a_client_that_is_silent_for_long_and_speaks_http_then(autojump_clock):
    """An upstream that was dialled meanwhile and said nothing changes nothing."""
    async with open_bench(probability=1, upstream=stays_open) as bench:
        client = await bench.tunnel()
        await trio.sleep(20)
        assert len(bench.dialer.dialled) == 1
        await client.start_tls(trusting_context(), TARGET)
        assert (await client.ask(get("/"))).status == 429


async def test_a_silent_client_of_a_target_that_cannot_be_reached(autojump_clock):
    """It may still speak; the injected answers need no upstream."""
    async with open_bench(probability=1) as bench:
        bench.dialer.failure = UpstreamError("connect", "refused")
        client = await bench.tunnel()
        await trio.sleep(5)
        assert (await client.ask(get("/"))).status == 429


async def test_an_upstream_that_ends_before_a_silent_client_speaks(autojump_clock):
    """Its end is passed on."""
    async with open_bench(upstream=answers()) as bench:

        async def hangs_up(upstream: Peer) -> None:
            pass

        bench.upstream = hangs_up
        client = await bench.tunnel()
        assert await client.rest() == b""
        await client.close()
        await bench.ended()
        assert bench.of(RelayEnded)[0].error is None


async def test_an_upstream_that_resets_before_a_silent_client_speaks(autojump_clock):
    """So is that."""

    async def resets(upstream: Peer) -> None:
        upstream.stream.reset()

    async with open_bench(upstream=resets) as bench:
        client = await bench.tunnel()
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        await bench.ended()
        assert bench.of(RelayEnded)[0].error == "Connection reset by peer"


@pytest.mark.parametrize("opening", [b"SSH-2.0-x\r\n", b"\x00\x01\x02", b"get / HTTP/1.1\r\n"])
async def test_a_target_that_speaks_something_else_is_relayed(autojump_clock, opening):
    """It is neither TLS nor HTTP, so there is nothing to look into."""
    async with open_bench(upstream=repeats) as bench:
        client = await bench.tunnel()
        await client.send(opening)
        await client.half_close()
        assert await client.rest() == opening
        await bench.ended()
        [relay] = bench.of(RelayEnded)
        assert (relay.reason, relay.sent_bytes) == ("neither TLS nor HTTP", len(opening))


async def test_a_target_that_cannot_be_reached_for_a_relay(autojump_clock):
    """The tunnel was confirmed already; all that is left is to close it and to tell."""
    async with open_bench() as bench:
        bench.dialer.failure = UpstreamError("dns", "no such name")
        client = await bench.tunnel()
        await client.send(b"SSH-2.0-x\r\n")
        await bench.ended()
        [relay] = bench.of(RelayEnded)
        assert (relay.error, relay.opened) == ("no such name", False)


async def test_more_than_a_hello_can_have_is_relayed(autojump_clock):
    """What never ends is not waited for beyond the limit."""
    async with open_bench(upstream=repeats, limits=Limits(client_hello_bytes=100)) as bench:
        client = await bench.tunnel()
        endless = b"\x16\x03\x01\x10\x00\x01\x00\x0f\xfc\x03\x03" + b"x" * 200
        await client.send(endless)
        await client.half_close()
        assert await client.rest() == endless


@pytest.mark.parametrize("authority", [f"{TARGET}:443", IP])
async def test_a_client_without_http_1_1_is_relayed_with_a_warning(autojump_clock, authority):
    """It would not be understood, and the user should know why nothing is injected."""
    async with open_bench(probability=1, upstream=repeats) as bench:
        client = await bench.tunnel(authority)
        hello = client_hello(trusting_context(alpn=["h2", "h3"]), TARGET)
        await client.send(hello)
        assert await client.read_exactly(len(hello)) == hello
        await client.half_close()
        await bench.ended()
        assert bench.of(RelayEnded)[0].reason == "the client offers only h2, h3"
        [warned] = bench.of(Warned)
        assert warned.message == f"{authority} is relayed: the client offers only h2, h3"


async def test_a_client_with_h2_and_http_1_1_is_looked_into(autojump_clock):
    """It gets http/1.1."""
    async with open_bench(probability=1) as bench:
        client = await bench.tunnel()
        tls = await client.start_tls(trusting_context(alpn=["h2", "http/1.1"]), TARGET)
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert (await client.ask(get("/"))).status == 429


# Where targets are answered by the fake API


async def test_a_hello_in_pieces_leaves_a_relay_the_time_to_be_dialled(autojump_clock):
    """The limit of the ClientHello is over once it is there."""
    async with open_bench(upstream=repeats) as bench:
        handshake_seconds = bench.runtime.limits.handshake_seconds
        bench.runtime.dialer = cast("Dialer", SlowDialer(bench.dialer, handshake_seconds + 5))
        client = await bench.tunnel()
        hello = client_hello(trusting_context(alpn=["h2"]), TARGET)
        await client.send(hello[:100])
        await trio.testing.wait_all_tasks_blocked()
        await client.send(hello[100:])
        assert await client.read_exactly(len(hello)) == hello


async def test_the_fake_api_is_no_place_for_a_relay(autojump_clock):
    """It speaks HTTP only, and no target reaches the network."""
    async with open_bench() as bench:
        bench.runtime.relays_targets = False
        client = await bench.tunnel()
        await client.send(b"SSH-2.0-x\r\n")
        assert await client.rest() == b""
        [relay] = bench.of(RelayEnded)
        assert relay.error == f"{TARGET}:443 is answered by the fake API, which speaks HTTP only"
        assert bench.dialer.dialled == []


async def test_the_fake_api_does_not_speak_http_2(autojump_clock):
    """A client without http/1.1 is told by the alert for it, as there is nobody to relay to."""
    async with open_bench() as bench:
        bench.runtime.relays_targets = False
        client = await bench.tunnel()
        await client.send(client_hello(trusting_context(alpn=["h2"]), TARGET))
        assert await client.rest() == alert(NO_APPLICATION_PROTOCOL)
        [failed] = bench.of(HandshakeFailed)
        assert failed.reason == "the client offers only h2; the fake API speaks HTTP/1.1"


# Refused


async def test_tls_1_1_is_told_that_it_is_too_old(autojump_clock):
    """By the alert that TLS has for it (RFC 8446 section 6.2), in the client's own version."""
    async with open_bench() as bench:
        client = await bench.tunnel()
        await client.send(client_hello(outdated_context(), TARGET))
        assert await client.rest() == alert(PROTOCOL_VERSION, minor_version=2)
        await bench.ended()
        [failed] = bench.of(HandshakeFailed)
        assert (failed.host, failed.refused) == (TARGET, False)
        assert failed.reason == "the client offers no TLS 1.2 or later"


async def test_a_malformed_hello_is_told_so(autojump_clock):
    """The alert comes at once, and the client that goes on sending is not reset."""
    async with open_bench() as bench:
        client = await bench.tunnel()
        await client.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + b"x" * 1000)
        assert await client.rest() == alert(DECODE_ERROR)
        await client.send(b"more")
        await bench.ended()
        assert bench.of(HandshakeFailed)[0].reason == "a malformed ClientHello"


@pytest.mark.parametrize(
    ("sent", "description", "reason"),
    [
        (b"\x17\x03\x03\0\x01x", 10, "a TLS message that is no ClientHello"),
        (b"\x16\x03\x01\0\x04\x02\0\0\0", 10, "a TLS message that is no ClientHello"),
        (b"\x16\x03\x01\0\x01\x01\x15\x03\x03\0\x02", 10, "a TLS message that is no ClientHello"),
        (b"\x16\x03\x01\xff\xff", 22, "a TLS record of more than 16384 bytes"),
    ],
)
async def test_records_before_a_client_hello(autojump_clock, sent, description, reason):
    """They are answered as RFC 8446 has it, sections 5 and 5.1."""
    async with open_bench() as bench:
        client = await bench.tunnel()
        await client.send(sent)
        assert await client.rest() == alert(description)
        assert bench.of(HandshakeFailed)[0].reason == reason


async def test_a_client_that_does_not_trust_us(autojump_clock):
    """It says so by an alert, and the user is told."""
    async with open_bench() as bench:
        client = await bench.tunnel()
        await client.fail_tls(client_context(), TARGET)
        await bench.ended()
        [failed] = bench.of(HandshakeFailed)
        assert (failed.host, failed.refused) == (TARGET, True)
        assert failed.client == "127.0.0.1:50000"


async def test_a_handshake_that_never_finishes(autojump_clock):
    """A hello and then nothing: the limit ends it."""
    async with open_bench(limits=Limits(handshake_seconds=7)) as bench:
        client = await bench.tunnel()
        await client.send(client_hello(trusting_context(), TARGET))
        started = trio.current_time()
        await client.rest()
        assert trio.current_time() - started == pytest.approx(7, abs=0.1)
        await bench.ended()
        [failed] = bench.of(HandshakeFailed)
        assert failed.reason == "the client did not finish its handshake within 7 s"


async def test_a_client_that_is_gone_when_it_is_told(autojump_clock):
    """There is nobody to alert."""
    async with open_bench() as bench:
        client = await bench.tunnel()
        client.stream.deafen()
        await client.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        await bench.ended()


# Silence and ends


async def test_a_hello_that_does_not_end(autojump_clock):
    """The limit of a handshake holds from the first byte on."""
    async with open_bench(limits=Limits(handshake_seconds=7)) as bench:
        client = await bench.tunnel()
        started = trio.current_time()
        await client.send(client_hello(trusting_context(), TARGET)[:50])
        assert await client.rest() == b""
        assert trio.current_time() - started == pytest.approx(7, abs=0.1)
        assert "the rest of the ClientHello" in (await bench.ended()).reason


async def test_a_hello_that_drips(autojump_clock):
    """A byte now and then does not make the limit longer."""
    async with open_bench(limits=Limits(handshake_seconds=7)) as bench:
        client = await bench.tunnel()
        started = trio.current_time()
        with contextlib.suppress(trio.BrokenResourceError):
            for byte in client_hello(trusting_context(), TARGET):
                await client.send(bytes((byte,)))
                await trio.sleep(1)
        assert trio.current_time() - started == pytest.approx(7, abs=1)


async def test_a_tunnel_without_a_word(autojump_clock):
    """It lives as long as an idle connection may."""
    async with open_bench(upstream=stays_open, limits=Limits(idle_seconds=100)) as bench:
        client = await bench.tunnel()
        started = trio.current_time()
        assert await client.rest() == b""
        assert trio.current_time() - started == pytest.approx(100, rel=0.02)
        assert "the tunnel's first bytes" in (await bench.ended()).reason


@pytest.mark.parametrize("authority", [f"{TARGET}:443", OTHER])
async def test_a_client_that_leaves_without_a_word(autojump_clock, authority):
    """Nothing is left behind, and nothing failed."""
    async with open_bench() as bench:
        client = await bench.tunnel(authority)
        await client.close()
        await bench.ended()


@pytest.mark.parametrize("authority", [f"{TARGET}:443", OTHER])
async def test_a_client_that_resets_without_a_word(autojump_clock, authority):
    """Nor then."""
    async with open_bench() as bench:
        client = await bench.tunnel(authority)
        client.stream.reset()
        await bench.ended()


async def test_a_relay_without_a_byte_for_long(autojump_clock):
    """Either side's bytes keep it."""
    async with open_bench(upstream=repeats, limits=Limits(idle_seconds=100)) as bench:
        client = await bench.tunnel(OTHER)
        for _ in range(5):
            await trio.sleep(90)
            await client.send(b"x")
        assert await client.rest() == b"xxxxx"
        assert "either side of a relay" in (await bench.ended()).reason
        assert bench.of(RelayEnded)[0].sent_bytes == 5


async def test_what_was_said_after_a_200_is_no_answer_of_ours(autojump_clock):
    """A relay breaks off as its upstream does, without a word of ours."""

    async def says_and_resets(upstream: Peer) -> None:
        await upstream.receive()
        await upstream.send(ok(b"from upstream"))
        await trio.testing.wait_all_tasks_blocked()
        upstream.stream.reset()

    async with open_bench(upstream=says_and_resets) as bench:
        client = await bench.tunnel(OTHER)
        await client.send(b"x")
        assert await client.read_exactly(len(ok(b"from upstream"))) == ok(b"from upstream")
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        await bench.ended()
        assert bench.of(RelayEnded)[0].error == "Connection reset by peer"


@pytest.mark.parametrize("problem", [OSError("no file"), SettingsError("it has expired")])
async def test_a_leaf_that_cannot_be_made(autojump_clock, problem):
    """The client gets an alert and the log a reason; it is no defect."""

    class NoLeaves:
        def context_for(self, host: str) -> ssl.SSLContext:
            raise problem

    async with open_bench() as bench:
        bench.runtime.leaves = NoLeaves()
        client = await bench.tunnel()
        await client.send(client_hello(client_context(), TARGET))
        assert (await client.rest()) == fatal_alert(AlertDescription.INTERNAL_ERROR)
        assert str(problem) in bench.of(HandshakeFailed)[0].reason
