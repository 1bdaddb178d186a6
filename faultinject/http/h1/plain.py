"""Heads that have arrived whole and are plain: read and written without a state machine.

Most traffic is a request and an answer of a known length. Of such a pair the only state is how
many bytes of a body are still to come. What counts as plain is a strict part of what h11 accepts
(HTTP/1.1, tokens and visible characters, at most one Content-Length, no Transfer-Encoding,
nothing that changes what the connection is): for all else each function returns None and h11
decides. Tests hold the two against each other, message by message, because two parsers that
differ are how requests are smuggled.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from attrs import evolve

from faultinject.http.message import (
    Headers,
    Part,
    RequestHead,
    ResponseHead,
    SpacedValue,
    without_headers,
)

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# A value ends with its line: there is nothing to try again, however long it is.
_USUAL = _TOKEN + rb": [\x21-\x7e][\x20-\x7e]*+\r\n"
_ANY = _TOKEN + rb":[\t\x20-\x7e]*+\r\n"
# All lines, and within them those from the first that is not as nearly all programs write it.
_FIELDS = rb"((?:" + _USUAL + rb")*+((?:" + _ANY + rb")*+))\r\n"
_REQUEST = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([\x20-\x7e]*)\r\n" + _FIELDS)
_MOST_DIGITS = 15

# Fields that change how a message is framed, how it is answered, or what follows it.
_NEVER_PLAIN = frozenset({b"transfer-encoding", b"upgrade", b"expect"})
_PLAIN_ONCE = frozenset({b"connection", b"content-length", b"host"})
_BODYLESS_STATUSES = (204, 304)

HeadT = TypeVar("HeadT", RequestHead, ResponseHead)


class PlainHead(NamedTuple, Generic[HeadT]):
    """A head whose message is plain."""

    head: HeadT
    body_bytes: int
    """How many bytes of body follow it."""
    size: int
    """How many bytes it took itself."""


def read_request(data: bytes | bytearray, head_bytes: int) -> PlainHead[RequestHead] | None:
    """Read a plain request's head at the start of the data; None if there is none."""
    match = _REQUEST.match(data)
    if match is None or match.end() > head_bytes:
        return None
    method, target, lines, unusual = match.groups()
    headers, names = _headers(lines, unusual)
    head = RequestHead(method, target, headers).named(names)
    length = _request_length(head)
    if length is None or (method == b"CONNECT" and length):
        return None
    return PlainHead(head.read_from(lines, length), length, match.end())


def read_response(data: bytes | bytearray, head_bytes: int) -> PlainHead[ResponseHead] | None:
    """Read a plain response's head at the start of the data; None if there is none."""
    match = _RESPONSE.match(data)
    if match is None or match.end() > head_bytes:
        return None
    status, reason, lines, unusual = match.groups()
    headers, names = _headers(lines, unusual)
    head = ResponseHead(int(status), reason, headers).named(names)
    length = _response_length(head)
    if length is None or head.status in _BODYLESS_STATUSES:
        return None
    return PlainHead(head.read_from(lines, length), length, match.end())


def write_request(head: Part) -> tuple[bytes, int] | None:
    """Return a plain request's head as bytes, and its body's length; None if it is not plain."""
    if not isinstance(head, RequestHead) or head.http_version != b"1.1":
        return None
    if head.method in (b"CONNECT", b"HEAD"):  # their answers have another framing
        return None
    if (plain := head.plain) is not None:
        return head.encode(), plain[1]
    encoded = head.encode()
    if b" " in head.target or not _is_one_head(encoded, head.headers):
        return None
    length = _request_length(head)
    return None if length is None else (encoded, length)


def write_response(head: Part) -> tuple[bytes, int | None] | None:
    """Return a plain response's head as bytes, and its body's length; None if it is not plain.

    A response that goes out is plain, too, if its body is chunked: the length is None then.
    """
    if not isinstance(head, ResponseHead):
        return None
    if (plain := head.plain) is not None:
        return head.encode(), plain[1]
    if SpacedValue in [type(value) for _, value in head.headers]:  # to a cache as any other
        return _plain_response.__wrapped__(head)
    return _plain_response(head)


def _is_one_head(encoded: bytes, headers: Headers) -> bool:
    """Return True if no value contains a line of its own. h11 refuses the others."""
    return encoded.count(b"\n") == encoded.count(b"\r") == len(headers) + 2


def _headers(lines: bytes, unusual: bytes) -> tuple[Headers, tuple[bytes, ...]]:
    """Return the headers in lines, and their names.

    ``unusual`` are those lines that have another form than most.
    """
    if not unusual and b" \r" not in lines:
        # Without a call for each. No value may have a colon and a blank in it.
        split = lines.replace(b"\r\n", b": ").split(b": ")
        if len(split) == 2 * lines.count(b"\n") + 1:
            names = split[:-1:2]
            return tuple(zip(names, split[1::2], strict=True)), tuple(names)
    fields = [line.partition(b":") for line in lines.split(b"\r\n")[:-1]]
    headers = tuple([(name, SpacedValue.of(rest.strip(b" \t"), rest)) for name, _, rest in fields])
    return headers, tuple([name for name, _ in headers])


def _request_length(head: RequestHead) -> int | None:
    """Return how many bytes follow a plain request's head; None if it is not plain."""
    places = head.places
    if b"host" not in places or not _is_plain(head):
        return None
    place = places.get(b"content-length")
    return 0 if place is None else _number(head.headers[place][1])


def _response_length(head: ResponseHead) -> int | None:
    """Return how many bytes follow a plain response's head; None if it is not plain."""
    place = head.places.get(b"content-length")
    return None if place is None or not _is_plain(head) else _number(head.headers[place][1])


def _number(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= _MOST_DIGITS else None


def _is_plain(head: RequestHead | ResponseHead) -> bool:
    """Return True if nothing but a Content-Length says how the message is framed."""
    places, headers = head.places, head.headers
    if not _NEVER_PLAIN.isdisjoint(places):
        return False
    place = places.get(b"connection")
    if place is not None and headers[place][1].lower() != b"keep-alive":
        return False
    if len(places) == len(headers):  # none is there twice
        return True
    names = [name.lower() for name, _ in headers]
    return all(names.count(name) < 2 for name in _PLAIN_ONCE)


@lru_cache(maxsize=64)
def _plain_response(head: ResponseHead) -> tuple[bytes, int | None] | None:
    # Cached: an injected answer is the same for as long as its Date is.
    encoded = head.encode()
    if head.http_version != b"1.1" or head.status < 200 or head.status in _BODYLESS_STATUSES:
        return None
    if not _is_one_head(encoded, head.headers):
        return None
    if b"transfer-encoding" in head.places:
        chunks = [value for name, value in head.headers if name.lower() == b"transfer-encoding"]
        others = evolve(head, headers=without_headers(head.headers, b"transfer-encoding"))
        is_plain = chunks == [b"chunked"] and not head.has_header(b"content-length")
        return (encoded, None) if is_plain and _is_plain(others) else None
    length = _response_length(head)
    return None if length is None else (encoded, length)
