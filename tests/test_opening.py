"""What the first bytes of a tunnel are taken for, as they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.proxy.sniff import Speech, read_opening
from faultinject.tls.client_hello import ClientHello
from tests.support.tls_peers import client_context, client_hello

HELLO = client_hello(client_context(alpn=["http/1.1"]), "api.example.com")


@pytest.mark.parametrize(
    ("data", "speech"),
    [
        (b"", Speech.UNDECIDED),
        (b"G", Speech.UNDECIDED),
        (b"GET", Speech.UNDECIDED),
        (b"GET ", Speech.HTTP),
        (b"GET / HTTP/1.1\r\n\r\n", Speech.HTTP),
        (b"UPDATEREDIRECTREF ", Speech.HTTP),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Speech.HTTP),
        (b"A" * 20, Speech.UNDECIDED),
        (b"A" * 20 + b" ", Speech.HTTP),
        (b"A" * 21, Speech.OTHER),
        (b"GO ", Speech.OTHER),
        (b"get / HTTP/1.1", Speech.OTHER),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Speech.OTHER),
        (b"EHLO\r\n", Speech.OTHER),
        (b"\r\n", Speech.OTHER),
        (b" GET / HTTP/1.1", Speech.OTHER),
        (b"\x00", Speech.OTHER),
        (b"\x16", Speech.UNDECIDED),
        (b"\x16\x03", Speech.UNDECIDED),
        (HELLO[:-1], Speech.UNDECIDED),
        (HELLO[:43] + b"\xff" + HELLO[44:], Speech.BROKEN_TLS),
        (b"\x17\x03\x03\x00\x01a", Speech.UNEXPECTED_TLS),
        (b"\x16\x03\x01\xff\xff", Speech.TOO_LONG_TLS),
        (b"\x15\x02", Speech.OTHER),
    ],
)
def test_the_first_bytes_say_what_is_spoken(data: bytes, speech: Speech) -> None:
    """Or that it cannot be told yet."""
    assert read_opening(data) is speech


def test_a_whole_client_hello_is_read() -> None:
    """With what the tunnel needs to know."""
    assert read_opening(HELLO) == ClientHello("api.example.com", ("http/1.1",), 0x0304)
    assert read_opening(HELLO + b"more") == read_opening(HELLO)


def test_a_client_hello_is_undecided_until_it_is_whole() -> None:
    """At every byte."""
    assert {read_opening(HELLO[:cut]) for cut in range(len(HELLO))} == {Speech.UNDECIDED}


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_what_was_told_stays_true(data: bytes, more: bytes) -> None:
    """Whatever follows: a decision is not taken back."""
    speech = read_opening(data)
    if speech is not Speech.UNDECIDED:
        assert read_opening(data + more) == speech
