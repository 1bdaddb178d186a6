"""Rules in one line."""

# ruff: noqa: E501  (tables of messages are read best a line each)

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.config.rules import read_rule_text, read_rules
from faultinject.config.rules.line import rule_value
from faultinject.errors import SettingsError
from faultinject.reading.source import Source
from tests.unit.config.rules.test_rule_list import PAGE, WORDS

HINT = (
    "; write a rule as in 'respond 529 path=/v1/* first=2', or as"
    " '{match: {path: /v1/*}, when: {first: 2}, fault: {respond: 529}}'"
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("respond 529", {"fault": {"respond": 529}}),
        ("respond status=529", {"fault": {"respond": {"status": 529}}}),
        ("respond 429 retry_after=2 first=2 per=attempt-group", {"fault": {"respond": {"status": 429, "retry_after": 2}}, "when": {"first": 2, "per": "attempt-group"}}),
        ("delay 2s + respond 503 host=*.example.com", {"fault": {"delay": "2s", "respond": 503}, "match": {"host": "*.example.com"}}),
        ("delay 2s before=body probability=0.5", {"fault": {"delay": {"fixed": "2s", "before": "body"}}, "when": {"probability": 0.5}}),
        ("delay {pareto: {least: 1s, shape: 2}, at_most: 9s}", {"fault": {"delay": {"pareto": {"least": "1s", "shape": 2}, "at_most": "9s"}}}),
        ("break reset at=head nth=[1, 3]", {"fault": {"break": {"how": "reset", "at": "head"}}, "when": {"nth": [1, 3]}}),
        ("break hang for=3s when.for=10s", {"fault": {"break": {"how": "hang", "for": "3s"}}, "when": {"for": "10s"}}),
        ("cut after.event=ping after.count=2 when.after=3", {"fault": {"stream": {"cut": True, "after": {"event": "ping", "count": 2}}}, "when": {"after": 3}}),
        ("stall after.where.delta.type=text", {"fault": {"stream": {"stall": True, "after": {"where": {"delta.type": "text"}}}}}),
        ("stall 5s stream=true model=claude-*", {"fault": {"stream": {"stall": "5s"}}, "match": {"stream": True, "model": "claude-*"}}),
        ("stream cut=true upstream=skipped", {"fault": {"stream": {"cut": True, "upstream": "skipped"}}}),
        ("respond 400 match.json.max_tokens={above: 8192} json.a=1", {"fault": {"respond": {"status": 400, "json": {"a": 1}}}, "match": {"json": {"max_tokens": {"above": 8192}}}}),
        ("respond 418 match.json.messages[2].role=user json.model=m", {"fault": {"respond": {"status": 418, "json": {"model": "m"}}}, "match": {"json": {"messages[2].role": "user"}}}),
        ("break close json.messages[2].role=user", {"fault": {"break": "close"}, "match": {"json": {"messages[2].role": "user"}}}),
        ("respond 418 json={'a[0]': 1}", {"fault": {"respond": {"status": 418, "json": {"a[0]": 1}}}}),
        ("break close json.a.b=null header.X-Y='a b'", {"fault": {"break": "close"}, "match": {"json": {"a.b": None}, "header": {"X-Y": "a b"}}}),
        ('respond 500 name="my rule" body="it\'s, {x}"', {"fault": {"respond": {"status": 500, "body": "it's, {x}"}}, "name": "my rule"}),
        ("respond 500 body=it's path=/-1 first=10", {"fault": {"respond": {"status": 500, "body": "it's"}}, "match": {"path": "/-1"}, "when": {"first": 10}}),
        ("respond 500 json=[{a: 'b c'}, -1, 1.5]", {"fault": {"respond": {"status": 500, "json": [{"a": "b c"}, -1, 1.5]}}}),
        ("pass path=*/count_tokens", {"fault": "pass", "match": {"path": "*/count_tokens"}}),
        ("{fault: {respond: 529}}", {"fault": {"respond": 529}}),
        (" {fault: {respond: 529}} ", {"fault": {"respond": 529}}),
        ("fault: {respond: 529}, when: {first: 2}", {"fault": {"respond": 529}, "when": {"first": 2}}),
        ('{"fault": {"respond": 529}}', {"fault": {"respond": 529}}),
    ],
)  # fmt: skip
def test_what_a_line_means(text: str, value: dict[str, Any]) -> None:
    """The same as in a rule file, its id included."""
    assert rule_value(text) == value
    assert read_rule_text(text) == read_rules([value], "f").rules[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--rule" + HINT.replace(";", ":")),
        ("x" * 10_001, "--rule" + HINT.replace(";", ":")),
        ("respnd 500", "--rule: 'respnd' is not a fault, did you mean respond?" + HINT),
        ("zzz", "--rule: 'zzz' is not a fault" + HINT),
        ("overload-storm", "--rule: 'overload-storm' is a preset, not a fault; give it as one: '--preset overload-storm'"),
        ("flaky@0.3 path=/v1/*", "--rule: 'flaky@0.3' is a preset, not a fault; give it as one: '--preset flaky@0.3'"),
        ("respond 500 + stream-stall", "--rule: 'stream-stall' is a preset, not a fault; give it as one: '--preset stream-stall'"),
        ("overload-strom", "--rule: 'overload-strom' is not a fault" + HINT),
        ("respond 500 +", "--rule: a fault is missing next to '+'" + HINT),
        ("respond 500 + respond 501", "--rule: there are two faults of the kind respond; give one"),
        ("cut + drop", "--rule: there are two faults of the kind stream; give one"),
        ("pass + respond 500", "--rule: pass stands alone, without another fault"),
        ("pass 5", "--rule: pass has no value of its own" + HINT),
        ("pass zzz=1", "--rule: unknown key 'zzz'" + HINT),
        ("respond 500 first", "--rule: 'first' is not KEY=VALUE" + HINT),
        ("respond 500 =1", "--rule: '=1' is not KEY=VALUE" + HINT),
        ("respond 500 frist=1", "--rule: unknown key 'frist'; did you mean first?"),
        ("respond 500 zzz=1", "--rule: unknown key 'zzz'" + HINT),
        ("respond 500 first=1 first=2", "--rule: 'first': it is given twice; give a list, as in [1, 2]"),
        ("respond 418 json.messages[2].role=user", "--rule: 'json.messages[2].role': after respond, json is the answer's body, and this is no name in it; to match requests: 'match.json.messages[2].role=...'"),
        ("delay 1s + respond 418 json.tools[*].name=a", "--rule: 'json.tools[*].name': after respond, json is the answer's body, and this is no name in it; to match requests: 'match.json.tools[*].name=...'"),
        ("cut after=a after.count=2", "--rule: 'after.count': after has a value already"),
        ("respond 500 name=a match.name=b", "--rule: rule.match: unknown key 'name'; the keys are host, method, path, provider, shape, model_call, housekeeping, query, header, client, json, model, stream, tools, attempt"),
        ("stream 5 cut=true", "--rule: stream has no value of its own" + HINT),
        ("stream", "--rule: rule.fault.stream: it does nothing; give one of error, cut, reset, end, end_early, half_event, stall, drop, duplicate, garble, wrong_checksum, chunks, pace"),
        ("respond 500 first=x", '--rule: rule.when.first: "x" is not a whole number from 1 to 1000000000'),
        ("respond 500 nth=[1", "--rule: line 1, column 3: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("{fault: *a}", "--rule: line 1, column 9: not YAML: found undefined alias 'a'; a text that begins with '*' or '&' needs quotes"),
        ("{a: 1} b: 2", "--rule: line 1, column 8: not YAML: expected <block end>, but found '<scalar>'"),
        ("{}", "--rule: rule: fault is missing: what should happen, as in fault: {respond: 529}"),
        ("fault: 1}, {", "--rule: line 1, column 11: not YAML: expected '<document start>', but found ','"),
        ("respond 500 file=x", "--rule: rule.fault.respond.file: cannot read 'x': a rule that is not in a file cannot name one"),
    ],
)  # fmt: skip
def test_what_is_no_rule(text: str, message: str) -> None:
    """One line says what is wrong with it."""
    with pytest.raises(SettingsError) as caught:
        read_rule_text(text)
    assert str(caught.value) == message


def test_a_rule_can_come_from_elsewhere() -> None:
    """From a variable, say; and then files can be read, if somebody reads them."""
    with pytest.raises(SettingsError, match=r"^FAULTINJECT_RULE: 'x' is not a fault"):
        read_rule_text("x", "FAULTINJECT_RULE")
    rule = read_rule_text("respond 500 file=x", Source("elsewhere", str.encode))
    [choice] = rule.faults
    assert choice.fault.respond is not None
    assert choice.fault.respond.body == b"x"


def test_the_examples_of_the_page() -> None:
    """Each line is a rule."""
    [section] = re.findall(r"^## One-liners$(.*?)^## ", PAGE, flags=re.MULTILINE | re.DOTALL)
    _, examples = re.findall(r"^```text\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    lines = examples.splitlines()
    assert len(lines) >= 8
    for line in lines:
        read_rule_text(line)


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.builds(
                lambda key, mark, value: key + mark + value,
                st.sampled_from(WORDS),
                st.sampled_from(["", "=", ".", " ", "+", ": {"]),
                st.sampled_from([*WORDS, "1", "2s", "[1", "{a: 1}", "'x", "*", "true"]),
            ),
            max_size=6,
        ).map(" ".join),
    )
)
def test_any_line_is_a_rule_or_refused_in_one(text: str) -> None:
    """And nothing else happens."""
    message = refusal_or_id(text)
    assert re.match(r"--rule: |id ", message)
    assert len(message.splitlines()) == 1


def refusal_or_id(text: str) -> str:
    """Return the line that refuses a rule, or else its id."""
    try:
        return f"id {read_rule_text(text).id}"
    except SettingsError as error:
        return str(error)
