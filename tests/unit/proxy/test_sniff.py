"""What the first bytes of a tunnel are taken for, as they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.proxy.sniff import OpeningReader, Protocol
from faultinject.tls.client_hello import ClientHello
from tests.support.tls_peers import client_context, client_hello

HELLO = client_hello(client_context(alpn=["http/1.1"]), "api.example.com")


def read_opening(data: bytes) -> ClientHello | Protocol:
    """Return what the first bytes of a tunnel are, if they come at once."""
    return OpeningReader().feed(data)


@pytest.mark.parametrize(
    ("data", "speech"),
    [
        (b"", Protocol.UNDECIDED),
        (b"G", Protocol.UNDECIDED),
        (b"GET", Protocol.UNDECIDED),
        (b"GET ", Protocol.HTTP),
        (b"GET / HTTP/1.1\r\n\r\n", Protocol.HTTP),
        (b"UPDATEREDIRECTREF ", Protocol.HTTP),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol.HTTP),
        (b"A" * 20, Protocol.UNDECIDED),
        (b"A" * 20 + b" ", Protocol.HTTP),
        (b"A" * 21, Protocol.OTHER),
        (b"GO ", Protocol.OTHER),
        (b"get / HTTP/1.1", Protocol.OTHER),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Protocol.OTHER),
        (b"EHLO\r\n", Protocol.OTHER),
        (b"\r\n", Protocol.OTHER),
        (b" GET / HTTP/1.1", Protocol.OTHER),
        (b"\x00", Protocol.OTHER),
        (b"\x16", Protocol.UNDECIDED),
        (b"\x16\x03", Protocol.UNDECIDED),
        (HELLO[:-1], Protocol.UNDECIDED),
        (HELLO[:43] + b"\xff" + HELLO[44:], Protocol.BROKEN_TLS),
        (b"\x17\x03\x03\x00\x01a", Protocol.UNEXPECTED_TLS),
        (b"\x16\x03\x01\xff\xff", Protocol.TOO_LONG_TLS),
        (b"\x15\x02", Protocol.OTHER),
    ],
)
def test_the_first_bytes_say_what_is_spoken(data: bytes, speech: Protocol) -> None:
    """Or that it cannot be told yet."""
    assert read_opening(data) is speech


def test_a_whole_client_hello_is_read() -> None:
    """With what the tunnel needs to know."""
    assert read_opening(HELLO) == ClientHello("api.example.com", ("http/1.1",), 0x0304)
    assert read_opening(HELLO + b"more") == read_opening(HELLO)


def test_a_client_hello_is_undecided_until_it_is_whole() -> None:
    """At every byte."""
    assert {read_opening(HELLO[:cut]) for cut in range(len(HELLO))} == {Protocol.UNDECIDED}


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_what_was_told_stays_true(data: bytes, more: bytes) -> None:
    """Whatever follows: a decision is not taken back."""
    speech = read_opening(data)
    if speech is not Protocol.UNDECIDED:
        assert read_opening(data + more) == speech
