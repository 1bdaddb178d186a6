"""Lists of rules: names and ids, and that any file either loads or names its place."""

# ruff: noqa: E501  (tables of messages are read best a line each)

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.config.rules import joined, read_rules
from faultinject.config.rules.break_key import BREAK_KEYS
from faultinject.config.rules.delay_key import DELAY_KEYS
from faultinject.config.rules.fault_key import KINDS
from faultinject.config.rules.match_key import MATCH_KEYS
from faultinject.config.rules.respond_key import RESPOND_KEYS
from faultinject.config.rules.rule_list import RULE_KEYS
from faultinject.config.rules.stream_key import STREAM_KEYS
from faultinject.config.rules.when_key import WHEN_KEYS
from faultinject.config.yaml import yaml_value
from faultinject.errors import SettingsError
from faultinject.reading.source import Source

PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text("utf-8")
PLAIN = {"fault": {"respond": 500}}


def refusal(value: Any, **more: Any) -> str:
    """Return the line that refuses some rules."""
    with pytest.raises(SettingsError) as caught:
        read_rules(value, "f.yaml", **more)
    return str(caught.value)


def ids(*values: dict[str, Any]) -> list[str]:
    """Return the ids of some rules."""
    return [rule.id for rule in read_rules(list(values), "f.yaml").rules]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "f.yaml: rules: it is not a list of rules, each with a fault in it"),
        ([PLAIN, 3], "f.yaml: rules[1]: 3 is not a rule, as in {match: {...}, fault: {respond: 529}}"),
        ([{"match": {}}], "f.yaml: rules[0]: fault is missing: what should happen, as in fault: {respond: 529}"),
        ([{**PLAIN, "mach": {}}], "f.yaml: rules[0]: unknown key 'mach'; did you mean match?"),
        ([{**PLAIN, "name": ""}], 'f.yaml: rules[0].name: "" is not a name'),
        ([{**PLAIN, "name": " a"}], 'f.yaml: rules[0].name: " a" is not a name of at most 100 visible ASCII characters and spaces'),
        ([{**PLAIN, "name": "a\nb"}], 'f.yaml: rules[0].name: "a\\nb" is not a name of at most 100 visible ASCII characters and spaces'),
        ([{**PLAIN, "name": "options"}], "f.yaml: rules[0].name: options is the name of the options' rule; take another"),
        ([{**PLAIN, "name": "a"}] * 2, "f.yaml: rules[1].name: 'a' is the name of f.yaml: rules[0] too"),
        ([PLAIN] * 10_001, "f.yaml: rules: there are more than 10000 rules"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_rules(value, message) -> None:
    """Each mistake names its place."""
    assert refusal(value) == message


def test_without_a_source_the_place_is_enough() -> None:
    """For those who make rules in a program."""
    with pytest.raises(SettingsError, match=r"^rules\[0\]: 1 is not a rule"):
        read_rules([1], "")


def test_a_source_cannot_break_the_line() -> None:
    """Whatever a file is called."""
    with pytest.raises(SettingsError, match=r"^a\\nb: rules"):
        read_rules(1, "a\nb")


def test_an_id_comes_from_the_content() -> None:
    """Not from the place, nor the order of keys; the same rule again gets a number."""
    other = {"fault": {"respond": 501}}
    one, two = ids(PLAIN, other)
    assert ids(other, PLAIN) == [two, one]
    assert re.fullmatch(r"respond-[0-9a-f]{8}", one)
    assert ids(PLAIN, PLAIN, PLAIN) == [one, f"{one}-2", f"{one}-3"]
    assert ids({"match": {"path": "/", "host": "a"}, **PLAIN}) == ids(
        {**PLAIN, "match": {"host": "a", "path": "/"}}
    )
    assert ids({"fault": "pass"})[0].startswith("pass-")


def test_rules_of_several_places_are_joined() -> None:
    """Names must differ over all of them."""
    one = read_rules([{**PLAIN, "name": "a"}], "one.yaml").rules
    two = read_rules([{**PLAIN, "name": "b"}, PLAIN], "two.yaml").rules
    both = joined((*one, *two))
    assert [rule.id for rule in both.rules][:2] == ["a", "b"]
    assert both.warnings[0].startswith(
        "two.yaml: rules[0]: it is never reached: one.yaml: rules[0]"
    )
    with pytest.raises(SettingsError, match=r"^two.yaml: rules\[0\].name: 'b' is the name of two"):
        joined((*two, *two[:1]))


def test_without_a_file_no_file_can_be_named() -> None:
    """A rule of the command line has no folder."""
    message = refusal([{"fault": {"respond": {"status": 500, "file": "x"}}}])
    assert message.endswith("cannot read 'x': a rule that is not in a file cannot name one")


def test_nesting_has_an_end() -> None:
    """And is told as any other mistake."""
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    body = [{"fault": {"respond": {"status": 500, "json": deep}}}]
    assert refusal(body).startswith("f.yaml: rules[0].fault.respond.json: it cannot be written")
    equal = [{"match": {"json": {"a": {"equal": deep}}}, "fault": "pass"}]
    assert refusal(equal).startswith("f.yaml: rules[0].match.json.a.equal: it cannot be written")
    one_of: Any = "pass"
    for _ in range(100_000):
        one_of = {"one_of": one_of}
    assert (
        refusal([{"fault": one_of}]) == "f.yaml: rules[0].fault.one_of: it is not a list of faults"
    )


def test_nesting_near_its_end() -> None:
    """What can just be written by itself may be too deep within its rule: it is refused, too."""
    deep: Any = 1
    messages = []
    for _ in range(1_100):
        deep = [deep]
        try:
            read_rules([{"match": {"json": {"a": {"equal": deep}}}, "fault": "pass"}], "f.yaml")
        except SettingsError as error:
            messages.append(str(error))
    assert all("f.yaml: rules[0]" in message for message in messages)


def test_nesting_that_a_part_of_reading_cannot_take() -> None:
    """Which depth that is differs from Python to Python; whatever part it is, the rule is named."""

    def read_file(_path: str) -> bytes:
        raise RecursionError

    rule = {"fault": {"respond": {"status": 500, "file": "x"}}}
    with pytest.raises(SettingsError) as caught:
        read_rules([rule], Source("f.yaml", read_file))
    assert str(caught.value).startswith("f.yaml: rules[0]: its values are nested too deeply")


# -- the three formats --------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    """Return the examples of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_examples_of_the_page(text: str) -> None:
    """Load without a warning, and mean the same as JSON."""
    value = yaml_value(text)
    assert isinstance(value, dict)
    read = read_rules(value["rules"], Source("docs/rules.md", str.encode))
    assert read.rules
    assert not read.warnings
    again = json.loads(json.dumps(value))["rules"]
    assert read_rules(again, Source("docs/rules.md", str.encode)) == read


def test_there_are_a_dozen_and_the_toml_one_is_the_first_again() -> None:
    """Of the examples under their own heading."""
    examples = blocks("yaml")
    assert len(examples) >= 12
    [toml] = blocks("toml")
    first = next(text for text in examples if "two-failures-a-call" in text)
    assert tomllib.loads(toml) == yaml_value(first)


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("Match", MATCH_KEYS),
        ("When", WHEN_KEYS),
        ("Fault", (*KINDS, "one_of")),
        ("respond", RESPOND_KEYS),
        ("delay", DELAY_KEYS),
        ("break", BREAK_KEYS),
        ("stream", STREAM_KEYS),
        ("Rules", RULE_KEYS),
    ],
)
def test_the_page_has_every_key(section: str, keys: tuple[str, ...]) -> None:
    """In a table of the section that is about it."""
    text = re.split(rf"^#+ {section}$", PAGE, flags=re.MULTILINE)[1]
    text = re.split(r"^##? ", text, flags=re.MULTILINE)[0]
    first_cells = " ".join(re.findall(r"^\| ([^|]*) \|", text, flags=re.MULTILINE))
    missing = [key for key in keys if not re.search(rf"`{key}\b", first_cells)]
    assert not missing


# -- anything -----------------------------------------------------------------------------------

WORDS = sorted({
    *MATCH_KEYS, *WHEN_KEYS, *RULE_KEYS, *KINDS, *RESPOND_KEYS, *DELAY_KEYS, *BREAK_KEYS,
    *STREAM_KEYS, "one_of", "weight", "pass", "event", "count", "where", "bytes", "time",
    "present", "equal", "glob", "at_least", "above", "below", "steps", "repeat", "from", "to",
    "lasting", "calm", "storm", "over", "times", "in_all", "at_a_time", "mean", "deviation",
    "median", "sigma", "least", "shape", "date", "pings", "events_per_second", "type",
})  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 600), st.floats(), st.text(max_size=5),
    st.sampled_from([
        *WORDS, "fault", "close", "reset", "hang", "tls-alert", "5%", "2s", "1h", "forever", "all",
        "split", "keep", "skipped", "connect", "request", "head", "attempt-group", "header a",
        "/v1/*", "POST", "*.example.com", "a.b[0]", "openai", "first-event", 10**400,
    ]),
)  # fmt: skip
NESTED = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), inner, max_size=4),
    ),
    max_leaves=25,
)


def members(*keys: str) -> Any:
    """Return objects of these keys, whose values are anything."""
    return st.dictionaries(st.sampled_from(keys), NESTED, max_size=3)


FAULTS = st.fixed_dictionaries(
    {},
    optional={
        "respond": st.one_of(NESTED, members(*RESPOND_KEYS)),
        "delay": st.one_of(NESTED, members(*DELAY_KEYS)),
        "break": st.one_of(NESTED, members(*BREAK_KEYS)),
        "stream": st.one_of(NESTED, members(*STREAM_KEYS)),
        "one_of": st.lists(members("weight", "pass", *KINDS), max_size=3),
    },
)
RULES = st.lists(
    st.one_of(
        NESTED,
        st.fixed_dictionaries(
            {"fault": st.one_of(FAULTS, st.just({"respond": 500}))},
            optional={"match": members(*MATCH_KEYS), "when": members(*WHEN_KEYS), "name": VALUES},
        ),
    ),
    max_size=3,
)


@given(st.one_of(NESTED, RULES))
def test_any_value_loads_or_names_its_place(value: Any) -> None:
    """Source and path first; one line, that can be printed."""
    try:
        read = read_rules(value, "f.yaml")
    except SettingsError as error:
        message = str(error)
        assert re.match(r"f\.yaml: rules(\[\d+\])?[^ ]*", message)
        assert len(message.splitlines()) == 1
        message.encode()
    else:
        assert len(read.rules) == len(value)
