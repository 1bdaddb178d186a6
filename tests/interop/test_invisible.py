"""What a client sees through the proxy is what it sees without it.

The proxy runs at probability 0. Every request is asked directly and through the proxy, and the
bytes, their order and their times are compared. Names of hosts are all that may differ.
"""

from __future__ import annotations

import statistics

import pytest

from tests.interop.ways import Way, ask_both, ask_once, get, post
from tests.support.llm_api import message_events
from tests.support.pages import CHUNKS

pytestmark = pytest.mark.interop

# On a machine with other work a single event can be late; held-back events are late as a rule.
USUAL_LATENESS_SECONDS = 0.03
WORST_LATENESS_SECONDS = 0.25
ONE_SECOND = 1.0

WHOLE_ANSWERS = [
    "/odd-headers", "/no-reason", "/split-head", "/chunked", "/gzip", "/gzip-chunked", "/trailers",
    "/early-hints", "/no-content", "/not-modified", "/empty", "/large", "/large-chunked",
    "/no-such-page",
]  # fmt: skip
CLOSING_ANSWERS = ["/until-close", "/says-close", "/http10", "/http10-length"]
BROKEN_ANSWERS = ["/cut-length", "/cut-chunk", "/cut-tls", "/reset"]


# -- what the client sees ---------------------------------------------------------------------


@pytest.mark.parametrize("path", WHOLE_ANSWERS)
def test_answer(way: Way, path: str) -> None:
    """Interim heads, head, body and trailers arrive as the origin wrote them."""
    direct, through = ask_both(way, get(path))
    assert direct.end == "complete"
    assert through.content() == direct.content()


@pytest.mark.parametrize("path", ["/head", "/head-chunked"])
def test_answer_to_head(way: Way, path: str) -> None:
    """An answer to HEAD keeps its headers, has no body, and leaves the connection usable."""
    direct = ask_once(way.direct, way.direct_head(get(path, method=b"HEAD")))
    with way.connected.open() as client:
        through = client.ask(way.client_head(get(path, method=b"HEAD")))
        assert (through.raw, through.end) == (direct.raw, "complete")
        assert client.ask(way.client_head(get("/empty"))).head.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("path", CLOSING_ANSWERS)
def test_answer_that_ends_the_connection(way: Way, path: str) -> None:
    """Where the origin ends the connection in good order, so does the proxy."""
    seen = []
    for connected, request in (
        (way.direct, way.direct_head(get(path))),
        (way.connected, way.client_head(get(path))),
    ):
        with connected.open() as client:
            seen.append((client.ask(request).content(), client.read_end()))
    assert seen[1] == seen[0]
    assert seen[0][1] == (b"", "closed")


@pytest.mark.parametrize("path", BROKEN_ANSWERS)
def test_answer_that_breaks_off(way: Way, path: str) -> None:
    """Where the origin's answer breaks off, the client gets what there was and no false end."""
    direct, through = ask_both(way, get(path))
    assert through.end != "complete"
    assert (through.head, through.body) == (direct.head, direct.body)
    assert not through.raw.endswith(b"0\r\n\r\n")


def test_early_answer(way: Way) -> None:
    """An answer that comes before the request's body reaches the client at once."""
    request = way.client_head(post("/early", b"x" * 10_000))
    with way.connected.open() as client:
        client.send(request[:-10_000])
        answer = client.read_answer()
        assert (answer.head.split(b"\r\n")[0], answer.body) == (
            b"HTTP/1.1 413 Too Much",
            b"no room",
        )
        client.send(request[-10_000:])
        after = client.ask(way.client_head(get("/empty")))
    assert after.head.startswith(b"HTTP/1.1 200 OK")


def test_upgrade(way: Way) -> None:
    """After 101 the connection carries any bytes both ways until one side ends it."""
    request = get("/upgrade", b"Connection: Upgrade", b"Upgrade: websocket")
    direct = ask_once(way.direct, way.direct_head(request))
    with way.connected.open() as client:
        through = client.ask(way.client_head(request))
        assert through.content() == direct.content()
        assert client.wire.read_exactly(7) == b"welcome"
        for data in (b"\x81\x05hello", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 300):
            client.send(data)
            assert client.wire.read_exactly(len(data)) == data
    assert way.origin.received[-1].left.wait(ONE_SECOND)


# -- when the client sees it ------------------------------------------------------------------


def test_events_keep_their_spacing(way: Way) -> None:
    """Each event of a stream is there when the origin sent it, not when more had come."""
    answer = ask_once(way.connected, way.client_head(get("/sse")))
    events = message_events()
    sent_at = way.origin.received[0].sent_at[1:-1]  # without the head and the last chunk
    ends = [sum(map(len, events[: n + 1])) for n in range(len(events))]
    assert answer.body == b"".join(events)
    assert_punctual(
        [answer.time_of(end - 1) - sent for end, sent in zip(ends, sent_at, strict=True)]
    )


def test_chunks_keep_their_spacing(way: Way) -> None:
    """Each chunk is there when the origin sent it, whatever its size."""
    answer = ask_once(way.connected, way.client_head(get("/chunked")))
    sent_at = way.origin.received[0].sent_at[1:-1]
    ends = [sum(map(len, CHUNKS[: n + 1])) for n in range(len(CHUNKS))]
    assert_punctual(
        [answer.time_of(end - 1) - sent for end, sent in zip(ends, sent_at, strict=True)]
    )


def assert_punctual(lateness_seconds: list[float]) -> None:
    """Assert that nothing was held back."""
    assert statistics.median(lateness_seconds) < USUAL_LATENESS_SECONDS, lateness_seconds
    assert max(lateness_seconds) < WORST_LATENESS_SECONDS, lateness_seconds


@pytest.mark.parametrize("path", ["/silent", "/stalled"])
def test_client_that_leaves_is_missed_at_once(way: Way, path: str) -> None:
    """The origin learns within a second that the client has gone, before or amid the answer."""
    with way.connected.open() as client:
        client.send(way.client_head(get(path)))
        [received] = way.origin.wait_for_requests(1)
        if path == "/stalled":
            client.wire.read_until(b"first")
    assert received.left.wait(ONE_SECOND)


def test_client_that_resets_is_missed_at_once(way: Way) -> None:
    """So it does if the client's connection is reset."""
    with way.connected.open() as client:
        client.send(way.client_head(get("/stalled")))
        [received] = way.origin.wait_for_requests(1)
        client.wire.read_until(b"first")
        client.reset()
    assert received.left.wait(ONE_SECOND)
