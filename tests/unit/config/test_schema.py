"""The JSON Schema that editors use: it agrees with what reads files."""

# ruff: noqa: E501  (files are read best a line each)

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

import faultinject
from faultinject.config import file_problems
from faultinject.config.load import SCHEMA_KEY
from faultinject.config.options import FILE_OPTIONS
from faultinject.config.presets import NAMES
from faultinject.config.rule_set import problems
from faultinject.config.schema import VERSION, _whole, config_schema
from faultinject.config.yaml import Places, yaml_value
from faultinject.reading.node import Node
from faultinject.reading.source import Place, Source, position_in
from faultinject.reading.value import FLAG, TEXT
from faultinject.settings import WrittenRules
from tests.unit.config.rules.test_rule_list import FAULTS, NESTED, RULES, VALUES

PACKAGE = Path(faultinject.__file__).parent
DOCS = PACKAGE.parent / "docs"


@cache
def validator() -> Draft202012Validator:
    """Return what validates by the schema as it is printed."""
    return Draft202012Validator(json.loads(json.dumps(config_schema())))


def mistakes(document: Any, text: str = "") -> list[str]:
    """Return what the reader finds wrong."""
    source = Source("f.yaml", str.encode, Places(text)) if text else Source("f.yaml", str.encode)
    found = [*file_problems(Node(document, Place(source)))]
    rules = document.get("rules")
    if isinstance(rules, list):
        found += problems(WrittenRules(rules, source.name, DOCS, source.locate))
    return found


def test_the_schema_is_one() -> None:
    """Of the draft that it names, and with its version."""
    schema = config_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"].endswith(f":{VERSION}")


def test_it_has_every_key_with_its_help() -> None:
    """Editors show it."""
    properties = config_schema()["properties"]
    assert properties.keys() == {SCHEMA_KEY, *FILE_OPTIONS}
    assert all(part["description"] for part in properties.values())


def properties_in(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yield each property of each object that a schema describes."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and "if" not in schema:
            yield from schema["properties"].items()
        for key, inner in schema.items():
            yield from () if key in ("if", "then") else properties_in(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from properties_in(inner)


def test_each_key_of_rules_has_a_sentence() -> None:
    """Editors show it at the key. The page of rules has the key too."""
    described = list(properties_in(config_schema()))
    page = (DOCS / "rules.md").read_text("utf-8")
    options = {SCHEMA_KEY, *FILE_OPTIONS}
    assert len({key for key, _ in described} - options) > 80
    for key, schema in described:
        assert schema.get("description"), key
        if key not in options:
            assert re.fullmatch(r"[A-Z][^.\n]{2,98}\.", schema["description"]), key
            assert re.search(rf"\b{key}\b", page), key


def test_two_schemas_cannot_have_one_name() -> None:
    """One would hide the other."""
    with pytest.raises(ValueError, match="two schemas are called 'a'"):
        _whole([TEXT.titled("a"), FLAG.titled("a")], {})


# -- what is right --------------------------------------------------------------------------------


def examples() -> list[Any]:
    """Return all files of the package and its pages that have rules or options in them."""
    found: list[Any] = [
        {
            "rules": yaml_value((PACKAGE / "config" / "presets" / f"{name}.yaml").read_text())[
                "rules"
            ]
        }  # type: ignore[index]
        for name in NAMES
    ]
    found.append(yaml_value((PACKAGE / "cli" / "first_rules.yaml").read_text("utf-8")))
    found.append(json.loads((DOCS / "config.example.json").read_text("utf-8")))
    for page in (PACKAGE.parent / "README.md", *DOCS.rglob("*.md")):
        blocks = re.findall(
            r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        values = [yaml_value(block) for block in blocks]
        found += [value for value in values if isinstance(value, dict) and "rules" in value]
    return found


def test_all_presets_and_examples_are_right() -> None:
    """For the schema; that they are for the reader is tested where they stand."""
    found = examples()
    assert len(found) > len(NAMES) + 20
    assert [list(validator().iter_errors(each)) for each in found] == [[]] * len(found)
    of_old_editors = Draft7Validator(validator().schema)
    assert all(of_old_editors.is_valid(each) for each in found)


def test_a_file_may_name_its_schema() -> None:
    """As JSON does, and as YAML does in a comment."""
    text = "# yaml-language-server: $schema=schema.json\n$schema: schema.json\nseed: 1\n"
    assert mistakes(yaml_value(text)) == []
    assert validator().is_valid(yaml_value(text))
    assert mistakes({"$schema": 5}) == [
        "f.yaml: ['$schema']: 5 is not the address of a JSON Schema"
    ]


OPTIONS = st.dictionaries(
    st.sampled_from(sorted(FILE_OPTIONS.keys() - {"rules"})), st.one_of(NESTED, VALUES), max_size=3
)
WEIGHTED = st.fixed_dictionaries({"fault": FAULTS}, optional={"name": st.just("a")})


@given(st.one_of(OPTIONS, RULES.map(lambda rules: {"rules": rules})))
def test_what_is_read_is_right_for_the_schema(document: dict[str, Any]) -> None:
    """An editor never marks what works."""
    if not mistakes(document):
        errors = [error.message for error in validator().iter_errors(document)]
        assert errors == []


RIGHT_VALUES = [
    ("respond", [529, {"status": 429, "retry_after": "1m 30s"}, {"failure": "overloaded"}, {"page": "cloudflare-502"},
                 {"status": 500, "headers": {"A": ["1", 2], "b": ""}}, {"status": 200, "json": [None]}, {"status": 500, "file": "config.md"},
                 {"status": 503, "retry_after": {"date": 5}}, {"status": 500, "body": ""}, {"status": 400, "details": {"a": 1}}]),
    ("delay", [2, "250ms", "1 m  2 . 5 s", {"fixed": 1}, [{"range": [0, 1]}, {"exponential": 1, "before": "head"}],
               {"pareto": {"least": 1, "shape": 1}, "at_most": 2}, {"normal": {"mean": 0, "deviation": 1}, "at_most": "1h"},
               {"exponential": {"mean": 1}}, {"lognormal": {"median": 1, "sigma": 0.5}}]),
    ("break", ["reset", {"how": "hang", "for": 5}, {"how": "tls-alert", "alert": "unknown_ca"}, {"how": "close", "after": "ping"},
               {"how": "close", "before": {"count": 2, "where": {"a.b": {"glob": "*"}}}}, {"how": "reset", "at": "connect"}]),
    ("stream", [{"cut": True}, {"stall": "forever"}, {"stall": {"for": True, "pings": 1}}, {"after": {"bytes": 5}, "end": True},
                [{"drop": "all"}, {"duplicate": 2, "after": {"time": "2s"}}], {"chunks": "split", "pace": {"events_per_second": 0.5}},
                {"error": True, "at": "first-event"}, {"error": "x"}, {"error": {"status": 529, "type": "t"}}, {"end_early": "max_tokens", "upstream": "skipped"},
                {"garble": True, "chunks": "merge"}]),
    ("one_of", [[{"weight": 2, "respond": 500}, {"pass": True}]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in RIGHT_VALUES for value in values]
)
def test_right_faults(kind: str, value: Any) -> None:
    """All of these are read, and all are right for the schema."""
    document = {"rules": [{"fault": {kind: value}}]}
    assert mistakes(document) == []
    assert list(validator().iter_errors(document)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("match", {"host": each}) for each in ("*", ["a.example:1", "[::1]:5"])),
        *(("match", {"path": each}) for each in ("/", ["*x", "?", "[ab]"])),
        *(("match", {"json": {"a[0].b": each}}) for each in (None, 1.5, "x", True, [1, "a"], {"equal": {"a": [1]}}, {"present": False}, {"at_least": 1, "below": 5})),
        *(("match", {"header": {"X-A": each}}) for each in (1, "x*", ["a", {"present": True}], {"equal": 5})),
        *(("match", {"attempt": each}) for each in (2, [1, {"above": 3}])),
        ("match", {"tools": True}), ("match", {"tools": ["a*"]}), ("match", {"method": "get", "provider": ["openai"], "shape": "chat", "model_call": True}),
        *(("when", {"probability": each}) for each in (0, 1, 0.5, "5%", "0.25%", ".5%")),
        *(("when", {"between": each}) for each in ([1, "2s"], {"from": 0, "to": 1, "every": 2})),
        *(("when", {"for": each}) for each in (5, "1m", {"lasting": 1, "every": "2s"})),
        *(("when", {"sequence": each}) for each in (["fault"], {"steps": ["pass", "fault"], "repeat": True})),
        *(("when", {"limit": each}) for each in (3, {"in_all": 1}, {"at_a_time": 2, "in_all": 3})),
        *(("when", {"first": 1, "per": each}) for each in ("client", "header x-a", {"header": "x-a"}, "attempt-group")),
        ("when", {"nth": [1, 2]}), ("when", {"every": 2, "after": 3}), ("when", {"burst": {"calm": 1, "storm": 1.5}}),
        ("when", {"ramp": {"from": 0, "to": "5%", "over": "1m"}}), ("when", {"ramp": {"from": 0, "to": 1, "times": 4}}),
    ],
)  # fmt: skip
def test_right_conditions(key: str, value: Any) -> None:
    """Likewise."""
    document = {"rules": [{key: value, "fault": {"respond": 500}}]}
    assert mistakes(document) == []
    assert list(validator().iter_errors(document)) == []


@pytest.mark.parametrize(
    "document",
    [
        {"error_probability": "30%", "status_code": 200, "error_body": {"a": None}, "seed": 2**64 - 1},
        {"error_body": "", "headers": {}, "target_host": ["a", "*.b:5"], "connect_to": [], "fake_pace": "0.5"},
        {"preset": "overloaded@0.3", "only": "all", "report": ["a.md", "b.JSON"], "fail_on": "error"},
        {"judge_only": "a,b", "ignore": [], "threshold": {"a": 1, "b": "2"}, "effects": "x", "fake_pace": 0},
        {"log_level": "debug", "tunnel": "reply", "carrier": "GET /", "via": "auto", "no_marker": True, "ca_cert": "~/x"},
    ],
)  # fmt: skip
def test_right_options(document: dict[str, Any]) -> None:
    """Likewise."""
    assert mistakes(document) == []
    assert list(validator().iter_errors(document)) == []


# -- what is wrong --------------------------------------------------------------------------------

MARK = "▸"
IN_RULE = "rules:\n  - name: a\n    "
WRONG = [
    "▸sed: 1",
    "seed: ▸-1",
    "seed: ▸x",
    "error_probability: ▸1.5",
    "error_probability: ▸150",
    "status_code: ▸99",
    "status_code: ▸'429'",
    "log_level: ▸loud",
    "no_marker: ▸1",
    "headers: ▸[a]",
    "headers: {a b: ▸c}",
    "headers: {a: ▸true}",
    "target_host: ▸5",
    "target_host: ▸[]",
    "proxy_port: ▸70000",
    "preset: ▸flakey",
    "preset: [flaky@2, ▸flakey@2]",
    "fake_pace: ▸soon",
    "threshold: ▸[1]",
    "rules: ▸{fault: pass}",
    IN_RULE + "fault: ▸5",
    "rules:\n  - ▸name: a\n    when: {first: 1}",
    IN_RULE + "▸falt: pass\n    fault: pass",
    IN_RULE + "fault: ▸{}",
    IN_RULE + "fault: {respond: ▸999}",
    IN_RULE + "fault: {respond: ▸{message: a}}",
    IN_RULE + "fault: {respond: {status: 500, body: a, json: ▸b}}",
    IN_RULE + "fault: {respond: 500, break: ▸reset}",
    IN_RULE + "fault: {break: ▸restt}",
    IN_RULE + "fault: {respond: {failure: ▸overlaoded}}",
    IN_RULE + "fault: {respond: {page: ▸cloudflare}}",
    IN_RULE + "fault: {stream: {error: {failure: ▸overlaoded}}}",
    IN_RULE + "fault: {delay: ▸2 seconds}",
    IN_RULE + "fault: {delay: ▸{pareto: {least: 1, shape: 1}}}",
    IN_RULE + "fault: {delay: {fixed: 1, range: ▸[1, 2]}}",
    IN_RULE + "fault: {stream: ▸{after: ping}}",
    IN_RULE + "fault: {stream: {cut: ▸false}}",
    IN_RULE + "fault: {stream: {cut: true, end: ▸true}}",
    IN_RULE + "fault: {stream: {after: {bytes: ▸1, count: 2}, cut: true}}",
    IN_RULE + "fault: {stream: {pace: {events_per_second: ▸0}}}",
    IN_RULE + "fault: {one_of: ▸[]}",
    IN_RULE + "fault: {one_of: [{weight: ▸0, respond: 500}]}",
    IN_RULE + "fault: pass\n    match: {stream: ▸'yes'}",
    IN_RULE + "fault: pass\n    match: {path: ▸v1}",
    IN_RULE + "fault: pass\n    match: {provider: ▸opanai}",
    IN_RULE + "fault: pass\n    match: {json: {a: ▸{above: 1, glob: b}}}",
    IN_RULE + "fault: pass\n    match: {header: {x: {present: ▸1}}}",
    IN_RULE + "fault: pass\n    match: {json: ▸{}}",
    IN_RULE + "fault: pass\n    when: {▸frist: 1}",
    IN_RULE + "fault: pass\n    when: {first: ▸0}",
    IN_RULE + "fault: pass\n    when: {first: ▸1.5}",
    IN_RULE + "fault: pass\n    when: {probability: ▸5}",
    IN_RULE + "fault: pass\n    when: {ramp: ▸{from: 0, to: 1}}",
    IN_RULE + "fault: pass\n    when: {first: 1, per: ▸sesion}",
    IN_RULE + "fault: pass\n    when: {probability: 1, per: ▸client}",
    "rules:\n  - {name: ▸'', fault: pass}",
    "rules:\n  - {name: ▸é, fault: pass}",
]  # fmt: skip


@pytest.mark.parametrize("marked", WRONG)
def test_what_is_wrong_by_its_form_is_refused_by_both(marked: str) -> None:
    """The reader says where: at the mark."""
    text = marked.replace(MARK, "")
    document = yaml_value(text)
    [message] = mistakes(document, text)
    assert message.startswith(f"f.yaml:{position_in(marked, marked.index(MARK))}: ")
    assert not validator().is_valid(document)
    assert not Draft7Validator(validator().schema).is_valid(document)


def test_there_are_more_than_forty_of_these() -> None:
    """All different."""
    assert len(set(WRONG)) == len(WRONG) > 40
