"""Raw clients through the real Fault: what is injected, what is forwarded, how it ends."""

from __future__ import annotations

import hashlib
import json
import random
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pytest

from tests.fault.setting import HOST, STATUS, Setting, versioned
from tests.support.pages import LARGE_BODY
from tests.support.raw_client import Answer, Connected

WAYS = ["CONNECT", "raw TCP"]
every_way = pytest.mark.parametrize("way", WAYS)
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
MEGABYTE = random.Random(1).randbytes(1_000_000)
PACED_BYTES = 4_000
PAUSE_SECONDS = 0.002
TUNNELS = {1: 50, 16: 150, 60: 200}
"""How many tunnels there are in all, by how many are open at a time; each way, so 800."""


def get(path: str, *lines: bytes) -> bytes:
    """Return a GET."""
    more = b"".join(line + b"\r\n" for line in lines)
    return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (path.encode(), HOST.encode(), more)


def post(path: str, body: bytes) -> bytes:
    """Return a POST."""
    head = b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (path.encode(), HOST.encode(), len(body)) + body


def is_injected(answer: Answer) -> bool:
    """Return True if the plugin made an answer; each is one or the other, and whole."""
    assert answer.end == "complete"
    injected = answer.head.startswith(b"HTTP/1.1 %d " % STATUS)
    assert injected == (b"\r\nX-Faultinject: options\r\n" in answer.head)
    assert injected or answer.head.startswith(b"HTTP/1.1 200 ")
    return injected


def check_digest(answer: Answer, body: bytes) -> None:
    """Assert that the origin got a body byte for byte."""
    assert json.loads(answer.body) == {
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


@every_way
@pytest.mark.parametrize("upstream", VERSIONS)
@pytest.mark.parametrize("client", VERSIONS)
def test_injected_and_forwarded(sometimes: Setting, way: str, client: str, upstream: str) -> None:
    """Both on one connection, with TLS 1.2 and 1.3 on either side."""
    connected = sometimes.connected(way, upstream)
    with versioned(connected, VERSIONS[client]) as raw:
        assert raw.tls.version() == f"TLSv{client}"
        kinds = [is_injected(raw.ask(get(f"/count?{number}"))) for number in range(20)]
    assert set(kinds) == {True, False}
    assert len(sometimes.origins.received()) == kinds.count(False)


@every_way
@pytest.mark.parametrize("origin", ["1.2", "1.3"])
def test_fifty_injections_in_a_row(always: Setting, way: str, origin: str) -> None:
    """On one connection; the origin sees carriers only."""
    with always.connected(way, origin).open() as client:
        assert all(is_injected(client.ask(get(f"/{number}"))) for number in range(50))
    assert always.origins.received() == []
    carriers = always.origins.by_name[origin].received
    assert [(each.method, each.target) for each in carriers] == [("HEAD", "/")] * 50
    assert {each.header("authorization") for each in carriers} == {None}


@every_way
def test_a_long_certificate_chain(sometimes: Setting, way: str) -> None:
    """It comes in several chunks."""
    with sometimes.connected(way, "long chain").open() as client:
        kinds = {is_injected(client.ask(get("/count"))) for _ in range(20)}
    assert kinds == {True, False}


@every_way
def test_a_megabyte_up(never: Setting, way: str) -> None:
    """At once."""
    with never.connected(way).open() as client:
        for _ in range(3):
            check_digest(client.ask(post("/digest", MEGABYTE)), MEGABYTE)


@every_way
def test_a_megabyte_up_in_small_pieces(never: Setting, way: str) -> None:
    """With pauses between, each of which loses bytes where a plugin merely echoes."""
    with never.connected(way).open() as client:
        request = post("/digest", MEGABYTE)
        for start in range(0, len(request), PACED_BYTES):
            client.send(request[start : start + PACED_BYTES])
            time.sleep(PAUSE_SECONDS)
        check_digest(client.read_answer(b"POST"), MEGABYTE)


@every_way
def test_small_pieces_for_long(never: Setting, way: str) -> None:
    """Many requests of a few pieces each."""
    body = MEGABYTE[:3000]
    with never.connected(way).open() as client:
        for _ in range(20):
            request = post("/digest", body)
            for start in range(0, len(request), 100):
                client.send(request[start : start + 100])
            check_digest(client.read_answer(b"POST"), body)


@every_way
def test_a_megabyte_that_is_answered_by_the_fault(always: Setting, way: str) -> None:
    """It is read to its end first, and never reaches the origin."""
    with always.connected(way).open() as client:
        for _ in range(5):
            assert is_injected(client.ask(post("/digest", MEGABYTE)))
    assert always.origins.received() == []


@every_way
@pytest.mark.parametrize("path", ["/large", "/large-chunked"])
def test_five_megabytes_down(never: Setting, way: str, path: str) -> None:
    """Every byte."""
    with never.connected(way).open() as client:
        for _ in range(2):
            answer = client.ask(get(path))
            assert answer.end == "complete"
            assert answer.body == LARGE_BODY


@every_way
def test_a_stream_keeps_its_spacing(never: Setting, way: str) -> None:
    """Events come one by one while they are sent. How soon says more of the machine."""
    with never.connected(way).open() as client:
        answer = client.ask(get("/sse"))
    assert answer.end == "complete"
    [received] = never.origins.received()
    sent = received.sent_at[1:-1]
    events = answer.body.split(b"\n\n")[:-1]
    assert len(events) == len(sent) > 5
    offsets = accumulate([len(event) + 2 for event in events[:-1]], initial=0)
    came = [answer.time_of(offset) for offset in offsets]
    assert len(set(came)) > len(sent) / 2
    assert came[-1] - came[0] > (sent[-1] - sent[0]) / 2


@every_way
def test_idle_and_then_used(sometimes: Setting, way: str) -> None:
    """The tunnel is as good as before."""
    with sometimes.connected(way).open() as client:
        kinds = set()
        for _ in range(3):
            kinds |= {is_injected(client.ask(get("/count"))) for _ in range(8)}
            time.sleep(2)
        assert is_injected(client.ask(get("/count"))) in kinds


@every_way
@pytest.mark.parametrize("origin", ["1.2", "1.3"])
def test_an_upstream_that_closes_early(never: Setting, way: str, origin: str) -> None:
    """After an answer, or within one; the client sees which."""
    with never.connected(way, origin).open() as client:
        answer = client.ask(get("/says-close"))
        assert (answer.body, answer.end) == (b"bye", "complete")
        assert client.read_end() == (b"", "closed")
    answer = never.ask(get("/until-close"), way, origin)
    assert (answer.body, answer.end) == (b"until the end", "closed")
    # In CONNECT tunnels Fault itself keeps a reset of the upstream's from the client.
    for path in (
        "/cut-length",
        "/cut-chunk",
        "/cut-tls",
        *(["/reset"] if way == "raw TCP" else []),
    ):
        answer = never.ask(get(path), way, origin)
        assert answer.body == b"only this", path
        assert answer.end in ("cut", "reset", "closed"), path


@every_way
def test_a_client_that_resets(never: Setting, way: str) -> None:
    """Within an answer and without one; others are served on."""
    for path in ("/sse", "/silent", "/large"):
        with never.connected(way).open() as client:
            client.send(get(path))
            time.sleep(0.2)
            client.reset()
    assert not is_injected(never.ask(get("/count"), way))


@every_way
@pytest.mark.parametrize("at_once", TUNNELS)
def test_many_tunnels(sometimes: Setting, way: str, at_once: int) -> None:
    """One after another, and many at once, with six mixed requests each: none is lost or cut."""

    def one(number: int) -> list[bool]:
        kinds = []
        with sometimes.connected(way).open() as client:
            for step in range(6):
                body = MEGABYTE[: (number * 97 + step * 1013) % 20_000]
                answer = client.ask(post("/digest", body))
                kinds.append(is_injected(answer))
                if not kinds[-1]:
                    check_digest(answer, body)
        return kinds

    with ThreadPoolExecutor(at_once) as pool:
        kinds = [kind for each in pool.map(one, range(TUNNELS[at_once])) for kind in each]
    assert len(kinds) == 6 * TUNNELS[at_once]
    assert 0.3 < kinds.count(True) / len(kinds) < 0.7
    assert len(sometimes.origins.received()) == kinds.count(False)


@pytest.mark.parametrize("path", ["/odd-headers", "/chunked", "/gzip-chunked", "/trailers", "/sse"])
def test_what_is_forwarded_is_unchanged(never: Setting, path: str) -> None:
    """As without Fault and the plugin, byte by byte."""
    direct = Connected(never.port(), never.origins.ca_file, f"{HOST}:443")
    with direct.open() as client:
        expected = client.ask(get(path))
    assert never.ask(get(path)).content() == expected.content()


def test_a_host_that_is_no_target(always: Setting) -> None:
    """The origin's own certificate is seen, and its bytes are equal, both ways."""
    authority = f"127.0.0.1:{always.port()}"
    relayed = Connected(always.fault.port, always.origins.ca_file, authority, connect=True)
    with relayed.open() as client:
        check_digest(client.ask(post("/digest", MEGABYTE)), MEGABYTE)
        assert client.ask(get("/large")).body == LARGE_BODY
        check_digest(client.ask(post("/digest", MEGABYTE)), MEGABYTE)


def test_a_request_that_waits_for_100(never: Setting, always: Setting) -> None:
    """The origin's 100 when it is forwarded, ours when it is injected."""
    head = post("/digest", b"")[:-2].replace(b"Content-Length: 0", b"Content-Length: 100000")
    body = MEGABYTE[:100_000]
    for setting, injected in ((never, False), (always, True)):
        with setting.connected().open() as client:
            client.send(head + b"Expect: 100-continue\r\n\r\n")
            assert client.wire.read_head().startswith(b"HTTP/1.1 100 ")
            client.send(body)
            assert is_injected(client.read_answer(b"POST")) is injected


def test_an_upgrade(never: Setting) -> None:
    """What follows a 101 passes both ways."""
    with never.connected().open() as client:
        upgrade = get("/upgrade", b"Connection: Upgrade", b"Upgrade: websocket")
        answer = client.ask(upgrade)
        assert answer.head.startswith(b"HTTP/1.1 101 ")
        assert client.wire.read_exactly(7) == b"welcome"
        for word in (b"one", b"two", b"three" * 1000):
            client.send(word)
            assert client.wire.read_exactly(len(word)) == word


def test_a_slow_origin_of_a_long_upload(never: Setting) -> None:
    """Where Fault alone would stall: six megabytes to an origin that reads with pauses."""
    body = MEGABYTE * 6
    with never.connected().open() as client:
        client.send(post("/slow", body))
        check_digest(client.read_answer(b"POST"), body)
        assert not is_injected(client.ask(get("/count")))


def test_a_client_that_does_not_trust_us(always: Setting) -> None:
    """Is told apart, and harms nobody."""
    distrusting = Connected(
        always.fault.port, always.origins.ca_file, f"{HOST}:{always.port()}", connect=True
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        distrusting.open()
    failed = always.plugin.wait_for(lambda event: event["event"] == "handshake-failed")
    assert failed["refused"]
    assert is_injected(always.ask(get("/")))


def test_garbage_and_early_ends(always: Setting) -> None:
    """A malformed hello gets the origin's own alert; what leaves at once harms nobody."""
    bare = Connected(always.fault.port, None, f"{HOST}:{always.port()}", connect=True)
    with bare.open() as client:
        client.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03")
        alert, end = client.read_end()
    assert (alert[:1], end) == (b"\x15", "closed")
    for said in (b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b""):
        with bare.open() as client:
            client.send(said)
        with bare.open() as client:
            client.send(said)
            client.reset()
    assert is_injected(always.ask(get("/")))
