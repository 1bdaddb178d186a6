"""Reads and writes messages that are complete and plain, without a state machine.

Most traffic is a short request that arrives in one read, and a short answer that is sent in one
write. Such a pair needs no state. What counts as plain is a strict subset of what h11 accepts:
HTTP/1.1, tokens and visible characters, at most one Content-Length, no Transfer-Encoding, and
nothing that changes the connection. For everything else each function returns None, and h11
decides. Tests compare the two parsers message by message, because requests can be smuggled if they
differ.

This module does no I/O.
"""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import frozen

from faultinject.http.message import End, Headers, Part, RequestHead, ResponseHead, SpacedValue

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rb"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?"
# The spaces before a value are matched possessively. With backtracking, a field of 64 KiB of spaces
# would block everything for seconds.
_FIELDS = rb"((?:" + _TOKEN + rb":[ \t]*+(?:" + _VALUE + rb")?[ \t]*\r\n)*)\r\n"
_REQUEST = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([\x20-\x7e]*)\r\n" + _FIELDS)
_LENGTH = re.compile(rb"[0-9]{1,15}")

# Fields that change how a message is framed, how it is answered, or what follows it.
_DECISIVE = frozenset(
    {b"transfer-encoding", b"connection", b"upgrade", b"expect", b"content-length", b"host"}
)
_BODYLESS_STATUSES = (204, 304)

_END = End()


@frozen
class PlainMessage:
    """A message and how many bytes it took."""

    parts: tuple[Part, ...]
    body_bytes: int
    size: int


def read_request(data: bytes | bytearray, head_bytes: int) -> PlainMessage | None:
    """Read a complete, plain request at the start of the data; None if there is none."""
    match = _REQUEST.match(data)
    if match is None or match.end() > head_bytes:
        return None
    method, target, block = match.groups()
    headers = _headers(block)
    length = _body_length(headers, needs_host=True)
    if length is None or (method == b"CONNECT" and length):
        return None
    return _whole(RequestHead(method, target, headers), data, match.end(), length)


def read_response(data: bytes | bytearray, head_bytes: int) -> PlainMessage | None:
    """Read a complete, plain response that is all of the data; None if it is not that."""
    match = _RESPONSE.match(data)
    if match is None or match.end() > head_bytes:
        return None
    status, reason, block = match.groups()
    headers = _headers(block)
    length = _body_length(headers, needs_host=False)
    if length is None or int(status) in _BODYLESS_STATUSES or not _has_length(headers):
        return None
    whole = _whole(ResponseHead(int(status), reason, headers), data, match.end(), length)
    return whole if whole is not None and whole.size == len(data) else None


def write_request(parts: tuple[Part, ...]) -> bytes | None:
    """Return a request's bytes if the parts are a complete, plain one, else None."""
    head = parts[0]
    if not isinstance(head, RequestHead) or head.http_version != b"1.1":
        return None
    if head.method in (b"CONNECT", b"HEAD"):  # their answers have another framing
        return None
    encoded = head.encode()
    if b" " in head.target or not _is_one_head(encoded, head.headers):
        return None
    length = _body_length(head.headers, needs_host=True)
    return _joined(encoded, parts[1:], length)


def write_response(parts: tuple[Part, ...]) -> bytes | None:
    """Return a response's bytes if the parts are a complete, plain one, else None."""
    head = parts[0]
    if not isinstance(head, ResponseHead):
        return None
    if SpacedValue in [type(value) for _, value in head.headers]:  # for the cache equal to bytes
        encoded, length = _plain_response.__wrapped__(head)
    else:
        encoded, length = _plain_response(head)
    return _joined(encoded, parts[1:], length)


def _is_one_head(encoded: bytes, headers: Headers) -> bool:
    """Return True if no value contains a line of its own. h11 refuses the others."""
    return encoded.count(b"\n") == encoded.count(b"\r") == len(headers) + 2


def _joined(head: bytes, rest: tuple[Part, ...], length: int | None) -> bytes | None:
    """Return head and body in one piece, if the rest is a body of exactly that length."""
    if length is None or not rest or rest[-1] != _END:
        return None
    pieces = [part for part in rest[:-1] if isinstance(part, bytes)]
    body = b"".join(pieces)
    return head + body if len(body) == length and len(pieces) == len(rest) - 1 else None


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


def _has_length(headers: Headers) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)


def _body_length(headers: Headers, *, needs_host: bool) -> int | None:
    """Return the length of the body after a plain head (0 by default); None if it is not plain."""
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
    return None if needs_host and hosts != 1 else length or 0


def _whole(
    head: RequestHead | ResponseHead, data: bytes | bytearray, start: int, length: int
) -> PlainMessage | None:
    end = start + length
    if len(data) < end:
        return None
    parts: tuple[Part, ...] = (head, bytes(data[start:end]), End()) if length else (head, End())
    return PlainMessage(parts, length, end)


@lru_cache(maxsize=64)
def _plain_response(head: ResponseHead) -> tuple[bytes, int | None]:
    # Cached, because an injected answer stays the same as long as its Date does.
    encoded = head.encode()
    plain = (
        _is_one_head(encoded, head.headers)
        and head.http_version == b"1.1"
        and head.status >= 200
        and head.status not in _BODYLESS_STATUSES
        and _has_length(head.headers)
    )
    return encoded, _body_length(head.headers, needs_host=False) if plain else None
