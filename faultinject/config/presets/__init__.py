"""The presets: rules that come with faultinject, one YAML file each.

A preset's file has `rules` like a user's file. Beside them it says what a client sees (`sees`),
what the client should do (`expect`), how that is known (`evidence`), and sometimes what to know
before use (`note`). No preset has code of its own.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from attrs import field, frozen

from faultinject.config.file import from_yaml
from faultinject.config.rules import read_rules
from faultinject.errors import SettingsError
from faultinject.reading.shown import nearest, shown_text
from faultinject.rules.model import Rule

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


@frozen
class Preset:
    """Rules and their description."""

    name: str
    sees: str
    """What a client sees, in a sentence or two."""
    expect: str
    """What a good client does then, and how known clients differ."""
    evidence: tuple[str, ...]
    """How the failure and the behaviour are known, and what is not verified."""
    rules: tuple[Rule, ...] = field(repr=False)
    note: str | None
    """What the preset needs to have an effect, if that is not obvious."""
    text: str = field(repr=False)
    """The rules as they are written: this part could stand in a user's own file."""

    @property
    def takes_first(self) -> bool:
        """Whether ``@first=N`` may follow its name (see `Rule.of_first_attempts`)."""
        try:
            for rule in self.rules:
                rule.of_first_attempts(1)
        except ValueError:
            return False
        return True


@cache
def preset_named(name: str) -> Preset:
    """Return the preset of this name. Raises `SettingsError` if there is none."""
    if name not in NAMES:
        near = nearest(name, NAMES)
        hint = f"did you mean {near}?" if near else "'faultinject presets' lists them"
        raise SettingsError(f"there is no preset {shown_text(name)}; {hint}")
    return read_preset(name, _text(name))


def read_preset(name: str, text: str) -> Preset:
    """Read a preset from its file's text."""
    document: Any = from_yaml(text)
    return Preset(
        name,
        document["sees"],
        document["expect"],
        tuple(document["evidence"]),
        read_rules(document["rules"], f"preset {name}").rules,
        document.get("note"),
        text[text.index("rules:\n") :],
    )


def _text(name: str) -> str:
    return (resources.files(__name__) / f"{name}.yaml").read_text("utf-8")
