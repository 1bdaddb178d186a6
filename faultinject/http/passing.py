"""What must change in a head that a proxy passes on, and nothing else.

RFC 9110 section 7.6 (forwarding) and RFC 9112 section 3.2 (request targets). Knows nothing of
where the head goes.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import evolve

from faultinject.authority import HTTP_PORT, Authority
from faultinject.errors import PeerProtocolError
from faultinject.http.message import Headers, RequestHead, ResponseHead, without_headers

# Meant for the proxy itself: the first two are how old clients ask a proxy to keep alive, the
# last holds the user's password for it.
_FOR_THE_PROXY = (b"proxy-connection", b"proxy-authorization")


def split_absolute(head: RequestHead) -> tuple[Authority, RequestHead]:
    """Return where an absolute-form request goes, and the request in origin form.

    Raises `PeerProtocolError` if the target is no ``http://`` URL of a usable host.
    """
    try:
        url = urlsplit(head.target.decode("ascii"))
        if url.scheme.lower() != "http" or not url.netloc:
            raise ValueError("only http:// URLs can be asked for without CONNECT")
        authority = Authority.parse(url.netloc.rpartition("@")[2], HTTP_PORT)
    except ValueError as error:
        raise PeerProtocolError(f"the request target cannot be used: {error}") from None
    path = (url.path or ("*" if head.method == b"OPTIONS" else "/")).encode()
    target = path + (b"?" + url.query.encode() if url.query else b"")
    return authority, evolve(head, target=target, headers=_less_proxy_headers(head.headers))


def _less_proxy_headers(headers: Headers) -> Headers:
    return without_headers(headers, *_FOR_THE_PROXY)


def addressed_to(head: RequestHead, authority: Authority, default_port: int) -> RequestHead:
    """Return the request with the Host header that this authority expects, in its place."""
    host = str(authority)
    if authority.port == default_port:
        host = host.rpartition(":")[0]
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
