"""What must change in a head that a proxy passes on, and nothing else."""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import evolve

from faultinject.authority import HTTP_PORT, HTTPS_PORT, Authority
from faultinject.errors import ClientProtocolError
from faultinject.http.message import (
    Headers,
    RequestHead,
    ResponseHead,
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
    """Say whether the body is compressed, or otherwise encoded (RFC 9110 section 8.4)."""
    codings = [
        coding.strip().lower()
        for name, value in head.headers
        if name.lower() == b"content-encoding"
        for coding in value.split(b",")
    ]
    return any(coding not in (b"", b"identity") for coding in codings)
