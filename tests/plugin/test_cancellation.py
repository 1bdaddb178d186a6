"""Tunnels that are cancelled at each step of their sessions: nothing is left behind."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import frozen

from faultinject.plugin.tunnels import Tunnels
from tests.support import reply_world
from tests.support.bench import TARGET, Bench, get, post, trusting_context
from tests.support.cancelling import cancelled_at
from tests.support.fault_world import orderly
from tests.support.peer import Cut, Peer

GIVEN_UP_SECONDS = 1000.0
"""A tunnel that takes so long hangs."""


@frozen
class Hosted:
    """A tunnel of a host, and the plugin behind it."""

    bench: Bench
    tunnels: Tunnels[Any]
    client: trio.abc.Stream
    has_asked: Callable[[], bool]
    """Whether the host waits for an answer: only then can it be told of the tunnel's end."""

    def cancel(self) -> None:
        """Cancel the tunnel's session, as the end of the plugin does."""
        for scope in self.tunnels._scopes.values():
            scope.cancel()


@asynccontextmanager
async def behind_duplex() -> AsyncIterator[Hosted]:
    """A tunnel of Fault itself."""
    async with orderly() as here, here.tunnel() as host:
        yield Hosted(here.bench, here.tunnels, host.client, lambda: bool(host._in_flight))


@asynccontextmanager
async def behind_reply() -> AsyncIterator[Hosted]:
    """A tunnel of a host that gives the answer to a chunk back to its sender."""
    async with reply_world.world() as here:
        host = here.open()
        yield Hosted(here.bench, here.tunnels, host.client, lambda: host.held is not None)


async def use(client: trio.abc.Stream) -> None:
    """Shake hands, be failed by a rule, be answered by the upstream, and leave."""
    peer = Peer(client)
    await peer.start_tls(trusting_context(alpn=["http/1.1"]), TARGET)
    assert (await peer.ask(post("/1", b"x" * 1000))).status == 529
    assert (await peer.ask(get("/2"))).status == 200
    await peer.close()


@pytest.mark.parametrize("behind", [behind_duplex, behind_reply], ids=["duplex", "reply"])
async def test_cancellation_anywhere_leaves_nothing_behind(
    behind: Callable[[], AbstractAsyncContextManager[Hosted]],
    autojump_clock: trio.abc.Clock,
) -> None:
    """Cancelled at its n-th step, for every n: no tunnel is left, and no call without an answer.

    What else must hold is asserted when the host and the bench are left.
    """
    step, done = 0, False
    while not done:
        step += 1
        async with behind() as here:
            here.bench.rules({"when": {"first": 1}, "fault": {"respond": 529}})
            with cancelled_at(step, here.cancel) as cancelling:
                try:
                    with trio.fail_after(GIVEN_UP_SECONDS):
                        await use(here.client)
                except (trio.BrokenResourceError, ssl.SSLError, Cut):
                    assert cancelling.reached
                except trio.TooSlowError:
                    assert cancelling.reached
                    assert not here.has_asked()
            done = not cancelling.reached
    assert step > 20
