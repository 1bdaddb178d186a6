"""Who refuses what is malformed: the table in docs/design.md, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bench import echoes, open_bench

HOST = b"Host: api.example.com\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def get(target: bytes = b"/", lines: bytes = HOST, version: bytes = b"HTTP/1.1") -> bytes:
    """Return a GET with these lines."""
    return b"GET %b %b\r\n%b\r\n" % (target, version, lines)


def with_length(*values: bytes) -> bytes:
    """Return a request with a body of two bytes, and these lengths."""
    lines = b"".join(b"Content-Length: %b\r\n" % value for value in values)
    return b"POST / HTTP/1.1\r\n%b%b\r\nhi" % (HOST, lines)


SENT: dict[str, tuple[bytes, ...]] = {
    "no Host field in HTTP/1.1": (get(lines=b""),),
    "two Host fields": (get(lines=HOST + HOST), get(lines=HOST + b"host:\r\n")),
    "a Host value that is no host": (get(lines=b"Host: a b\r\n"), get(lines=b"Host: a/b\r\n")),
    "a Host value with a user in it": (get(lines=b"Host: me:pw@api.example.com\r\n"),),
    "an empty Host value": (get(lines=b"Host:\r\n"),),
    "a URL with a user in it": (
        get(b"http://me:pw@api.example.com/"),
        get(b"https://me@api.example.com"),
    ),
    "a URL of another scheme than `http` and `https`": (get(b"ftp://api.example.com/"),),
    "a target that is no URL and no path": (get(b"somewhere"), get(b"?a=b"), get(b"#a")),
    "CONNECT with another target than `host:port`": (
        b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT api.example.com HTTP/1.1\r\n" + HOST + b"\r\n",
    ),
    'a target with characters that no URL has, such as `"` and `{`': (get(b'/"{}<>#^`'),),
    "a target with a space, or with bytes that are no ASCII": (get(b"/a b"), get(b"/\xc3\xa4")),
    "a method that is no token": (b"G(T" + get()[3:], b" " + get()[3:]),
    "a method that is not known": (b"SEEK" + get()[3:], b"get" + get()[3:]),
    "an expectation that is not known": (get(lines=HOST + b"Expect: the best\r\n"),),
    "HTTP/1.2": (get(version=b"HTTP/1.2"),),
    "HTTP/2.0 in a request line": (get(version=b"HTTP/2.0"),),
    "no version (HTTP/0.9)": (b"GET /\r\n\r\n",),
    "one empty line before a request": (b"\r\n" + get(),),
    "two empty lines before a request": (b"\r\n\r\n" + get(),),
    "a blank before a field's colon": (get(lines=HOST + b"A : b\r\n"),),
    "a field's name that is no token, or none": (
        get(lines=HOST + b"A(: b\r\n"),
        get(lines=HOST + b": b\r\n"),
    ),
    "a field line without a colon": (get(lines=HOST + b"A\r\n"),),
    "a control character in a head (but for tabs)": (
        get(lines=HOST + b"A: \x01\r\n"),
        get(lines=HOST + b"A: b\x7f\r\n"),
        get(lines=HOST + b"A: b\rc\r\n"),
    ),
    "bytes above 0x7F in a field's value": (get(lines=HOST + b"A: \xc3\xa4\r\n"),),
    "several lengths that differ, or one that is no number": (
        with_length(b"2", b"3"),
        with_length(b"+2"),
    ),
    "several equal lengths": (with_length(b"2", b"2"),),
    "a length beside chunks": (
        CHUNKED.replace(b"Transfer", b"Content-Length: 3\r\nTransfer") + b"0\r\n\r\n",
    ),
    "a transfer coding other than `chunked`": (
        CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n",
        CHUNKED.replace(b"chunked", b"identity"),
    ),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"/1.1", b"/1.0") + b"0\r\n\r\n",),
    "a chunk's line that is malformed, or ends in a bare line feed": (
        CHUNKED + b"xyz\r\n",
        CHUNKED + b"1\na\r\n0\r\n\r\n",
    ),
    "a chunk that is longer than it says": (CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",),
    "a head, trailers or a chunk's line above 256 KiB": (
        get(lines=HOST + b"A: " + b"a" * 270_000 + b"\r\n"),
        CHUNKED + b"1;" + b"a" * 270_000,
        CHUNKED + b"0\r\nA: " + b"a" * 270_000,
    ),
    "a head, trailers or a chunk's line that takes more than 30 s": (
        get()[:-2],
        CHUNKED + b"1",
        CHUNKED + b"0\r\nA: b\r\n",
    ),
}


def table() -> dict[str, tuple[str, str]]:
    """Return the table's rows: what is sent, and who answers it in each place."""
    page = (Path(__file__).parents[2] / "docs" / "design.md").read_text(encoding="utf-8")
    section = page.partition("\n## Who refuses what\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {what: (itself, tunnel) for what, itself, tunnel, _ in rows[1:]}


def test_each_row_is_shown_by_something_that_is_sent() -> None:
    """And nothing is sent that stands in no row."""
    assert list(table()) == list(SENT)


@pytest.mark.parametrize(
    ("what", "sent"),
    [(what, sent) for what, each in SENT.items() for sent in each],
    ids=[f"{what} ({n})" for what, each in SENT.items() for n in range(len(each))],
)
@pytest.mark.parametrize("place", [0, 1], ids=["itself", "tunnel"])
async def test_it_is_refused_by_whom_the_table_names(autojump_clock, place, what, sent):
    """With that status; and what is the origin's to answer reaches it."""
    expected = table()[what][place]
    async with open_bench(upstream=echoes) as bench:
        client = await bench.tls() if place else bench.connect()
        await client.send(sent)
        answer = await client.answer()
        if expected == "origin":
            assert (answer.status, answer.header(b"x-faultinject-error")) == (200, None)
            assert (await bench.exchange()).outcome == "forwarded"
        else:
            assert str(answer.status) == expected
            assert answer.header(b"x-faultinject-error") == b"request"
            assert answer.header(b"connection") == b"close"
            assert await client.rest() == b""
            assert (await bench.exchange()).outcome == "refused"
