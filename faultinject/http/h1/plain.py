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
_FIELDS = rb"((?:" + _TOKEN + rb":[\t\x20-\x7e]*+\r\n)*+)\r\n"
_REQUEST = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([\x20-\x7e]*)\r\n" + _FIELDS)
_LENGTH = re.compile(rb"[0-9]{1,15}")

# Fields that change how a message is framed, how it is answered, or what follows it.
_DECISIVE = frozenset(
    {b"transfer-encoding", b"connection", b"upgrade", b"expect", b"content-length", b"host"}
)
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
    method, target, block = match.groups()
    headers = _headers(block)
    length = _request_length(headers)
    if length is None or (method == b"CONNECT" and length):
        return None
    head = RequestHead(method, target, headers).written_as(block)
    return PlainHead(head, length, match.end())


def read_response(data: bytes | bytearray, head_bytes: int) -> PlainHead[ResponseHead] | None:
    """Read a plain response's head at the start of the data; None if there is none."""
    match = _RESPONSE.match(data)
    if match is None or match.end() > head_bytes:
        return None
    status, reason, block = match.groups()
    headers = _headers(block)
    length = _response_length(headers)
    if length is None or int(status) in _BODYLESS_STATUSES:
        return None
    return PlainHead(ResponseHead(int(status), reason, headers), length, match.end())


def write_request(head: Part) -> tuple[bytes, int] | None:
    """Return a plain request's head as bytes, and its body's length; None if it is not plain."""
    if not isinstance(head, RequestHead) or head.http_version != b"1.1":
        return None
    if head.method in (b"CONNECT", b"HEAD"):  # their answers have another framing
        return None
    encoded = head.encode()
    if b" " in head.target or not _is_one_head(encoded, head.headers):
        return None
    length = _request_length(head.headers)
    return None if length is None else (encoded, length)


def write_response(head: Part) -> tuple[bytes, int | None] | None:
    """Return a plain response's head as bytes, and its body's length; None if it is not plain.

    A response that goes out is plain, too, if its body is chunked: the length is None then.
    """
    if not isinstance(head, ResponseHead):
        return None
    if SpacedValue in [type(value) for _, value in head.headers]:  # to a cache as any other
        return _plain_response.__wrapped__(head)
    return _plain_response(head)


def _is_one_head(encoded: bytes, headers: Headers) -> bool:
    """Return True if no value contains a line of its own. h11 refuses the others."""
    return encoded.count(b"\n") == encoded.count(b"\r") == len(headers) + 2


def _headers(block: bytes) -> Headers:
    fields = [line.partition(b":") for line in block.split(b"\r\n")[:-1]]
    # The usual form needs no call for each field.
    return tuple(
        [
            (name, value if rest == b" " + value else SpacedValue.of(value, rest))
            for name, _, rest in fields
            for value in (rest.strip(b" \t"),)
        ]
    )


def _request_length(headers: Headers) -> int | None:
    """Return how many bytes follow a plain request's head; None if it is not plain."""
    framing = _framing(headers)
    return framing[0] or 0 if framing is not None and framing[1] == 1 else None


def _response_length(headers: Headers) -> int | None:
    """Return how many bytes follow a plain response's head; None if it is not plain."""
    framing = _framing(headers)
    return None if framing is None else framing[0]


def _framing(headers: Headers) -> tuple[int | None, int] | None:
    """Return the Content-Length and the number of Host fields; None if the rest is not plain."""
    length, hosts = None, 0
    for name, value in headers:
        lower = name.lower()
        if lower not in _DECISIVE:
            continue
        if lower == b"host":
            hosts += 1
        elif lower == b"content-length" and length is None and _LENGTH.fullmatch(value):
            length = int(value)
        elif lower != b"connection" or value.lower() != b"keep-alive":
            return None
    return length, hosts


@lru_cache(maxsize=64)
def _plain_response(head: ResponseHead) -> tuple[bytes, int | None] | None:
    # Cached: an injected answer is the same for as long as its Date is.
    encoded = head.encode()
    if head.http_version != b"1.1" or head.status < 200 or head.status in _BODYLESS_STATUSES:
        return None
    if not _is_one_head(encoded, head.headers):
        return None
    chunks = [value for name, value in head.headers if name.lower() == b"transfer-encoding"]
    if chunks:
        others = without_headers(head.headers, b"transfer-encoding")
        is_plain = chunks == [b"chunked"] and _framing(others) == (None, 0)
        return (encoded, None) if is_plain else None
    length = _response_length(head.headers)
    return None if length is None else (encoded, length)
