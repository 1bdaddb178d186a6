"""What must change in a head that a proxy passes on, and nothing else (RFC 9110 section 7.6)."""

from __future__ import annotations

from typing import overload
from urllib.parse import urlsplit

from attrs import define, evolve

from faultinject.authority import HTTP_PORT, HTTPS_PORT, Authority
from faultinject.errors import ClientProtocolError
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


# Meant for the proxy itself: the first is how old clients ask a proxy to keep alive, the other
# holds the user's password for it.
_FOR_THE_PROXY = (b"proxy-connection", b"proxy-authorization")

_HAS_USER = (
    "the request target has a user in front of its host, which no request may have: send user and"
    " password in an Authorization header"
)

_SECRETIVE = frozenset(b"@;&=")

_DEFAULT_PORTS = {"http": HTTP_PORT, "https": HTTPS_PORT}


def split_absolute(head: RequestHead) -> tuple[bool, Authority, RequestHead]:
    """Return whether an absolute-form request wants TLS, where it goes, and its origin form.

    Raises `ClientProtocolError` if the target is no ``http`` or ``https`` URL of a usable host, or
    has a user in it, which may hide whose host it is (RFC 9110 section 4.2.4).
    """
    try:
        default_port, netloc = _split_url(head.target.decode("ascii"))
        if "@" in netloc:
            raise ClientProtocolError(_HAS_USER)
        authority = Authority.parse(netloc, default_port)
    except ValueError as error:
        # Where a password or a key begins and ends is not known in a URL that cannot be read.
        is_harmless = _SECRETIVE.isdisjoint(head.target)
        reason = error if is_harmless else "it is no URL of a host and a port"
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
    """Return what follows the authority in an absolute-form target, to the byte.

    Taken from the bytes and not put together from the URL's parts, which do not tell an empty
    query from none.
    """
    rest = head.target.partition(b"://")[2][authority_length:]
    if not rest and head.method == b"OPTIONS":
        return b"*"  # RFC 9112 section 3.2.4
    return rest if rest.startswith(b"/") else b"/" + rest


def addressed_to(head: RequestHead, authority: Authority, default_port: int) -> RequestHead:
    """Return the request with the Host header that this authority expects, in its place."""
    host = str(authority)
    if authority.port == default_port:
        host = host.rpartition(":")[0]
    if not head.has_header(b"host"):  # HTTP/1.0, where it was no duty
        return evolve(head, headers=((b"Host", host.encode()), *head.headers))
    headers = tuple(
        (name, host.encode() if name.lower() == b"host" else value) for name, value in head.headers
    )
    return evolve(head, headers=headers)


def unambiguous(head: RequestHead | ResponseHead) -> RequestHead | ResponseHead:
    """Return the head without a Content-Length that chunks overrule.

    RFC 9112 section 6.3 wants it removed before the message goes on: two lengths in one message
    are how requests are smuggled.
    """
    if head.chunked and head.has_header(b"content-length"):
        return evolve(head, headers=without_headers(head.headers, b"content-length"))
    return head


_CHUNKED: Headers = ((b"Transfer-Encoding", b"chunked"),)


def reframed(head: ResponseHead) -> ResponseHead:
    """Return the head of a body whose length is not known: it comes in chunks.

    The answer of an HTTP/1.0 peer can have none (RFC 9112 section 6.1): it ends with the
    connection. Whether the one who gets the head can read chunks is for its sender to see to.
    """
    if not head.has_header(b"content-length"):
        return head
    headers = without_headers(head.headers, b"content-length")
    if not head.chunked and head.http_version >= b"1.1":
        headers += _CHUNKED
    return evolve(head, headers=headers)


def uncompressed(request: RequestHead) -> RequestHead:
    """Return the request without its wish for a compressed answer.

    Without the header an answer could have any coding (RFC 9110 section 12.5.3), and the values
    of several are one list: all get the same word.
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
class HopByHopFilter:
    """One message on its way through, part by part; interim responses may come before its head."""

    _named: frozenset[bytes] = frozenset()
    """What the head's Connection names: it holds for trailers, too."""

    @overload
    def filter(self, part: RequestHead) -> RequestHead: ...
    @overload
    def filter(self, part: ResponseHead) -> ResponseHead: ...
    @overload
    def filter(self, part: Part) -> Part: ...

    def filter(self, part: Part) -> Part:
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
