"""The answer of a rule, in the words of its API."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from faultinject.config.rules import read_rules
from faultinject.faults.render import render_proxy_reply, render_reply
from faultinject.faults.respond import InjectedResponse, Respond
from faultinject.http.message import find_header
from faultinject.providers.anthropic import api
from faultinject.providers.shape import ApiRequest, Fields
from faultinject.rules.draws import Draws

NOW = 1_800_000_000.0


def fields(**changes: Any) -> Fields:
    """Return what is drawn for an answer."""
    uniform = Draws(1, "x", 1).uniform
    drawn = api.PROVIDER.draw_fields(uniform, NOW, ApiRequest("/v1/messages"))
    return evolve(drawn, request_id="req_1", **changes)


def respond(value: Any) -> Respond:
    """Read the fault."""
    [rule] = read_rules([{"fault": {"respond": value}}], "test").rules
    fault = rule.faults[0].fault.respond
    assert fault is not None
    return fault


def answer(value: Any, **changes: Any) -> InjectedResponse:
    """Return the answer."""
    return render_reply(respond(value), api.PROVIDER, fields(**changes), "rule")


def header(response: InjectedResponse, name: bytes) -> bytes | None:
    """Return a header of it."""
    return find_header(response.headers, name)


def test_a_status() -> None:
    """The API's document, headers and reason, and the marker last."""
    response = answer(529)
    assert (response.status, response.reason) == (529, b"Overloaded")
    assert b'"overloaded_error"' in response.body
    assert b'"req_1"' in response.body
    assert header(response, b"request-id") == b"req_1"
    assert header(response, b"x-should-retry") == b"true"
    assert header(response, b"content-length") == b"%d" % len(response.body)
    assert response.headers[-1] == (b"X-Faultinject", b"rule")
    assert render_reply(respond(529), api.PROVIDER, fields(), None).headers == response.headers[:-1]


def test_words_of_ones_own() -> None:
    """Type, message and details go before the API's; a field is filled in."""
    response = answer({"status": 400, "error": "my_error", "message": "no {request_id}"})
    assert b'"my_error"' in response.body
    assert b'"no req_1"' in response.body


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body(status: int) -> None:
    """Nor a length, nor a type."""
    for value in (status, {"failure": "overloaded", "status": status}):
        response = answer(value)
        assert response.body == b""
        assert header(response, b"content-length") is header(response, b"content-type") is None


def test_a_success_without_a_body() -> None:
    """It is empty: no API has an error document for it."""
    response = answer(200)
    assert (response.body, header(response, b"content-length")) == (b"", b"0")
    assert header(response, b"content-type") is None


def test_a_body_of_ones_own() -> None:
    """Nothing says that the API has spoken; its type is seen."""
    response = answer({"status": 503, "body": "<html>{model}</html>"}, model="m")
    assert response.body == b"<html>m</html>"
    assert header(response, b"content-type") == b"text/html; charset=utf-8"
    assert header(response, b"request-id") is None


def test_what_the_fault_wants_beside_its_own_body() -> None:
    """The API's headers for it."""
    response = answer(
        {
            "status": 429,
            "json": {"a": 1},
            "retry_after": 3,
            "rate_limit": "requests",
            "request_id": "req_mine",
        }
    )
    assert header(response, b"retry-after") == b"3"
    assert header(response, b"anthropic-ratelimit-requests-remaining") == b"0"
    assert header(response, b"request-id") == b"req_mine"


def test_a_body_that_is_no_text() -> None:
    """Nothing is filled in; nor is anything without being asked for."""
    for fault in (Respond(500, b"\xff{model}", filled=True), Respond(500, b"\xff{model}")):
        response = render_reply(fault, api.PROVIDER, fields(), None)
        assert response.body == b"\xff{model}"
    plain = Respond(500, b"{model}", ((b"A", b"{model}"),))
    response = render_reply(plain, api.PROVIDER, fields(), None)
    assert (response.body, header(response, b"a")) == (b"{model}", b"{model}")
    latin = Respond(500, b"", ((b"A", b"\xe9 {model}"),), filled=True)
    assert header(render_reply(latin, api.PROVIDER, fields(model="m"), None), b"a") == b"\xe9 m"


def test_headers_of_ones_own() -> None:
    """They replace the API's; what a client puts into its request ends no line of them."""
    response = answer(
        {"status": 529, "headers": {"Request-Id": "x", "A": "{model}"}}, model="m\r\nB: c"
    )
    names = [name.lower() for name, _ in response.headers]
    assert names.count(b"request-id") == 1
    assert header(response, b"request-id") == b"x"
    assert header(response, b"a") == b"m B: c"


def test_a_model_that_is_no_unicode() -> None:
    """A request's JSON may name it by half a surrogate pair, which a header cannot have."""
    value = {"status": 500, "headers": {"x-model": "a {model}"}, "message": "{model}"}
    response = answer(value, model="a\ud800\udc80")
    assert header(response, b"x-model") == b"a a??"
    assert rb"a\ud800\udc80" in response.body


def test_a_date_to_come_again() -> None:
    """As HTTP writes dates."""
    for value in ({"status": 429}, {"status": 429, "body": "no"}):
        response = answer({**value, "retry_after": {"date": 90}})
        assert header(response, b"retry-after") == b"Fri, 15 Jan 2027 08:01:30 GMT"
    proxy = respond({"status": 502, "at": "connect", "retry_after": {"date": 90}})
    response = render_proxy_reply(proxy, fields(), None)
    assert header(response, b"retry-after") == b"Fri, 15 Jan 2027 08:01:30 GMT"


def test_a_page_with_a_time_to_come_again() -> None:
    """In the place of the page's own, if it has one; in seconds, or as a date."""
    for name in ("cloudflare-522", "cloudflare-522-retry-after"):
        for written, said in ((2.5, b"3"), ({"date": 10}, b"Fri, 15 Jan 2027 08:00:10 GMT")):
            response = answer({"page": name, "retry_after": written})
            found = [each for each in response.headers if each[0].lower() == b"retry-after"]
            assert found == [(b"Retry-After", said)]


@pytest.mark.parametrize("name", sorted(api.PROVIDER.pages))
def test_a_page(name: str) -> None:
    """It is a gateway's own."""
    response, page = answer({"page": name}), api.PROVIDER.pages[name]
    assert (response.status, response.reason) == (page.status, page.reason.encode())
    assert header(response, b"content-type") == page.content_type.encode()
    assert header(response, b"request-id") is None


@pytest.mark.parametrize("name", sorted(api.PROVIDER.failures))
def test_a_failure(name: str) -> None:
    """It has a status of its own, and another one on wish."""
    failure = api.PROVIDER.failures[name]
    assert answer({"failure": name}).status == failure.status
    assert answer({"failure": name, "status": 418}).status == 418


def test_a_proxys_answer() -> None:
    """In plain text, or as the user has it; 407 asks for a password in either case."""
    response = render_proxy_reply(respond({"status": 502, "at": "connect"}), fields(), "rule")
    assert (response.status, response.body) == (502, b"502 Bad Gateway\n")
    assert response.headers == (
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", b"16"),
        (b"X-Faultinject", b"rule"),
    )
    own = {"status": 407, "at": "connect", "body": "{host}", "retry_after": 5,
           "headers": {"Proxy-Authenticate": "Negotiate"}}  # fmt: skip
    response = render_proxy_reply(respond(own), fields(host="h"), None)
    assert response.body == b"h"
    assert header(response, b"proxy-authenticate") == b"Negotiate"
    assert header(response, b"retry-after") == b"5"
