"""What stands in front of APIs: bytes that clients match on."""

from __future__ import annotations

import json

import pytest

from faultinject.providers.anthropic import api
from faultinject.providers.gateway import GOOGLE, PAGES, PARTS
from faultinject.providers.gateway.cloudflare import timestamp
from faultinject.providers.known import PROVIDERS
from faultinject.providers.shape import ApiRequest
from tests.unit.providers.support import fields_of

FIELDS = fields_of(api.PROVIDER, ApiRequest("/v1/messages", None, "api.anthropic.com"))


def body(name: str) -> bytes:
    """Return a page's body."""
    return PAGES[name].body(FIELDS)


def test_cloudflare_502() -> None:
    """The page has CRLF at the end of each line."""
    assert body("cloudflare-502").count(b"\r\n") == body("cloudflare-502").count(b"\n") == 7
    assert b"<hr><center>cloudflare</center>" in body("cloudflare-502")


def test_cloudflare_520() -> None:
    """It is a text without a line end."""
    assert body("cloudflare-520") == b"error code: 520"


def test_cloudflare_522() -> None:
    """The document names the host and the request; a header to wait is another page."""
    document = json.loads(body("cloudflare-522"))
    assert document["zone"] == "api.anthropic.com"
    assert document["ray_id"] == document["instance"] == FIELDS.ray_id
    assert document["timestamp"] == "2025-08-03T00:00:00Z"
    assert list(document)[:3] == ["type", "title", "status"]
    other = PAGES["cloudflare-522-retry-after"]
    assert other.body(FIELDS) == body("cloudflare-522")
    assert (b"Retry-After", b"120") in other.headers(FIELDS)
    assert (b"Retry-After", b"120") not in PAGES["cloudflare-522"].headers(FIELDS)
    assert (b"CF-RAY", f"{FIELDS.ray_id}-SJC".encode()) in other.headers(FIELDS)


def test_envoy() -> None:
    """The texts are those that clients match on, to the byte."""
    start = b"upstream connect error or disconnect/reset before headers. reset reason: "
    assert body("envoy-503-overflow") == start + b"overflow"
    assert body("envoy-503-connection-timeout") == start + b"connection timeout"
    assert body("envoy-503-connection-termination") == start + b"connection termination"
    assert body("envoy-503-connection-refused") == start + (
        b"remote connection failure, transport failure reason: delayed connect error:"
        b" Connection refused"
    )
    assert body("envoy-503-no-healthy-upstream") == b"no healthy upstream"
    assert PAGES["envoy-503-overflow"].headers(FIELDS) == ()


@pytest.mark.parametrize(
    ("name", "size"),
    [("google-load-balancer-502", 332), ("aws-502", 122), ("aws-503", 162), ("azure-502", 183)],
)
def test_pages_are_as_long_as_those_that_were_captured(name: str, size: int) -> None:
    """The captures tell the length and not always the line ends."""
    assert len(body(name)) == size


def test_google() -> None:
    """The page with the robot has no type of the API's, and names the status three times."""
    page = GOOGLE["bad-gateway"]
    text = page.body(FIELDS).decode()
    assert text.count("502") == 2
    assert "Error 502 (Server Error)!!1" in text
    assert page.headers(FIELDS) == ((b"Referrer-Policy", b"no-referrer"),)


@pytest.mark.parametrize("part", PARTS)
def test_each_api_has_an_answer_of_what_is_in_front_of_it(part: str) -> None:
    """A rule may be for any API, and no two kinds of front send the same."""
    pages = {provider.name: provider.pages[part] for provider in PROVIDERS}
    expected = {"bad-gateway": 502, "gateway-unavailable": 503, "gateway-timeout": 504}[part]
    assert {page.status for page in pages.values()} == {expected}
    bodies = {pages[name].body(FIELDS) for name in ("anthropic", "gemini", "bedrock", "ollama")}
    assert len(bodies) == 4


def test_timestamps() -> None:
    """They are whole seconds of UTC, and never beyond what can be written."""
    assert timestamp(0.9) == "1970-01-01T00:00:00Z"
    assert timestamp(1e30) == "9999-12-31T23:59:59Z"
