"""Clients of the simulator: the well-behaved ones that are known, and some that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from attrs import evolve

from tests.unit.report.findings.simulator import Ask, Client, Result

Pause = Callable[[int, Result], float | None]
"""Returns the pause before the next attempt, by the number of those that failed; None to give up.
"""


def retrying(ask: Ask, pause: Pause, *, counts: bool = False, reconnects: bool = False) -> Client:
    """Ask, and try again as ``pause`` says; if it reconnects, each time on a new connection."""
    tried = 0
    while True:
        asks = evolve(ask, retry_count=tried) if counts else ask
        asks = evolve(asks, session=ask.session + tried) if reconnects else asks
        result = yield asks
        assert result is not None
        if result.good:
            return
        tried += 1
        seconds = pause(tried, result)
        if seconds is None:
            return
        yield seconds


def may_help(result: Result) -> bool:
    """Return True if an SDK tries again: not after a final error, nor within an answer."""
    answer = result.answer
    if answer.should_retry is not None:
        return answer.should_retry
    if result.timed_out:
        return answer.status is None
    return answer.kind != "final" and answer.failure in ("answer", "no-answer", "connect")


def stainless(
    random: Random, *, max_retries: int = 2, longest_wait: float = 60.0, refuses_more: bool = False
) -> Pause:
    """The SDKs of Anthropic, OpenAI and Groq: 0.5 s · 2ⁿ up to 8 s, less up to a quarter.

    A wait that is asked for goes before it if it is not too long; some refuse longer ones.
    """

    def pause(tried: int, result: Result) -> float | None:
        if tried > max_retries or not may_help(result):
            return None
        wait = result.answer.wait
        if wait is not None and 0 < wait <= longest_wait:
            return wait
        if wait is not None and wait > longest_wait and refuses_more:
            return None
        return min(0.5 * 2 ** (tried - 1), 8.0) * (1 - 0.25 * random.random())

    return pause


def boto3(random: Random) -> Pause:
    """boto3 in standard mode: three attempts, and of 2ⁿ · 0.05 s a part by chance.

    Of 2ⁿ s if it is throttled; of 20 s at most.
    """

    def pause(tried: int, result: Result) -> float | None:
        if tried >= 3 or not may_help(result):
            return None
        scale = 1.0 if result.answer.kind == "throttled" else 0.05
        return random.random() * min(scale * 2 ** (tried - 1), 20)

    return pause


def google_genai(random: Random) -> Pause:
    """google-genai with retry options: five attempts, 2ⁿ s up to 60 s, and up to 1 s more."""

    def pause(tried: int, result: Result) -> float | None:
        if tried >= 5 or not may_help(result):
            return None
        return min(2.0 ** (tried - 1) + random.random(), 60.0)

    return pause


def cohere(random: Random) -> Pause:
    """Cohere's SDK: three attempts, 0.5 s · 2ⁿ up to 10 s, less up to a quarter."""

    def pause(tried: int, result: Result) -> float | None:
        if tried >= 3 or result.answer.failure != "answer" or not may_help(result):
            return None
        wait = result.answer.wait
        if wait is not None and wait > 0:
            return min(wait, 30.0)
        return min(0.5 * 2 ** (tried - 1), 10.0) * (1 - 0.25 * random.random())

    return pause


def claude_code(random: Random, *, max_retries: int = 10) -> Pause:
    """Claude Code: 0.5 s · 2ⁿ, 32 s at most, and up to a quarter more; it ends on long waits."""

    def pause(tried: int, result: Result) -> float | None:
        wait = result.answer.wait
        if tried > max_retries or not may_help(result) or (wait or 0) > 60:
            return None
        return wait or min(0.5 * 2 ** (tried - 1), 32.0) * (1 + 0.25 * random.random())

    return pause


def full_jitter(random: Random, *, attempts: int = 8, cap: float = 20.0) -> Pause:
    """The advice of Amazon's builders: any time up to 2ⁿ s, with a cap."""

    def pause(tried: int, result: Result) -> float | None:
        if tried >= attempts or not may_help(result):
            return None
        return result.answer.wait or random.uniform(0.0, min(cap, 2.0 ** (tried - 1)))

    return pause


def steady(seconds: float, *, attempts: int = 10**9) -> Pause:
    """The same pause whatever failed."""
    return lambda tried, _: seconds if tried < attempts else None


def pauses(*seconds: float) -> Pause:
    """These pauses, then giving up."""
    return lambda tried, _: seconds[tried - 1] if tried <= len(seconds) else None


def once(ask: Ask) -> Client:
    """Ask and take what comes."""
    yield ask


def in_turn(*clients: Client | float) -> Client:
    """One client after another, or a pause."""
    for each in clients:
        if isinstance(each, (int, float)):
            yield each
        else:
            yield from each


def asks(**changes: Any) -> Ask:
    """Return a request."""
    return Ask(**changes)


def polling(ask: Ask, *, every: float, times: int) -> Client:
    """Ask at a steady pace, whatever comes: a probe, or a poller of a batch."""
    for _ in range(times):
        result = yield ask
        assert result is not None
        yield every - min(result.answer.seconds, ask.patience)


def each_with(
    clients: Iterable[Client], start: Callable[[Client, float], object], apart: float
) -> None:
    """Start clients one after another."""
    for place, client in enumerate(clients):
        start(client, place * apart)
