"""What comes to the proxy's port and is not HTTP/1.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.events import ExchangeEnded
from faultinject.not_http import not_http
from tests.support.bench import get, open_bench
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
    assert not_http(get("/" + data.hex())) is None
