"""When the program gives up: too early, too late, or for something else."""

from __future__ import annotations

from bisect import bisect_left

from faultinject.report.attempt import SeenAttempt, begun_within
from faultinject.report.client_calls import Call
from faultinject.report.finding import Judged, Known, Unclear
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds
from faultinject.report.words import result, seconds

NOT_RETRIED = Known(
    "not-retried",
    "warning",
    "gave up at the first failure",
    "A good client tries again, after a pause, when an API is overloaded or a connection breaks.",
)
HUNG = Known(
    "hung",
    "error",
    "waited without an end",
    "A good client has a time limit for each pause within an answer, and ends what is silent"
    " longer.",
)
CLIENT_LEFT = Known(
    "client-left",
    "note",
    "left before the answer's end",
    "A good client has a time limit that slow answers still meet.",
)
FALLBACK = Known(
    "fallback",
    "note",
    "asked another model or host instead",
    "A good client says to whom it fell back, since another model answers differently.",
)


def not_retried(history: History, limits: Thresholds) -> Judged:
    """Look for calls that were given up after one attempt though another might have helped."""
    judged = Judged("no call failed in a way that another attempt may help against, or too late")
    for call in history.certain:
        only = call.last
        if not (call.count == only.number == 1 and _may_be_tried_again(only, limits)):
            continue
        if not history.nothing_follows(only) or _something_followed(history, only, limits):
            continue
        known = history.is_known_before(only, limits.window_seconds)
        if not known or _had_failed_before(history, only, limits):
            continue
        judged.calls.append(call.number)
        if fallback_of(history, call, limits) is None:
            judged.find("warning", f"{_kind(only)}, and no second attempt", calls=[call.number])
    several = (call for call in history.certain if call.count > 1)
    judged.calls += [call.number for call in several if call.attempts[0].worth_repeating]
    return judged


def hung(history: History, limits: Thresholds) -> Judged:
    """Look for silences that the client should have ended, and did not."""
    judged = Judged("no answer fell silent")
    for each in history.attempts:
        quiet = each.seen.quiet_seconds
        if quiet is None or not _fell_silent(each, quiet, limits):
            continue
        if each.client_left and not _may_have_been_ended(history, each):
            judged.calls.append(each.call)  # as it should
        elif each.client_left and not _was_killed(history, each):
            why = "till the program ended: it may have no time limit"
            judged.unclear[each.call] = Unclear(why, _silence(each))
        elif quiet < _longest_silence(each, limits):
            judged.unclear[each.call] = Unclear("too short to tell", _silence(each))
        else:
            judged.calls.append(each.call)
            judged.find("error", f"{_silence(each)}; the client did not end it", calls=[each.call])
    return judged


def client_left(history: History, _: Thresholds) -> Judged:
    """Look for answers that the client did not wait for."""
    judged = Judged("no answer was begun")
    for each in history.attempts:
        if each.client_left and not _is_known_beside(history, each):
            continue  # another may have been answered first
        where = "before the answer's head" if each.head is None else "within the answer"
        if each.client_left and _may_have_been_ended(history, each):
            after = seconds(each.ended - each.began)
            left = f"left {where}, after {after}"
            judged.unclear[each.call] = Unclear("as the program ended", left)
            continue
        judged.calls.append(each.call)
        if not each.client_left or _is_answered(history, each):
            continue
        stated = each.seen.read_timeout_seconds or each.seen.timeout_seconds
        known = "" if stated is None else f" (it states a time-out of {seconds(stated)})"
        judged.find(
            "note",
            f"left {where}, after {seconds(each.ended - each.began)}{known}",
            calls=[each.call],
        )
    return judged


def fallback(history: History, limits: Thresholds) -> Judged:
    """Look for calls that, given up, were made of another model or host."""
    judged = Judged("no call failed for good")
    for call in history.calls:
        last = call.last
        if last.failure is None:
            continue
        judged.calls.append(call.number)
        other = fallback_of(history, call, limits)
        if other is not None:
            judged.find(
                "note",
                f"{_kind(last)} from {_whom(last)}, then {_whom(other)} was asked",
                calls=[call.number, other.call],
            )
    return judged


def fallback_of(history: History, call: Call, limits: Thresholds) -> SeenAttempt | None:
    """Return the attempt that asks another model or host what a call was given up for."""
    last = call.last
    key = history.question(last)
    if last.failure is None or key is None:
        return None
    for host_and_model, attempts in history.by_question[key].items():
        if host_and_model == last.host_and_model:
            continue
        for each in begun_within(attempts, last.known, limits.window_seconds):
            if each.number == 1 and _asks_no_more(each, last):
                return each
    return None


def _asks_no_more(other: SeenAttempt, failed: SeenAttempt) -> bool:
    """Return True if a request has the same messages as another, or fewer, and none besides."""
    texts = {(message.role, message.text) for message in failed.seen.messages}
    return (
        other.seen.system == failed.seen.system
        and (other.seen.message_count or 0) <= (failed.seen.message_count or 0)
        and all((message.role, message.text) in texts for message in other.seen.messages)
    )


def _may_be_tried_again(attempt: SeenAttempt, limits: Thresholds) -> bool:
    """Return True if a client should have tried again. After a 200's head none does by itself."""
    return (
        attempt.worth_repeating
        and attempt.failure in ("answer", "no-answer", "connect", "handshake")
        and attempt.seen.taken in ("whole", "broken")
        and (attempt.seen.wait_asked_seconds or 0.0) <= limits.longest_wait_seconds
    )


def _something_followed(history: History, attempt: SeenAttempt, limits: Thresholds) -> bool:
    """Return True if a request followed that may have been another attempt, in other words."""
    if attempt.of_connection:
        return _may_be_of_another_call(history, attempt, limits)
    if attempt.seen.prefix is not None:  # or the conversation was begun again at one of its turns
        turns = (attempt.seen.prefix, *[message.before for message in attempt.seen.messages])
        same = [history.by_prefix.get(each, []) for each in turns]
    else:
        same = [history.around(attempt, attempt)]
    return any(
        each.host == attempt.host and each.path == attempt.path
        for attempts in same
        for each in begun_within(attempts, attempt.known, limits.window_seconds)
        if each is not attempt
    )


def _may_be_of_another_call(history: History, attempt: SeenAttempt, limits: Thresholds) -> bool:
    """Return True if what a broken connection was for may have been asked again, or was nothing.

    It may have been for housekeeping, if the host gets some, or for a spare connection beside one
    in use. Whatever was asked afterwards, of any host, may be the same.
    """
    if attempt.host in history.housekept:
        return True
    at_once = _at_once(history.by_host[attempt.host], attempt)
    following = begun_within(history.attempts, attempt.known, limits.window_seconds)
    return any(each is not attempt for each in (*at_once, *following))


def _had_failed_before(history: History, attempt: SeenAttempt, limits: Thresholds) -> bool:
    """Return True if an equal request failed shortly before: then this was one more attempt.

    It is not counted as one if that failure was final, because such a failure ends a call.
    """
    return any(
        each.failure is not None and attempt.began - limits.window_seconds <= each.ended
        for each in history.equal_to(attempt)
        if each.began < attempt.began
    )


def _fell_silent(attempt: SeenAttempt, quiet_seconds: float, limits: Thresholds) -> bool:
    """Return True if an answer fell silent, or was silent for too long when it was broken off.

    The latter is a delay or a slow API: how long it would have lasted is not known.
    """
    if attempt.failure is None and attempt.seen.taken != "whole":
        return quiet_seconds >= _longest_silence(attempt, limits)
    breaks_off = attempt.failure in ("no-answer", "truncated", "cut")
    return attempt.failure == "stalled" or (breaks_off and quiet_seconds >= SILENCE_SECONDS)


def _longest_silence(attempt: SeenAttempt, limits: Thresholds) -> float:
    """Return how long a silence has to be before it is the client's fault."""
    seen = attempt.seen
    if attempt.head is not None:
        return max(limits.hung_stream_seconds, 1.05 * (seen.read_timeout_seconds or 0.0))
    stated = seen.read_timeout_seconds or seen.timeout_seconds or 0.0
    return max(limits.hung_head_seconds, 1.05 * stated)


def _silence(attempt: SeenAttempt) -> str:
    where = "before an answer" if attempt.head is None else "within an answer"
    stated = attempt.seen.read_timeout_seconds
    known = "" if stated is None else f" (its time-out is {seconds(stated)})"
    return f"{seconds(attempt.seen.quiet_seconds or 0.0)} of silence {where}{known}"


SILENCE_SECONDS = 1.0
"""What breaks off sooner after its last byte has not fallen silent before."""
WITH_THE_PROGRAM_SECONDS = 1.0
"""A client that leaves no longer before the end may have been ended with its program."""
WHEN_STOPPED_SECONDS = 5.0
"""The same if the program, or the run, was told to stop: a program may close its connections first,
and take a while to end."""
LIMIT_OFF_SECONDS = 0.1
LIMIT_OFF_PART = 0.02
"""The silence after which a client leaves at its stated time-out may differ from that by so much,
or by this part of it if that is more."""
AT_ONCE = 0.05
"""So much later, in seconds, an answer may seem to begin that made another needless."""
MOST_AT_ONCE = 100


def _at_the_end(history: History, attempt: SeenAttempt) -> bool:
    most = WITH_THE_PROGRAM_SECONDS if history.command_ended else WHEN_STOPPED_SECONDS
    return history.over is not None and history.over - attempt.ended <= most


def _may_have_been_ended(history: History, attempt: SeenAttempt) -> bool:
    """Return True if a client that left may have been ended with its program, or the run.

    Not if it left when its stated time-out was over: many programs end for that.
    """
    return _at_the_end(history, attempt) and not _left_at_its_limit(attempt)


def _left_at_its_limit(attempt: SeenAttempt) -> bool:
    """Return True if a client left just when the time-out that it states was over."""
    seen = attempt.seen
    stated = seen.read_timeout_seconds
    if stated is None and attempt.head is None:
        stated = seen.timeout_seconds
    if stated is None or seen.quiet_seconds is None:
        return False
    return abs(seen.quiet_seconds - stated) <= max(LIMIT_OFF_SECONDS, LIMIT_OFF_PART * stated)


def _was_killed(history: History, attempt: SeenAttempt) -> bool:
    """Return True if a signal ended a client, and not a limit of its own."""
    if history.over is None or not history.command_killed:
        return False
    return history.over - attempt.ended <= WITH_THE_PROGRAM_SECONDS


def _is_known_beside(history: History, attempt: SeenAttempt) -> bool:
    """Return True if all is here that was under way together with an attempt."""
    is_seen = history.last_unseen < attempt.began
    return is_seen and history.is_known_before(attempt, 0.0) and history.is_known_behind(attempt)


def _is_answered(history: History, attempt: SeenAttempt) -> bool:
    """Return True if another request brought the answer, so that this one was not needed."""
    equal = _at_once(history.by_request.get(attempt.seen.request or "", []), attempt)
    question = history.question(attempt)
    groups = [] if question is None else history.by_question[question].values()
    candidates = [each for group in groups for each in _at_once(group, attempt)]
    others = [*equal, *(each for each in candidates if _asks_no_more(each, attempt))]
    return any(
        each.failure is None and each.head is not None and each.head <= attempt.ended + AT_ONCE
        for each in others
        if each is not attempt
    )


def _at_once(attempts: list[SeenAttempt], with_: SeenAttempt) -> list[SeenAttempt]:
    """Return those that were under way together with an attempt, from the last to begin."""
    begun = bisect_left(attempts, with_.ended, key=lambda each: each.began)
    latest = attempts[max(0, begun - MOST_AT_ONCE) : begun]
    return [each for each in latest if each.ended > with_.began]


def _kind(attempt: SeenAttempt) -> str:
    return f"{result(attempt)} ({attempt.failure_kind})"


def _whom(attempt: SeenAttempt) -> str:
    return f"{attempt.seen.model or 'a model'} at {attempt.host}"
