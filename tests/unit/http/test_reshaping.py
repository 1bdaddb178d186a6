"""Heads whose body will not be what was announced."""

from __future__ import annotations

import pytest

from faultinject.http.h1.framing import reframed
from faultinject.http.headers import is_encoded, uncompressed
from faultinject.http.message import Headers, RequestHead, ResponseHead

LENGTH = (b"Content-Length", b"5")
CHUNKED = (b"Transfer-Encoding", b"chunked")
OTHER = (b"X", b"y")


@pytest.mark.parametrize(
    ("headers", "version", "expected"),
    [
        ((LENGTH, OTHER), b"1.1", (OTHER, CHUNKED)),
        ((LENGTH, OTHER), b"1.0", (OTHER,)),
        ((CHUNKED, LENGTH), b"1.1", (CHUNKED,)),
        ((OTHER,), b"1.1", (OTHER,)),
    ],
    ids=["of a length", "of HTTP/1.0", "of both", "of none"],
)
def test_a_body_of_no_known_length(headers: Headers, version: bytes, expected: Headers) -> None:
    """It comes in chunks where there are chunks, else it ends with the connection."""
    assert reframed(ResponseHead(200, b"OK", headers, http_version=version)).headers == expected


def test_a_request_for_an_answer_that_can_be_read() -> None:
    """Each header that asks for a coding asks for none instead; the others stay."""
    head = RequestHead(b"GET", b"/", (OTHER, (b"Accept-Encoding", b"gzip, br")))
    assert uncompressed(head).headers == (OTHER, (b"Accept-Encoding", b"identity"))


@pytest.mark.parametrize(
    ("codings", "encoded"),
    [
        ((), False),
        ((b"identity",), False),
        ((b"identity,", b""), False),
        ((b"identity, GZIP",), True),
    ],
)
def test_whether_a_body_is_encoded(codings: tuple[bytes, ...], encoded: bool) -> None:
    """`identity` is no coding."""
    head = ResponseHead(200, b"OK", tuple((b"content-ENCODING", value) for value in codings))
    assert is_encoded(head) is encoded
