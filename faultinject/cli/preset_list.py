"""The presets as a list to choose from: names and what a client sees, by what fails.

Knows nothing of options, nor of where the list is shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from faultinject.config.presets import preset_named

GROUPS = {
    "The API answers with an error": (
        "overloaded", "overload-storm", "rate-limited", "rate-limited-long", "spend-cap",
        "auth-expired", "credit-empty", "too-large", "server-error", "server-timeout",
    ),
    "Something in front of the API answers": ("gateway-html", "envoy-503", "cf-timeout"),
    "A stream goes wrong after 200 OK": (
        "stream-overloaded", "stream-overloaded-first", "stream-cut", "stream-reset",
        "stream-truncated", "tool-json-cut", "stream-stall", "ping-only", "slow-drip",
    ),
    "The answer is late, or the connection breaks": (
        "slow-first-byte", "reset-on-reuse", "connect-refused", "proxy-407", "tls-reset",
        "tls-alert",
    ),
    "The answer is a 200 and of no use": ("empty-200", "html-200", "corrupt-json", "max-tokens"),
    "Several of these": ("flaky", "bad-day", "retry-torture"),
}  # fmt: skip
"""The presets by what fails, in the order of `faultinject.config.presets.NAMES`."""

_INDENT = "  "
_LEAST_TEXT = 30
_MOST = 100  # lines that are longer are hard to read
_END = """\
Have one happen, here to a tenth of the requests:
  faultinject proxy --preset stream-cut@10%
See its rules, its bytes, and what a client should do:
  faultinject presets show stream-cut
"""


def preset_list(columns: int | None) -> str:
    """Return the list, as wide as it may be; None for a line a preset, which suits grep."""
    return "".join(_lines(columns and min(columns, _MOST)))


def _lines(columns: int | None) -> Iterator[str]:
    beside = max(len(name) for names in GROUPS.values() for name in names) + 2
    for title, names in GROUPS.items():
        yield f"{title}\n"
        for name in names:
            start = f"{_INDENT}{name:{beside}}"
            if columns is not None and columns < len(start) + _LEAST_TEXT:
                yield f"{_INDENT}{name}\n"
                start = _INDENT * 2
            yield _entry(start, preset_named(name).sees, columns)
        yield "\n"
    yield _END


def _entry(start: str, text: str, columns: int | None) -> str:
    if columns is None:
        return f"{start}{text}\n"
    indent = " " * len(start)
    return (
        textwrap.fill(
            text, columns, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False
        )
        + "\n"
    )
