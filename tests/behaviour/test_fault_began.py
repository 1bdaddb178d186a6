"""A fault that takes time is told of when it begins, and its exchange when it is over."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from faultinject.events import ExchangeEnded, FaultBegan
from faultinject.faults.locate import BytesFinder
from faultinject.faults.stream.stall import Stalling
from faultinject.faults.transform import AtOnce, Chain, Cut, Pointed, Send, WaitUntil
from tests.support.bench import TARGET, Bench, open_bench, post, trusting_context
from tests.support.stream_api import at_once

ASK = post("/v1/messages?key=secret", json.dumps({"model": "m", "stream": True}).encode())
POINT = {"after": {"count": 2}}


async def ask_and_leave(bench: Bench, after_seconds: float) -> ExchangeEnded:
    """Ask, leave after a time at the latest, and return what was told at the end."""
    client = await bench.tls()
    await client.send(ASK)
    with trio.move_on_after(after_seconds):
        await client.end()
    await client.cut()
    return await bench.exchange()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"delay": 5}, [("delay of 5 s before the upstream", 5)]),
        ({"delay": 5, "respond": 529}, [("delay of 5 s before the upstream", 5)]),
        (
            {"delay": [{"before": "head", "fixed": 2}, {"before": "body", "fixed": 3}]},
            [("delay of 2 s before the head", 2), ("delay of 3 s before the body", 3)],
        ),
        ({"stream": {**POINT, "stall": {}}}, [("stall after 2 events", None)]),
        ({"stream": {**POINT, "stall": {"for": "5s"}}}, [("stall after 2 events", 5)]),
        (
            {"stream": {**POINT, "stall": {"for": "9s", "pings": "2s"}}},
            [("stall after 2 events", 9)],
        ),
        ({"stream": {"pace": {"events_per_second": 2}}}, [("pace after 0 bytes", None)]),
        ({"break": "hang"}, [("hang instead of an answer", None)]),
        ({"break": {"how": "hang", "for": "5s"}}, [("hang instead of an answer", 5)]),
        ({"break": {"how": "hang", **POINT}}, [("hang after 2 events", None)]),
        ({"break": {"how": "hang", "for": "5s", **POINT}}, [("hang after 2 events", 5)]),
        (
            {
                "delay": 2,
                "stream": [{**POINT, "stall": {"for": "5s"}}, {"after": {"count": 3}, "cut": True}],
            },
            [("delay of 2 s before the upstream", 2), ("stall after 2 events", 5)],
        ),
        ({"delay": 0.9}, []),
        ({"stream": {**POINT, "stall": {"for": "0.5s"}}}, []),
        ({"stream": {**POINT, "cut": True}}, []),
        ({"stream": {"after": {"count": 999}, "stall": {}}}, []),
        ({"respond": 529}, []),
        ({"break": "reset"}, []),
    ],
)
async def test_what_takes_time(autojump_clock, fault: dict[str, Any], told: list[Any]) -> None:
    """Once for each fault, before the exchange's own event, which says the same at the end."""
    async with open_bench(upstream=at_once) as bench:
        bench.rules({"name": "slow", "fault": fault})
        ended = await ask_and_leave(bench, 60)
        began = bench.of(FaultBegan)
        assert [(event.fault, event.seconds) for event in began] == told
        for event in began:
            assert (event.session, event.exchange, event.rule) == (1, 1, "slow")
            assert (event.method, event.host, event.path) == ("POST", TARGET, "/v1/messages")
            assert bench.events.index(event) < bench.events.index(ended)
            assert ended.fault is not None
            assert event.fault in ended.fault


async def test_it_is_told_at_the_beginning(autojump_clock) -> None:
    """When nothing has come yet, and the client still waits."""
    async with open_bench(upstream=at_once) as bench:
        bench.rules({"fault": {"stream": {**POINT, "stall": {}}}})
        client = await bench.tls()
        await client.send(ASK)
        await trio.sleep(2)
        assert [event.seconds for event in bench.of(FaultBegan)] == [None]
        assert bench.of(ExchangeEnded) == []
        await client.cut()
        assert (await bench.exchange()).outcome == "harmed"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"how": "hang", "for": "9s"}, [("hang at the handshake", 9)]),
        ({"how": "hang"}, [("hang at the handshake", None)]),
        ({"how": "hang", "for": "0.5s"}, []),
        ({"how": "reset"}, []),
    ],
)
@pytest.mark.parametrize("delay", [0, 5])
async def test_a_handshake(autojump_clock, fault: Any, told: list[Any], delay: int) -> None:
    """It has no path, and its method is CONNECT."""
    if delay:
        told = [("delay of 5 s before the upstream", 5), *told]
    async with open_bench() as bench:
        rule: dict[str, Any] = {"break": fault | {"at": "handshake"}}
        bench.rules({"name": "slow", "fault": rule | ({"delay": delay} if delay else {})})
        client = await bench.tunnel()
        raw = client.stream
        with trio.move_on_after(60), pytest.raises(trio.BrokenResourceError):
            await client.start_tls(trusting_context(), TARGET)
        await trio.aclose_forcefully(raw)
        ended, began = await bench.exchange(), bench.of(FaultBegan)
        assert [(event.fault, event.seconds) for event in began] == told
        assert {(event.method, event.path) for event in began} <= {("CONNECT", "")}
        assert {(event.session, event.exchange) for event in began} <= {(1, ended.exchange)}


def test_two_faults_on_one_answer() -> None:
    """Together they wait, last and harm as either does."""
    stall = Pointed("stall", BytesFinder(0), Stalling(5.0), harms=False, lasts_seconds=5.0)
    cut = Pointed("cut", BytesFinder(9), AtOnce(lambda _: [Cut()]))
    chain = Chain(stall, cut)
    assert (chain.waits, chain.lasts_seconds, chain.harms) == (False, 5.0, True)
    assert list(chain.step(b"x", 0.0)) == [WaitUntil(5.0), Send(b"x")]
    assert (chain.waits, stall.waits, cut.waits) == (True, True, False)
    assert not Chain(stall, stall).harms
