"""Recognises other protocols than HTTP/1.1 on the proxy's port, and how to refuse them.

A wrong scheme in a proxy's URL is enough: with ``https://`` clients begin TLS with the proxy, with
``socks5://`` SOCKS. Does no I/O.
"""

from __future__ import annotations

from attrs import frozen

from faultinject.tls.client_hello import AlertDescription, Unread, fatal_alert, read_client_hello

_HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n"  # RFC 9113 section 3.4
_SSH = b"SSH-"  # lines before the version are for people, RFC 4253 section 4.2
_HTTP_1_1_REQUIRED = 0xD
_SETTINGS, _GOAWAY = 4, 7


@frozen(eq=False, repr=False)
class NotHttp:
    """A protocol that the proxy's port does not take."""

    words: str
    """What came, and what the user should set instead."""
    answer: bytes
    """A refusal in that protocol."""


def not_http(data: bytes) -> NotHttp | None:
    """Return what a connection's first bytes are; None if they may be HTTP, or are unknown."""
    if data[:1] == b"\x16" and read_client_hello(data) is not Unread.NOT_TLS:
        words = (
            "the client began TLS with the proxy itself, which takes plain HTTP: write the proxy's"
            " URL as http://, not https:// (what passes through it is TLS all the same)"
        )
        return NotHttp(words, fatal_alert(AlertDescription.HANDSHAKE_FAILURE))
    if data[:1] == b"\x05":  # RFC 1928 section 3: no acceptable methods
        return NotHttp(_socks(5), b"\x05\xff")
    if data[:1] == b"\x04":  # rejected, https://www.openssh.org/txt/socks4.protocol
        return NotHttp(_socks(4), b"\x00\x5b" + bytes(6))
    if data.startswith(_HTTP_2_PREFACE):
        words = "the client began HTTP/2 with the proxy, which takes HTTP/1.1: have it use that"
        return NotHttp(words, _frame(_SETTINGS, b"") + _goaway(words))
    if data.startswith(_SSH):
        words = "the client speaks SSH to the proxy's port, which takes HTTP: have it send CONNECT"
        return NotHttp(words, f"faultinject: {words}\r\n".encode())
    return None


def is_undecided(data: bytes) -> bool:
    """Return True if the bytes that follow may change what `not_http` returns.

    No request is this short, so waiting for more delays nothing.
    """
    return any(
        len(data) < len(start) and start.startswith(data) for start in (_HTTP_2_PREFACE, _SSH)
    )


def _socks(version: int) -> str:
    return (
        f"the client speaks SOCKS{version} to the proxy, which is an HTTP proxy: write its URL as"
        " http://, not socks://"
    )


def _goaway(words: str) -> bytes:
    """Return the frame that ends a connection for a reason (RFC 9113 section 6.8)."""
    return _frame(_GOAWAY, bytes(4) + _HTTP_1_1_REQUIRED.to_bytes(4) + words.encode())


def _frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, 0)) + bytes(4) + payload
