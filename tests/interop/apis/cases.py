"""Which calls the presets are shown by at the other APIs, and with what options the proxy starts.

The cases are those of `tests.interop.presets.cases`, but for three things. The hosts are the APIs'
own, with a port for each case. The call after the one under test is for the model ``later``. Where
the connection breaks there is no such call, because not every SDK tries as often as another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from faultinject.config.presets import NAMES, preset_named
from faultinject.config.yaml import yaml_value
from tests.interop.apis.sdks import BY_NAME, SDKS, Sdk, port_of
from tests.interop.presets import cases
from tests.interop.presets.cases import LATER, NOW, SEED, Showing

PASS_LATER = [
    {"name": f"{LATER}-{name}", "match": match, "fault": "pass"}
    for name, match in {
        "model": {"model": f"*{LATER}"},
        # The same call to an MCP server, and what a session consists of beside calls of tools.
        "tool": {"json": {"params.arguments.case": LATER}},
        "session": {"json": {"method": ["initialize", "notifications/*", "tools/list"]}},
        "listening": {"host": "mcp.example.com", "method": ["GET", "DELETE"]},
    }.items()
]
LEFT_OUT = {"flaky", "bad-day", "retry-torture", "overload-storm"}
"""Presets that are mixes of the others, or in which SDKs would count each other's calls."""
MAIN = {
    "overloaded", "rate-limited", "auth-expired", "too-large", "gateway-html", "empty-200",
    "stream-overloaded", "stream-cut", "stream-truncated", "stream-stall", "corrupt-json",
    "max-tokens",
}  # fmt: skip
DEADLINE_SECONDS = 90.0
"""Of what ends by itself: `ai` takes 6 seconds for three attempts, on a machine without load."""
TIMEOUT_SECONDS = 60.0
SLACK_SECONDS = 6.0
"""What is added to each limit: some SDKs count the time in which they wait for their turn here."""
FORM_SHOWN = {"corrupt-json": 1, "stream-truncated": 0}
"""Which of two forms is shown on Bedrock: broken JSON, and an end between frames."""
OF_MCP = "mcp-"
IN_CONNECTION = {"connect-refused", "proxy-407", "tls-reset", "tls-alert"}


@frozen(kw_only=True, eq=False)
class ApiShowing(Showing):
    """How one preset is shown to the SDKs of the other APIs."""

    index: int

    def options(self) -> list[str]:
        """Return the proxy's options."""
        targets = (word for host in _hosts(self.sdks) for word in ("--target-host", host))
        rules = PASS_LATER if self.derived is None else [*PASS_LATER, *self._derived_rules()]
        given = (word for rule in rules for word in ("--rule", json.dumps(rule)))
        preset = ("--preset", self.preset) if self.derived is None else ()
        return ["--fake-upstream", *targets, "--seed", str(SEED), *given, *preset]

    def _derived_rules(self) -> Iterator[dict[str, Any]]:
        """Return the preset's rules, with one of several forms in place of a choice by chance."""
        if self.preset not in FORM_SHOWN:
            yield from super()._derived_rules()
            return
        for rule in yaml_value(preset_named(self.preset).text)["rules"]:
            forms = rule["fault"].get("one_of")
            yield rule | {"fault": forms[FORM_SHOWN[self.preset]]} if forms else rule

    def host(self, sdk: str, mode: str) -> str:
        """Return the host that this SDK asks in this way, with a port that no other case has."""
        return f"{BY_NAME[sdk].api.host}:{port_of(sdk, self.index, self.modes.index(mode))}"


def _hosts(sdks: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(BY_NAME[sdk].api.host for sdk in sdks))


def _shown(showing: Showing, index: int) -> ApiShowing:
    values: dict[str, Any] = {
        name: getattr(showing, name)
        for name in ("preset", "timeout_seconds", "deadline_seconds", "tools", "prompts", "shown",
                     "derived")
    }  # fmt: skip
    if showing.preset in FORM_SHOWN:
        values |= {"derived": {}}
    if showing.preset in IN_CONNECTION:
        values |= {"derived": None, "prompts": (NOW,)}
    modes = tuple(mode for mode in showing.modes if mode != "helped")
    if showing.deadline_seconds == attrs.fields(Showing).deadline_seconds.default:
        values["deadline_seconds"] = DEADLINE_SECONDS
    if showing.timeout_seconds == attrs.fields(Showing).timeout_seconds.default:
        values["timeout_seconds"] = TIMEOUT_SECONDS
    values["timeout_seconds"] += SLACK_SECONDS
    values["deadline_seconds"] += 3 * SLACK_SECONDS
    sdks = tuple(sdk.name for sdk in SDKS if _is_shown(showing, sdk))
    return ApiShowing(index=index, modes=modes, sdks=sdks, **values)


def _is_shown(showing: Showing, sdk: Sdk) -> bool:
    own = showing.preset.startswith(OF_MCP)
    if sdk.presets == "tools":
        return own
    return not own and (sdk.presets == "every" or showing.preset in MAIN)


SHOWINGS = tuple(
    _shown(showing, index)
    for index, showing in enumerate(
        (
            *cases.SHOWINGS,
            *(
                Showing(preset=name, timeout_seconds=4.0)
                for name in NAMES
                if name.startswith(OF_MCP)
            ),
        )
    )
    if showing.preset not in LEFT_OUT
)
