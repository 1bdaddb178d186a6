"""What each part of a rule becomes, and the line that says what is wrong with one."""

# ruff: noqa: E501  (tables of messages are read best a line each)

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from faultinject.config.rules import read_rules
from faultinject.errors import SettingsError
from faultinject.faults.breaks import (
    Break,
    CloseConnection,
    HangConnection,
    ResetConnection,
    SendAlert,
    SendGarbage,
)
from faultinject.faults.delay import (
    Before,
    Delay,
    Exponential,
    Fixed,
    LogNormal,
    Normal,
    Pareto,
    Range,
)
from faultinject.faults.place import (
    FIRST_EVENT,
    START,
    BytesPoint,
    EventPoint,
    Scope,
    Stage,
    TimePoint,
)
from faultinject.faults.respond import Respond, RetryAfter
from faultinject.faults.stream import (
    CutStream,
    Drop,
    Duplicate,
    EndEarly,
    EndStream,
    Garble,
    HalfEvent,
    Pace,
    Rechunk,
    ResetStream,
    SendError,
    Stall,
    StreamFault,
    WrongChecksum,
)
from faultinject.matchers import MISSING, AnyOf, Equal, JsonMatcher, JsonPath
from faultinject.providers.known import PROVIDERS
from faultinject.reading.source import Source

NAMES = ", ".join(provider.name for provider in PROVIDERS)
PAGES = ", ".join(sorted({name for provider in PROVIDERS for name in provider.pages}))
CARRIED = {"body.txt": b"hello {request_id}"}


def read_file(name: str) -> bytes:
    """Return one of the files that there are."""
    if name not in CARRIED:
        raise FileNotFoundError(2, "No such file or directory")
    return CARRIED[name]


def fault(value: Any) -> Any:
    """Read one fault."""
    [rule] = read_rules([{"fault": value}], Source("f.yaml", read_file)).rules
    [choice] = rule.faults
    return choice.fault


def refusal(rule: Any) -> str:
    """Return the line that refuses a rule, without its file."""
    with pytest.raises(SettingsError) as caught:
        read_rules([rule], Source("f.yaml", read_file))
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith("f.yaml: rules[0]")
    return message.removeprefix("f.yaml: rules[0]").removeprefix(".")


def of_fault(value: Any) -> str:
    """Return the line that refuses a fault."""
    return refusal({"fault": value}).removeprefix("fault").removeprefix(".")


# -- match --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "message"),
    [
        (1, "match: 1 is not an object of conditions, as in {path: /v1/messages}"),
        ({"pth": "/"}, "match: unknown key 'pth'; did you mean path?"),
        ({"Path": "/"}, "match: unknown key 'Path'; did you mean path?"),
        (
            {"zzz": 1},
            "match: unknown key 'zzz'; the keys are host, method, path, provider, shape, model_call, housekeeping, query, header, client, json, model, stream, tools, attempt",
        ),
        ({3: 1}, "match: the key 3 is not text; put it in quotes"),
        (
            {"host": 3},
            "match.host: 3 is not a host, as in api.example.com, *.example.com or api.example.com:443",
        ),
        ({"host": []}, "match.host: the list is empty; give at least one"),
        (
            {"host": ["a", "https://b"]},
            "match.host[1]: 'https://b' is not a host; write it without scheme and path",
        ),
        (
            {"host": "me:secret@b"},
            "match.host: it contains an '@'; write the host alone, without user and password",
        ),
        ({"method": "GE T"}, 'match.method: "GE T" is not a method, as in POST'),
        (
            {"path": "v1/messages"},
            'match.path: "v1/messages" is not a path; paths begin with a slash, as in /v1/messages',
        ),
        (
            {"path": "v1\nx"},
            r'match.path: "v1\nx" is not a path; paths begin with a slash, as in /v1\nx',
        ),
        (
            {"path": "/a?b=c"},
            'match.path: "/a?b=c" is not a path alone; test parameters with query: {name: value}',
        ),
        ({"path": ["/", ""]}, 'match.path[1]: "" is not a path, as in /v1/messages or /v1/*'),
        (
            {"path": "/\ud800"},
            "match.path: it is not valid Unicode: it has half a surrogate pair",
        ),
        (
            {"provider": "opanai"},
            f'match.provider: "opanai" is not one of {NAMES}; did you mean openai?',
        ),
        ({"query": {}}, "match.query: it is empty; give at least one test"),
        (
            {"query": ["a"]},
            "match.query: it is not an object of parameters and tests, as in {alt: sse}",
        ),
        ({"query": {"a b": []}}, "match.query['a b']: the list is empty; give at least one"),
        ({"header": {"a b": "c"}}, "match.header['a b']: it is not a header name (RFC 9110)"),
        (
            {"header": {"x": True}},
            "match.header.x: the value is not text; write text (in quotes, if it is true or false), a pattern, or {present: true}",
        ),
        (
            {"header": {"x": {"above": 1}}},
            "match.header.x: unknown key 'above'; the keys are equal, glob, present",
        ),
        ({"header": {"x": {"present": 1}}}, "match.header.x.present: 1 is not true or false"),
        (
            {"header": {"x": {"equal": "a", "glob": "b"}}},
            "match.header.x: give one of equal, glob, present (or several that compare numbers)",
        ),
        (
            {"json": {"a[": 1}},
            "match.json['a[']: 'a[' is not a path into JSON, as messages[0].role, tools[*].name and meta[\"a.b\"] are",
        ),
        (
            {"json": {"a": {}}},
            "match.json.a: give one of equal, glob, present, at_least, at_most, above, below (or several that compare numbers)",
        ),
        ({"json": {"a": {"glob": 1}}}, "match.json.a.glob: 1 is not a pattern"),
        ({"json": {"a": {"above": "x"}}}, 'match.json.a.above: "x" is not a number'),
        (
            {"json": {"a": {"above": 2, "below": 2}}},
            "match.json.a: no number is within these bounds",
        ),
        (
            {"json": {"a": {"above": 2, "at_most": 2}}},
            "match.json.a: no number is within these bounds",
        ),
        (
            {"json": {"a": {"at_least": 2, "below": 2}}},
            "match.json.a: no number is within these bounds",
        ),
        (
            {"json": {"a": {"at_least": 3, "at_most": 2}}},
            "match.json.a: no number is within these bounds",
        ),
        (
            {"json": {"a": {"at_least": 3, "equal": 2}}},
            "match.json.a: give one of equal, glob, present, at_least, at_most, above, below (or several that compare numbers)",
        ),
        (
            {"json": {"a": [[1]]}},
            "match.json.a[0]: [1] is not a value; to compare with a list write {equal: [...]}",
        ),
        (
            {"json": {"a": math.nan}},
            "match.json.a: NaN is not text, a number, true, false, null, or a test as {at_least: 3}",
        ),
        (
            {"json": {"a": datetime.date(2020, 1, 1)}},
            'match.json.a: "2020-01-01" is not text, a number, true, false, null, or a test as {at_least: 3}',
        ),
        (
            {"json": {"a": {"equal": [datetime.date(2020, 1, 1)]}}},
            "match.json.a.equal: it cannot be written as JSON: JSON has no date",
        ),
        (
            {"json": {"a": {"equal": math.nan}}},
            "match.json.a.equal: it cannot be written as JSON: Out of range float values are not JSON compliant",
        ),
        ({"model": "*" * 10_001}, "match.model: the pattern has more than 10000 characters"),
        (
            {"query": {"a": {"glob": "a" * 10_001}}},
            "match.query.a.glob: the pattern has more than 10000 characters",
        ),
        (
            {"model": 4},
            "match.model: 4 is not text, or a list of texts ('*' stands for any characters)",
        ),
        ({"stream": "yes"}, 'match.stream: "yes" is not true or false'),
        (
            {"tools": 1},
            "match.tools: 1 is not text, or a list of texts ('*' stands for any characters)",
        ),
        ({"attempt": 0}, "match.attempt: 0 is not a whole number from 1 to 1000000000"),
        (
            {"attempt": {"equal": 1}},
            "match.attempt: unknown key 'equal'; the keys are at_least, at_most, above, below",
        ),
    ],
)
def test_what_is_no_match(match, message) -> None:
    """Place, value, and what would be right."""
    assert refusal({"match": match, "fault": {"respond": 500}}) == message


def test_a_header_that_is_refused_is_not_shown() -> None:
    """It may be a secret."""
    assert "s3cret" not in refusal({"match": {"header": {"x": [["s3cret"]]}}, "fault": "pass"})


# -- when ---------------------------------------------------------------------------------------

NEVER = "when: it can never fire: no request's number meets all of this (requests are counted from 1). For some requests after a number, give after and limit"


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (0.3, "when: 0.3 is not an object, as in {probability: 0.3} or {first: 2}"),
        (
            {"probability": 1.5},
            "when.probability: 1.5 is not a number from 0 to 1, or a percentage as in 5%",
        ),
        (
            {"probability": "5"},
            'when.probability: "5" is not a number from 0 to 1, or a percentage as in 5%',
        ),
        (
            {"probability": "101%"},
            'when.probability: "101%" is not a number from 0 to 1, or a percentage as in 5%',
        ),
        (
            {"probability": True},
            "when.probability: true is not a number from 0 to 1, or a percentage as in 5%",
        ),
        (
            {"probability": math.nan},
            "when.probability: NaN is not a number from 0 to 1, or a percentage as in 5%",
        ),
        ({"probabilty": 1}, "when: unknown key 'probabilty'; did you mean probability?"),
        ({"first": 0}, "when.first: 0 is not a whole number from 1 to 1000000000"),
        ({"first": 1.0}, "when.first: 1.0 is not a whole number from 1 to 1000000000"),
        ({"nth": [1, "2"]}, 'when.nth[1]: "2" is not a whole number from 1 to 1000000000'),
        ({"first": 2, "after": 2}, NEVER),
        ({"nth": [3, 4], "first": 2}, NEVER),
        ({"first": 4, "every": 5}, NEVER),
        ({"every": 2, "sequence": ["fault", "pass", "fault"]}, NEVER),
        ({"every": 2, "sequence": {"steps": ["fault", "pass"], "repeat": True}}, NEVER),
        ({"after": 3, "sequence": ["fault", "pass", "fault"]}, NEVER),
        (
            {"sequence": "fault"},
            'when.sequence: "fault" is not a list of the words fault and pass, as in [fault, fault, pass]',
        ),
        (
            {"sequence": ["fualt"]},
            'when.sequence[0]: "fualt" is not one of fault, pass; did you mean fault?',
        ),
        ({"sequence": ["pass"]}, "when.sequence: it can never fire: there is no fault in it"),
        ({"sequence": []}, "when.sequence: the list is empty; give at least one"),
        (
            {"sequence": {"repeat": True}},
            "when.sequence: steps is missing, as in {steps: [fault, pass], repeat: true}",
        ),
        (
            {"between": 3},
            "when.between: 3 is not two times since the start, as in [10s, 20s] or {from: 10s, to: 20s}",
        ),
        (
            {"between": [1]},
            "when.between: [1] is not two times since the start, as in [10s, 20s] or {from: 10s, to: 20s}",
        ),
        ({"between": [2, 1]}, "when.between[1]: 1 is not after 2 s, where the window begins"),
        ({"between": {"from": 1}}, "when.between: give from and to, as in {from: 10s, to: 20s}"),
        (
            {"between": {"from": 1, "to": 9, "every": 8}},
            "when.between.every: 8 is not longer than the window, which lasts 8 s",
        ),
        (
            {"between": [1, 2], "for": 1},
            "when.for: between says the same in another way; give one of the two",
        ),
        (
            {"for": "1x"},
            'when.for: "1x" is not a duration: seconds as a number, or as in 250ms, 1.5s, 2m or 1h30m',
        ),
        ({"for": -1}, "when.for: -1 is not a duration from 0.001 s to ten years"),
        ({"for": {"every": 1}}, "when.for: lasting is missing, as in {lasting: 10s, every: 1m}"),
        (
            {"burst": {"calm": 3}},
            "when.burst: give calm and storm: how many requests each lasts on average",
        ),
        (
            {"burst": {"calm": 3, "storm": 0.5}},
            "when.burst.storm: 0.5 is not a mean number of requests, 1 or more",
        ),
        (
            {"burst": {"calm": "x", "storm": 2}},
            'when.burst.calm: "x" is not a mean number of requests, 1 or more',
        ),
        (
            {"ramp": {"from": 0, "to": 1}},
            "when.ramp: give over (a duration since the start) or times (how many requests)",
        ),
        (
            {"ramp": {"from": 0, "over": 1}},
            "when.ramp: give from and to, the probabilities at its beginning and its end",
        ),
        (
            {"ramp": {"from": 0, "to": 1, "over": 1}, "probability": 1},
            "when.ramp: probability says the same in another way; give one of the two",
        ),
        ({"limit": {}}, "when.limit: give in_all or at_a_time"),
        (
            {"limit": {"at_a_time": 0}},
            "when.limit.at_a_time: 0 is not a whole number from 1 to 1000000000",
        ),
        (
            {"first": 1, "per": "conection"},
            "when.per: \"conection\" is not connection, attempt-group, client or 'header NAME'",
        ),
        (
            {"first": 1, "per": "client x"},
            "when.per: \"client x\" is not connection, attempt-group, client or 'header NAME'",
        ),
        (
            {"first": 1, "per": "header"},
            "when.per: \"header\" is not the name of a header, as in 'header x-user'",
        ),
        (
            {"first": 1, "per": "header a b"},
            "when.per: \"header a b\" is not the name of a header, as in 'header x-user'",
        ),
        (
            {"first": 1, "per": {}},
            "when.per: header is missing, as in {header: x-user}",
        ),
        (
            {"probability": 0.5, "per": "client"},
            "when.per: there is nothing to count; give one of first, after, nth, every, sequence, burst, ramp, limit with it",
        ),
    ],
)
def test_what_is_no_when(when, message) -> None:
    """What can never hold is refused, too."""
    assert refusal({"when": when, "fault": {"respond": 500}}) == message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(2, 2), (0.25, 0.25), ("250ms", 0.25), ("1h30m", 5400), ("1m 1.5s", 61.5), ("2s", 2)],
)
def test_durations(value, seconds) -> None:
    """Seconds, or with units."""
    assert fault({"delay": value}).delays == (Delay(Fixed(seconds)),)


# -- respond ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (429, Respond(429, filled=True)),
        ({"status": 429, "error": "e", "message": "m", "code": "c", "param": "p", "details": {"a": 1}},
         Respond(429, filled=True, error="e", message="m", code="c", param="p", details={"a": 1})),
        ({"failure": "spend-cap"}, Respond(None, filled=True, failure="spend-cap")),
        ({"page": "cloudflare-502", "connection": "close"}, Respond(None, filled=True, page="cloudflare-502", keep_open=False)),
        ({"status": 200, "body": ""}, Respond(200, b"", filled=True)),
        ({"status": 500, "json": {"a": ["é", None]}}, Respond(500, '{"a":["é",null]}'.encode(), filled=True)),
        ({"status": 500, "file": "body.txt"}, Respond(500, b"hello {request_id}", filled=True)),
        ({"status": 500, "headers": {"X-A": ["1", 2], "x-b": "c"}}, Respond(500, None, ((b"X-A", b"1"), (b"X-A", b"2"), (b"x-b", b"c")), filled=True)),
        ({"status": 429, "retry_after": "1m", "rate_limit": "tokens", "request_id": "r"}, Respond(429, filled=True, retry_after=RetryAfter(60), rate_limit="tokens", request_id="r")),
        ({"status": 429, "retry_after": {"date": 30}}, Respond(429, filled=True, retry_after=RetryAfter(30, as_date=True))),
        ({"status": 407, "at": "connect"}, Respond(407, filled=True, at=Stage.CONNECT)),
        ({"status": 504, "upstream": "answered", "at": "request"}, Respond(504, filled=True, answered=True)),
    ],
)  # fmt: skip
def test_answers(value, made) -> None:
    """Each key is a field."""
    assert fault({"respond": value}).respond == made


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", 'respond: "x" is not a status from 200 to 599'),
        (True, "respond: true is not a status from 200 to 599"),
        ({"status": 100}, "respond.status: 100 is not a status from 200 to 599"),
        ({}, "respond: give a status (or a failure or a page, which have one)"),
        ({"stats": 500}, "respond: unknown key 'stats'; did you mean status?"),
        (
            {"status": 500, "body": "a", "json": 1},
            "respond.json: there is a body already; give one of the two",
        ),
        (
            {"status": 500, "body": 5},
            "respond.body: the body is not text; write json: for a JSON value, file: for a file",
        ),
        (
            {"status": 500, "body": "\udc80"},
            "respond.body: it is not valid Unicode: it has half a surrogate pair",
        ),
        (
            {"status": 500, "json": math.inf},
            "respond.json: it cannot be written as JSON: Out of range float values are not JSON compliant",
        ),
        (
            {"status": 500, "json": {1}},
            "respond.json: it cannot be written as JSON: JSON has no set",
        ),
        (
            {"status": 500, "file": "none"},
            "respond.file: cannot read 'none': No such file or directory",
        ),
        ({"status": 500, "file": ""}, 'respond.file: "" is not the name of a file'),
        (
            {"status": 500, "body": "a", "error": "e"},
            "respond.error: it cannot be given here: it is part of the API's body, but there is a body",
        ),
        (
            {"page": "cloudflare-502", "status": 500},
            "respond.status: it cannot be given here: a page has its own",
        ),
        (
            {"status": 204, "body": "a"},
            "respond.status: an answer of status 204 has no body (RFC 9110)",
        ),
        (
            {"status": 304, "message": "a"},
            "respond.status: an answer of status 304 has no body (RFC 9110)",
        ),
        (
            {"status": 500, "headers": {"date": "x"}},
            "respond.headers.date: the header date cannot be set: the proxy sets it to the time of the answer",
        ),
        (
            {"status": 500, "headers": {"a": "1", "A": "2"}},
            "respond.headers: it names a header twice, in different case; give a list of values",
        ),
        (
            {"status": 500, "headers": {"a": None}},
            "respond.headers.a: the value of the header is not text",
        ),
        (
            {"status": 500, "headers": 1},
            "respond.headers: it is not an object of header names and values",
        ),
        (
            {"status": 500, "retry_after": {}},
            "respond.retry_after: date is missing, as in {date: 30s}",
        ),
        ({"status": 500, "details": 1}, "respond.details: 1 is not an object"),
        (
            {"status": 500, "connection": "open"},
            'respond.connection: "open" is not one of keep, close',
        ),
        (
            {"status": 200, "at": "connect"},
            "respond.status: 200 would open the tunnel; write a status from 300 to 599",
        ),
        (
            {"status": 502, "at": "connect", "upstream": "answered"},
            "respond.upstream: it cannot be given here: at connect a proxy answers, not an API",
        ),
        (
            {"status": 502, "at": "connect", "error": "x"},
            "respond.error: it cannot be given here: at connect a proxy answers, not an API",
        ),
        (
            {"failure": "overlaoded"},
            "respond.failure: no API has a failure 'overlaoded'; did you mean overloaded?",
        ),
        (
            {"page": "zz"},
            f"respond.page: no API has a page 'zz'; there are {PAGES}",
        ),
    ],
)
def test_what_is_no_answer(value, message) -> None:
    """Impossible combinations included."""
    assert of_fault({"respond": value}).removeprefix(": ") == message


def test_an_api_that_the_match_names_must_know_the_failure() -> None:
    """It is not enough that another does."""
    rule = {
        "match": {"provider": "plain"},
        "fault": {"stream": {"error": {"failure": "spend-cap"}}},
    }
    assert refusal(rule) == (
        "fault.stream.error.failure: plain, which match names, has no failure 'spend-cap'; it has auth-expired,"
        " overloaded, rate-limited, server-error, timeout, too-large"
    )
    read_rules([{**rule, "match": {"provider": ["anthropic", "openai"]}}], "f")


# -- delay --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ({"fixed": 1}, Delay(Fixed(1))),
        ({"range": [0, "2s"], "before": "head"}, Delay(Range(0, 2), Before.HEAD)),
        (
            {"normal": {"mean": 2, "deviation": 1}, "before": "body"},
            Delay(Normal(2, 1), Before.BODY),
        ),
        ({"lognormal": {"median": 2, "sigma": 1}, "at_most": 9}, Delay(LogNormal(2, 1, 9))),
        ({"exponential": {"mean": 2}}, Delay(Exponential(2))),
        ({"exponential": "2s", "before": "upstream"}, Delay(Exponential(2))),
        ({"pareto": {"least": 1, "shape": 2}, "at_most": "1m"}, Delay(Pareto(1, 2, 60))),
    ],
)
def test_delays(value, made) -> None:
    """Alone, or in a list."""
    assert fault({"delay": value}).delays == (made,)
    assert fault({"delay": [value]}).delays == (made,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "1s" * 51,
            f'delay: "{"1s" * 28}... is not a duration: seconds as a number, or as in 250ms, 1.5s, 2m or 1h30m',
        ),
        (0, "delay: 0 is not a duration from 0.001 s to ten years"),
        (1e300, "delay: 1e+300 is not a duration from 0.001 s to ten years"),
        ([], "delay: the list is empty; give at least one"),
        ([1, "2s"], "delay[1]: there is a delay before upstream already; add them up"),
        (
            {"before": "head"},
            "delay: give one of fixed, range, normal, lognormal, exponential, pareto",
        ),
        (
            {"fixed": 1, "range": [1, 2]},
            "delay.range: give one of fixed, range, normal, lognormal, exponential, pareto",
        ),
        ({"fixed": 1, "before": "tail"}, 'delay.before: "tail" is not one of upstream, head, body'),
        ({"fixed": 1, "at_most": 2}, "delay.at_most: fixed has an upper bound already"),
        ({"range": [1]}, "delay.range: [1] is not two durations, as in [1s, 3s]"),
        (
            {"range": [2, 2]},
            "delay.range[1]: 2 is not longer than 2 s, where the range begins",
        ),
        ({"normal": {"mean": 1}}, "delay.normal: deviation is missing"),
        ({"normal": 1}, "delay.normal: 1 is not an object with mean and deviation"),
        (
            {"lognormal": {"median": 1, "sigma": 0}},
            "delay.lognormal.sigma: 0 is not a number above 0",
        ),
        (
            {"pareto": {"least": 1, "shape": 1}},
            "delay: at_most is missing: pareto has no upper bound",
        ),
        (
            {"pareto": {"least": 2, "shape": 1}, "at_most": 2},
            "delay.pareto: at_most is not longer than the least, 2 s",
        ),
    ],
)
def test_what_is_no_delay(value, message) -> None:
    """Impossible combinations included."""
    assert of_fault({"delay": value}) == message


# -- break --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("reset", Break(ResetConnection())),
        ({"how": "close", "at": "connect"}, Break(CloseConnection(), Stage.CONNECT)),
        ({"how": "garbage", "at": "request"}, Break(SendGarbage(), Stage.REQUEST)),
        ({"how": "hang", "at": "head", "for": "9s"}, Break(HangConnection(9))),
        ("tls-alert", Break(SendAlert(), Stage.HANDSHAKE)),
        (
            {"how": "tls-alert", "at": "handshake", "alert": "unknown_ca"},
            Break(SendAlert(48), Stage.HANDSHAKE),
        ),
        ({"how": "reset", "after": {"bytes": 9}}, Break(ResetConnection(), point=BytesPoint(9))),
        (
            {"how": "reset", "scope": "connection"},
            Break(ResetConnection(), scope=Scope.CONNECTION),
        ),
    ],
)
def test_breaks(value, made) -> None:
    """At a stage, or at a point of the answer."""
    assert fault({"break": value}).breaks == made


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "rst",
            'break: "rst" is not one of close, reset, hang, garbage, tls-alert; did you mean reset?',
        ),
        (3, "break: 3 is not one of close, reset, hang, garbage, tls-alert"),
        ({"at": "head"}, "break: how is missing: one of close, reset, hang, garbage, tls-alert"),
        (
            {"how": "reset", "at": "body"},
            'break.at: "body" is not one of connect, handshake, request, head',
        ),
        (
            {"how": "reset", "at": "head", "after": "x"},
            "break.at: there is a point in the answer already; give one of the two",
        ),
        (
            {"how": "reset", "before": "y", "after": "x"},
            "break.before: there is after already; give one point",
        ),
        (
            {"how": "tls-alert", "at": "head"},
            "break: a TLS alert is possible at the handshake only; write at: handshake",
        ),
        (
            {"how": "tls-alert", "after": "x"},
            "break: a TLS alert is possible at the handshake only; write at: handshake",
        ),
        ({"how": "reset", "for": 1}, "break.for: for belongs to hang, and this is reset"),
        (
            {"how": "reset", "alert": "unknown_ca"},
            "break.alert: alert belongs to tls-alert, and this is reset",
        ),
    ],
)
def test_what_is_no_break(value, message) -> None:
    """Impossible combinations included."""
    assert of_fault({"break": value}) == message


# -- stream -------------------------------------------------------------------------------------

WHERE = (JsonMatcher(JsonPath.parse("delta.type"), AnyOf((Equal("text_delta"),))),)


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ({"after": "ping", "cut": True}, [StreamFault(CutStream(), EventPoint(True, "ping"))]),
        ({"before": {"event": "a", "count": 5, "where": {"delta.type": "text_delta"}}, "reset": True},
         [StreamFault(ResetStream(), EventPoint(False, "a", 5, WHERE))]),
        ({"after": {"count": 3}, "end": True}, [StreamFault(EndStream(), EventPoint(True, None, 3))]),
        ({"after": {"bytes": 7}, "stall": "forever"}, [StreamFault(Stall(), BytesPoint(7))]),
        ({"after": {"time": "2s"}, "stall": {"for": 9, "pings": "1s"}}, [StreamFault(Stall(9, 1), TimePoint(2))]),
        ({"stall": {"pings": 1, "for": "forever"}}, [StreamFault(Stall(None, 1), START)]),
        ({"stall": 3}, [StreamFault(Stall(3), START)]),
        ({"at": "first-event", "error": True}, [StreamFault(SendError(), FIRST_EVENT)]),
        ({"error": "rate_limit_error"}, [StreamFault(SendError(error="rate_limit_error"), FIRST_EVENT)]),
        ({"error": {"status": 500, "type": "t", "message": "m", "code": "c", "form": "flat"}},
         [StreamFault(SendError(500, "t", "m", "c", form="flat"), FIRST_EVENT)]),
        ({"error": {"failure": "overloaded"}}, [StreamFault(SendError(failure="overloaded"), FIRST_EVENT)]),
        ({"end_early": True}, [StreamFault(EndEarly(), FIRST_EVENT)]),
        ({"end_early": "max_tokens"}, [StreamFault(EndEarly(), FIRST_EVENT)]),
        ({"drop": True}, [StreamFault(Drop(1), FIRST_EVENT)]),
        ({"duplicate": 3}, [StreamFault(Duplicate(3), FIRST_EVENT)]),
        ({"garble": "all"}, [StreamFault(Garble(None), FIRST_EVENT)]),
        ({"wrong_checksum": 2}, [StreamFault(WrongChecksum(2), FIRST_EVENT)]),
        ({"half_event": True}, [StreamFault(HalfEvent(), FIRST_EVENT)]),
        ({"half_event": "end"}, [StreamFault(HalfEvent(), FIRST_EVENT)]),
        ({"half_event": "cut"}, [StreamFault(HalfEvent(is_cut=True), FIRST_EVENT)]),
        ({"chunks": "split"}, [StreamFault(Rechunk(True), START)]),
        ({"chunks": "merge", "after": "a"}, [StreamFault(Rechunk(False), EventPoint(True, "a"))]),
        ({"pace": {"events_per_second": 2}}, [StreamFault(Pace(2.0), START)]),
        ({"pace": {"bytes_per_second": 2}, "after": {"bytes": 1}, "cut": True},
         [StreamFault(Pace(None, 2.0), START), StreamFault(CutStream(), BytesPoint(1))]),
        ([{"drop": 1}, {"after": "a", "cut": True}],
         [StreamFault(Drop(1), FIRST_EVENT), StreamFault(CutStream(), EventPoint(True, "a"))]),
        ({"cut": True, "scope": "request"}, [StreamFault(CutStream(), START)]),
        ({"reset": True, "scope": "connection"},
         [StreamFault(ResetStream(), START, Scope.CONNECTION)]),
    ],
)  # fmt: skip
def test_streams(value, made) -> None:
    """Each object one action at a point, pace and chunks beside it."""
    assert list(fault({"stream": value}).stream) == made


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1, "stream: 1 is not an object, as in {after: {bytes: 100}, cut: true}"),
        ([], "stream: the list is empty; give at least one"),
        (
            {},
            "stream: it does nothing; give one of error, cut, reset, end, end_early, half_event, stall, drop, duplicate, garble, wrong_checksum, chunks, pace",
        ),
        ({"cut": False}, "stream.cut: false is not true (leave the key out otherwise)"),
        ({"ct": True}, "stream: unknown key 'ct'; did you mean cut?"),
        (
            {"cut": True, "drop": 1},
            "stream.drop: cut happens at this point already; write a list of objects for several points",
        ),
        (
            {"end": True, "scope": "connection"},
            "stream.scope: it is for what breaks the answer off, as cut and reset",
        ),
        (
            {"pace": {"bytes_per_second": 1}, "scope": "request"},
            "stream.scope: it is for what breaks the answer off, as cut and reset",
        ),
        (
            [{"cut": True}, {"after": "a", "reset": True}],
            "stream: two of these end the stream; give one (or one_of, to choose)",
        ),
        (
            [{"cut": True, "upstream": "real"}, {"drop": 1, "upstream": "skipped"}],
            "stream: upstream is real in one place and skipped in another; give it once",
        ),
        (
            {"cut": True, "after": "a", "at": "first-event"},
            "stream.at: there is after already; give one point",
        ),
        ({"cut": True, "at": "last"}, 'stream.at: "last" is not first-event'),
        (
            {"cut": True, "after": {}},
            "stream.after: it is empty; give an event, its count, or where",
        ),
        (
            {"cut": True, "after": 5},
            "stream.after: 5 is not the name of an event, or an object as {event: content_block_delta, count: 5}",
        ),
        ({"cut": True, "after": ""}, 'stream.after: "" is not text'),
        (
            {"cut": True, "after": {"bytes": 1, "event": "a"}},
            "stream.after.bytes: bytes stands alone; give it or an event",
        ),
        (
            {"cut": True, "before": {"bytes": 1}},
            "stream.before: unknown key 'bytes'; the keys are event, count, where",
        ),
        (
            {"cut": True, "after": {"where": 1}},
            "stream.after.where: 1 is not an object of paths and tests",
        ),
        (
            {"error": 5},
            "stream.error: 5 is not true, the type of the error, or an object as {status: 529}",
        ),
        (
            {"error": {"status": 200}},
            "stream.error.status: 200 is not a whole number from 400 to 599",
        ),
        ({"end_early": "stop"}, 'stream.end_early: "stop" is not max_tokens'),
        ({"stall": 0}, "stream.stall: 0 is not a duration from 0.001 s to ten years"),
        ({"drop": 0}, "stream.drop: 0 is not a whole number from 1 to 1000000000"),
        ({"chunks": "tiny"}, 'stream.chunks: "tiny" is not one of split, merge'),
        ({"pace": {}}, "stream.pace: give one of events_per_second, bytes_per_second"),
        (
            {"pace": {"bytes_per_second": 0}},
            "stream.pace.bytes_per_second: 0 is not a number above 0",
        ),
    ],
)
def test_what_is_no_stream(value, message) -> None:
    """Impossible combinations included."""
    assert of_fault({"stream": value}) == message


def test_a_made_stream() -> None:
    """Said once is enough."""
    assert fault({"stream": [{"cut": True, "upstream": "skipped"}, {"drop": 1}]}).made_stream
    assert not fault({"stream": {"cut": True, "upstream": "real"}}).made_stream


# -- together -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            None,
            ": null is not an object with respond, delay, break, stream or one_of in it, or the word pass",
        ),
        ({}, ": there is no fault in it; give one of respond, delay, break, stream"),
        ({"respnd": 500}, ": unknown key 'respnd'; did you mean respond?"),
        (
            {"respond": 500, "break": "close"},
            "break: it cannot go with respond: an injected answer cannot be broken; give one of the two",
        ),
        (
            {"respond": 500, "stream": {"cut": True}},
            "stream: it cannot go with respond: that replaces the API's answer; for a made-up one set stream.upstream",
        ),
        (
            {"break": "close", "stream": {"cut": True}},
            "stream: it cannot go with break: write cut, reset or stall in stream instead",
        ),
        (
            {"delay": {"fixed": 1, "before": "head"}, "break": "close"},
            "delay: there is no answer whose head or body could be delayed; leave out before",
        ),
        (
            {"delay": {"fixed": 1, "before": "body"}, "respond": {"status": 407, "at": "connect"}},
            "delay: there is no answer whose head or body could be delayed; leave out before",
        ),
        (
            {"one_of": [{"respond": 500}], "delay": 1},
            "delay: one_of stands alone; write what all share into each of its items",
        ),
        ({"one_of": {}}, "one_of: it is not a list of faults"),
        ({"one_of": []}, "one_of: the list is empty; give at least one"),
        (
            {"one_of": [{"weight": 0, "respond": 500}]},
            "one_of[0].weight: 0 is not a number above 0",
        ),
        (
            {"one_of": [{"weight": 1}]},
            "one_of[0]: there is no fault in it; give one of respond, delay, break, stream",
        ),
        (
            {"one_of": [{"one_of": []}]},
            "one_of[0]: unknown key 'one_of'; the keys are weight, pass, respond, delay, break, stream",
        ),
        (
            {"one_of": [{"pass": True, "respond": 500}]},
            "one_of[0].respond: pass stands alone, with its weight",
        ),
        (
            {"one_of": [{"respond": 500}, {"break": "tls-alert"}]},
            "one_of[1]: it happens at the handshake and the first at the answer; one rule is decided at one time, so write two rules",
        ),
    ],
)
def test_what_does_not_go_together(value, message) -> None:
    """Each with the reason."""
    assert of_fault(value) == message


def test_what_goes_together() -> None:
    """A delay with any other; and a choice."""
    both = fault({"delay": {"fixed": 1, "before": "body"}, "respond": 500})
    assert both.delays
    assert both.respond
    assert fault({"delay": 1, "break": {"how": "close", "at": "connect"}}).stage is Stage.CONNECT
    assert fault(
        {"delay": {"fixed": 1, "before": "head"}, "break": {"how": "reset", "after": {"bytes": 1}}}
    ).breaks
    [rule] = read_rules(
        [{"fault": {"one_of": [{"pass": True, "weight": 9}, {"respond": 500}]}}], "f"
    ).rules
    assert [choice.weight for choice in rule.faults] == [9, 1]
    assert rule.faults[0].fault == fault("pass")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"match": {"json": {"a": 1}}, "fault": {"break": {"how": "reset", "at": "connect"}}},
         "match.json: a fault at connect happens before there is a request: only the host is known"),
        ({"match": {"path": "/"}, "fault": {"respond": {"status": 407, "at": "connect"}}},
         "match.path: a fault at connect happens before there is a request: only the host is known"),
        ({"match": {"provider": "openai"}, "fault": {"break": "tls-alert"}},
         "match.provider: a fault at handshake happens before there is a request: only the host is known"),
        ({"match": {"model": "m"}, "fault": {"break": {"how": "reset", "at": "request"}}},
         "match.model: a fault at request happens before the body is read, which this needs; use at: head"),
        ({"when": {"first": 1, "per": "attempt-group"}, "fault": {"break": {"how": "reset", "at": "request"}}},
         "when.per: a fault at request happens before the body is read, which this needs; use at: head"),
        ({"when": {"first": 1, "per": "client"}, "fault": {"break": "tls-alert"}},
         "when.per: a fault at handshake happens before there is a request: only the host is known"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_at_its_stage(rule, message) -> None:
    """Is refused with the reason."""
    assert refusal(rule) == message


@pytest.mark.parametrize(
    "rule",
    [
        {"match": {"host": "a"}, "when": {"first": 1, "per": "connection"}, "fault": {"break": "tls-alert"}},
        {"match": {"path": "/", "header": {"a": "b"}, "client": "c", "query": {"a": "b"}, "method": "GET"},
         "when": {"first": 1, "per": "client"}, "fault": {"break": {"how": "reset", "at": "request"}}},
        {"match": {"json": {"a": 1}, "attempt": 1}, "fault": {"break": "reset"}},
    ],
)  # fmt: skip
def test_what_can_be(rule) -> None:
    """By what is known there."""
    assert read_rules([rule], "f").rules


def test_a_null_can_be_told_from_nothing() -> None:
    """In JSON they differ."""
    [rule] = read_rules([{"match": {"json": {"a": None}}, "fault": "pass"}], "f").rules
    [test] = rule.match.json
    assert test.test.holds(None)
    assert not test.test.holds(MISSING)
