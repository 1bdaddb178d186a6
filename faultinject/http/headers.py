"""Makes the changes that a proxy must make to a head, and no others (RFC 9110 section 7.6)."""

from __future__ import annotations

from typing import overload
from urllib.parse import urlsplit

from attrs import define, evolve

from faultinject.authority import HTTP_PORT, HTTPS_PORT, Authority
from faultinject.errors import ClientProtocolError
from faultinject.http.h1.framing import unambiguous
from faultinject.http.message import (
    End,
    Headers,
    Part,
    RequestHead,
    ResponseHead,
    header_tokens,
    without_headers,
)

MARKER = b"X-Faultinject"
"""Header of an injected response; its value is the id of the rule that fired."""


# Fields for the proxy itself: with the first, old clients ask a proxy to keep the connection; the
# second has the user's password for the proxy.
_FOR_THE_PROXY = (b"proxy-connection", b"proxy-authorization")

_HAS_USER = (
    "the request target has a user in front of its host, which no request may have: send user and"
    " password in an Authorization header"
)

_SECRETIVE = frozenset(b"@;&=")

_DEFAULT_PORTS = {"http": HTTP_PORT, "https": HTTPS_PORT}


def split_absolute(head: RequestHead) -> tuple[bool, Authority, RequestHead]:
    """Return whether an absolute-form request wants TLS, where it goes, and its origin form.

    Raises `ClientProtocolError` if the target is not an ``http`` or ``https`` URL with a valid
    host, or if it has a user, which may disguise the host (RFC 9110 section 4.2.4).
    """
    try:
        default_port, netloc = _split_url(head.target.decode("ascii"))
        if "@" in netloc:
            raise ClientProtocolError(_HAS_USER)
        authority = Authority.parse(netloc, default_port)
    except ValueError as error:
        # A URL that cannot be read may have a password or a key anywhere.
        is_harmless = _SECRETIVE.isdisjoint(head.target)
        reason = error if is_harmless else "it is not a URL with a host and a port"
        raise ClientProtocolError(f"the request target cannot be used: {reason}") from None
    headers = without_headers(head.headers, *_FOR_THE_PROXY)
    origin_form = evolve(head, target=_origin_target(head, len(netloc)), headers=headers)
    tls = default_port == HTTPS_PORT
    return tls, authority, addressed_to(origin_form, authority, default_port)


def _split_url(target: str) -> tuple[int, str]:
    url = urlsplit(target)
    default_port = _DEFAULT_PORTS.get(url.scheme)
    if default_port is None or not url.netloc:
        raise ValueError("only http:// and https:// URLs can be asked for")
    return default_port, url.netloc


def _origin_target(head: RequestHead, authority_length: int) -> bytes:
    """Return what follows the authority in an absolute-form target, unchanged.

    It is cut from the bytes, because the parts of a parsed URL do not tell an empty query from
    none.
    """
    rest = head.target.partition(b"://")[2][authority_length:]
    if not rest and head.method == b"OPTIONS":
        return b"*"  # RFC 9112 section 3.2.4
    return rest if rest.startswith(b"/") else b"/" + rest


def addressed_to(head: RequestHead, authority: Authority, default_port: int) -> RequestHead:
    """Return the request with the Host header for this authority, at its old place."""
    host = str(authority)
    if authority.port == default_port:
        host = host.rpartition(":")[0]
    if not head.has_header(b"host"):  # in HTTP/1.0 it is optional
        return evolve(head, headers=((b"Host", host.encode()), *head.headers))
    return head.with_host(host.encode())


def uncompressed(request: RequestHead) -> RequestHead:
    """Return the request changed to ask for an answer that is not compressed.

    The header is kept, because without it an answer may have any coding (RFC 9110 section 12.5.3).
    If there are several, they are one list, so all get the same value.
    """
    return evolve(
        request,
        headers=tuple(
            (name, b"identity" if name.lower() == b"accept-encoding" else value)
            for name, value in request.headers
        ),
    )


def is_encoded(head: ResponseHead) -> bool:
    """Return True if the body is compressed, or otherwise encoded (RFC 9110 section 8.4)."""
    codings = [
        coding.strip().lower()
        for name, value in head.headers
        if name.lower() == b"content-encoding"
        for coding in value.split(b",")
    ]
    return any(coding not in (b"", b"identity") for coding in codings)


_ALWAYS = frozenset({b"keep-alive", b"proxy-connection", b"http2-settings"})
"""Fields that are removed whether Connection names them or not."""

_FILTERED = frozenset({b"connection", b"te", b"upgrade"})
"""Fields of which a part may pass."""

_ENDS_HERE = _ALWAYS | _FILTERED

_PERSISTENCE = frozenset({b"close", b"keep-alive"})
"""Words of Connection that pass, because they are true for the next hop too."""

_NOT_PLAIN = _ENDS_HERE - {b"connection"}
"""Fields that a head must not have that passes whole. In a plain one Connection is no more than
keep-alive (`faultinject.http.h1.plain`)."""

_NEEDED = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
"""Fields that stay even if Connection names them. Without them the next hop would read the message
differently, or would never ask for its body."""

_PASSED_UPGRADES = {
    RequestHead: frozenset({b"websocket"}),
    ResponseHead: frozenset({b"websocket", b"http/1.1"}),
}
"""Upgrades that may be requested and offered. A WebSocket needs only a relay of bytes. A server
that wants HTTP/1.1, as with a 426, gets it from us."""

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
        b"x-faultinject",  # our own, which nobody else may send as a trailer
        b"x-faultinject-error",
    }
)
"""Fields for framing, routing, authentication, or how to read the body. In a trailer they are too
late, and harmful if a receiver uses them (RFC 9110 section 6.5.1)."""


def asks_for_websocket(request: RequestHead) -> bool:
    """Return True if a client asks to upgrade to a WebSocket (RFC 6455 section 4.1)."""
    if not request.has_header(b"upgrade"):
        return False
    return b"websocket" in header_tokens(request.headers, b"upgrade")


def wrong_switch(request: RequestHead, answer: ResponseHead) -> str | None:
    """Return what is wrong if a 101 switches to another protocol than the request asked for.

    It must name a protocol, and only ones that were asked for (RFC 9110 section 7.8).
    """
    if answer.status != 101:
        return None
    offered = header_tokens(request.headers, b"upgrade")
    switched = header_tokens(answer.headers, b"upgrade") - {b""}
    if switched and switched <= offered:
        return None
    others = sorted(each.decode("ascii", "backslashreplace") for each in switched - offered)
    other = ", ".join(others)
    return f"it switches to {other[:_MOST_SHOWN] or 'no protocol'}, which nobody asked for"


_MOST_SHOWN = 100


@define(eq=False, repr=False)
class HopByHopFilter:
    """Filters one message, part by part. Interim responses may come before its head."""

    _named: frozenset[bytes] = frozenset()
    """The fields that the head's Connection names, which are removed from trailers too."""

    @overload
    def filter(self, part: RequestHead) -> RequestHead: ...
    @overload
    def filter(self, part: ResponseHead) -> ResponseHead: ...
    @overload
    def filter(self, part: Part) -> Part: ...

    def filter(self, part: Part) -> Part:
        """Return a part as it is sent on."""
        if isinstance(part, bytes):
            return part
        if isinstance(part, End):
            return self._end(part) if part.trailers else part
        return self._head(part)

    def _end(self, end: End) -> End:
        return End(without_headers(end.trailers, *_NOT_IN_TRAILERS, *self._named))

    def _head(self, head: RequestHead | ResponseHead) -> RequestHead | ResponseHead:
        self._named = frozenset()
        if head.plain is not None and _NOT_PLAIN.isdisjoint(head.places):
            return head  # all of it passes, as with nearly all clients and servers
        if head.http_version > b"1.1":
            head = evolve(head, http_version=b"1.1")  # our own (RFC 9110 section 6.2)
        names = head.names
        if not names.isdisjoint(_ENDS_HERE):
            named = header_tokens(head.headers, b"connection")
            self._named = frozenset(named - _NEEDED)
            if named <= _PERSISTENCE and names.isdisjoint((_ENDS_HERE | named) - {b"connection"}):
                return unambiguous(head)  # all of it passes, as with nearly all clients
            upgrades = _PASSED_UPGRADES[type(head)]
            head = evolve(head, headers=_end_to_end(head.headers, self._named, upgrades))
        return unambiguous(head)


def _end_to_end(headers: Headers, named: frozenset[bytes], upgrades: frozenset[bytes]) -> Headers:
    """Return the headers that are sent on, in their order and case."""
    headers = without_headers(headers, *_ALWAYS, *(named - _FILTERED))
    headers = _filtered(headers, b"te", frozenset({b"trailers"}))
    headers = _filtered(headers, b"upgrade", upgrades)
    left = {name.lower() for name, _ in headers} & {b"te", b"upgrade"}
    headers = _filtered(headers, b"connection", _PERSISTENCE | left)
    if b"te" in left and b"te" not in named:  # TE needs it (RFC 9110 section 10.1.4)
        headers += ((b"Connection", b"TE"),)
    return headers


def _filtered(headers: Headers, name: bytes, kept: frozenset[bytes]) -> Headers:
    """Return the headers with only these words in fields of a name; empty fields are removed."""
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
