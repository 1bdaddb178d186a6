"""Which calls each preset is shown by, and with what options the proxy is started for them.

A preset is given as `--preset NAME`. Every call after the one under test says `LATER`, which a
rule of ours lets pass. A preset that is decided at the CONNECT or in the handshake knows of no
such word: there its own rules are given as `--rule`, with a `when` by which they end. Knows
nothing of processes and of what an SDK makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import yaml
from attrs import frozen

NOW, LATER = "now", "later"
PASS_LATER = json.dumps({"name": "later", "match": {"json": {"messages[-1].content": LATER}},
                         "fault": "pass"})  # fmt: skip
DOMAIN = "test"
"""The targets' top-level domain (RFC 2606); each case has a host of its own."""
SEED = 11

SDKS = {
    "py-anthropic-2": "Python `anthropic` 2",
    "py-anthropic-0": "Python `anthropic` 0",
    "node-anthropic": "Node `@anthropic-ai/sdk` 1",
    "py-openai-3": "Python `openai` 3",
    "py-openai-2": "Python `openai` 2",
    "node-openai": "Node `openai` 6",
}
MODES = {"create": "whole", "raw": "stream", "helped": "stream helper"}


@frozen(kw_only=True, eq=False)
class Showing:
    """How one preset is shown."""

    preset: str
    modes: tuple[str, ...] = ("create",)
    timeout_seconds: float = 20.0
    """The SDK's own time-out."""
    deadline_seconds: float = 15.0
    """After this the call is left: it does not end by itself."""
    tools: bool = False
    prompts: tuple[str, ...] = (NOW, LATER)
    shown: int = 0
    """Which of the calls is the one under test; the last is the one that must succeed."""
    derived: dict[str, Any] | None = None
    """What is changed in the preset's rules; None takes the preset as it is."""
    backs_off: bool = False
    """Whether the pauses between its attempts are the SDKs' own."""
    sdks: tuple[str, ...] = tuple(SDKS)

    @property
    def by_chance(self) -> bool:
        """Whether chance says which of its calls fail, and how."""
        return len(self.prompts) > MANY

    @property
    def mid_stream(self) -> bool:
        """Whether it harms streams that have begun, and nothing else."""
        return self.preset.startswith("stream-") or self.preset in ("tool-json-cut", "max-tokens")

    def options(self) -> list[str]:
        """Return the proxy's options."""
        common = ["--fake-upstream", "--target-host", f"*.{DOMAIN}", "--seed", str(SEED)]
        if self.derived is None:
            return [*common, "--rule", PASS_LATER, "--preset", self.preset]
        rules = (word for rule in self._derived_rules() for word in ("--rule", json.dumps(rule)))
        return [*common, "--rule", PASS_LATER, *rules]

    def _derived_rules(self) -> Iterator[dict[str, Any]]:
        text = (resources.files("faultinject.config.presets") / f"{self.preset}.yaml").read_text(
            "utf-8"
        )
        for rule in yaml.safe_load(text)["rules"]:
            if "when" not in (self.derived or {}):
                yield _harming_made_streams(rule)
                continue
            for sdk in self.sdks:
                match = {"host": self.host(sdk, self.modes[0])}
                yield (
                    rule | {"name": f"{rule['name']}-{sdk}", "match": match} | (self.derived or {})
                )

    def host(self, sdk: str, mode: str) -> str:
        """Return the host that this SDK asks in this way."""
        return f"{sdk}-{mode}.{DOMAIN}"


def _harming_made_streams(rule: dict[str, Any]) -> dict[str, Any]:
    stream = rule["fault"]["stream"] | {"upstream": "skipped"}
    return rule | {"fault": {"stream": stream}}


STREAMED = ("raw", "helped")
EVERY = ("create", "raw", "helped")
MANY = 8
"""Calls by which presets of chance are shown, with each SDK."""
THRICE: dict[str, Any] = {"when": {"first": 3}}
"""As often as an SDK tries."""


def _showings() -> Iterator[Showing]:
    for name in ("overloaded", "spend-cap", "server-error", "server-timeout", "gateway-html",
                 "envoy-503"):  # fmt: skip
        yield Showing(preset=name, backs_off=True)
    for name in ("auth-expired", "credit-empty", "too-large", "rate-limited"):
        yield Showing(preset=name)
    for name in ("overload-storm", "retry-torture"):
        yield Showing(preset=name, modes=("create", "raw"), backs_off=name == "overload-storm")
    yield Showing(preset="rate-limited-long", deadline_seconds=6.0)
    yield Showing(preset="cf-timeout", deadline_seconds=6.0)
    for name in ("stream-overloaded", "stream-overloaded-first", "stream-cut", "stream-reset",
                 "stream-truncated", "max-tokens"):  # fmt: skip
        yield Showing(preset=name, modes=STREAMED)
    yield Showing(preset="tool-json-cut", modes=STREAMED, tools=True, derived={})
    yield Showing(preset="stream-stall", modes=STREAMED, timeout_seconds=4.0, deadline_seconds=9.0)
    yield Showing(
        preset="ping-only", modes=STREAMED, timeout_seconds=9.0, deadline_seconds=11.0,
        sdks=("py-anthropic-2", "py-anthropic-0", "node-anthropic"),
    )  # fmt: skip
    yield Showing(preset="slow-drip", modes=("raw",), deadline_seconds=60.0)
    yield Showing(preset="slow-first-byte", timeout_seconds=3.0)
    yield Showing(preset="reset-on-reuse", prompts=("warm up", NOW, LATER), shown=1)
    for name in ("connect-refused", "proxy-407", "tls-reset", "tls-alert"):
        yield Showing(preset=name, derived=THRICE, backs_off=True)
    for name in ("empty-200", "html-200"):
        yield Showing(preset=name)
    yield Showing(preset="corrupt-json", modes=EVERY)
    yield Showing(preset="flaky", prompts=(*map(str, range(MANY)), LATER))
    yield Showing(preset="bad-day", modes=("raw",), prompts=(*map(str, range(MANY)), LATER))


SHOWINGS = tuple(sorted(_showings(), key=lambda showing: -showing.deadline_seconds))
"""The slowest first."""
