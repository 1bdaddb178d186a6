"""The block that the proxy and the plugin print at start: what they do, and how to use them."""

from __future__ import annotations

import shlex

from faultinject.authority import TargetPattern, bracketed
from faultinject.events import PluginStarted, ProxyStarted
from faultinject.report.display import brief, percent, safe

# How the base URL is given to the SDKs of APIs that have a variable for it, and the path that
# the variable is expected to carry.
_BASE_URL_VARIABLES = {
    "api.anthropic.com": ("ANTHROPIC_BASE_URL", ""),
    "api.openai.com": ("OPENAI_BASE_URL", "/v1"),
    "generativelanguage.googleapis.com": ("GOOGLE_GEMINI_BASE_URL", ""),
}


def _proxy_lines(url: str, ca_cert: str | None) -> list[str]:
    """Return commands that make a client use the proxy and trust the CA, by the client's runtime.

    There are none without a CA. They set variables for one command and do not export them: the
    proxy itself, run from that shell later, would trust the CA only.
    """
    if ca_cert is None:
        return []
    proxy, ca = f"HTTPS_PROXY={shlex.quote(url)}", shlex.quote(safe(ca_cert))
    return [
        "  Point a client at it (Java, curl and more: `faultinject ca instructions`):",
        f"    {proxy} SSL_CERT_FILE={ca} python app.py",
        f"    {proxy} NODE_EXTRA_CA_CERTS={ca} claude",
        "  The first is for Python, Go and Rust, the second for Node 24 (NODE_USE_ENV_PROXY=1)",
        "  and for agents made with Bun.",
    ]


def _base_url_lines(event: ProxyStarted) -> list[str]:
    targets = [target for target in map(TargetPattern.parse_target, event.targets) if target.exact]
    if not targets:
        return []
    names = " or ".join(map(str, targets[:MOST_TARGETS]))
    names += " or another of the targets" if len(targets) > MOST_TARGETS else ""
    ways = [_BASE_URL_VARIABLES.get(target.host, ("", "")) for target in targets]
    way = "Give a client" if event.ca_cert is None else "Or give it"
    return [
        f"  {way} the proxy as base URL, instead of {names}; this needs no certificate:",
        *dict.fromkeys(_base_url_line(event, *way) for way in ways),
    ]


def _base_url_line(event: ProxyStarted, variable: str, path: str) -> str:
    url = shlex.quote(safe(event.url) + path)
    return f"    {variable}={url} python app.py" if variable else f"    {url}"


MOST_TARGETS = 4
"""The most targets that the block names."""
MOST_RULES = 8
"""The most rules that the block names; `--log-format json` has all."""


_ONLY = {"model": "calls of a model", "all": "every request, also housekeeping"}
"""Which requests presets and the options are for, if it is not the default."""


_NO_CA = "none: the proxy works only as base URL, see the warning below"


def _rule_lines(event: ProxyStarted | PluginStarted) -> list[str]:
    errors = f"  errors   {percent(event.error_probability)} of requests get status"
    names = _rule_names(event)
    more = len(names) - MOST_RULES
    rules = ", ".join(names[:MOST_RULES]) + (f" and {more} more" if more > 0 else "")
    return [
        *([f"{errors} {event.status_code}"] if "options" in event.rules else []),
        *([f"  rules    {rules}"] if event.rules != ("options",) else []),
        *([f"  only     {_ONLY[event.only]}"] if event.only in _ONLY and event.only_for else []),
        *(["  refused  WebSockets to a target, with status 426"] if event.refuse_websocket else []),
        f"  seed     {event.seed}",
        f"  CA       {_NO_CA if event.ca_cert is None else safe(event.ca_cert)}",
    ]


def _rule_names(event: ProxyStarted | PluginStarted) -> list[str]:
    """Return the names of the rules, with chances and attempts.

    A preset whose rules have the same stands once, for each of them is for some APIs.
    """
    groups: dict[tuple[str | None, str], list[str]] = {}
    for rule in event.rules:
        preset = event.presets.get(rule)
        groups.setdefault((preset, "" if preset else rule), []).append(rule)
    names: list[str] = []
    for (preset, _), rules in groups.items():
        notes = [_notes(rule, event) for rule in rules]
        alike = preset is not None and len(set(notes)) == 1
        shown = [(str(preset), notes[0])] if alike else zip(rules, notes, strict=True)
        names += [brief(name, 100) + note for name, note in shown]
    return names


def _notes(name: str, event: ProxyStarted | PluginStarted) -> str:
    """Return a rule's chance and its attempts, if it has these."""
    notes = []
    if (chance := event.chances.get(name)) is not None:
        notes.append(percent(chance))
    if (first := event.first_attempts.get(name)) is not None:
        attempts = "attempt" if first == 1 else f"{first} attempts"
        notes.append(f"first {attempts} of each call")
    return f" ({', '.join(notes)})" if notes else ""


def _targets(event: ProxyStarted | PluginStarted) -> str:
    """Return the targets as given, each with the API that it was told to speak as."""
    told = {target: f"={api}" for target, api in event.told_apis.items()}
    return ", ".join(safe(target + told.get(target, "")) for target in event.targets)


def _unknown_lines(event: ProxyStarted | PluginStarted) -> list[str]:
    """Return a line for each host that is not known to be an API's."""
    words = "unknown host: its API is read from each request; where that fails, errors are generic"
    return [f"           {safe(host)}: {words}" for host in event.unknown_apis[:MOST_TARGETS]]


def start_block(
    event: ProxyStarted, *, bold: str = "", plain: str = "", setup_hints: bool = True
) -> str:
    """Return the lines that start a run; ``bold`` and ``plain`` are codes around the title.

    With ``setup_hints`` they say how a client is led to the proxy.
    """
    url = safe(event.url)
    targets = _targets(event)
    answer = " (answered by the built-in fake API)" if event.fake_upstream else ""
    host = bracketed(safe(event.host))
    kind = "IPv6" if ":" in host else "IPv4"
    everywhere = "" if host in url else f" ({host}: on every {kind} address of this machine)"
    lines = [
        f"{bold}faultinject {safe(event.version)} listens on {url}{plain}{everywhere}",
        f"  targets  {targets}{answer}",
        *_unknown_lines(event),
        *_rule_lines(event),
        "",
    ]
    if setup_hints:
        lines += [*_proxy_lines(url, event.ca_cert), *_base_url_lines(event), ""]
    return "\n".join(lines) + "\n"


FAULT_PROXY = "http://127.0.0.1:3180"
"""Where Fault's proxy listens by default."""


def plugin_block(event: PluginStarted, *, bold: str = "", plain: str = "") -> str:
    """Return the lines that start a run of the plugin, as `start_block` does."""
    urls = f"{safe(event.client_url)} and {safe(event.upstream_url)}"
    ca_cert = shlex.quote(safe(event.ca_cert or ""))
    lines = [
        f"{bold}faultinject {safe(event.version)} is a plugin of Fault at {urls}{plain}",
        f"  targets  {_targets(event)}",
        *_unknown_lines(event),
        *_rule_lines(event),
        "",
        *_host_lines(event),
        "  Then point a client at Fault (more: `faultinject ca instructions`):",
        f"    HTTPS_PROXY={FAULT_PROXY} SSL_CERT_FILE={ca_cert} python app.py",
        "",
    ]
    return "\n".join(lines) + "\n"


def _host_lines(event: PluginStarted) -> list[str]:
    if event.command:
        return ["  Start Fault (0.x) so that it uses the plugin:", f"    {safe(event.command)}"]
    return [
        "  Have your host call the first of these. It must send the reply to a chunk back to the",
        "  chunk's sender, which Fault does not do (see --tunnel).",
    ]
