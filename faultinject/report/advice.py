"""The sentences of the summary: what else happened, and what to check if nothing was tested."""

from __future__ import annotations

from collections.abc import Iterator

from faultinject.events import Outcome, PluginStarted
from faultinject.report.display import brief, safe, times
from faultinject.report.summary import Summary

MAX_NAMED_HOSTS = 3
"""The most hosts that one sentence names."""
MAX_HOST_CHARACTERS = 60
MAX_UNFIT_SHOWN = 5
"""Of so many rules that mean nothing for an API it is told why."""
MAX_REASON_CHARACTERS = 200
NAMELESS = "no name"
"""Shown for a tunnel of Fault whose client named no host."""
RARE: tuple[Outcome, ...] = ("not-reached", "upgraded", "client-gone", "refused")
"""Outcomes that share a column, so that the table fits 80 columns; sentences list them."""


def facts(summary: Summary) -> list[str]:
    """Return sentences on what the table does not show."""
    return [
        *_of_rare_outcomes(summary),
        *_of_left_out(summary),
        *_of_unfit(summary),
        *_of_tunnels(summary),
        *_of_failures(summary),
    ]


def _of_rare_outcomes(summary: Summary) -> Iterator[str]:
    for outcome in RARE:
        if number := sum(counts.outcomes[outcome] for counts in summary.targets.values()):
            yield f"{times(number, 'request')}: {outcome.replace('-', ' ')}."


def _of_left_out(summary: Summary) -> Iterator[str]:
    what = "other than a call of a model" if summary.only == "model" else "housekeeping"
    if passed := sum(summary.left_out.values()):
        yield f"{times(passed, 'request')} passed as {what}: {_top(summary.left_out)}."
    if hit := sum(summary.left_out_hit.values()):
        requests = times(hit, "request was", "requests were")
        yield f"{requests} hit by a rule of yours as {what}: {_top(summary.left_out_hit)}."
    if summary.preflights:
        yield f"{times(summary.preflights, 'CORS preflight')} passed."
    if summary.websockets:
        requests = times(summary.websockets, "request")
        yield f"{requests} for a WebSocket passed: rules do not reach it (--refuse-websocket)."


def _of_unfit(summary: Summary) -> Iterator[str]:
    for each in summary.unfit[:MAX_UNFIT_SHOWN]:
        reason = brief(each.reason, MAX_REASON_CHARACTERS)
        yield f"Rule {safe(each.rule)} does nothing at {safe(each.host)}: {reason}."
    if (more := len(summary.unfit) - MAX_UNFIT_SHOWN) > 0:
        yield f"And {times(more, 'further rule')} that {'does' if more == 1 else 'do'} nothing."


def _of_tunnels(summary: Summary) -> Iterator[str]:
    if relays := sum(summary.relayed.values()):
        tunnels = times(relays, "tunnel was", "tunnels were")
        yield f"{tunnels} relayed untouched: {_top(summary.relayed)}."
    if unopened := sum(summary.unopened_tunnels.values()):
        tunnels = times(unopened, "tunnel")
        yield f"{tunnels} could not be opened: {_top(summary.unopened_tunnels)}."
    if refusals := sum(summary.refused_handshakes.values()):
        handshakes = times(refusals, "handshake was", "handshakes were")
        yield (
            f"{handshakes} refused by clients that do not trust our CA: "
            f"{_top(summary.refused_handshakes)}. See `faultinject ca instructions`."
        )


def _of_failures(summary: Summary) -> Iterator[str]:
    if summary.handshake_failures:
        yield f"{times(summary.handshake_failures, 'other TLS handshake')} failed."
    if summary.session_failures:
        yield (
            f"{times(summary.session_failures, 'session')} ended by a bug in faultinject; "
            "please report it, with the traceback that --log-level debug shows."
        )
    if summary.events_dropped:
        yield f"{times(summary.events_dropped, 'event')} missing above: the output was too slow."


def _url(summary: Summary) -> str:
    started = summary.started
    return (
        "the proxy's URL" if started is None or isinstance(started, PluginStarted) else started.url
    )


def what_is_missing(summary: Summary) -> str:
    """Return a sentence on what did not arrive in a run that tested nothing."""
    call = "call of a model" if summary.only == "model" else "call of the API"
    tested = "." if summary.left_out_hit else ", so nothing was tested."
    if summary.refused:
        refused = times(summary.refused, "request was", "requests were")
        return f"{refused} refused, and no other {call} arrived{tested}"
    if not _other_requests(summary):
        return "No request to a target arrived."
    return f"No {call} arrived{tested}"


def _other_requests(summary: Summary) -> bool:
    """Return True if there were requests, though none that presets and the options are for."""
    others = summary.left_out or summary.left_out_hit or summary.preflights or summary.websockets
    return bool(others)


def checks(summary: Summary) -> list[str]:
    """Return what to check after a run that tested nothing."""
    others = _checks_of_others(summary) if _other_requests(summary) else []
    if summary.refused:
        why = "The responses, and the lines above with 'refused', give the reason and what to do."
        return [why, *others]
    if others:
        return others
    if isinstance(summary.started, PluginStarted):
        return _plugin_checks(summary, summary.started)
    if summary.ran_command and (lines := _command_checks(summary)):
        return lines
    if summary.refused_handshakes:
        fix = "Make the client trust our CA (`faultinject ca instructions`), or give it "
        return [f"{fix}{_url(summary)} as its base URL: that needs no certificate."]
    # What names no host is not a request to a proxy: most likely it is TLS or SOCKS.
    others = [name for name, counts in summary.targets.items() if counts.rate_asked is None]
    if summary.relay_reasons or any(others):
        reasons = _top(summary.relay_reasons) or "not a target"
        return [
            f"The client uses the proxy, but no connection was decrypted: {reasons}.",
            "If requests to one of these hosts should fail, name it with --target-host.",
        ]
    if summary.handshake_failures:
        return ["Clients connected, but TLS with them failed: see the lines above."]
    if summary.sessions:
        looks = (
            "A look at whether the proxy listens, as of `faultinject env`, connects too; if that"
        )
        set_it = f"was all, is HTTPS_PROXY={_url(summary)} set where the client runs?"
        return [
            "Clients connected, but no request to a target ended: do they speak HTTP?",
            f"They must use {_url(summary)} as an HTTP proxy (not SOCKS), by http:// (not https://).",
            *([] if summary.ran_command else [f"{looks} {set_it}"]),
        ]
    return [
        f"No client connected. Is HTTPS_PROXY={_url(summary)} set where the client runs?",
        "Does the client read it? Not all do, and NO_PROXY may exclude the host.",
        f"If you can set the client's base URL, set it to {_url(summary)}.",
    ]


def _checks_of_others(summary: Summary) -> list[str]:
    lines = ["The client sent requests, but none was a call of the API."]
    if summary.started is not None and summary.started.only_for:
        wider = " --only api is for all calls of the API," if summary.only == "model" else ""
        lines = [
            "The client sent requests, but none that presets and the options are for.",
            f"Should one of the requests above fail?{wider} --only all is for every request.",
        ]
    if summary.preflights:
        lines.append("CORS preflights always pass: check that the page's call itself comes.")
    return lines


def _command_checks(summary: Summary) -> list[str]:
    """Return what to check if a command's environment did not lead its clients here."""
    if summary.refused_handshakes:
        return [
            "The command's client does not take our CA from its environment.",
            "`--via base-url` needs no certificate; docs/run.md says what else helps.",
        ]
    if summary.sessions:
        return []
    return [
        "The command made no connection to the proxy. Does it ask a target at all (--target-host)?",
        "Not all programs heed their environment: docs/run.md names those, and what to do.",
    ]


def _plugin_checks(summary: Summary, started: PluginStarted) -> list[str]:
    """Return what to check after a run of the plugin that tested nothing."""
    if summary.refused_handshakes:
        return ["Make the client trust our CA: `faultinject ca instructions`."]
    if summary.relay_reasons:
        return [
            f"Fault used the plugin, but no tunnel was decrypted: {_top(summary.relay_reasons)}.",
            "If requests to one of these hosts should fail, name it with --target-host.",
        ]
    if summary.handshake_failures:
        return ["There were tunnels, but TLS in them failed: see the lines above."]
    if summary.sessions:
        return ["There were tunnels, but no request to a target ended: do they carry HTTP?"]
    command = f" ({brief(started.command, 300)})" if started.command else ""
    return [
        f"Fault sent no tunnel. Is it running, with both registrations and the targets{command}?",
        "Does the client read HTTPS_PROXY, which must name Fault? NO_PROXY may exclude the host.",
    ]


def _top(table: dict[str, int]) -> str:
    """Return the names with the largest numbers, and the numbers."""
    names = sorted(table, key=lambda name: -table[name])
    words = [f"{brief(name or NAMELESS, MAX_HOST_CHARACTERS)} ({table[name]})" for name in names]
    more = len(words) - MAX_NAMED_HOSTS
    return ", ".join(words[:MAX_NAMED_HOSTS]) + (f" and {more} more" if more > 0 else "")
