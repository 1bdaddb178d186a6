"""Heads as values and as bytes."""

from __future__ import annotations

import pytest

from faultinject.http.message import (
    End,
    RequestHead,
    ResponseHead,
    find_header,
    header_tokens,
    without_headers,
)

HEADERS = (
    (b"Accept", b"a, B"),
    (b"X-One", b"1"),
    (b"accept", b" c ,,d"),
    (b"ACCEPT", b""),
)


def test_the_first_header_of_a_name_is_found_in_any_case() -> None:
    """Names have no case; the first value counts, and no header is None."""
    assert find_header(HEADERS, b"accept") == b"a, B"
    assert find_header(HEADERS, b"x-one") == b"1"
    assert find_header(HEADERS, b"x-two") is None


def test_tokens_come_from_every_header_of_the_name() -> None:
    """Lists may be spread over headers (RFC 9110 section 5.3); words have no case."""
    assert header_tokens(HEADERS, b"accept") == {b"a", b"b", b"c", b"d", b""}
    assert header_tokens(HEADERS, b"te") == set()


def test_headers_are_left_out_by_name_and_the_others_keep_their_order() -> None:
    """All headers of a name go, whatever their case."""
    assert without_headers(HEADERS, b"accept") == ((b"X-One", b"1"),)
    assert without_headers(HEADERS, b"x-one", b"none") == (HEADERS[0], *HEADERS[2:])


@pytest.mark.parametrize(
    ("value", "chunked"), [(b"chunked", True), (b"gzip, Chunked", True), (b"gzip", False)]
)
def test_a_head_says_whether_its_body_is_chunked(value: bytes, chunked: bool) -> None:
    """Transfer-Encoding is a list whose words have no case."""
    assert ResponseHead(200, b"OK", ((b"transfer-ENCODING", value),)).chunked is chunked


def test_a_request_is_written_as_it_was_read() -> None:
    """Order, case and version are its sender's."""
    headers = ((b"hOsT", b"h"), (b"X-a", b""), (b"x-A", b"2"))
    head = RequestHead(b"POST", b"/a?b", headers, b"1.0")
    assert head.encode() == b"POST /a?b HTTP/1.0\r\nhOsT: h\r\nX-a: \r\nx-A: 2\r\n\r\n"
    assert head.has_header(b"host")
    assert not head.has_header(b"content-length")


def test_a_response_is_written_as_it_was_read() -> None:
    """An empty reason keeps its space (RFC 9112 section 4)."""
    assert ResponseHead(204, b"", ()).encode() == b"HTTP/1.1 204 \r\n\r\n"
    head = ResponseHead(404, b"Not There", ((b"A", b"b"),), b"1.0")
    assert head.encode() == b"HTTP/1.0 404 Not There\r\nA: b\r\n\r\n"


def test_only_1xx_is_interim() -> None:
    """Another head follows a 1xx."""
    assert ResponseHead(199, b"", ()).interim
    assert not ResponseHead(200, b"", ()).interim


def test_an_end_has_no_trailers_of_its_own() -> None:
    """Most messages have none."""
    assert End() == End(())
    assert End().trailers == ()
