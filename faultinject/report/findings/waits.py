"""Waits that answers asked for, and what the program made of them."""

from __future__ import annotations

from collections.abc import Iterator

from faultinject.report.attempt import HostAndModel, SeenAttempt
from faultinject.report.client_calls import Call
from faultinject.report.finding import IN_TURN, Judged, Known, Unclear
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds
from faultinject.report.words import seconds

RETRY_AFTER_IGNORED = Known(
    "retry-after-ignored",
    "error",
    "tried again before the wait that was asked for was over",
    "A good client waits as long as the answer asks (`retry-after-ms`, `retry-after`, or"
    " `RetryInfo` in Google's errors) before it tries again.",
)
RETRY_AFTER_CAPPED = Known(
    "retry-after-capped",
    "note",
    "waited less than it was asked to, but long",
    "A good client that will not wait so long gives up and says so, since to try earlier is in"
    " vain.",
)
THROTTLED_KEY_CALLED = Known(
    "throttled-key-called",
    "note",
    "began other calls with a key that was told to wait",
    "A good client holds back its other calls with the same key and model too while it is told to"
    " wait.",
)


def retry_after_ignored(history: History, limits: Thresholds) -> Judged:
    """Look for repeats that come sooner than the failed answer asked."""
    judged = Judged(
        "no failed answer that was tried again asked for a wait of"
        f" {seconds(limits.longest_wait_seconds)} or less"
    )
    asked = (call.number for call in history.in_turn if _asks_to_wait(call, limits))
    judged.unclear = dict.fromkeys(asked, Unclear(IN_TURN))
    for failed, again in _asked_and_repeated(history):
        _judge_wait(failed, again, judged, limits)
        if _is_no_wait(failed, again, limits):
            judged.unclear.setdefault(failed.call, _not_waited(failed, again, limits))
    for call in history.in_turn:
        for failed, again in hasty_in_turn(call, limits):
            if _asks(failed, again):
                judged.unclear.pop(call.number, None)
                _judge_wait(failed, again, judged, limits)
    return judged


def _judge_wait(
    failed: SeenAttempt, again: SeenAttempt, judged: Judged, limits: Thresholds
) -> None:
    wait = failed.seen.wait_asked_seconds or 0.0
    if not 0 < wait <= limits.longest_wait_seconds:
        return
    judged.calls.append(failed.call)
    if _is_early(failed, again, limits):
        judged.find("error", _what_came(failed, again), calls=[failed.call])


def _what_came(failed: SeenAttempt, again: SeenAttempt) -> str:
    where = "" if again.number == failed.number + 1 else " on its connection"
    return (
        f"{failed.status} asked for {seconds(failed.seen.wait_asked_seconds or 0.0)}"
        f" ({failed.seen.wait_asked_by});"
        f" the next attempt{where} came after {seconds(failed.gap_to(again))}"
    )


def hasty_in_turn(call: Call, limits: Thresholds) -> list[tuple[SeenAttempt, SeenAttempt]]:
    """Return the failed attempts of a loop without a pause, each with the next on its connection.

    Such a loop takes two connections in turn, as Node's fetch does. Empty if it is not sure that a
    call is one. Two threads that do the same, each on a connection of its own, wait as little; and
    threads that share connections do not take them in turn without overlapping.
    """
    kept = {each.number: each for each in call.attempts}
    ways = {(each.number % 2, each.session) for each in call.attempts}
    pairs = [(each, kept[each.number + 2]) for each in call.attempts if each.number + 2 in kept]
    in_turn = len(ways) == len({session for _, session in ways}) == 2
    if not in_turn or len(pairs) < limits.no_pause_gaps:
        return []
    if any(one.gap_to(other) >= limits.no_pause_seconds for one, other in pairs):
        return []
    return [each for each in pairs if each[0].failure == "answer" and each[0].worth_repeating]


def _asks_to_wait(call: Call, limits: Thresholds) -> bool:
    waits = [each.seen.wait_asked_seconds or 0.0 for each in call.attempts]
    return any(0 < wait <= limits.longest_wait_seconds for wait in waits)


def retry_after_capped(history: History, limits: Thresholds) -> Judged:
    """Look for repeats after a long wait that was cut short."""
    judged = Judged(
        "no failed answer that was tried again asked for a wait of more than"
        f" {seconds(limits.longest_wait_seconds)}"
    )
    for failed, again in _asked_and_repeated(history):
        if (failed.seen.wait_asked_seconds or 0.0) <= limits.longest_wait_seconds:
            continue
        if _is_no_wait(failed, again, limits):
            judged.unclear.setdefault(failed.call, _not_waited(failed, again, limits))
            continue
        judged.calls.append(failed.call)
        if _is_early(failed, again, limits):
            judged.find("note", _what_came(failed, again), calls=[failed.call])
    return judged


def _is_no_wait(failed: SeenAttempt, again: SeenAttempt, limits: Thresholds) -> bool:
    """Return True if a client came long before a wait was over that it need not keep."""
    wait = failed.seen.wait_asked_seconds or 0.0
    is_short = failed.gap_to(again) < limits.capped_wait_seconds
    return wait > limits.longest_wait_seconds and is_short and _is_early(failed, again, limits)


def _not_waited(failed: SeenAttempt, again: SeenAttempt, limits: Thresholds) -> Unclear:
    longest = seconds(limits.longest_wait_seconds)
    return Unclear(
        f"as some SDKs do that are asked to wait for more than {longest}",
        _what_came(failed, again),
    )


def throttled_key_called(history: History, limits: Thresholds) -> Judged:
    """Look for calls that begin while another with the same key is told to wait."""
    judged = Judged(
        f"no throttled answer asked for a wait of more than {seconds(limits.unaware_seconds)}"
    )
    for attempts in history.by_credential.values():
        apart = [each for each in attempts if not history.is_doubtful(each)]
        _judge_key(history, apart, judged, limits)
    return judged


def _judge_key(
    history: History, attempts: list[SeenAttempt], judged: Judged, limits: Thresholds
) -> None:
    """Judge the attempts with one credential, given in the order in which they began."""
    throttled = sorted((each for each in attempts if _holds_back(each, limits)), key=_told)
    judged.calls.extend(each.call for each in throttled)
    begun_within: dict[SeenAttempt, list[int]] = {}
    last: dict[HostAndModel, SeenAttempt] = {}  # of each host and model: the longest wait
    place = 0
    for each in (attempt for attempt in attempts if attempt.number == 1):
        while place < len(throttled) and throttled[place].known <= each.began:
            key = history.host_and_model(throttled[place])
            last[key] = max(last.get(key, throttled[place]), throttled[place], key=_until)
            place += 1
        waiting = last.get(history.host_and_model(each))
        if waiting is not None and _begins_within(waiting, each, limits):
            begun_within.setdefault(waiting, []).append(each.call)
    for waiting, others in begun_within.items():
        wait = seconds(waiting.seen.wait_asked_seconds or 0.0)
        judged.find(
            "note",
            f"{waiting.status} asked for {wait} ({waiting.seen.wait_asked_by});"
            f" {_calls(len(others))} with the same key and model began within it",
            calls=[waiting.call, *others],
        )


def _holds_back(attempt: SeenAttempt, limits: Thresholds) -> bool:
    wait = attempt.seen.wait_asked_seconds or 0.0
    return attempt.failure_kind == "throttled" and wait > limits.unaware_seconds


def _begins_within(waiting: SeenAttempt, other: SeenAttempt, limits: Thresholds) -> bool:
    begins = waiting.known + limits.unaware_seconds
    return other.call != waiting.call and begins <= other.began < _until(waiting) - early(
        waiting, limits
    )


def _told(attempt: SeenAttempt) -> float:
    return attempt.known


def _until(attempt: SeenAttempt) -> float:
    return attempt.known + (attempt.seen.wait_asked_seconds or 0.0)


def early(failed: SeenAttempt, limits: Thresholds) -> float:
    """Return how many seconds too soon a client may come."""
    wait = failed.seen.wait_asked_seconds or 0.0
    if failed.seen.wait_asked_by == "retry-after-date":
        return limits.early_for_date_seconds
    return max(limits.early_seconds, limits.early_part * wait)


def kept_wait(failed: SeenAttempt, again: SeenAttempt, limits: Thresholds) -> bool:
    """Return True if a wait was asked for, and kept. A wait of 0 is kept whatever the gap."""
    return failed.seen.wait_asked_seconds is not None and not _is_early(failed, again, limits)


def _asked_and_repeated(history: History) -> Iterator[tuple[SeenAttempt, SeenAttempt]]:
    for call in history.repeated:
        for failed, again in call.repeats():
            if _asks(failed, again):
                yield failed, again


def _asks(failed: SeenAttempt, again: SeenAttempt) -> bool:
    """Return True if a failed answer asked for a wait before what came next."""
    asks = failed.failure == "answer" and failed.seen.should_retry is not False
    same = failed.seen.credential == again.seen.credential and failed.seen.model == again.seen.model
    return asks and same and bool(failed.seen.wait_asked_seconds)


def _is_early(failed: SeenAttempt, again: SeenAttempt, limits: Thresholds) -> bool:
    wait = failed.seen.wait_asked_seconds or 0.0
    return failed.gap_to(again) < round(wait - early(failed, limits), 6)


def _calls(number: int) -> str:
    return f"{number} other call{'' if number == 1 else 's'}"
