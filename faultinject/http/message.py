"""HTTP messages and their parts as values, and the reason phrases of statuses."""

from __future__ import annotations

from collections.abc import Iterable, KeysView
from functools import lru_cache
from http import HTTPStatus
from typing import Self

from attrs import define, frozen

Headers = tuple[tuple[bytes, bytes], ...]
"""Names and values in order, each name in its sender's case."""


def find_header(headers: Headers, name: bytes) -> bytes | None:
    """Return the value of the first header of that (lower-case) name."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def header_tokens(headers: Headers, name: bytes) -> set[bytes]:
    """Return the comma-separated words of every header of that name, in lower case."""
    return {
        token.strip().lower()
        for key, value in headers
        if key.lower() == name
        for token in value.split(b",")
    }


def without_headers(headers: Headers, *names: bytes) -> Headers:
    """Return the headers without those of the given (lower-case) names."""
    return tuple(item for item in headers if item[0].lower() not in names)


class SpacedValue(bytes):
    """A header's value that was not written with exactly one space before it and none after it.

    To code that reads it, it is only the value. It is sent as it came.
    """

    rest: bytes
    """The bytes after the colon."""

    @staticmethod
    def of(value: bytes, rest: bytes) -> bytes:
        """Return a value that was written as ``rest``; plain bytes if that is the usual form."""
        if len(rest) == len(value) + 1 and rest.startswith(b" "):
            return value
        spaced = SpacedValue(value)
        spaced.rest = rest
        return spaced


def header_lines(headers: Headers) -> bytes:
    """Return headers as bytes, as they are sent."""
    return b"".join(
        [
            b"%s:%s\r\n" % (name, value.rest)
            if type(value) is SpacedValue
            else b"%s: %s\r\n" % (name, value)
            for name, value in headers
        ]
    )


_REMEMBERED_NAMES = 64
_REMEMBERED_BYTES = 1024


@lru_cache(maxsize=128)
def _places_of(names: tuple[bytes, ...]) -> dict[bytes, int]:
    """Return the first place of each name; a program sends the same names again and again."""
    places = reversed(range(len(names)))
    return {name.lower(): place for name, place in zip(reversed(names), places, strict=True)}


def _remembered_places(names: tuple[bytes, ...]) -> dict[bytes, int]:
    """Return the first place of each name, from memory unless they are very long."""
    is_short = len(names) <= _REMEMBERED_NAMES and len(b"".join(names)) <= _REMEMBERED_BYTES
    return _places_of(names) if is_short else _places_of.__wrapped__(names)


class _Head:
    """What heads of requests and responses share."""

    __slots__ = ("_places", "_plain")
    _places: dict[bytes, int]
    _plain: tuple[bytes, int]
    headers: Headers

    @property
    def plain(self) -> tuple[bytes, int] | None:
        """The bytes of the headers as they came, and the length of the body that they state.

        None if the head is not as a peer sent it, but for its Host, or is not plain
        (`faultinject.http.h1.plain`).
        """
        try:
            return self._plain
        except AttributeError:  # it was not read so
            return None

    def named(self, names: tuple[bytes, ...]) -> Self:
        """Note the names of the headers, in their order, as they were read; return the head."""
        self._places = _remembered_places(names)
        return self

    def named_as(self, other: _Head) -> Self:
        """Note that the headers have the same names as another head's; return the head."""
        self._places = other.places
        return self

    def read_from(self, data: bytes, body_bytes: int) -> Self:
        """Note from which bytes the headers were read, as `plain` has it; return the head."""
        self._plain = data, body_bytes
        return self

    @property
    def fingerprint(self) -> int:
        """A number that is the same for equal headers that were written alike."""
        try:
            return hash(self._plain[0])
        except AttributeError:  # as of `plain`
            return hash(self.headers)

    @property
    def names(self) -> KeysView[bytes]:
        """The names of the headers, in lower case."""
        return self.places.keys()

    @property
    def places(self) -> dict[bytes, int]:
        """The place of the first header of each name, which is in lower case. Do not change it."""
        try:
            return self._places
        except AttributeError:  # asked for the first time
            self.named(tuple([name for name, _ in self.headers]))
            return self._places

    def find(self, name: bytes) -> bytes | None:
        """Return the value of the first header of that (lower-case) name."""
        place = self.places.get(name)
        return None if place is None else self.headers[place][1]

    def has_header(self, name: bytes) -> bool:
        """Return True if there is a header of that (lower-case) name."""
        return name in self.places

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks (RFC 9112 section 6.1)."""
        return b"transfer-encoding" in self.places and b"chunked" in header_tokens(
            self.headers, b"transfer-encoding"
        )

    def _lines(self) -> bytes:
        """Return the headers as they are sent, and the empty line behind them."""
        plain = self.plain
        return (header_lines(self.headers) if plain is None else plain[0]) + b"\r\n"


# Nobody changes a head. They are not `frozen`, because to make one then takes four times as long.


@define(unsafe_hash=True)
class RequestHead(_Head):
    """A request without its body."""

    method: bytes
    target: bytes
    headers: Headers
    http_version: bytes = b"1.1"

    def encode(self) -> bytes:
        """Return the head as bytes (RFC 9112 section 3)."""
        line = b"%s %s HTTP/%s\r\n" % (self.method, self.target, self.http_version)
        return line + self._lines()

    def with_host(self, value: bytes) -> RequestHead:
        """Return the request with another value in its Host header; a plain one stays plain."""
        if (plain := self.plain) is not None:  # it has one Host header
            place = self.places[b"host"]
            name, old = self.headers[place]
            line = b"\r\n%s: %s\r\n"
            before, found, behind = (b"\r\n" + plain[0]).partition(line % (name, old))
            if found:
                headers = (*self.headers[:place], (name, value), *self.headers[place + 1 :])
                head = RequestHead(self.method, self.target, headers, self.http_version)
                lines = before + line % (name, value) + behind
                return head.named_as(self).read_from(lines.removeprefix(b"\r\n"), plain[1])
        changed = [(n, value if n.lower() == b"host" else old) for n, old in self.headers]
        return RequestHead(self.method, self.target, tuple(changed), self.http_version)


@define(unsafe_hash=True, cache_hash=True)
class ResponseHead(_Head):
    """A response, or an interim one (1xx), without its body."""

    status: int
    reason: bytes
    headers: Headers
    http_version: bytes = b"1.1"

    @property
    def interim(self) -> bool:
        """Whether another head follows for the same request (RFC 9110 section 15.2)."""
        return self.status < 200

    def encode(self) -> bytes:
        """Return the head as bytes (RFC 9112 section 4)."""
        line = b"HTTP/%s %d %s\r\n" % (self.http_version, self.status, self.reason)
        return line + self._lines()


CONTINUE = ResponseHead(100, b"Continue", ())
"""Asks for the body that a client holds back (RFC 9110 section 15.2.1)."""


@frozen
class End:
    """The end of a message, with its trailers."""

    trailers: Headers = ()


BodyPart = bytes | End
Head = RequestHead | ResponseHead
Part = Head | BodyPart


def body_size(parts: Iterable[Part]) -> int:
    """Return the number of body bytes in parts of a message."""
    size = 0
    for part in parts:
        if isinstance(part, bytes):
            size += len(part)
    return size


_RENAMED = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}  # by RFC 9110; `http` follows from Python 3.13 on


def standard_phrase(status: int) -> str:
    """Return the registered reason phrase of a status; "Error" if there is none."""
    if status in _RENAMED:
        return _RENAMED[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
