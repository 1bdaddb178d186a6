"""Bodies without their content codings, within a bound."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from functools import partial

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from faultinject.http.coding import MOST_CODINGS, MOST_MEMBERS, content_codings, decoded

LIMIT = 1024 * 1024
TEXT = b'{"model": "m", "messages": []}' * 100


def raw_deflate(data: bytes) -> bytes:
    """What some clients call deflate, without zlib's format around it."""
    return zlib.compress(data, wbits=-15)


CODERS = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"zstd": zstandard.compress,
    b"br": partial(brotli.compress, quality=1),
}


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("body", [b"", b"x", TEXT, bytes(range(256)) * 40])
def test_each_coding_is_taken_off(coding, body):
    """Whatever the body is."""
    assert decoded(CODERS[coding](body), (coding,), LIMIT) == body


@given(st.binary(max_size=3000), st.lists(st.sampled_from(sorted(CODERS)), max_size=MOST_CODINGS))
def test_codings_over_each_other(body, codings):
    """The one that was applied last is taken off first."""
    coded = body
    for coding in codings:
        coded = CODERS[coding](coded)
    assert decoded(coded, tuple(codings), LIMIT) == body


@pytest.mark.parametrize("body", [b"x", TEXT, bytes(3000)])
def test_deflate_without_its_format(body):
    """RFC 9110 section 8.4.1.2 knows of such clients."""
    assert decoded(raw_deflate(body), (b"deflate",), LIMIT) == body


@pytest.mark.parametrize("coding", CODERS)
def test_a_large_body(coding):
    """It comes out in several pieces, and whole."""
    body = TEXT * 1_500
    assert decoded(CODERS[coding](body), (coding,), len(body)) == body


@pytest.mark.parametrize("coding", [b"gzip", b"zstd"])
def test_several_members(coding):
    """One body may be several, one behind the other; so many at most."""
    one = CODERS[coding](TEXT)
    assert decoded(one * MOST_MEMBERS, (coding,), LIMIT) == TEXT * MOST_MEMBERS
    with pytest.raises(ValueError, match="not in this coding"):
        decoded(one * (MOST_MEMBERS + 1), (coding,), LIMIT)


def test_a_zstd_frame_that_does_not_tell_its_length():
    """As a client sends it that compresses while it writes."""
    compressor = zstandard.ZstdCompressor().compressobj()
    coded = compressor.compress(TEXT) + compressor.flush()
    assert decoded(coded, (b"zstd",), LIMIT) == TEXT


@pytest.mark.parametrize("coding", CODERS)
@given(body=st.binary(max_size=200))
def test_what_is_not_in_the_coding(coding, body):
    """It has a reason, or it is what was meant: never another error."""
    try:
        decoded(body, (coding,), LIMIT)
    except ValueError:
        return


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("harm", [lambda b: b[:-1], lambda b: b[:5], lambda b: b + b"more"])
def test_what_breaks_off_or_goes_on(coding, harm):
    """It is not taken for whole."""
    with pytest.raises(ValueError, match="not in this coding"):
        decoded(harm(CODERS[coding](TEXT)), (coding,), LIMIT)


def test_codings_that_are_not_known():
    """Nor several that nobody needs."""
    with pytest.raises(ValueError, match="the coding is not known"):
        decoded(TEXT, (b"aws-chunked",), LIMIT)
    with pytest.raises(ValueError, match="too many"):
        decoded(TEXT, (b"gzip",) * (MOST_CODINGS + 1), LIMIT)


@pytest.mark.parametrize("coding", CODERS)
def test_a_bomb_is_left_alone(coding):
    """Little that would become 60 MB takes memory near the bound, and no more."""
    bomb = CODERS[coding](bytes(60_000_000))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"more than {LIMIT} bytes"):
            decoded(bomb, (coding,), LIMIT)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < LIMIT + 20_000_000


def test_a_bomb_within_a_bomb():
    """The bound holds for what lies between too."""
    inner = gzip.compress(gzip.compress(bytes(60_000_000)))
    with pytest.raises(ValueError, match="more than"):
        decoded(inner, (b"gzip", b"gzip"), LIMIT)


def test_a_window_larger_than_the_standard_allows():
    """RFC 9659 section 3: it would be memory for a few bytes."""
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27)
    coded = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = coded.compress(bytes(20_000)) + coded.flush()
    with pytest.raises(ValueError, match="not in this coding"):
        decoded(body, (b"zstd",), LIMIT)


@pytest.mark.parametrize(
    ("values", "codings"),
    [
        ([], ()),
        ([b"gzip"], (b"gzip",)),
        ([b"GZip , br"], (b"gzip", b"br")),
        ([b"gzip", b"identity, zstd"], (b"gzip", b"zstd")),
        ([b"identity"], ()),
        ([b"", b",, "], ()),
    ],
)
def test_codings_of_a_body(values, codings):
    """All headers of the name are one list."""
    headers = tuple((b"Content-Encoding", value) for value in values)
    assert content_codings(((b"Accept-Encoding", b"br"), *headers)) == codings
