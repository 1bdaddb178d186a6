"""What a page in a browser may see."""

from __future__ import annotations

import pytest

from faultinject.authority import Authority
from faultinject.http.cors import (
    BrowserPage,
    SeenOrigins,
    is_preflight,
    permissive_headers,
    preflight_headers,
)
from faultinject.http.message import Headers, RequestHead, ResponseHead

HOST, ORIGIN = "api.example.com", b"http://localhost:3000"
ANY = (b"Access-Control-Allow-Origin", b"*")
OWN = (b"access-control-allow-origin", ORIGIN)
CREDENTIALS = (b"Access-Control-Allow-Credentials", b"true")
EXPOSES = (b"Access-Control-Expose-Headers", b"request-id")
VARY = (b"Vary", b"Origin")


def call(*headers: tuple[bytes, bytes], origin: bytes = ORIGIN) -> RequestHead:
    """Return a call of a page."""
    return RequestHead(b"POST", b"/v1/messages", ((b"Origin", origin), *headers))


def preflight(*headers: tuple[bytes, bytes]) -> RequestHead:
    """Return the question before it."""
    asks = (b"Access-Control-Request-Method", b"PUT")
    return RequestHead(b"OPTIONS", b"/v1/messages", ((b"Origin", ORIGIN), asks, *headers))


def page(seen: SeenOrigins, request: RequestHead, host: str = HOST) -> BrowserPage:
    """Return the page behind a request."""
    found = seen.page(Authority(host, 443), request)
    assert found is not None
    return found


def answer(*headers: tuple[bytes, bytes], status: int = 200) -> ResponseHead:
    """Return the head of an answer of the API's."""
    return ResponseHead(status, b"", ((b"Content-Type", b"application/json"), *headers))


def test_a_preflight_is_told_by_its_headers() -> None:
    """An OPTIONS alone is none, and no other method is."""
    assert is_preflight(preflight())
    assert not is_preflight(RequestHead(b"OPTIONS", b"/", ((b"Origin", ORIGIN),)))
    assert not is_preflight(RequestHead(b"POST", b"/", preflight().headers))


def test_who_is_no_page() -> None:
    """Is allowed nothing, and nothing is remembered."""
    request = RequestHead(b"POST", b"/", ())
    assert permissive_headers(request) == ()
    assert SeenOrigins().page(Authority(HOST, 443), request) is None


def test_any_page_may_see_an_answer_if_nothing_is_known() -> None:
    """And what programs read in it; names stand one by one, for a star may stand for none."""
    first, (name, names) = page(SeenOrigins(), call()).headers()
    assert (first, name) == (ANY, b"Access-Control-Expose-Headers")
    listed = names.split(b", ")
    for each in (b"request-id", b"retry-after", b"x-should-retry", b"x-ratelimit-reset-tokens"):
        assert each in listed
    assert b"*" not in listed


def test_a_page_with_cookies_is_named() -> None:
    """A browser takes no star then."""
    headers = permissive_headers(call((b"Cookie", b"a=b")))
    assert headers[:-1] == ((b"Access-Control-Allow-Origin", ORIGIN), CREDENTIALS, VARY)


def test_any_call_is_allowed() -> None:
    """With the method and the headers that it asks for."""
    assert preflight_headers(preflight()) == (ANY, (b"Access-Control-Allow-Methods", b"PUT"))
    wanted = preflight_headers(preflight((b"Access-Control-Request-Headers", b"authorization")))
    assert wanted[2:] == ((b"Access-Control-Allow-Headers", b"authorization"),)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((OWN, EXPOSES, (b"X-Other", b"1")), (OWN, EXPOSES)),
        ((OWN, CREDENTIALS, (b"Vary", b"Accept, origin")), (OWN, CREDENTIALS, VARY)),
        ((ANY, (b"Vary", b"Accept")), (ANY,)),
        ((), ()),  # the API is for no pages: they do not see its answers
    ],
)
def test_what_the_api_allows_goes_before(told: Headers, expected: Headers) -> None:
    """From an answer of its own to that origin; another origin and another host know nothing."""
    seen = SeenOrigins()
    page(seen, call()).learn(answer(*told))
    assert page(seen, call()).headers() == expected
    assert page(seen, call(origin=b"null")).headers()[0] == ANY
    assert page(seen, call(), "other.example:443").headers()[0] == ANY


def test_an_answer_of_a_gateway_tells_little() -> None:
    """A 502 without the headers does not say that the API has none; interim answers do not."""
    seen = SeenOrigins()
    page(seen, call()).learn(answer(status=502))
    page(seen, call()).learn(ResponseHead(103, b"", ()))
    assert page(seen, call()).headers()[0] == ANY
    page(seen, call()).learn(answer(OWN, EXPOSES, status=429))
    assert page(seen, call()).headers() == (OWN, EXPOSES)


def test_a_preflight_tells_who_may_call() -> None:
    """It does not say what the page may read: that is what programs read, until a call tells."""
    seen = SeenOrigins()
    asked = page(seen, preflight())
    asked.learn(answer(status=204))
    assert page(seen, call()).headers()[0] == ANY
    allowed = answer(OWN, (b"Access-Control-Allow-Methods", b"PUT"), status=204)
    asked.learn(allowed)
    headers = page(seen, call()).headers()
    assert headers[0] == OWN
    assert [name for name, _ in headers[1:]] == [b"Access-Control-Expose-Headers"]
    page(seen, call()).learn(answer(OWN))
    asked.learn(allowed)
    assert page(seen, call()).headers() == (OWN,)


def test_a_rule_says_all_of_the_answer_to_a_preflight() -> None:
    """Nothing is added."""
    assert page(SeenOrigins(), preflight()).headers() == ()


def test_what_an_answer_has_goes_before() -> None:
    """It is said once; the rest is added behind it."""
    with_page_headers = page(SeenOrigins(), call()).with_cors(answer(OWN)).headers
    assert [name.lower() for name, _ in with_page_headers] == [
        b"content-type", b"access-control-allow-origin", b"access-control-expose-headers",
    ]  # fmt: skip
    assert OWN in with_page_headers


def test_what_is_remembered_is_bounded() -> None:
    """The least recently used is forgotten; an origin that is too long is not kept at all."""
    seen = SeenOrigins()
    for number in range(1025):
        page(seen, call()).learn(answer(OWN))
        page(seen, call(origin=b"http://%d" % number)).learn(answer(EXPOSES, OWN))
    assert page(seen, call()).headers() == (OWN,)
    assert page(seen, call(origin=b"http://0")).headers()[0] == ANY
    assert page(seen, call(origin=b"http://1024")).headers() == (EXPOSES, OWN)
    long = call(origin=b"x" * 600)
    page(seen, long).learn(answer(OWN))
    assert page(seen, long).headers()[0] == ANY
