"""Each preset is whole, works with proxy and plugin or is refused there, and sends known bytes."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from faultinject.config.presets import NAMES, is_for, preset_named, surer
from faultinject.config.rule_set import rule_set_of
from faultinject.config.rules import read_rules
from faultinject.config.yaml import yaml_value
from faultinject.errors import SettingsError
from faultinject.plugin.interface import CAPABILITIES as OF_PLUGIN
from faultinject.settings import ChosenPreset, Settings
from tests.unit.config.presets.golden import FOLDER, files

DOCS = Path(__file__).parents[4] / "docs"
NOT_BEHIND_FAULT = {
    "stream-reset": "reset a connection",
    "reset-on-reuse": "reset a connection",
    "connect-refused": "act on a CONNECT",
    "proxy-407": "act on a CONNECT",
    "tls-reset": "act on a TLS handshake",
    "tls-alert": "act on a TLS handshake",
}
OF_THE_REFERENCE = {
    "overloaded", "overload-storm", "rate-limited", "rate-limited-long", "spend-cap",
    "auth-expired", "credit-empty", "too-large", "server-error", "gateway-html", "envoy-503",
    "cf-timeout", "stream-overloaded", "stream-overloaded-first", "stream-cut", "stream-reset",
    "stream-truncated", "tool-json-cut", "stream-stall", "ping-only", "slow-drip",
    "slow-first-byte", "reset-on-reuse", "connect-refused", "proxy-407", "tls-reset", "tls-alert",
    "empty-200", "html-200", "corrupt-json", "max-tokens", "flaky", "bad-day", "retry-torture",
}  # fmt: skip

every_preset = pytest.mark.parametrize("name", NAMES)


def with_preset(name: str, factor: float = 1.0) -> Settings:
    """Return settings with one preset."""
    return Settings(seed=1, preset=(ChosenPreset(name, factor),))


@pytest.mark.parametrize(
    ("name", "chance", "expected"),
    [
        ("flaky", 0.06, "`flaky@16`, which makes its chance 96%"),
        ("flaky", 0.12, "`flaky@16`, which makes its chance 96%"),
        ("flaky", 0.96, "more requests"),
        ("bad-day", 0.25, "`bad-day@4`, which makes its chance 100%"),
        ("overloaded", 0.1, "`overloaded` without a percentage, or with a higher one"),
        ("of-old", 0.1, "a higher rate"),
        (None, 0.1, "first=1 in place of its chance, or a higher one"),
    ],
)
def test_what_makes_it_surer(name: str | None, chance: float, expected: str) -> None:
    """A factor multiplies the chance that a preset has of its own; a percentage can be left out."""
    assert surer(name, chance) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stream-cut", "requests that ask for a stream"),
        ("tool-json-cut", "requests that ask for a stream and offer tools"),
        ("corrupt-json", ""),  # some of its rules are for whole answers
        ("overloaded", ""),
        ("of-old", ""),
    ],
)
def test_which_requests_it_is_for(name: str, expected: str) -> None:
    """As its rules' matches say alike."""
    assert is_for(name) == expected


def test_each_file_has_its_place() -> None:
    """The names are those of the files, and none that was promised is missing."""
    folder = resources.files("faultinject.config.presets")
    there = {file.name.removesuffix(".yaml") for file in folder.iterdir() if ".yaml" in file.name}
    assert there == set(NAMES) >= OF_THE_REFERENCE
    assert len(NAMES) == len(there)


@every_preset
def test_a_file_says_all_that_is_to_be_known(name: str) -> None:
    """It has the four keys, sentences, and rules that bear the preset's name."""
    text = (resources.files("faultinject.config.presets") / f"{name}.yaml").read_text("utf-8")
    document = yaml_value(text)
    assert isinstance(document, dict)
    needed = [key for key in document if key not in ("note", "elsewhere")]
    assert needed == ["sees", "expect", "evidence", "rules"]
    preset = preset_named(name)
    for sentence in (preset.sees, preset.expect, preset.note or "."):
        assert sentence.endswith(".")
        assert "\n" not in sentence
    assert all(preset.evidence)
    for rule in preset.rules:
        assert rule.id == name or rule.id.startswith(name + "-")


@every_preset
def test_the_exceptions_it_names_were_measured(name: str) -> None:
    """Each class that a preset's words name is in the table of what real SDKs raise for it."""
    preset = preset_named(name)
    named = set(re.findall(r"\w+Error\b", preset.expect))
    page = (DOCS / "presets-sdks.md").read_text("utf-8")
    rows = "".join(re.findall(rf"^\| `{name}` \|.*$", page, flags=re.MULTILINE))
    assert rows
    assert named <= set(re.findall(r"\w+Error\b", rows))


def test_the_rules_alone_are_a_file() -> None:
    """What `presets show --rules` prints reads as the same rules, without a warning."""
    wrong = []
    for name in NAMES:
        preset = preset_named(name)
        document = yaml_value(preset.text)
        assert isinstance(document, dict), name
        reading = read_rules(document["rules"], "x")
        if (reading.rules, reading.warnings) != (preset.rules, ()):
            wrong.append((name, reading))
    assert wrong == []


def test_the_proxy_takes_them() -> None:
    """Their rules are in force, for the targets."""
    for name in NAMES:
        rule_set = rule_set_of(with_preset(name))
        assert rule_set.ids == tuple(rule.id for rule in preset_named(name).rules), name
        assert all(rule.match.hosts == Settings().target_host for rule in rule_set.rules), name


@every_preset
def test_the_plugin_takes_it_or_says_why_not(name: str) -> None:
    """What the host does not let a plugin do is named."""
    reason = NOT_BEHIND_FAULT.get(name)
    if reason is None:
        assert rule_set_of(with_preset(name), OF_PLUGIN["duplex"]).rules
        return
    with pytest.raises(SettingsError) as caught:
        rule_set_of(with_preset(name), OF_PLUGIN["duplex"])
    message = str(caught.value)
    assert message.startswith(f"preset {name}: rules[0]: the plugin cannot {reason}: ")


def test_a_host_that_gives_answers_back_lets_a_handshake_be_broken() -> None:
    """Fault is no such host."""
    assert rule_set_of(with_preset("tls-alert"), OF_PLUGIN["reply"]).rules


def test_golden_files_are_there_for_each_preset_and_api() -> None:
    """None is missing, and none is left over."""
    assert {path.name for path in FOLDER.glob("*.txt")} == set(files())


def test_bytes() -> None:
    """What goes out is what the golden files have."""
    golden = {name: (FOLDER / name).read_text("utf-8") for name in files()}
    assert files() == golden, "if it is meant: python -m tests.unit.config.presets.golden"


def test_a_preset_that_is_none() -> None:
    """The nearest is named; the list of them if there is none like it."""
    with pytest.raises(SettingsError) as caught:
        preset_named("overlaoded")
    assert str(caught.value) == "there is no preset 'overlaoded'; did you mean overloaded?"
    with pytest.raises(SettingsError) as caught:
        preset_named("zzz")
    assert str(caught.value) == "there is no preset 'zzz'; 'faultinject presets' lists them"


@pytest.mark.parametrize("page", ["README.md", "docs/changelog.md"])
def test_their_number(page: str) -> None:
    """Where it is told it is true."""
    text = (Path(__file__).parents[4] / page).read_text("utf-8")
    assert re.search(rf" {len(NAMES)} (of them have a name|failures (by name|with names))", text)
