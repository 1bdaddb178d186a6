"""Faults in tunnels of a host that gives answers back: what is left of them, and when it comes."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from faultinject.plugin.interface import Replace
from faultinject.plugin.reply.reply_lane import HELD_SECONDS, SESSION_OVER
from tests.support.bench import TARGET, trusting_context
from tests.support.llm_api import chunk
from tests.support.peer import Peer
from tests.support.reply_world import one_tunnel, world
from tests.support.stream_api import ASK, EVENTS, HEAD, ZERO, rule, streams

WHOLE = HEAD + b"".join(map(chunk, EVENTS)) + ZERO


async def test_a_stream_comes_at_once_when_it_is_whole(autojump_clock: trio.abc.Clock) -> None:
    """Its spacing is lost: there is one reply for a chunk."""
    async with one_tunnel(upstream=streams()) as (_, host, peer):
        began = trio.current_time()
        await peer.send(ASK)
        assert await peer.read_exactly(len(WHOLE)) == WHOLE
        assert trio.current_time() - began == pytest.approx(len(EVENTS))
        [whole] = [
            call
            for call in host.calls
            if isinstance(call.reply, Replace) and len(call.reply.data) > len(WHOLE)
        ]
        assert len(whole.chunk) < 1000


async def test_a_delay_holds_the_chunk(autojump_clock: trio.abc.Clock) -> None:
    """And the client is watched meanwhile, which does not end the turn."""
    async with one_tunnel(upstream=streams(EVENTS[0])) as (here, host, peer):
        here.bench.rules(rule(delay="30s"))
        began = trio.current_time()
        await peer.send(ASK)
        await trio.sleep(29)
        assert host.held is not None
        await peer.read_until(ZERO)
        assert trio.current_time() - began == pytest.approx(31)


async def test_a_stream_that_is_cut(autojump_clock: trio.abc.Clock) -> None:
    """The client sees what came before, and then the end of TLS, in one reply."""
    async with one_tunnel(upstream=streams()) as (here, host, peer):
        here.bench.rules(rule(stream={"after": {"count": 3}, "cut": True}))
        await peer.send(ASK)
        answer = await peer.rest()
        assert answer == HEAD + b"".join(map(chunk, EVENTS[:3]))
        assert host.closed is None


async def test_a_reset(autojump_clock: trio.abc.Clock) -> None:
    """The client's connection is closed at once."""
    async with one_tunnel(upstream=streams()) as (here, host, peer):
        here.bench.rules(rule(**{"break": {"how": "reset"}}))
        await peer.send(ASK)
        assert await peer.end() == b""
        assert host.closed == "the connection was reset"


async def test_a_hang_lasts_as_long_as_a_call_may_be_held(autojump_clock: trio.abc.Clock) -> None:
    """Or until the host says that the client is gone."""
    for gives_up in (False, True):
        async with one_tunnel(upstream=streams()) as (here, host, peer):
            here.bench.rules(rule(**{"break": {"how": "hang"}}))
            began = trio.current_time()
            await peer.send(ASK)
            if gives_up:
                await trio.sleep(100)
                host.give_up()
            assert await peer.end() == b""
            seconds = trio.current_time() - began
            assert seconds == pytest.approx(100 if gives_up else HELD_SECONDS, abs=1)


async def test_an_alert_in_the_handshakes_place(autojump_clock: trio.abc.Clock) -> None:
    """It is the reply to the ClientHello, after the delay before it; then the tunnel is over."""
    async with world() as here:
        alert = {"how": "tls-alert", "at": "handshake"}
        here.bench.rules(rule(**{"break": alert, "delay": "5s"}))
        host, began = here.open(), trio.current_time()
        error = await Peer(host.client).fail_tls(trusting_context(), TARGET)
        assert "ALERT" in str(error).upper()
        assert trio.current_time() - began == pytest.approx(5)
        await trio.sleep(10)
        assert not here.open_tunnels
        assert here.bench.outcomes == ["injected"]


async def test_a_handshake_that_hangs(autojump_clock: trio.abc.Clock) -> None:
    """Until the host has no more patience, or we."""
    async with world() as here:
        here.bench.rules(rule(**{"break": {"how": "hang", "at": "handshake"}}))
        host, began = here.open(), trio.current_time()
        peer = Peer(host.client)
        with pytest.raises(trio.BrokenResourceError):
            await peer.start_tls(trusting_context(), TARGET)
        assert trio.current_time() - began == pytest.approx(HELD_SECONDS, abs=1)
        assert host.closed == "there was no answer within 600 s"
        await trio.testing.wait_all_tasks_blocked()
        assert not here.open_tunnels


@pytest.mark.parametrize("at", ["handshake", "request", "head"])
async def test_a_close(at: str, autojump_clock: trio.abc.Clock) -> None:
    """The client is not left waiting, whatever of its words was not read."""
    async with world() as here:
        here.bench.rules(rule(**{"break": {"how": "close", "at": at}}))
        host, began = here.open(), trio.current_time()
        peer = Peer(host.client)
        if at == "handshake":
            with pytest.raises(trio.BrokenResourceError):
                await peer.start_tls(trusting_context(), TARGET)
            assert host.closed == SESSION_OVER
        else:
            await peer.start_tls(trusting_context(), TARGET)
            await peer.send(ASK)
            assert await peer.rest() == b""
        assert trio.current_time() == began
