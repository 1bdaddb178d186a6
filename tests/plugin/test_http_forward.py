"""Which requests that come outside of tunnels get an injected answer, and what is told of them."""

from __future__ import annotations

import gzip

import pytest
from attrs import evolve

from faultinject.config.rules import read_rules
from faultinject.events import ExchangeEnded
from faultinject.http.message import RequestHead
from faultinject.observed import NOTHING_OBSERVED
from faultinject.plugin.http_forward import HttpForward
from faultinject.rules import RuleSet
from tests.plugin.support import make_services


def request(host="api.example.com", path=b"/v1/messages?beta=true", method=b"POST"):
    headers = () if host is None else ((b"Accept", b"*/*"), (b"Host", host.encode()))
    return RequestHead(method, path, headers)


def http_calls(enabled=True, **settings):
    events = []
    return HttpForward(make_services(events, **settings), enabled), events


def test_a_page_in_a_browser_sees_the_answer():
    """As it does elsewhere."""
    calls, _ = http_calls()
    asked = request()
    asked = evolve(asked, headers=(*asked.headers, (b"Origin", b"http://localhost:3000")))
    response = calls.answer(asked, b"12345")
    assert (b"Access-Control-Allow-Origin", b"*") in response.headers


def test_a_target_is_injected():
    """And told of, without the query."""
    calls, events = http_calls()
    response = calls.answer(request(), b"12345")
    assert response.status == 429
    assert (b"X-Faultinject", b"options") in response.headers
    (told,) = events
    assert isinstance(told, ExchangeEnded)
    assert told.milliseconds >= 0
    fields = told.as_dict()
    del fields["time"], fields["milliseconds"]
    assert fields == NOTHING_OBSERVED.as_dict() | {
        "event": "exchange", "v": 1, "level": "info",
        "session": 1, "exchange": 1, "client": "behind-fault", "target": "api.example.com",
        "method": "POST", "scheme": "http", "host": "api.example.com", "port": 80,
        "path": "/v1/messages", "outcome": "injected", "rule": "options", "status": 429,
        "kind": "model",
        "request_bytes": 5, "response_bytes": len(response.body), "error": None,
        "fault": None, "path_mended_from": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "host", "target"),
    [
        ({"probability": 0.0}, "api.example.com", "api.example.com"),
        ({}, "other.example", "other.example"),
    ],
)
def test_what_is_passed_on(settings, host, target):
    """A target that no rule hit, and another host; told of without a status."""
    calls, events = http_calls(**settings)
    assert calls.answer(request(host), b"") is None
    (told,) = events
    assert (told.outcome, told.status, told.rule, told.target) == ("forwarded", None, None, target)


def test_without_http_forward():
    """Nothing is injected, counted or told of."""
    calls, events = http_calls(enabled=False)
    assert calls.answer(request(), b"") is None
    assert events == []
    assert calls.runtime.counters.count("options") == 1


@pytest.mark.parametrize("host", [None, "", "two words", "[::1", "\N{SNOWMAN}"])
def test_a_request_without_a_host(host):
    """Is no target's."""
    calls, events = http_calls()
    assert calls.answer(request(host), b"") is None
    assert events == []


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("api.example.com", "api.example.com", 80),
        ("api.example.com", "API.example.com:8080", 8080),
        ("api.example.com:80", "api.example.com", 80),
        ("api.example.com:443", "api.example.com", 443),  # a mapping to an HTTPS upstream
        ("api.example.com:443", "api.example.com:443", 443),
    ],
)
def test_the_port(target, host, port):
    """The Host header's, or the one that makes a target of it."""
    calls, events = http_calls(target=target)
    assert calls.answer(request(host), b"") is not None
    assert (events[0].host, events[0].port, events[0].target) == ("api.example.com", port, target)


def test_the_port_of_another():
    """A target with a port is not met by another port, named or not."""
    calls, events = http_calls(target="api.example.com:8443")
    assert calls.answer(request(), b"") is None
    assert calls.answer(request("api.example.com:443"), b"") is None
    assert [told.port for told in events] == [80, 443]


def test_each_request_is_a_session():
    """The host does not say which come from one client."""
    calls, events = http_calls()
    calls.answer(request(), b"")
    calls.answer(request(), b"")
    assert [told.session for told in events] == [1, 2]


def rules(*written):
    """Return a rule set of written rules."""
    return RuleSet(read_rules(list(written), "rules").rules, seed=1)


def test_an_answer_that_is_worded_for_the_request():
    """In the words of the API that the request is for, judged by its body too."""
    calls, events = http_calls()
    calls.runtime.rule_set = rules(
        {"name": "busy", "match": {"model": "m*"}, "fault": {"respond": {"status": 529}}}
    )
    response = calls.answer(request(), b'{"model": "m-1"}')
    assert response.status == 529
    assert b"overloaded_error" in response.body
    assert calls.answer(request(), b'{"model": "other"}') is None
    assert [event.rule for event in events] == ["busy", None]


def test_a_compressed_body():
    """Rules read what it says, and the event tells the bytes that came."""
    calls, events = http_calls()
    calls.runtime.rule_set = rules({"match": {"model": "m*"}, "fault": {"respond": 529}})
    head, body = request(), gzip.compress(b'{"model": "m-1"}')
    head = evolve(head, headers=(*head.headers, (b"Content-Encoding", b"gzip")))
    assert calls.answer(head, body).status == 529
    assert [event.request_bytes for event in events] == [len(body)]


def test_a_chance_that_grows_with_time():
    """The rules' time is the run's, as in tunnels."""
    calls, _ = http_calls()
    now = [0.0]
    calls.runtime.clock = lambda: calls.runtime.started_at + now[0]
    ramp = {"ramp": {"from": 0, "to": 1, "over": 10}}
    calls.runtime.rule_set = rules({"name": "ramp", "when": ramp, "fault": {"respond": 500}})
    assert calls.answer(request(), b"") is None
    now[0] = 10.0
    assert calls.answer(request(), b"").status == 500
