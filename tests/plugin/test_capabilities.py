"""What the plugin can do, by its settings."""

from __future__ import annotations

import pytest

from faultinject.config.rule_set import rule_set_of
from faultinject.errors import SettingsError
from faultinject.plugin.interface import CAPABILITIES, capabilities_of
from faultinject.settings import PluginSettings, TunnelMode, WrittenRules


def ids_of(*faults: object, tunnel: TunnelMode = "reply") -> tuple[str, ...]:
    """Return the ids of the rules that a plugin with --http-forward takes."""
    written = [{"name": f"r{number}", "fault": fault} for number, fault in enumerate(faults)]
    rules = (WrittenRules(written, "r.yaml"),)
    settings = PluginSettings(rules=rules, http_forward=True, tunnel=tunnel)
    return rule_set_of(settings, capabilities_of(settings)).ids


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"delay": 1, "respond": 500}, "delay a request"),
        ({"delay": {"fixed": 1, "before": "head"}}, "delay an answer's head"),
        ({"break": "close"}, "close a connection without an answer"),
        ({"stream": {"cut": True}}, "close a connection without an answer"),
        ({"stream": {"drop": 1}}, "change an answer as it passes"),
        ({"respond": {"status": 500, "upstream": "answered"}}, "ask upstream and lose the answer"),
    ],
)
def test_what_whole_requests_do_not_allow_is_refused_at_start(fault: object, words: str) -> None:
    """Nothing is skipped in silence."""
    with pytest.raises(SettingsError) as caught:
        ids_of(fault)
    start = f"r.yaml: rules[0]: the plugin with --http-forward cannot {words}: Fault shows"
    assert str(caught.value).startswith(start)


def test_answers_and_passes_are_fine() -> None:
    """A rule may answer, and close the connection afterwards, and may let pass."""
    closes = {"respond": {"status": 429, "connection": "close"}}
    assert ids_of({"respond": 429}, closes, "pass") == ("r0", "r1", "r2")


def test_what_tunnels_do_not_allow_has_its_own_reason() -> None:
    """It does not help to leave out --http-forward."""
    with pytest.raises(SettingsError, match="not with RST"):
        ids_of({"break": "reset"})


@pytest.mark.parametrize("tunnel", ["duplex", "reply"])
def test_without_http_forward_tunnels_alone_count(tunnel: TunnelMode) -> None:
    """By what the host does with answers."""
    assert capabilities_of(PluginSettings(tunnel=tunnel)) is CAPABILITIES[tunnel]
