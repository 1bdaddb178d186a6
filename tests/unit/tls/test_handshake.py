"""Handshakes with clients that succeed, are refused, break off or never end."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from faultinject.errors import HandshakeError
from faultinject.tls.handshake import accept_tls
from faultinject.tls.layer import WrapTls
from tests.support.bench import TARGET, leaves, outdated_context, trusting_context
from tests.support.peer import Peer
from tests.support.pipes import Pipe, pipe_pair
from tests.support.tls_peers import client_context, client_hello

HANDSHAKE_FAILURE, PROTOCOL_VERSION = 40, 70


async def failed_with(
    wrap_tls: WrapTls, client: Pipe, ours: Pipe, context: ssl.SSLContext
) -> HandshakeError:
    """Let a client with this context fail, and return what we have of it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Peer(client).fail_tls, context, TARGET)
        with pytest.raises(HandshakeError) as caught:
            await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    return caught.value


async def test_a_handshake(autojump_clock, wrap_tls):
    """What is said afterwards is encrypted, and the stream is the caller's."""
    client, ours = pipe_pair()
    theirs = trio.SSLStream(client, trusting_context(), server_hostname=TARGET)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        tls = await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    async with tls:
        await tls.send_all(b"hello")
        assert await theirs.receive_some(100) == b"hello"
        assert b"hello" not in ours.sent
    assert ours.closed


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_does_not_trust_us(autojump_clock, wrap_tls, version):
    """Its alert says so; the transport stays its owner's."""
    client, ours = pipe_pair()
    error = await failed_with(wrap_tls, client, ours, client_context(version=version))
    assert (error.reason, error.refused, error.left) == ("unknown ca", True, False)
    assert not ours.closed


async def test_a_client_that_checks_another_name(autojump_clock, wrap_tls):
    """A certificate for another host is refused too."""
    client, ours = pipe_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Peer(client).fail_tls, trusting_context(), "other.example")
        with pytest.raises(HandshakeError) as caught:
            await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    assert caught.value.refused


@pytest.mark.parametrize("sent", [0, 50, None])
async def test_a_client_that_leaves_within_its_handshake(autojump_clock, wrap_tls, sent):
    """That is no refusal: many clients leave for reasons of their own. It is told apart."""
    client, ours = pipe_pair()
    await client.send_all(client_hello(trusting_context(), TARGET)[:sent])
    await client.aclose()
    with pytest.raises(HandshakeError) as caught:
        await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    assert (caught.value.refused, caught.value.left) == (False, True)
    assert caught.value.reason


async def test_a_client_that_resets_within_its_handshake(autojump_clock, wrap_tls):
    """The reason is the system's."""
    client, ours = pipe_pair()
    client.reset()
    with pytest.raises(HandshakeError, match="reset") as caught:
        await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    assert (caught.value.refused, caught.value.left) == (False, True)


async def test_a_client_that_closes_tls_within_its_handshake(autojump_clock, wrap_tls):
    """A close_notify (RFC 8446 section 6.1) is an end too."""
    client, ours = pipe_pair()
    close_notify = bytes((0x15, 3, 3, 0, 2, 1, 0))
    await client.send_all(client_hello(trusting_context(), TARGET) + close_notify)
    with pytest.raises(HandshakeError) as caught:
        await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    assert (caught.value.refused, caught.value.left) == (False, True)


async def test_a_handshake_that_never_finishes(autojump_clock, wrap_tls):
    """It ends at the limit, and the words name it."""
    client, ours = pipe_pair()
    await client.send_all(client_hello(trusting_context(), TARGET))
    started = trio.current_time()
    with pytest.raises(HandshakeError, match=r"did not finish its handshake within 2\.5 s"):
        await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 2.5)
    assert trio.current_time() - started == pytest.approx(2.5)


async def test_no_cipher_in_common(autojump_clock, wrap_tls):
    """The client is told by an alert."""
    client, ours = pipe_pair()
    context = trusting_context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES128-SHA")
    error = await failed_with(wrap_tls, client, ours, context)
    assert (error.reason, error.refused) == ("no shared cipher", False)
    assert ours.sent[-1] == HANDSHAKE_FAILURE


async def test_a_version_that_is_too_old(autojump_clock, wrap_tls):
    """The client is told by the alert of that name."""
    client, ours = pipe_pair()
    error = await failed_with(wrap_tls, client, ours, outdated_context())
    assert (error.reason, error.refused) == ("unsupported protocol", False)
    assert ours.sent[-1] == PROTOCOL_VERSION


async def test_what_is_no_tls(autojump_clock, wrap_tls):
    """Bytes that no TLS library reads are an error, whatever they are."""
    client, ours = pipe_pair()
    await client.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(HandshakeError) as caught:
        await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    assert not caught.value.refused


async def test_an_alert_about_something_else(autojump_clock, wrap_tls):
    """A client that gives up for another reason does not refuse our certificate."""
    client, ours = pipe_pair()
    hello = client_hello(trusting_context(), TARGET)
    internal_error = bytes((0x15, 3, 3, 0, 2, 2, 80))
    await client.send_all(hello + internal_error)
    with pytest.raises(HandshakeError) as caught:
        await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
    assert (caught.value.refused, caught.value.left) == (False, False)
    assert "internal error" in caught.value.reason.lower().replace("_", " ")


async def test_a_client_that_cannot_be_told(autojump_clock, wrap_tls):
    """The alert finds nobody, and the reason is the same."""
    client, ours = pipe_pair()
    context = trusting_context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES128-SHA")
    await client.send_all(client_hello(context, TARGET))
    client.deafen()
    with pytest.raises(HandshakeError, match="no shared cipher"):
        await accept_tls(wrap_tls, ours, b"", leaves().context_for(TARGET), 10)
