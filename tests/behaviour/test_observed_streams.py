"""What is told of streams and of tools' results, and what is found by it, over whole sessions."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio

from faultinject.observed import Observed
from faultinject.report.judge import Judge, Report
from tests.support.bench import Bench, answers, ok, open_bench, post
from tests.support.llm_api import message_events, sse_event
from tests.support.peer import Cut

ASK = {"role": "user", "content": "hi"}
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
EVENTS = message_events()


@pytest.fixture(autouse=True, params=[False, True], ids=["at once", "late"])
def _open_bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether all is found out at once or late, the same is told."""
    opens = partial(open_bench, observes_late=request.param)
    monkeypatch.setattr(sys.modules[__name__], "open_bench", opens)


def text_of(lines: list[bytes]) -> str:
    """Return the text that Anthropic's events carry, as far as they are JSON."""
    texts = []
    for line in lines:
        with suppress(ValueError):
            said = json.loads(line.partition(b"data: ")[2])
            texts.append(said.get("delta", {}).get("text", ""))
    return "".join(texts)


PART = text_of(EVENTS[:5])


async def conversation(
    stream: bytes, *requests: list[dict[str, Any]], rules: Any = ()
) -> tuple[list[Observed], Report]:
    """Ask for each list of messages in turn; return what was observed, and the report."""
    async with open_bench(upstream=answers(SSE + stream)) as bench:
        bench.rules(*rules)
        for messages in requests:
            document = {"model": "m", "stream": True, "messages": messages}
            client = await bench.tls()
            await client.send(post("/v1/messages", json.dumps(document).encode()))
            with trio.move_on_after(20), suppress(Cut):
                await client.end()
            await client.cut()
            await trio.sleep(1)
        return observed(bench), judged(bench)


def observed(bench: Bench) -> list[Observed]:
    """Return what was observed so far."""
    return [event.observed for event in bench.events if event.NAME == "exchange"]  # type: ignore[attr-defined]


def judged(bench: Bench) -> Report:
    """Return the report of the events so far."""
    judge = Judge(ignore=("nothing-tested", "client-left", "not-retried"))
    for event in bench.events:
        judge.listen(event)
    return judge.report()


def assistant(text: str) -> dict[str, Any]:
    """Return a message of the model."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


FIRST: dict[str, Any] = {"first": 1}
CUT = {"name": "r", "when": FIRST, "fault": {"stream": {"after": {"count": 4}, "cut": True}}}
ERROR = {"name": "r", "when": FIRST, "fault": {"stream": {"after": {"count": 4}, "error": True}}}
GARBLED = {"name": "r", "when": FIRST, "fault": {"stream": {"after": {"count": 4}, "garble": 1}}}


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        (CUT, ["truncation-missed"]),
        (ERROR, ["error-event-missed"]),
        (GARBLED, ["malformed-ignored"]),
    ],
)
async def test_a_part_that_is_taken_as_the_answer(
    autojump_clock: trio.testing.MockClock, rule: dict[str, Any], ids: list[str]
) -> None:
    """It is found by the next request, which has the part as what the model said."""
    whole = b"".join(EVENTS)
    [first], _ = await conversation(whole, [ASK], rules=[rule])
    assert first.failure is not None
    delivered = await delivered_text(rule)
    follow = [ASK, assistant(f" {delivered}\n"), {"role": "user", "content": "go on"}]
    [first, second], report = await conversation(whole, [ASK], follow, rules=[rule])
    assert first.delivered is not None
    assert first.delivered == second.messages[1].text
    assert [each.id for each in report.findings] == ids


async def delivered_text(rule: dict[str, Any]) -> str:
    """Return the text that a client is sent of a stream with a fault."""
    async with open_bench(upstream=answers(SSE + b"".join(EVENTS))) as bench:
        bench.rules(rule)
        client = await bench.tls()
        document = {"model": "m", "stream": True, "messages": [ASK]}
        await client.send(post("/v1/messages", json.dumps(document).encode()))
        got = b""
        with suppress(Cut, trio.BrokenResourceError):
            while piece := await client.receive():
                got += piece
        return text_of(got.replace(b"\r\n", b"\n").split(b"\n"))


async def test_a_prefill(autojump_clock: trio.testing.MockClock) -> None:
    """A part that is the last message is for the model to go on from."""
    delivered = await delivered_text(CUT)
    _, report = await conversation(
        b"".join(EVENTS), [ASK], [ASK, assistant(delivered)], rules=[CUT]
    )
    assert [each.id for each in report.findings] == ["resumed"]


async def test_a_part_that_is_taken_as_the_answer_with_words_as_of_another_message(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Words that are only alike do not ask the model to finish it."""
    delivered = await delivered_text(CUT)
    other = {"role": "user", "content": "Is it discontinued? Switch it off, in short."}
    follow = [ASK, assistant(delivered), other]
    _, report = await conversation(b"".join(EVENTS), [ASK], follow, rules=[CUT])
    assert [each.id for each in report.findings] == ["truncation-missed"]


@pytest.mark.parametrize(
    "words",
    [
        "Please continue.",
        "Your previous response was interrupted and ended with [x]. Go on.",
        "YOU WERE CUT OFF.",
    ],
)
async def test_a_part_that_the_model_is_asked_to_finish(
    autojump_clock: trio.testing.MockClock, words: str
) -> None:
    """By a message behind it: the program knows that it is a part."""
    delivered = await delivered_text(CUT)
    follow = [ASK, assistant(delivered), {"role": "user", "content": words}]
    [first, second], report = await conversation(b"".join(EVENTS), [ASK], follow, rules=[CUT])
    assert report.findings == []
    assert first.delivered is not None
    assert [message.text is None for message in second.messages] == [False, True, False]


async def test_the_api_s_own_error_within_a_stream(autojump_clock: trio.testing.MockClock) -> None:
    """Is told though no rule did anything, and the next request is looked at closely."""
    error = sse_event('{"type": "error", "error": {"type": "overloaded_error"}}', "error")
    follow = [ASK, assistant(PART), {"role": "user", "content": "go on"}]
    told, report = await conversation(b"".join(EVENTS[:5]) + error, [ASK], follow)
    assert (told[0].failure, told[0].taken) == ("error-event", "whole")
    assert [each.id for each in report.findings] == ["error-event-missed"]


async def test_the_tokens_of_a_stream(autojump_clock: trio.testing.MockClock) -> None:
    """Of a part, what it told; of an answer that the API did not make, none."""
    whole = b"".join(EVENTS)
    (first, second), report = await conversation(whole, [ASK], [ASK], rules=[CUT])
    assert first.input_tokens == second.input_tokens
    assert first.input_tokens is not None
    assert second.output_tokens == 5
    assert report.totals.lost_input_tokens == first.input_tokens
    made = {"stream": {"after": {"count": 4}, "cut": True, "upstream": "skipped"}}
    [first], _ = await conversation(whole, [ASK], rules=[{"name": "r", "fault": made}])
    assert (first.failure, first.input_tokens) == ("truncated", None)
    assert first.delivered is not None


async def test_a_stream_that_is_too_long(autojump_clock: trio.testing.MockClock) -> None:
    """Its text is not told."""
    ping = sse_event('{"type": "ping"}', "ping") * 20_000
    [told], _ = await conversation(b"".join(EVENTS[:5]) + ping, [ASK], rules=[CUT])
    assert told.delivered is not None
    late = {"name": "r", "fault": {"stream": {"after": {"bytes": 300_000}, "cut": True}}}
    [told], _ = await conversation(b"".join(EVENTS[:5]) + ping, [ASK], rules=[late])
    assert (told.failure, told.delivered) == ("truncated", None)


async def test_effects_that_are_repeated(autojump_clock: trio.testing.MockClock) -> None:
    """A tool that ran twice for one question, because the request between failed."""

    def turns(call_id: str) -> list[dict[str, Any]]:
        use = {"type": "tool_use", "id": call_id, "name": "send_mail", "input": {"to": "a"}}
        result = {"type": "tool_result", "tool_use_id": call_id, "content": "sent"}
        return [ASK, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]

    async with open_bench(upstream=answers(ok(b"{}"))) as bench:
        bench.rules({"name": "r", "when": FIRST, "fault": {"respond": 529}})
        for messages in (turns("a"), [ASK], turns("b")):
            client = await bench.tls()
            document = {"model": "m", "messages": messages}
            await client.ask(post("/v1/messages", json.dumps(document).encode()))
            await client.cut()
            await trio.sleep(1)
        told, report = observed(bench), judged(bench)
    results = [message.results for each in told for message in each.messages if message.results]
    assert [[each.tool for each in one] for one in results] == [["send_mail"]] * 2
    (first,), (second,) = results
    assert (first.arguments, first.result) == (second.arguments, second.result)
    assert first.call_id != second.call_id
    assert first.prefix == second.prefix == told[1].prefix
    assert [each.id for each in report.findings] == ["repeated-effects"]
