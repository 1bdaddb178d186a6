"""How exchanges and connections end through the proxy is how they end without it.

The proxy runs at probability 0. Early answers, truncated ones, refused expectations, and the words
with which each side ends are compared with those of the same requests asked directly.
"""

from __future__ import annotations

import time

import pytest

from tests.interop.ways import Way, ask_both, ask_once, get, post
from tests.support.pages import LARGE_BODY
from tests.support.raw_client import Connected

pytestmark = pytest.mark.interop

AT_ONCE_SECONDS = 1.0
"""Less than the proxy lingers."""

UPLOAD = LARGE_BODY[:3_000_000]
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")


def both(way: Way, request: bytes) -> tuple[tuple[Connected, bytes], tuple[Connected, bytes]]:
    """Return the two ways to ask, each with its request."""
    return (way.direct, way.direct_head(request)), (way.connected, way.client_head(request))


def test_upload_goes_on_after_an_early_answer(way: Way) -> None:
    """The origin gets all of it, and the connection serves the next request."""
    for connected, request in both(way, post("/early", UPLOAD)):
        with connected.open() as client:
            client.send(request[: -len(UPLOAD)])
            assert client.read_answer(b"POST").body == b"no room"
            for at in range(0, len(UPLOAD), 100_000):
                client.send(UPLOAD[at : at + 100_000])
            again = way.direct_head if connected is way.direct else way.client_head
            assert client.ask(again(get("/empty"))).head.startswith(b"HTTP/1.1 200 OK")
    direct, _, through, _ = way.origin.received
    assert direct.body == through.body == UPLOAD


@pytest.mark.parametrize("sent", [0, 1000])
def test_end_of_an_early_answer(way: Way, sent: int) -> None:
    """It is there at once, for a client that has stopped to wait for it."""
    seen = []
    for connected, request in both(way, post("/early-then-close", UPLOAD)):
        with connected.open() as client:
            client.send(request[: sent - len(UPLOAD)])
            began = time.monotonic()
            seen.append(client.read_answer(b"POST").content())
            assert time.monotonic() - began < AT_ONCE_SECONDS
    assert seen[1] == seen[0]
    assert seen[0][-1] == "closed"


@pytest.mark.parametrize("path", ["/until-close-cut", "/cut-tls"])
def test_truncated_answer(way: Way, path: str) -> None:
    """An end without close_notify is no clean end (a client of plain HTTP cannot see that)."""
    direct, through = ask_both(way, get(path))
    assert (through.head, through.body) == (direct.head, direct.body)
    if way.connected.ca_file is not None:
        assert through.end == direct.end == "cut"


def test_truncated_upgrade(way: Way) -> None:
    """So after a 101."""
    seen = []
    for connected, request in both(way, get("/upgrade-then-cut", *UPGRADE)):
        with connected.open() as client:
            assert client.ask(request).head.startswith(b"HTTP/1.1 101 ")
            seen.append(client.read_end())
    assert seen[0][0] == seen[1][0] == b"half"
    if way.connected.ca_file is not None:
        assert seen[1] == seen[0] == (b"half", "cut")


@pytest.mark.parametrize("lines", [(), (b"Connection: close",)])
def test_origin_is_told_the_end(way: Way, lines: tuple[bytes, ...]) -> None:
    """By close_notify, when the client leaves and at its own last answer."""
    ask_once(way.connected, way.client_head(get("/empty", *lines)))
    [received] = way.origin.received
    if way.connected.authority.startswith("other.") or way.connected is way.direct:
        return  # there the client itself speaks to the origin, and leaves without a word
    # Where both end it at the same time, TCP may reset it, behind what the origin was told.
    ends = {"closed", "reset"} if lines else {"closed"}
    assert way.origin.wait_for_end(received.connection, 5) in ends


def test_refused_expectation_on_a_connection_that_stays(way: Way) -> None:
    """The body that may follow is the origin's, and so is the next request."""
    body = b"abc"
    for connected, request in both(way, post("/refuse-and-stay", body, b"Expect: 100-continue")):
        with connected.open() as client:
            client.send(request[: -len(body)])
            assert client.read_answer(b"POST").body == b"no"
            time.sleep(0.1)  # a client that thinks
            client.send(body)
            again = way.direct_head if connected is way.direct else way.client_head
            assert client.ask(again(get("/empty"))).head.startswith(b"HTTP/1.1 200 OK")
    direct, _, through, _ = way.origin.received
    assert direct.body == through.body == body
    assert direct.connection == way.origin.received[1].connection
    assert through.connection == way.origin.received[3].connection
