"""The names of the presets, apart from their rules: options are read without these."""

from __future__ import annotations

from faultinject.reading.shown import nearest, shown_text

NAMES = (
    "overloaded", "overload-storm", "rate-limited", "rate-limited-long", "spend-cap",
    "auth-expired", "credit-empty", "too-large", "server-error", "server-timeout",
    "gateway-html", "envoy-503", "cf-timeout",
    "stream-overloaded", "stream-overloaded-first", "stream-cut", "stream-reset",
    "stream-truncated", "tool-json-cut", "stream-stall", "ping-only", "slow-drip",
    "slow-first-byte", "reset-on-reuse",
    "connect-refused", "proxy-407", "tls-reset", "tls-alert",
    "empty-200", "html-200", "corrupt-json", "max-tokens",
    "mcp-error", "mcp-tool-error", "mcp-session-lost", "mcp-stream-lost", "mcp-stream-resumed",
    "flaky", "bad-day", "retry-torture",
)  # fmt: skip
"""All presets, in the order in which they are shown: by what fails, and mixed ones last."""


def why_no_preset(name: str) -> str | None:
    """Return that there is no preset of a name, and which was meant; None if there is one."""
    if name in NAMES:
        return None
    near = nearest(name, NAMES)
    hint = f"did you mean {near}?" if near else "'faultinject presets' lists them"
    return f"there is no preset {shown_text(name)}; {hint}"
