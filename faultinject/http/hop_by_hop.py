"""What of a message is for the next hop alone, and so ends here (RFC 9110 section 7.6.1).

A connection to us has nothing to do with the one that we ask on: what a peer says about its
connection must not reach the peer behind us. All other fields pass as they are.
"""

from __future__ import annotations

from typing import overload

from attrs import define, evolve

from faultinject.http.headers import unambiguous
from faultinject.http.message import (
    End,
    Headers,
    Part,
    RequestHead,
    ResponseHead,
    header_tokens,
    without_headers,
)

_ALWAYS = frozenset({b"keep-alive", b"proxy-connection", b"http2-settings"})
"""Fields that end here whether Connection names them or not."""

_FILTERED = frozenset({b"connection", b"te", b"upgrade"})
"""Fields of which a part may pass."""

_ENDS_HERE = _ALWAYS | _FILTERED

_PERSISTENCE = frozenset({b"close", b"keep-alive"})
"""Words of Connection that pass, for they hold for the next hop as well."""

_NEEDED = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
"""Fields that stay even if Connection names them: without them the next hop would read another
message than we did, or never ask for its body."""

_PASSED_UPGRADES = {
    RequestHead: frozenset({b"websocket"}),
    ResponseHead: frozenset({b"websocket", b"http/1.1"}),
}
"""What may be asked for and offered. A WebSocket can be passed on: a relay of bytes is all it
needs. That a server wants plain HTTP/1.1, as with a 426, is true of us, too."""

UPGRADE_TO_HTTP: Headers = ((b"Upgrade", b"HTTP/1.1"), (b"Connection", b"Upgrade"))
"""What a 426 to a WebSocket says, for it must name a protocol (RFC 9110 section 15.5.22)."""

_NOT_IN_TRAILERS = (
    _ALWAYS
    | _FILTERED
    | _NEEDED
    | {
        b"trailer",
        b"authorization",
        b"cookie",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"set-cookie",
        b"www-authenticate",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"x-faultinject",  # our own words, which nobody else may say so late
        b"x-faultinject-error",
    }
)
"""Fields that frame, route, authenticate, or say how a body is to be read: too late in a trailer,
and a receiver that heeds them there does harm (RFC 9110 section 6.5.1)."""


def asks_for_websocket(request: RequestHead) -> bool:
    """Return whether a client wants to go on with a WebSocket (RFC 6455 section 4.1)."""
    return b"websocket" in header_tokens(request.headers, b"upgrade")


def wrong_switch(request: RequestHead, answer: ResponseHead) -> str | None:
    """Say what is wrong if a 101 switches to another protocol than its request asked for.

    RFC 9110 section 7.8: it must name one, and none that was not asked for.
    """
    if answer.status != 101:
        return None
    asked = header_tokens(request.headers, b"upgrade")
    switched = header_tokens(answer.headers, b"upgrade") - {b""}
    if switched and switched <= asked:
        return None
    other = ", ".join(sorted(each.decode("ascii", "backslashreplace") for each in switched - asked))
    return f"it switches to {other[:_MOST_SHOWN] or 'no protocol'}, which nobody asked for"


_MOST_SHOWN = 100


@define(eq=False)
class Passage:
    """One message on its way through, part by part; interim responses may come before its head."""

    _named: frozenset[bytes] = frozenset()
    """What the head's Connection names: it holds for trailers, too."""

    @overload
    def passed(self, part: RequestHead) -> RequestHead: ...
    @overload
    def passed(self, part: ResponseHead) -> ResponseHead: ...
    @overload
    def passed(self, part: Part) -> Part: ...

    def passed(self, part: Part) -> Part:
        """Return a part as it goes on."""
        if isinstance(part, bytes):
            return part
        if isinstance(part, End):
            return self._end(part) if part.trailers else part
        return self._head(part)

    def _end(self, end: End) -> End:
        return End(without_headers(end.trailers, *_NOT_IN_TRAILERS, *self._named))

    def _head(self, head: RequestHead | ResponseHead) -> RequestHead | ResponseHead:
        self._named = frozenset()
        if head.http_version > b"1.1":
            head = evolve(head, http_version=b"1.1")  # our own (RFC 9110 section 6.2)
        names = {name.lower() for name, _ in head.headers}
        if not names.isdisjoint(_ENDS_HERE):
            named = header_tokens(head.headers, b"connection")
            self._named = frozenset(named - _NEEDED)
            if named <= _PERSISTENCE and names.isdisjoint((_ENDS_HERE | named) - {b"connection"}):
                return unambiguous(head)  # as of nearly all clients: all of it passes
            upgrades = _PASSED_UPGRADES[type(head)]
            head = evolve(head, headers=_end_to_end(head.headers, self._named, upgrades))
        return unambiguous(head)


def _end_to_end(headers: Headers, named: frozenset[bytes], upgrades: frozenset[bytes]) -> Headers:
    """Return the headers that go on, in their order and case."""
    headers = without_headers(headers, *_ALWAYS, *(named - _FILTERED))
    headers = _filtered(headers, b"te", frozenset({b"trailers"}))
    headers = _filtered(headers, b"upgrade", upgrades)
    left = {name.lower() for name, _ in headers} & {b"te", b"upgrade"}
    headers = _filtered(headers, b"connection", _PERSISTENCE | left)
    if b"te" in left and b"te" not in named:  # its sender owes it (RFC 9110 section 10.1.4)
        headers += ((b"Connection", b"TE"),)
    return headers


def _filtered(headers: Headers, name: bytes, kept: frozenset[bytes]) -> Headers:
    """Return the headers with only these words in the fields of that name, and none empty."""
    result = []
    for key, value in headers:
        if key.lower() == name:
            words = [word.strip() for word in value.split(b",")]
            left = [word for word in words if word.lower() in kept]
            if not left:
                continue
            if left != words:
                value = b", ".join(left)
        result.append((key, value))
    return tuple(result)
