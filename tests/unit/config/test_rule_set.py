"""A run's rules: where they come from, in which order, and what is said of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from attrs import evolve

from faultinject.authority import TargetPattern
from faultinject.config.rule_set import (
    asked_probability,
    chances,
    composed,
    first_attempts,
    of_tunnels,
    problems,
    rule_set_of,
)
from faultinject.errors import SettingsError
from faultinject.events import ProxyStarted
from faultinject.faults.place import Ability
from faultinject.rules.checks import Capabilities
from faultinject.rules.model import Rule
from faultinject.rules.when import GroupBy, Per, When
from faultinject.settings import ChosenPreset, Settings, WrittenRules
from tests.support.running import running

FROM_LINE = WrittenRules("respond 503 name=line")
SOMEWHERE = WrittenRules("respond 503 path=/a")
FROM_FILE = WrittenRules([{"name": "file", "fault": {"respond": 500}}], "r.yaml")
OVERLOADED = ChosenPreset("overloaded")


def only(settings: Settings) -> Rule:
    """Return the one rule that settings mean."""
    [rule] = rule_set_of(settings).rules
    return rule


def test_order() -> None:
    """Lines, the file's rules, presets, and the short form if it is given."""
    settings = Settings(rules=(FROM_LINE, FROM_FILE), preset=(OVERLOADED,), short_form=True)
    assert rule_set_of(settings).ids == ("line", "file", "overloaded", "options")


@pytest.mark.parametrize(
    "settings",
    [Settings(preset=(OVERLOADED,)), Settings(rules=(FROM_LINE,)), Settings(short_form=False)],
)
def test_nothing_is_injected_besides(settings: Settings) -> None:
    """The default 10 % of errors are there only if nothing else is chosen."""
    assert "options" not in rule_set_of(settings).ids
    assert asked_probability(settings) == 0


def test_the_short_form_alone() -> None:
    """It is the rule if there is no other."""
    assert rule_set_of(Settings()).ids == ("options",)
    assert asked_probability(Settings()) == 0.1


def test_presets_are_for_calls_of_the_api() -> None:
    """The user's own rules are for all; what breaks a connection is, too."""
    chosen = (OVERLOADED, ChosenPreset("tls-alert"), ChosenPreset("connect-refused"))
    for given, conditions in (
        ("api", {"housekeeping": False}), ("model", {"model_call": True}), ("all", {}),
    ):  # fmt: skip
        settings = Settings(rules=(FROM_LINE,), preset=chosen, only=given)
        found = [rule.match.given for rule in rule_set_of(settings).rules]
        hosts = {"hosts": settings.target_host}
        assert found == [hosts, hosts | conditions, hosts, hosts]


def test_seed_and_marker() -> None:
    """They are the run's."""
    rule_set = rule_set_of(Settings(seed=7, marker=False, preset=(OVERLOADED,)))
    assert (rule_set.seed, rule_set.marker) == (7, False)


def test_a_chance_is_multiplied_and_what_counts_stays() -> None:
    """Both the fixed chance and the ramp's, and neither beyond 1."""
    rule = only(Settings(preset=(ChosenPreset("overload-storm", 0.25),)))
    assert (rule.when.probability, rule.when.first) == (0.25, 2)
    assert only(Settings(preset=(ChosenPreset("flaky", 2.0),))).when.probability == 0.12
    assert only(Settings(preset=(ChosenPreset("flaky", 50.0),))).when.probability == 1
    ramp = only(
        Settings(rules=(WrittenRules("respond 500 ramp.from=0.1 ramp.to=0.8 ramp.over=9"),))
    ).when
    scaled = ramp.scaled(2).ramp
    assert scaled is not None
    assert (scaled.start, scaled.end, scaled.seconds) == (0.2, 1, 9)


def test_the_first_attempts_of_each_call() -> None:
    """Beside the preset's own chance, and in place of the attempts that it has itself."""
    call = Per(GroupBy.ATTEMPT_GROUP)
    for chosen, when in (
        (ChosenPreset("overloaded", first=2), When(first=2, per=call)),
        (ChosenPreset("flaky", 0.5, 1), When(0.03, first=1, per=call)),
        (ChosenPreset("overload-storm", first=5), When(first=5, per=call)),
    ):
        assert only(Settings(preset=(chosen,))).when == when


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("connect-refused", "is decided before the request is read, so it cannot count attempts;"),
        ("tls-alert", "is decided before the request is read, so it cannot count attempts;"),
        ("reset-on-reuse", "counts something else already;"),
        ("bad-day", "counts something else already;"),
    ],
)
def test_a_preset_that_has_no_first_attempts(name: str, why: str) -> None:
    """The message says why, and what else could be done."""
    with pytest.raises(SettingsError) as caught:
        rule_set_of(Settings(preset=(ChosenPreset(name, first=2),)))
    assert str(caught.value).startswith(f"--preset {name}@first=2: its rule '{name}")
    assert str(caught.value).endswith(
        f"' {why} leave @first out, or give a chance as in {name}@10%"
    )


def test_a_preset_twice() -> None:
    """Its second time could never count."""
    with pytest.raises(SettingsError) as caught:
        rule_set_of(Settings(preset=(OVERLOADED, ChosenPreset("overloaded", 0.5))))
    assert str(caught.value) == "--preset: 'overloaded' is given twice; give it once"


def test_a_preset_that_is_none() -> None:
    """The message says where it was named."""
    with pytest.raises(SettingsError, match=r"^--preset: there is no preset 'x'; "):
        rule_set_of(Settings(preset=(ChosenPreset("x"),)))


def test_a_rule_that_names_no_host_is_for_the_targets() -> None:
    """Others are for the host that they name."""
    targets = (TargetPattern("a.example"), TargetPattern("*.b.example"))
    named = WrittenRules([{"match": {"host": "c.a.example"}, "fault": "pass"}])
    settings = Settings(target_host=targets, rules=(named, FROM_LINE))
    rules = rule_set_of(settings).rules
    assert [rule.match.hosts for rule in rules] == [(TargetPattern("c.a.example"),), targets]


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("api.anthropic.com", False),
        ("api.anthropic.com:8443", False),
        ("*.example.com", False),
        ("api.openai.com", True),
    ],
)
def test_a_host_that_is_no_target_is_warned_of(host: str, warned: bool) -> None:
    """What goes there is relayed, and no rule sees it."""
    rule = WrittenRules([{"match": {"host": host}, "fault": {"respond": 500}}], "r.yaml")
    warnings = composed(Settings(rules=(rule,))).warnings
    expected = f"r.yaml: rules[0]: {host} is not a target; add it with --target-host"
    assert warnings == ((expected,) if warned else ())


def test_a_connect_may_be_to_any_host() -> None:
    """It is seen before anything is relayed."""
    fault = {"respond": {"status": 502, "at": "connect"}}
    rule = WrittenRules([{"match": {"host": "api.openai.com"}, "fault": fault}])
    assert composed(Settings(rules=(rule,))).warnings == ()


def test_a_hidden_rule_is_warned_of() -> None:
    """The short form behind a preset that always fires is one, too."""
    settings = Settings(preset=(OVERLOADED,), short_form=True)
    [warning] = composed(settings).warnings
    assert warning.startswith("options: it is never reached: preset overloaded: rules[0] ")


def test_what_a_front_door_cannot_do_is_refused() -> None:
    """With the rule and the reason."""
    rule = WrittenRules("break reset name=x", "--rule")
    cannot = Capabilities("the door", {Ability.RESET: "it has no hinges"})
    with pytest.raises(SettingsError) as caught:
        rule_set_of(Settings(rules=(rule,)), cannot)
    assert str(caught.value) == "--rule: rule: the door cannot reset a connection: it has no hinges"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("large", "it has more than 10 bytes"),
        ("~nobody-of-that-name/body", "Could not determine home directory."),
        pytest.param(
            "pipe",
            "it is a pipe, not a file",
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes"),
        ),
    ],
)
def test_files_that_cannot_be_a_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    """One line says so; what has no end does not fill the memory, or hold up the start."""
    monkeypatch.setattr("faultinject.config.file.MOST_FILE_BYTES", 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    (tmp_path / "fits").write_bytes(b"x" * 10)
    if os.name != "nt":
        os.mkfifo(tmp_path / "pipe")
    source = str(tmp_path / "rules.yaml")

    def written(file: str) -> WrittenRules:
        rules = [{"fault": {"respond": {"status": 500, "file": file}}}]
        return WrittenRules(rules, source, tmp_path)

    respond = only(Settings(rules=(written("fits"),))).faults[0].fault.respond
    assert respond is not None
    assert respond.body == b"x" * 10
    with pytest.raises(SettingsError) as caught:
        rule_set_of(Settings(rules=(written(name),)))
    place = "rules[0].fault.respond.file"
    assert str(caught.value) == f"{source}: {place}: cannot read '{name}': {reason}"


def test_files_are_those_beside_the_rules(tmp_path: Path) -> None:
    """A file's name begins where the rule file is."""
    (tmp_path / "body.bin").write_bytes(b"\0body")
    rules = [{"fault": {"respond": {"status": 500, "file": "body.bin"}}}]
    rule = only(Settings(rules=(WrittenRules(rules, "r.yaml", tmp_path),)))
    assert rule.faults[0].fault.respond is not None
    assert rule.faults[0].fault.respond.body == b"\0body"
    with pytest.raises(SettingsError, match="rules that are not in a file cannot name one"):
        rule_set_of(Settings(rules=(WrittenRules(rules, "code"),)))


def test_all_problems() -> None:
    """One of each rule, and of what is wrong with them together."""
    rules = [
        {"fault": {"respond": 999}},
        {"name": "a", "fault": "pass"},
        {"match": {"hots": "x"}, "fault": "pass"},
        {"name": "a", "fault": "pass"},
    ]
    assert problems(WrittenRules(rules, "r.yaml")) == [
        "r.yaml: rules[0].fault.respond: 999 is not a status from 200 to 599",
        "r.yaml: rules[2].match: unknown key 'hots'; did you mean host?",
        "r.yaml: rules[3].name: 'a' is the name of r.yaml: rules[1] too",
    ]
    assert problems(WrittenRules([rules[1]], "r.yaml")) == []
    both = {"fault": {"respond": 99, "break": "reset"}}
    again = [{"name": "a", **both}, {"name": "b"}, *({"name": "a", "fault": "pass"},) * 2, 5]
    assert problems(WrittenRules(again, "r.yaml")) == [
        "r.yaml: rules[0].fault.respond: 99 is not a status from 200 to 599",
        (
            "r.yaml: rules[0].fault.break: it cannot go with respond: an injected answer cannot be"
            " broken; give one of the two"
        ),
        "r.yaml: rules[1]: fault is missing: what should happen, as in fault: {respond: 529}",
        "r.yaml: rules[4]: 5 is not a rule, as in {match: {...}, fault: {respond: 529}}",
        "r.yaml: rules[2].name: 'a' is the name of r.yaml: rules[0] too",
        "r.yaml: rules[3].name: 'a' is the name of r.yaml: rules[0] too",
    ]
    assert problems(WrittenRules([1] * 10_001, "r.yaml")) == [
        "r.yaml: rules: there are more than 10000 rules"
    ]


@pytest.mark.parametrize(
    ("preset", "factor", "words"),
    [
        ("overloaded", 200.0, "200 times the chance of 100 % is more than 100 %, .* as in @20%$"),
        ("overloaded", 1.5, "@1.5: 1.5 times the chance of 100 % .* as in @1.5%$"),
        ("flaky", 20.0, "20 times the chance of 6 % is more than 100 %, and counts as 100 %"),
    ],
)
def test_a_factor_that_makes_a_chance_more_than_one(preset: str, factor: float, words: str) -> None:
    """It is a warning, for a percentage was meant, most likely."""
    [warning] = composed(Settings(preset=(ChosenPreset(preset, factor),))).warnings
    assert warning.startswith(f"--preset {preset}@{factor:g}: ")
    assert re.search(words, warning)


@pytest.mark.parametrize(("preset", "factor"), [("overloaded", 1.0), ("flaky", 16.0)])
def test_a_factor_that_makes_sense(preset: str, factor: float) -> None:
    """Nothing is said."""
    assert composed(Settings(preset=(ChosenPreset(preset, factor),))).warnings == ()


def test_the_chances_of_rules() -> None:
    """Of those that do not fire whenever they may; those of the options are told in another way."""
    ramp = WrittenRules("respond 500 name=ramp ramp={from: 0, to: 0.5, over: 1m}", "--rule")
    always = WrittenRules("respond 500 name=always path=/a", "--rule")
    settings = Settings(
        rules=(ramp, always), preset=(ChosenPreset("overloaded", 0.3),), short_form=True
    )
    assert chances(rule_set_of(settings)) == {"ramp": 0.5, "overloaded": 0.3}


def test_the_first_attempts_of_rules() -> None:
    """Of those that count attempts; what counts requests is none of them."""
    mine = WrittenRules("respond 500 name=mine first=3 per=attempt-group")
    requests = WrittenRules("respond 500 name=requests path=/a first=2")
    settings = Settings(rules=(mine, requests), preset=(ChosenPreset("flaky", first=1),))
    assert first_attempts(rule_set_of(settings)) == {"mine": 3, "flaky": 1}


def test_the_rules_that_are_asked_as_a_tunnel_is_opened() -> None:
    """At the CONNECT and in the handshake, in order; the others are asked at each request."""
    names = ("connect-refused", "overloaded", "tls-alert")
    settings = Settings(preset=tuple(map(ChosenPreset, names)))
    assert of_tunnels(rule_set_of(settings)) == ("connect-refused", "tls-alert")


@pytest.mark.parametrize(
    ("settings", "only_for"),
    [
        (Settings(), ("options",)),
        (Settings(rules=(SOMEWHERE,)), ()),
        (Settings(preset=(ChosenPreset("tls-alert"),)), ()),
        (Settings(rules=(SOMEWHERE,), preset=(OVERLOADED,)), ("overloaded",)),
        (Settings(rules=(SOMEWHERE,), short_form=True), ("options",)),
    ],
)
def test_what_only_is_for(settings: Settings, only_for: tuple[str, ...]) -> None:
    """Where it is for nothing, that is said, for it was given for a reason."""
    narrowed = composed(evolve(settings, only="model"))
    assert narrowed.only_for == composed(settings).only_for == only_for
    words = "--only model has no effect: it limits presets and the options' error"
    assert [w.startswith(words) for w in narrowed.warnings] == [True] * (not only_for)
    assert composed(settings).warnings == ()


def test_no_errors_besides() -> None:
    """A chance of 0 beside presets or rules says that those are to be alone."""
    for others in (Settings(preset=(OVERLOADED,)), Settings(rules=(FROM_LINE,))):
        none = composed(evolve(others, error_probability=0.0, short_form=True))
        assert "options" not in none.rule_set.ids
        assert none.warnings == ()
    assert rule_set_of(Settings(error_probability=0.0, short_form=True)).ids == ("options",)


async def test_a_start_tells_the_chances(tmp_path: Path) -> None:
    """So that whoever gave a factor sees what it makes."""
    async with running(tmp_path, preset=(ChosenPreset("overloaded", 0.3),)) as run:
        [started] = await run.wait_for(ProxyStarted)
    assert started.chances == {"overloaded": 0.3}
