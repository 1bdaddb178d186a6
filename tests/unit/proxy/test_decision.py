"""The decisions on requests that come over HTTP, from one client and from many at once."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import brotli
import pytest
import trio
import trio.testing
import zstandard
from attrs import define, field

from faultinject.events import ExchangeEnded, Warned
from faultinject.proxy import runtime
from faultinject.proxy.runtime import Runtime
from faultinject.rules import Plan
from faultinject.rules.facts import Facts
from faultinject.settings import Limits
from tests.support.bench import get, ok, open_bench, post
from tests.support.llm_api import completion_events
from tests.support.peer import Message

COUNT = 320
BODY = b'{"model": "m", "max_tokens": 9}'
RULES: list[dict[str, Any]] = [
    {
        "name": "failures",
        "match": {"path": "/v1/messages*", "model": "m"},
        "when": {"probability": 0.3},
        "fault": {
            "one_of": [
                {"weight": 2, "respond": 529},
                {"respond": {"status": 429, "retry_after": 2}, "delay": {"range": [1, 3]}},
                {"stream": {"after": {"count": 2}, "error": True, "upstream": "skipped"}},
            ]
        },
    },
    {"name": "storms", "when": {"burst": {"calm": 8, "storm": 4}}, "fault": {"respond": 503}},
    {
        "name": "slow",
        "when": {"every": 3},
        "fault": {"delay": {"exponential": {"mean": 1}, "at_most": 5}},
    },
]


@define
class Noted:
    """What was decided, and what clients saw of it."""

    paths: list[str] = field(factory=list)
    """In the order in which the requests were decided on."""
    plans: list[tuple[Plan, float]] = field(factory=list)
    """Each with a number of those that it is carried out by."""
    answers: dict[str, Message] = field(factory=dict)

    @property
    def seen(self) -> list[tuple[int, bytes]]:
        """The k-th request's answer, for each k: there are drawn ids in it."""
        answers = [self.answers[path] for path in self.paths]
        return [(answer.status, answer.body) for answer in answers]


async def decisions(monkeypatch, clients: int, rules: list[dict[str, Any]] | None) -> Noted:
    """Return what is decided on `COUNT` requests of so many clients at once."""
    noted, decide = Noted(), Runtime.decide

    def decide_and_note(runtime: Runtime, rule_set, facts: Facts, *more) -> Plan:
        plan = decide(runtime, rule_set, facts, *more)
        noted.paths.append(facts.head.target.decode())
        noted.plans.append((plan, plan.numbers("any")()))
        return plan

    async def ask(number: int) -> None:
        client = bench.connect()
        for turn in range(COUNT // clients):
            path = f"/v1/messages?{number}-{turn}"
            noted.answers[path] = await client.ask(post(path, BODY))

    with monkeypatch.context() as patched:
        patched.setattr(Runtime, "decide", decide_and_note)
        async with open_bench(probability=0.3, seed=11, upstream=always_alike) as bench:
            if rules is not None:
                bench.rules(*rules, seed=11)
            async with trio.open_nursery() as nursery:
                for number in range(clients):
                    nursery.start_soon(ask, number)
    assert len(noted.paths) == COUNT
    return noted


CODERS = {
    b"gzip": gzip.compress, b"deflate": zlib.compress, b"br": brotli.compress,
    b"zstd": zstandard.compress,
}  # fmt: skip
OF_THE_MODEL: dict[str, Any] = {
    "name": "of the model",
    "match": {"model": "m", "tools": False},
    "fault": {"respond": 529},
}


@pytest.mark.parametrize("coding", CODERS)
async def test_a_compressed_body_is_read_by_rules(autojump_clock, coding):
    """As it would be without its coding."""
    header = b"Content-Encoding: " + coding
    async with open_bench() as bench:
        bench.rules(OF_THE_MODEL)
        client = bench.connect()
        for body, status in ((BODY, 529), (b'{"model": "other"}', 200)):
            request = post("/v1/messages", CODERS[coding](body), header)
            assert (await client.ask(request)).status == status
        assert bench.of(Warned) == []


@pytest.mark.parametrize("coding", CODERS)
async def test_a_compressed_body_is_passed_on_as_it_came(autojump_clock, coding):
    """Though a rule has read it: head and body are what the client sent."""
    passed = []

    async def notes(upstream) -> None:
        passed.append(await upstream.read_message())
        await upstream.send(ok(b""))

    coded = CODERS[coding](b'{"model": "other"}')
    async with open_bench(upstream=notes) as bench:
        bench.rules(OF_THE_MODEL)
        request = post("/v1/messages", coded, b"Content-Encoding: " + coding)
        assert (await bench.connect().ask(request)).status == 200
        assert (passed[0].body, passed[0].header(b"content-encoding")) == (coded, coding)
        assert (await bench.exchange()).request_bytes == len(coded)


async def test_attempts_are_counted_whatever_their_coding_is(autojump_clock):
    """What they say is the same."""
    async with open_bench() as bench:
        bench.rules({"when": {"first": 2, "per": "attempt-group"}, "fault": {"respond": 529}})
        client = bench.connect()
        seen = []
        for coding, code in (*CODERS.items(), (b"identity", bytes)):
            request = post("/v1/messages", code(BODY), b"Content-Encoding: " + coding)
            seen.append((await client.ask(request)).status)
        assert seen == [529, 529, 200, 529, 529]


@pytest.mark.parametrize(
    ("header", "body", "words"),
    [
        (b"br", BODY[::-1], "br) that cannot be decoded (the body is not in"),
        (
            b"gzip",
            gzip.compress(bytes(3000), mtime=0),
            "gzip) that cannot be decoded (it decodes to",
        ),
        (
            b"aws-chunked",
            b"5;x",
            "aws-chunked) that cannot be decoded (the coding",
        ),
        (b"x" * 900, b"5;x", f"{'x' * 40}) that cannot"),
    ],
)
async def test_a_body_that_cannot_be_decoded_is_warned_of_once(autojump_clock, header, body, words):
    """Rules that read it do not match; the others do."""
    async with open_bench(limits=Limits(drained_body_bytes=2000)) as bench:
        always: dict[str, Any] = {"fault": {"respond": 503}}
        client = bench.connect()
        request = post("/v1/messages", body, b"Content-Encoding: " + header)
        for rules, status in (([OF_THE_MODEL], 200), ([OF_THE_MODEL, always], 503)):
            bench.rules(*rules)
            assert (await client.ask(request)).status == status
        [warned] = bench.of(Warned)
        assert (
            f"a request to api.example.com has a compressed body (content-encoding: {words}"
            in warned.message
        )
        assert "rules that read the body do not match" in warned.message


async def test_a_body_that_breaks_the_protocol_while_rules_wait_for_it(autojump_clock):
    """It is refused as it would be without them, and no rule has been asked."""
    async with open_bench() as bench:
        bench.rules(OF_THE_MODEL)
        client = bench.connect()
        head = b"POST /v1/messages HTTP/1.1\r\nHost: api.example.com\r\n"
        await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"no length\r\n")
        assert (await client.answer()).status == 400
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status, exchange.rule) == ("refused", 400, None)


async def test_a_body_that_is_not_coded_though_its_header_says_so(autojump_clock):
    """Rules read what is there, and nothing is said that would be wrong."""
    async with open_bench() as bench:
        bench.rules(OF_THE_MODEL)
        request = post("/v1/messages", BODY, b"Content-Encoding: gzip")
        assert (await bench.connect().ask(request)).status == 529
        empty = post("/v1/messages", b"", b"Content-Encoding: gzip")
        assert (await bench.connect().ask(empty)).status == 200
        assert bench.of(Warned) == []


RATE_LIMITED: dict[str, Any] = {"fault": {"respond": {"failure": "rate-limited"}}}
COMPLETIONS = "/v1/chat/completions"


def said(message: Message) -> str:
    """Return the message of an error."""
    text = message.json()["error"]["message"]
    assert isinstance(text, str)
    return text


async def test_a_failure_names_the_model_that_was_asked_for(autojump_clock):
    """Though no rule reads the body; each request has its own."""
    async with open_bench() as bench:
        bench.rules(RATE_LIMITED)
        client = bench.connect()
        for model in ("gpt-5", "o3 \u00e9 {host} {wait}"):
            body = json.dumps({"model": model}).encode()
            answer = await client.ask(post(COMPLETIONS, body))
            assert answer.status == 429
            assert said(answer).startswith(f"Rate limit reached for {model} in organization org-")
        body = gzip.compress(json.dumps({"model": "gpt-5"}).encode())
        answer = await client.ask(post(COMPLETIONS, body, b"Content-Encoding: gzip"))
        assert said(answer).startswith("Rate limit reached for gpt-5 in organization")
        assert bench.dialer.dialled == []


async def test_a_failure_for_a_request_that_names_no_model(autojump_clock):
    """No name is made up, and a body that is too long is not read for it, nor warned of."""
    async with open_bench(limits=Limits(drained_body_bytes=2000)) as bench:
        bench.rules(RATE_LIMITED)
        client = bench.connect()
        for request in (
            get("/v1/models", "api.openai.com"),
            post(COMPLETIONS, b""),
            post(COMPLETIONS, b"[]"),
            post(COMPLETIONS, b'{"model": 5}'),
            post(COMPLETIONS, b'{"model": "x", "more": "' + b"y" * 200_000),
        ):
            if b"/v1/models" in request:
                request = request.replace(b" /", b" http://api.openai.com/", 1)
            answer = await client.ask(request)
            assert said(answer).startswith("Rate limit reached for requests in organization org-")
        assert bench.of(Warned) == []


async def test_a_failure_that_names_the_model_after_an_expectation(autojump_clock):
    """The body must come first, so the client is told to send it."""
    async with open_bench() as bench:
        bench.rules(RATE_LIMITED)
        client = bench.connect()
        request = post(COMPLETIONS, b'{"model": "o3"}', b"Expect: 100-continue")
        await client.send(request[:-15])
        assert (await client.answer()).status == 100
        await client.send(request[-15:])
        assert said(await client.answer()).startswith("Rate limit reached for o3 in")


async def test_what_names_no_model_does_not_wait_for_the_body(autojump_clock):
    """It is read away as before; whoever does not send it gets the answer all the same."""
    async with open_bench() as bench:
        bench.rules({"fault": {"respond": {"status": 503, "message": "busy"}}})
        client = bench.connect()
        start = trio.current_time()
        await client.send(post(COMPLETIONS, b'{"model": "o3"}')[:-1])
        assert said(await client.answer()) == "busy"
        assert trio.current_time() - start < 100


async def test_an_error_within_a_stream_names_the_model(autojump_clock):
    """And so does a lost answer's stand-in; the upstream gets the whole request."""
    chunks = completion_events()
    passed = []

    async def streams(upstream) -> None:
        while request := await upstream.read_message():
            passed.append(request.body)
            await upstream.send(ok(b"".join(chunks), b"Content-Type: text/event-stream"))

    body = b'{"model": "o3", "stream": true}'
    async with open_bench(upstream=streams) as bench:
        client = bench.connect()
        bench.rules({"fault": {"stream": {"after": {"count": 1}, "error": {"status": 429}}}})
        answer = await client.ask(post(COMPLETIONS, body))
        assert answer.body.startswith(chunks[0])
        assert b"Rate limit reached for o3 in" in answer.body
        bench.rules({"fault": {"respond": {"failure": "rate-limited", "upstream": "answered"}}})
        answer = await client.ask(post(COMPLETIONS, body))
        assert said(answer).startswith("Rate limit reached for o3 in")
    assert passed == [body, body]


async def always_alike(upstream) -> None:
    """Answer each request by the same."""
    while await upstream.read_message():
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def test_the_kth_request_gets_the_kth_decision(autojump_clock, monkeypatch):
    """The same for one client and for 64 at once; only who is the k-th differs."""
    alone, together = [await decisions(monkeypatch, clients, None) for clients in (1, 64)]
    assert alone.plans == together.plans
    assert alone.seen == together.seen
    assert {status for status, _ in alone.seen} == {200, 429}


async def test_the_kth_request_to_reach_a_rule_gets_its_kth_plan(autojump_clock, monkeypatch):
    """With several rules, choices and made answers: all is the same for 64 clients."""
    alone, together = [await decisions(monkeypatch, clients, RULES) for clients in (1, 64)]
    assert alone.plans == together.plans
    assert alone.seen == together.seen
    fired = [plan.rule_id for plan, _ in alone.plans]
    assert set(fired) == {"failures", "storms", "slow", None}
    assert {status for status, _ in alone.seen} == {200, 429, 503, 529}


async def test_warnings_that_clients_choose_are_bounded(autojump_clock, monkeypatch):
    """Each is said once, and so many at most."""
    monkeypatch.setattr(runtime, "MOST_WARNINGS", 3)
    async with open_bench() as bench:
        bench.rules(OF_THE_MODEL)
        client = bench.connect()
        for number in (1, 1, 2, 3, 4, 5):
            header = b"Content-Encoding: unknown-%d" % number
            assert (await client.ask(post("/v1/messages", b"{", header))).status == 200
        assert len(bench.of(Warned)) == 3


PREFLIGHT = (
    b"OPTIONS /v1/messages HTTP/1.1\r\nHost: x\r\n"
    b"Origin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n\r\n"
)


async def test_a_preflight_passes_and_is_not_counted(autojump_clock):
    """Neither by a rule that fires for the first requests, nor by one for all."""
    async with open_bench() as bench:
        bench.rules(
            {"name": "first", "when": {"first": 1}, "fault": {"respond": 529}},
            {"name": "others", "match": {"method": "OPTIONS", "path": "/x"}, "fault": "pass"},
        )
        client = await bench.tls()
        assert (await client.ask(PREFLIGHT)).status == 200
        assert (await client.ask(post("/v1/messages", BODY))).status == 529
        assert (await client.ask(PREFLIGHT)).status == 200
    kinds = [(told.kind, told.outcome, told.rule) for told in bench.of(ExchangeEnded)]
    passed = ("preflight", "forwarded", None)
    assert kinds == [passed, ("model", "injected", "first"), passed]


async def test_a_rule_that_names_options_is_for_preflights(autojump_clock):
    """And only such a rule."""
    async with open_bench() as bench:
        bench.rules(
            {"name": "all", "fault": {"break": {"how": "close", "at": "request"}}},
            {"name": "asked", "match": {"method": "OPTIONS"}, "fault": {"respond": 403}},
        )
        client = await bench.tls()
        assert (await client.ask(PREFLIGHT)).status == 403
    assert [told.rule for told in bench.of(ExchangeEnded)] == ["asked"]
