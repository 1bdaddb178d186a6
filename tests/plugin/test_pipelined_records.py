"""Several requests in one input, each in a TLS record of its own: none is left behind.

A lane has to know of all requests that came in an input, because that input alone can buy the slots
for their answers. `trio.SSLStream` returns one record a call.
"""

from __future__ import annotations

import pytest
import trio

from faultinject.events import ExchangeEnded
from tests.support import fault_world, reply_world
from tests.support.bench import TARGET, echoes, get, post, trusting_context
from tests.support.tls_peers import ByHand

REQUESTS = [get("/1"), post("/2", b"x" * 10), get("/3")]


async def ask(stream: trio.abc.Stream, requests: list[bytes], probability: float) -> None:
    """Send the requests in one write, and read as many answers."""
    client = ByHand(trusting_context(alpn=["http/1.1"]), TARGET)
    await client.shake_hands(stream)
    status = b"HTTP/1.1 %d " % (429 if probability else 200)
    for _ in range(2):
        await stream.send_all(b"".join(client.record(request) for request in requests))
        text = b""
        with trio.fail_after(60):
            while text.count(status) < len(requests) or not text.endswith(ENDS[status]):
                text += client.decrypt(await stream.receive_some())


ENDS = {b"HTTP/1.1 429 ": b"}", b"HTTP/1.1 200 ": b"0"}


@pytest.mark.parametrize("probability", [1.0, 0.0], ids=["injected", "forwarded"])
@pytest.mark.parametrize("count", [2, 3])
async def test_behind_fault(probability: float, count: int, autojump_clock: trio.abc.Clock) -> None:
    """In its tunnels two are answered, and a third if the first ones leave it a slot."""
    async with fault_world.world(probability=probability) as here:
        await ask(here.host.client, REQUESTS[:count], probability)
        outcome = "injected" if probability else "forwarded"
        assert here.bench.outcomes == [outcome] * (2 * count)


@pytest.mark.parametrize("probability", [1.0, 0.0], ids=["injected", "forwarded"])
async def test_behind_a_host_that_answers_the_sender(
    probability: float, autojump_clock: trio.abc.Clock
) -> None:
    """One answer to the chunk has all responses."""
    async with reply_world.world(probability=probability) as here:
        here.bench.upstream = echoes
        host = here.open()
        await ask(host.client, REQUESTS, probability)
        assert len(here.bench.of(ExchangeEnded)) == 6
