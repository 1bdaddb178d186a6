"""What comes to the proxy's port and is not HTTP/1.1."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from faultinject.events import ExchangeEnded
from faultinject.proxy.not_http import is_undecided, not_http
from tests.support.bench import get, ok, open_bench
from tests.support.peer import Peer
from tests.support.tls_peers import client_context, client_hello

HELLO = client_hello(client_context(), "proxy.example")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FOREIGN = [
    (
        HELLO,
        "began TLS with the proxy itself",
        "http://, not https://",
        b"\x15\x03\x03\0\x02\x02\x28",
    ),
    (b"\x16\x03\x01\x02", "began TLS", "http://", b"\x15\x03\x03\0\x02\x02\x28"),
    (b"\x05\x01\0", "SOCKS5", "http://, not socks", b"\x05\xff"),
    (b"\x04\x01\x01\xbb\x7f\0\0\x01\0", "SOCKS4", "http://, not socks", b"\0\x5b" + bytes(6)),
    (PREFACE, "HTTP/2", "HTTP/1.1", b"\0\0\0\x04\0\0\0\0\0"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH", "CONNECT", b"faultinject: the client speaks SSH"),
]


@pytest.mark.parametrize(("sent", "what", "mend", "answer"), FOREIGN)
async def test_it_is_told_what_it_is_and_answered_so(autojump_clock, sent, what, mend, answer):
    """In its own words, and then the connection ends."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(sent)
        assert (await client.rest()).startswith(answer)
        await bench.ended()
        [told] = bench.of(ExchangeEnded)
        assert (told.outcome, told.host) == ("refused", "")
        assert what in (told.error or "")
        assert mend in (told.error or "")


@pytest.mark.parametrize(("sent", "what", "mend", "answer"), FOREIGN)
async def test_it_is_known_however_it_is_split(autojump_clock, sent, what, mend, answer):
    """A byte at a time: as soon as enough has come, though nothing follows."""
    async with open_bench() as bench:
        client = bench.connect()
        for byte in sent:
            with contextlib.suppress(trio.BrokenResourceError):  # it knows enough
                await client.send(bytes((byte,)))
            await trio.testing.wait_all_tasks_blocked()
        assert (await client.rest()).startswith(answer)
        await bench.ended()
        [told] = bench.of(ExchangeEnded)
        assert what in (told.error or "")


@pytest.mark.parametrize("start", [b"P", b"PR", b"S", b"SSH"])
async def test_what_may_still_be_something_else_may_be_http(autojump_clock, start):
    """Nothing that is HTTP waits for more than its own head."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(start)
        await trio.testing.wait_all_tasks_blocked()
        assert (await client.ask(b"X / HTTP/1.1\r\nHost: x\r\n\r\n")).status == 200


async def test_what_stays_undecided_ends_as_a_head_does(autojump_clock):
    """In its time, counted from the first byte."""
    async with open_bench() as bench:
        client = bench.connect()
        began = trio.current_time()
        for byte in b"PRI":
            await client.send(bytes((byte,)))
            await trio.sleep(9)
        answer = await client.answer()
        assert (answer.status, trio.current_time() - began) == (408, 30)


@pytest.mark.parametrize("first", [b"P", b"\r\n", b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_the_time_of_the_first_head_is_not_the_next_ones(autojump_clock, first):
    """Whatever came first."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(first)
        await trio.sleep(20)
        if first == b"P":
            await client.send(b"OST /a HTTP/1.1\r\nHost: x\r\n\r\n")
        if first != b"\r\n":
            assert (await client.answer()).status == 200
        await client.send(b"GET /b ")
        await trio.sleep(20)
        assert (await client.ask(b"HTTP/1.1\r\nHost: x\r\n\r\n")).status == 200


async def test_a_head_that_waits_for_its_turn_has_its_time_then(autojump_clock):
    """It cannot be read before the exchange in front of it is over."""

    async def takes_its_time(upstream: Peer) -> None:
        while request := await upstream.read_message():
            await trio.sleep(20)
            await upstream.send(ok(request.line))

    async with open_bench(upstream=takes_its_time) as bench:
        client = bench.connect()
        await client.send(get("/a") + b"GET /b ")
        assert (await client.answer()).body == b"GET /a HTTP/1.1"
        await trio.sleep(20)
        await client.send(b"HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer()).body == b"GET /b HTTP/1.1"


@pytest.mark.parametrize("start", [b"P", b"SSH"])
async def test_a_client_that_leaves_before_it_is_known_what_it_speaks(autojump_clock, start):
    """Is gone: there is nothing to tell of."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(start)
        await trio.testing.wait_all_tasks_blocked()
        await client.half_close()
        assert await client.rest() == b""
        await bench.ended()
        assert bench.of(ExchangeEnded) == []


async def test_a_client_that_is_gone_before_the_answer(autojump_clock):
    """It is told all the same."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(b"\x05\x01\0")
        client.stream.reset()
        await bench.ended()


def test_the_goaway_says_why() -> None:
    """With HTTP_1_1_REQUIRED, which clients heed (RFC 9113 section 7)."""
    found = not_http(PREFACE)
    assert found is not None
    assert found.answer[9 + 3 : 9 + 5] == b"\x07\0"
    assert found.answer[9 + 9 :].startswith(bytes(4) + b"\0\0\0\x0d")
    assert found.answer.endswith(found.words.encode())


@given(st.binary(max_size=8))
def test_only_what_is_surely_something_else(data: bytes) -> None:
    """What may be HTTP, or is unknown, is left to who reads HTTP."""
    found = not_http(data)
    assert found is None or data.startswith((b"\x16", b"\x05", b"\x04", b"SSH-"))
    assert not (found and is_undecided(data))
    assert not_http(get("/" + data.hex())) is None


def test_undecided_is_what_more_bytes_decide() -> None:
    """The beginnings of what is known by more than its first byte, and nothing else."""
    known = [PREFACE[:16], b"SSH-"]
    for start in known:
        assert [size for size in range(20) if is_undecided((start + b"x" * 9)[:size])] == list(
            range(len(start))
        )
        assert not_http(start) is not None
    for other in (b"POST ", b"PA", b"SE", b"GET", b"\r\n", b"\x16", b"\x05"):
        assert not is_undecided(other)
