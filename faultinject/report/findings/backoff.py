"""How fast the program tries again."""

from __future__ import annotations

from bisect import bisect_right

from faultinject.report.attempt import Client
from faultinject.report.client_calls import Call
from faultinject.report.finding import IN_TURN, Judged, Known, Unclear
from faultinject.report.findings.repeats import (
    NOT_REPEATED,
    Repeat,
    is_even,
    paces,
    same_pace_elsewhere,
    unasked,
)
from faultinject.report.findings.vain import only_in_vain
from faultinject.report.findings.waits import hasty_in_turn, kept_wait
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds
from faultinject.report.words import seconds

NO_BACKOFF = Known(
    "no-backoff",
    "error",
    "tried again without a pause",
    "A good client waits before each further attempt, and longer each time (0.5 s, 1 s, 2 s, …).",
)
NO_JITTER = Known(
    "no-jitter",
    "note",
    "had calls that failed together come back together",
    "A good client adds chance to its pauses, so that many clients do not all come back at once.",
)
SET_UP_SECONDS = 0.5
"""To make a client and connect it, or to load what a first error needs, may take so long: less need
not be a pause."""
_BY_AWS = (
    "AWS' SDKs draw their pauses by chance, the first of them between 0 and 0.05 s: that they grow"
    " cannot be seen in a few"
)
_SET_UP = (
    f"no gap was as long as {seconds(SET_UP_SECONDS)}, which a new connection may take; to have it"
    " judged, let one client make all attempts over one connection, or five of them fail"
    " (--preset overloaded@first=5)"
)
_FIRST_ERROR = (
    "and the first may be what a client loads as it meets an error; to have it judged, have five"
    " attempts fail (--preset overloaded@first=5)"
)
_BROKEN_OFF = (
    "its answers broke off, and a pause is asked for after whole errors only; to have it judged,"
    " have such fail (--preset overloaded@first=5)"
)
_OF_CONNECTIONS = (
    "its connections broke before it was told what they were for: many calls look like one there;"
    " to have it judged, have answers fail (--preset overloaded@first=5)"
)
_IN_VAIN = "all failures were final: no pause helps against those (retried-in-vain)"
_AT_ONCE_ELSEWHERE = (
    "equal requests came at once after failures, on other connections: each says that it is the"
    " first of a call, and may be another attempt"
)
_Rounds = tuple[Repeat, Repeat]


def no_backoff(history: History, limits: Thresholds) -> Judged:
    """Look for calls that are tried again at once, or at a short and steady pace."""
    judged = Judged(NOT_REPEATED)
    _judge_unsure(history, judged, limits)
    hasty, in_vain = _hasty_clients(history, limits), only_in_vain(history, limits)
    for call in history.repeated:
        repeats = unasked(call, limits)
        if not repeats or call.number in history.followed_at_once:
            continue
        if call.number in in_vain:
            judged.why_not = _IN_VAIN
        elif call.last.seen.invocation_id:
            judged.unclear[call.number] = Unclear(_BY_AWS)
        else:
            _judge_pace(history, call, repeats, judged, limits, is_hasty=call.client in hasty)
    return judged


def _judge_unsure(history: History, judged: Judged, limits: Thresholds) -> None:
    """Judge the calls whose attempts are not surely theirs, as far as that can be done."""
    for number in history.followed_at_once:
        judged.unclear[number] = Unclear(_AT_ONCE_ELSEWHERE)
    for call in history.calls:
        if any(each.of_connection for each in call.attempts) and _comes_at_once(call, limits):
            judged.unclear[call.number] = Unclear(_OF_CONNECTIONS)
    for call in history.in_turn:
        short = [
            one.gap_to(other)
            for one, other in hasty_in_turn(call, limits)
            if not kept_wait(one, other, limits)
        ]
        if len(short) < limits.no_pause_gaps or call.last.seen.invocation_id:
            judged.unclear[call.number] = Unclear(IN_TURN)
            continue
        judged.unclear.pop(call.number, None)
        _find_short(history, call, short, judged, limits)
        judged.calls.append(call.number)


def _judge_pace(
    history: History,
    call: Call,
    repeats: list[Repeat],
    judged: Judged,
    limits: Thresholds,
    *,
    is_hasty: bool,
) -> None:
    short = _short(repeats, limits)
    gaps = [one.gap_to(other) for one, other in _without_first_drop(repeats)]
    if not _is_steady(gaps, limits):
        gaps = _without_long_first(gaps)
    if len(short) >= limits.no_pause_gaps - 1 and is_hasty:
        _find_short(history, call, short, judged, limits)
    elif _is_steady(gaps, limits) and not _is_rationed(history, call, limits):
        judged.find(
            "warning",
            f"{history.counted(len(gaps), [call.number])} attempts came at a steady pace of"
            f" {seconds(max(gaps))}",
            calls=[call.number],
        )
    elif _may_be_no_pauses(repeats, limits) and (why := _why_unsure(repeats, limits)):
        judged.unclear[call.number] = Unclear(why)
        return
    judged.calls.append(call.number)


def _find_short(
    history: History, call: Call, short: list[float], judged: Judged, limits: Thresholds
) -> None:
    judged.find(
        "error" if len(short) >= limits.no_pause_gaps else "warning",
        f"{history.counted(len(short), [call.number])} of its attempts came less than"
        f" {seconds(limits.no_pause_seconds)} after an error{_shortest(call, short)}",
        calls=[call.number],
    )


def _short(repeats: list[Repeat], limits: Thresholds) -> list[float]:
    """Return the gaps after whole errors that are no pause."""
    gaps = [one.gap_to(other) for one, other in repeats if one.failure == "answer"]
    return [gap for gap in gaps if gap < limits.no_pause_seconds]


def _comes_at_once(call: Call, limits: Thresholds) -> bool:
    """Return True if a call would be found, if it were sure that its attempts are its own."""
    gaps = [one.gap_to(other) for one, other in _without_first_drop(unasked(call, limits))]
    return sum(gap < limits.no_pause_seconds for gap in gaps) >= limits.no_pause_gaps - 1


def _may_be_no_pauses(repeats: list[Repeat], limits: Thresholds) -> bool:
    """Return True if each of several gaps may be the set-up of another client, and no pause."""
    several = len(repeats) >= limits.no_pause_gaps - 1
    return several and all(one.gap_to(other) < SET_UP_SECONDS for one, other in repeats)


def _why_unsure(repeats: list[Repeat], limits: Thresholds) -> str:
    """Return why it is not sure whether gaps are pauses; "" if it is.

    On one connection only the first may be what a client loads as it meets an error.
    """
    if any(one.session != other.session for one, other in repeats):
        return _SET_UP
    if not any(one.failure == "answer" for one, _ in repeats):
        return _BROKEN_OFF
    least = limits.no_pause_seconds
    if any(one.gap_to(other) >= least for one, other in repeats[1:]):
        return ""
    return f"no gap behind the first was as long as {seconds(least)}, {_FIRST_ERROR}"


def _shortest(call: Call, gaps: list[float]) -> str:
    """Return the shortest gap, if all are known."""
    return f" (the shortest {seconds(min(gaps))})" if call.is_whole else ""


def _hasty_clients(history: History, limits: Thresholds) -> set[Client]:
    """Return the clients most of whose repeats come without a pause.

    One that waits for a time that it draws comes at once now and then.
    """
    hasty: dict[Client, int] = {}
    for call in history.repeated:
        repeats = unasked(call, limits)
        excess = 2 * len(_short(repeats, limits)) - len(repeats)
        hasty[call.client] = hasty.get(call.client, 0) + excess
    return {client for client, excess in hasty.items() if excess > 0}


def no_jitter(history: History, limits: Thresholds) -> Judged:
    """Look for crowds of calls that fail together and twice come back together."""
    judged = Judged(
        f"no {limits.crowd} calls failed within {seconds(limits.crowd_seconds)} and were tried"
        " again twice"
    )
    twice = sorted(
        (rounds for call in history.repeated if (rounds := _two_rounds(call))),
        key=lambda rounds: rounds[0][0].known,
    )
    known = [rounds[0][0].known for rounds in twice]
    start = 0
    while start < len(twice):
        end = bisect_right(known, known[start] + limits.crowd_seconds)
        crowd = _under_way_at_once(twice[start:end])
        if len(crowd) < limits.crowd:
            start += 1
            continue
        _judge_crowd(crowd, judged, limits)
        start = end
    return judged


def _under_way_at_once(crowd: list[_Rounds]) -> list[_Rounds]:
    """Leave out the calls that began when others had come back twice: those are of one task."""
    back = min(other.began for _, (_, other) in crowd)
    return [rounds for rounds in crowd if rounds[0][0].began < back]


def _judge_crowd(crowd: list[_Rounds], judged: Judged, limits: Thresholds) -> None:
    calls = [rounds[0][0].call for rounds in crowd]
    judged.calls += calls
    first = [one.gap_to(other) for (one, other), _ in crowd]
    second = [one.gap_to(other) for _, (one, other) in crowd]
    if _in_step(first, limits) and _in_step(second, limits):
        judged.find(
            "note",
            f"{len(crowd)} calls failed together and came back together, after"
            f" {seconds(max(first))} and again after {seconds(max(second))}",
            calls=calls,
        )


_DROPPED = ("connect", "handshake", "no-answer")


def _without_first_drop(repeats: list[Repeat]) -> list[Repeat]:
    """Leave out the first repeat after a dropped connection: that may be at once."""
    first = next((one for one, _ in repeats if one.failure in _DROPPED), None)
    return [(one, other) for one, other in repeats if one is not first]


def _without_long_first(gaps: list[float]) -> list[float]:
    """Leave out a first gap that is longer than all others.

    Much is loaded as a first error is met (the SDKs in Python take 0.1 s for that), and a fixed
    pause is longer by it then. One that grows is shortest at first.
    """
    rest = gaps[1:]
    return rest if rest and 0.0 < gaps[0] - max(rest) <= SET_UP_SECONDS else gaps


def _is_steady(gaps: list[float], limits: Thresholds) -> bool:
    if len(gaps) < limits.steady_gaps or max(gaps) >= limits.steady_below_seconds:
        return False
    spread = max(limits.steady_seconds, limits.steady_part * min(gaps))
    return round(max(gaps) - min(gaps), 6) <= round(spread, 6)


def _in_step(gaps: list[float], limits: Thresholds) -> bool:
    spread = max(limits.in_step_seconds, limits.in_step_part * min(gaps))
    return round(max(gaps) - min(gaps), 6) <= round(spread, 6)


def _is_rationed(history: History, call: Call, limits: Thresholds) -> bool:
    """Return True if a limiter of the program's own sets the pace of a call's attempts.

    Then all its requests come at a steady pace, or they did before anything failed.
    """
    first, last = call.attempts[0], call.attempts[-1]
    meanwhile = [
        each for each in history.around(first, last) if first.began <= each.began <= last.began
    ]
    others = any(each.call != call.number for each in meanwhile)
    return (others and is_even(paces(meanwhile), limits)) or (
        same_pace_elsewhere(history, call, limits)
    )


def _two_rounds(call: Call) -> tuple[Repeat, Repeat] | None:
    """Return a call's first two repeats, if it was told no wait; None if there are none."""
    repeats = [each for each in call.repeats() if each[0].number <= 2]
    if len(repeats) < 2 or any(one.seen.wait_asked_seconds is not None for one, _ in repeats):
        return None
    return repeats[0], repeats[1]
