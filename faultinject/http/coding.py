"""Decodes the content codings of a body (RFC 9110 section 8.4), so that it can be read.

The result has a size limit, because a few hundred bytes can decode to gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from faultinject.http.message import Headers

MOST_CODINGS = 3
"""Most codings that may be applied to a body. There is no reason for more than one."""
MOST_MEMBERS = 16
"""Most parts in a body. With gzip and zstd a body can have several, one after the other."""
WINDOW_BYTES = 8 * 1024 * 1024
"""The largest window of zstd, which RFC 9659 section 3 allows as a content coding."""
_PIECE_BYTES = 512
"""How much is decoded at a time. It becomes about 16 MB at most, with zstd, which has the highest
ratio."""
_BROTLI_BYTES = 1024 * 1024


def content_codings(headers: Headers) -> tuple[bytes, ...]:
    """Return the codings of a body in the order in which they were applied, in lower case."""
    return tuple(
        coding
        for name, value in headers
        if name.lower() == b"content-encoding"
        for word in value.split(b",")
        if (coding := word.strip().lower()) not in (b"", b"identity")
    )


def decoded(body: bytes, codings: tuple[bytes, ...], most_bytes: int) -> bytes:
    """Decode a body, the last coding first.

    Raises `ValueError` with the reason if a coding is unknown, if the body is not in it, or if the
    result has more than ``most_bytes``.
    """
    if len(codings) > MOST_CODINGS:
        raise ValueError("there are too many codings")
    for coding in reversed(codings):
        decode = _DECODERS.get(coding)
        if decode is None:
            raise ValueError("the coding is not known")
        body = _joined(decode(body), most_bytes)
    return body


def _joined(pieces: Iterator[bytes], most_bytes: int) -> bytes:
    whole = bytearray()
    try:
        for piece in pieces:
            if len(whole) + len(piece) > most_bytes:
                raise ValueError(f"it decodes to more than {most_bytes} bytes")
            whole += piece
    except _NotInCodingError:
        raise ValueError("the body is not in this coding, or breaks off") from None
    return bytes(whole)


class _NotInCodingError(Exception):
    """A body is not in the coding that it is said to have."""


class _Member(Protocol):
    """Decodes one part of a body. `zlib` and `zstandard` have classes like this."""

    @property
    def eof(self) -> bool:
        """Whether the part has ended."""

    @property
    def unused_data(self) -> bytes:
        """The data after the part's end."""

    def decompress(self, data: bytes, /) -> bytes:
        """Decode the next bytes."""


def _members(
    body: bytes, new_member: Callable[[], _Member], error: type[Exception]
) -> Iterator[bytes]:
    at = 0
    for _ in range(MOST_MEMBERS):
        member = new_member()
        while not member.eof:
            piece = body[at : at + _PIECE_BYTES]
            if not piece:
                raise _NotInCodingError
            at += len(piece)
            try:
                yield member.decompress(piece)
            except error:
                raise _NotInCodingError from None
        at -= len(member.unused_data)
        if at == len(body):
            return
    raise _NotInCodingError


def _gzip(body: bytes) -> Iterator[bytes]:
    return _members(body, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), zlib.error)


def _deflate(body: bytes) -> Iterator[bytes]:
    # RFC 9110 section 8.4.1.2: it is in zlib's format, but some senders leave that out. The
    # format's first byte says "deflate", and its first two are a multiple of 31 (RFC 1950 section
    # 2.2).
    has_header = body[:1] and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    bits = zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
    return _members(body, lambda: zlib.decompressobj(bits), zlib.error)


def _zstd(body: bytes) -> Iterator[bytes]:
    import zstandard  # late: most bodies are not coded, and each of the two takes 400 KiB

    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
    return _members(body, decompressor.decompressobj, zstandard.ZstdError)


def _brotli(body: bytes) -> Iterator[bytes]:
    import brotli

    decompressor = brotli.Decompressor()
    try:
        yield decompressor.process(body, output_buffer_limit=_BROTLI_BYTES)
        while not decompressor.is_finished():
            if decompressor.can_accept_more_data():  # but there is no more
                raise _NotInCodingError
            yield decompressor.process(b"", output_buffer_limit=_BROTLI_BYTES)
    except brotli.error:
        raise _NotInCodingError from None


_DECODERS: dict[bytes, Callable[[bytes], Iterator[bytes]]] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,  # RFC 9110 section 8.4.1.3
    b"deflate": _deflate,
    b"zstd": _zstd,
    b"br": _brotli,
}
