"""Requests from pages in browsers to another origin (CORS).

Before some calls a browser asks whether the page may make them (a preflight). It hides an answer
from the page unless the answer allows it. So injected answers need these headers too.
https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, evolve, field, frozen

from faultinject.authority import Authority
from faultinject.http.message import (
    Headers,
    RequestHead,
    ResponseHead,
    find_header,
    header_tokens,
)

_ORIGINS = 1024
"""How many pairs of a host and an origin are remembered. The least recently used goes first."""
_LONGEST_ORIGIN = 512
"""The longest value of Origin that is remembered, in bytes."""
_ALLOW_ORIGIN = b"access-control-allow-origin"
_ALLOW_CREDENTIALS = b"access-control-allow-credentials"
_EXPOSE = b"access-control-expose-headers"
_RATE_LIMITS = [
    f"anthropic-ratelimit-{what}-{value}"
    for what in ("requests", "tokens", "input-tokens", "output-tokens")
    for value in ("limit", "remaining", "reset")
] + [
    f"x-ratelimit-{value}-{what}"
    for what in ("requests", "tokens")
    for value in ("limit", "remaining", "reset")
]
_EXPOSED = (
    b"Access-Control-Expose-Headers",
    ", ".join(
        ("request-id", "x-request-id", "retry-after", "retry-after-ms", "x-should-retry",
         *_RATE_LIMITS, "x-faultinject", "x-faultinject-error")
    ).encode(),
)  # fmt: skip
"""The headers that SDKs and programs read. Without this a page sees only few headers. They are
named one by one, because with credentials ``*`` does not match all."""


def is_preflight(request: RequestHead) -> bool:
    """Return True if a browser asks whether a page may make a call.

    https://fetch.spec.whatwg.org/#cors-preflight-request
    """
    return (
        request.method == b"OPTIONS"
        and request.has_header(b"origin")
        and request.has_header(b"access-control-request-method")
    )


def permissive_headers(request: RequestHead) -> Headers:
    """Return headers that let the page that sent a request see the answer; none without a page.

    With cookies a browser does not accept ``*``, so then they name the page's origin.
    """
    return (*_allowing_origin(request), _EXPOSED) if request.has_header(b"origin") else ()


def preflight_headers(preflight: RequestHead) -> Headers:
    """Return headers that allow the call that a preflight asks for, whatever it is."""
    method = find_header(preflight.headers, b"access-control-request-method") or b"POST"
    headers = (*_allowing_origin(preflight), (b"Access-Control-Allow-Methods", method))
    wanted = find_header(preflight.headers, b"access-control-request-headers")
    # Repeated, because ``*`` does not include Authorization.
    return headers if wanted is None else (*headers, (b"Access-Control-Allow-Headers", wanted))


def _allowing_origin(request: RequestHead) -> Headers:
    origin = find_header(request.headers, b"origin") or b"*"
    if not request.has_header(b"cookie"):
        return ((b"Access-Control-Allow-Origin", b"*"),)
    return (
        (b"Access-Control-Allow-Origin", origin),
        (b"Access-Control-Allow-Credentials", b"true"),
        (b"Vary", b"Origin"),
    )


@frozen(eq=False, repr=False)
class _AllowedHeaders:
    headers: Headers
    of_preflight: bool
    """Whether only the answer to a preflight was seen, which does not say what it exposes."""


@define(eq=False, repr=False)
class SeenOrigins:
    """What an API's own answers allowed to pages, by host and the page's origin."""

    _seen: OrderedDict[tuple[str, bytes], _AllowedHeaders] = field(factory=OrderedDict, init=False)

    def page(self, authority: Authority, request: RequestHead) -> BrowserPage | None:
        """Return the page that sent a request to a host; None if no page did."""
        origin = request.find(b"origin")
        return None if origin is None else BrowserPage(self, str(authority), origin, request)

    def find(self, authority: str, origin: bytes) -> _AllowedHeaders | None:
        """Return what was allowed to an origin; None if no answer to it was seen."""
        allowed = self._seen.get((authority, origin))
        if allowed is not None:
            self._seen.move_to_end((authority, origin))
        return allowed

    def remember(self, authority: str, origin: bytes, allowed: _AllowedHeaders) -> None:
        """Remember what was allowed to an origin."""
        if len(origin) > _LONGEST_ORIGIN:
            return
        self._seen[authority, origin] = allowed
        self._seen.move_to_end((authority, origin))
        if len(self._seen) > _ORIGINS:
            self._seen.popitem(last=False)


@frozen(eq=False, repr=False)
class BrowserPage:
    """The page that sent a request, as far as it is known."""

    seen: SeenOrigins
    authority: str
    origin: bytes
    request: RequestHead

    def learn(self, head: ResponseHead) -> None:
        """Remember what the API's own answer to the request allows the page."""
        if head.interim:
            return
        of_preflight = is_preflight(self.request)
        if not head.has_header(_ALLOW_ORIGIN):
            # An error from something in front of the API may lack the API's own headers.
            if head.status < 300 and not of_preflight:
                self.seen.remember(self.authority, self.origin, _AllowedHeaders((), False))
            return
        known = self.seen.find(self.authority, self.origin)
        if not of_preflight or known is None or known.of_preflight:
            self.seen.remember(
                self.authority, self.origin, _AllowedHeaders(_kept(head.headers), of_preflight)
            )

    def headers(self) -> Headers:
        """Return the headers with which the page sees our answer as it sees the API's.

        They are those of the API's own answers. If none was seen, the page is allowed to see ours.
        The answer to a preflight gets none, because a rule for OPTIONS gives all headers itself.
        """
        if is_preflight(self.request):
            return ()
        known = self.seen.find(self.authority, self.origin)
        if known is None:
            return permissive_headers(self.request)
        return (*known.headers, _EXPOSED) if known.of_preflight else known.headers

    def with_page_headers(self, headers: Headers) -> Headers:
        """Return an answer's headers, plus those that the page needs and the answer lacks."""
        own = {name.lower() for name, _ in headers}
        return (*headers, *(each for each in self.headers() if each[0].lower() not in own))

    def with_cors(self, head: ResponseHead) -> ResponseHead:
        """Return the head of an answer with the headers that the page needs."""
        return evolve(head, headers=self.with_page_headers(head.headers))


def _kept(headers: Headers) -> Headers:
    names = (_ALLOW_ORIGIN, _ALLOW_CREDENTIALS, _EXPOSE)
    kept = tuple(each for each in headers if each[0].lower() in names)
    return (*kept, (b"Vary", b"Origin")) if b"origin" in header_tokens(headers, b"vary") else kept
