"""What the proxy says when it starts: what it does, and how a client is pointed at it.

Knows nothing of other events.
"""

from __future__ import annotations

import shlex

from faultinject.authority import TargetPattern, bracketed
from faultinject.events import ProxyStarted
from faultinject.output.escape import safe
from faultinject.output.quantities import percent

# How the base URL is given to the SDKs of APIs that have a variable for it, and the path that
# the variable is expected to carry.
_BASE_URL_VARIABLES = {
    "api.anthropic.com": ("ANTHROPIC_BASE_URL", ""),
    "api.openai.com": ("OPENAI_BASE_URL", "/v1"),
}


def _first_exact(targets: tuple[str, ...]) -> TargetPattern | None:
    patterns = (TargetPattern.parse(target) for target in targets)
    return next((pattern for pattern in patterns if pattern.exact), None)


def _base_url_lines(event: ProxyStarted) -> list[str]:
    target = _first_exact(event.targets)
    if target is None:
        return []
    variable, path = _BASE_URL_VARIABLES.get(target.host, ("", ""))
    url = shlex.quote(safe(event.url) + path)
    return [
        f"  or give it the proxy as base URL, which needs no certificate (it stands for {target}):",
        f"    {variable}={url} python app.py" if variable else f"    {url}",
    ]


def start_block(event: ProxyStarted, *, bold: str = "", plain: str = "") -> str:
    """Return the lines that open a run; ``bold`` and ``plain`` switch the title's looks."""
    url, ca_cert = safe(event.url), safe(event.ca_cert)
    targets = ", ".join(map(safe, event.targets))
    answer = " (answered by the built-in fake API)" if event.fake_upstream else ""
    rate = percent(event.error_probability)
    host = bracketed(safe(event.host))
    kind = "IPv6" if ":" in host else "IPv4"
    everywhere = "" if host in url else f" ({host}: on every {kind} address of this machine)"
    lines = [
        f"{bold}faultinject {safe(event.version)} listens on {url}{plain}{everywhere}",
        f"  targets  {targets}{answer}",
        f"  errors   {rate} of requests get status {event.status_code}",
        f"  seed     {event.seed}",
        f"  CA       {ca_cert}",
        "",
        "  Point a client at it (this is Python's way; more: `faultinject ca instructions`):",
        # For one command, not by export: the proxy itself, run from that shell later, would take
        # the CA for its only root.
        f"    HTTPS_PROXY={shlex.quote(url)} SSL_CERT_FILE={shlex.quote(ca_cert)} python app.py",
        *_base_url_lines(event),
        "",
    ]
    return "\n".join(lines) + "\n"
