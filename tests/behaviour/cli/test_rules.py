"""`faultinject rules`: a first file, and what is wrong with one."""

import json
import os
import re
from pathlib import Path

import pytest

FIRST = "rules: [{name: a, fault: {respond: 529}}]\n"
NO_FAULT = "is not an object with respond, delay, break, stream or one_of in it, or the word pass"


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file and returns its name."""

    def write(text, name="r.yaml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_first_file_is_good(run, tmp_path):
    """It says what to do next, passes the check, and is not written over."""
    path = str(tmp_path / "new.yaml")
    code, out, err = run("rules", "init", path)
    assert (code, out, err) == (0, "", f"wrote {path}; next: faultinject proxy --config {path}\n")
    assert run("rules", "check", path) == (0, f"{path}: 2 rules; all can be used\n", "")
    code, _, err = run("rules", "init", path)
    assert (code, err) == (
        2,
        f"faultinject: {path}: the file exists already; choose another name\n",
    )


def test_what_is_commented_out_in_it_is_good_too(run, file):
    """Whoever takes the marks away has rules that work."""
    text = run("rules", "init")[1]
    head, rules = text.split("\nrules:\n")
    opened = head + "\nrules:\n" + rules.replace("  # - ", "  - ").replace("  #   ", "    ")
    code, out, err = run("rules", "check", file(opened))
    assert "4 rules" in out
    assert code == 0
    assert all(line.startswith("With `faultinject plugin`: ") for line in err.splitlines())


def test_a_folder_that_is_not_there(run, tmp_path):
    """The system's reason is told."""
    code, _, err = run("rules", "init", str(tmp_path / "no" / "r.yaml"))
    assert code == 1
    assert err.endswith("r.yaml: No such file or directory\n")


def test_all_mistakes_are_told(run, file):
    """A line each, with file, place, value and what would be right."""
    path = file("rules: [{fault: {respond: 99}}, {fault: pass}, {when: {first: 0}, fault: pass}]")
    code, out, err = run("rules", "check", path)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"{path}:1:27: rules[0].fault.respond: 99 is not a status from 200 to 599",
        f"{path}:1:63: rules[2].when.first: 0 is not a whole number from 1 to 1000000000",
    ]


WRITTEN = (
    "options", "pth:", "3,", "c}", "0,", "2}", "99,", "soon,", "none}", "never}", "wen:", "match:",
    "overlaoded}", "cloudflare}, w", "{error:", "cutt:", "1}, cut",
)  # fmt: skip
"""What stands at the places of the mistakes below."""


def test_all_mistakes_of_a_rule_are_told(run, file):
    """Whatever can be judged by itself: keys, values, items of lists."""
    path = file("""
        rules:
          - name: options
            match: {pth: /v1/*, model: 3, header: {"a b": c}}
            when: {first: 0, probability: 2}
            fault: {respond: {status: 99, retry_after: soon, file: none}, delay: never}
          - match: {host: "*"}
            wen: {}
          - fault:
              one_of:
                - {respond: {failure: overlaoded}}
                - {respond: {page: cloudflare}, weight: 2}
                - {respond: {json: {page: x}, status: 500}}
          - fault: {respond: {page: cloudflare}, stream: {error: {failure: x}}}
          - fault: {stream: [{cutt: true}, {after: {event: a, bytes: 1}, cut: true}]}
        """)
    code, _, err = run("rules", "check", path)
    assert code == 2
    lines = [line.removeprefix(f"{path}:").split(": ") for line in err.splitlines()]
    places = [place.removeprefix("rules") for _, place, *_ in lines]
    assert places == [
        "[0].name",
        "[0].match",
        "[0].match.model",
        "[0].match.header['a b']",
        "[0].when.first",
        "[0].when.probability",
        "[0].fault.respond.status",
        "[0].fault.respond.retry_after",
        "[0].fault.respond.file",
        "[0].fault.delay",
        "[1]",
        "[1]",
        "[2].fault.one_of[0].respond.failure",
        "[2].fault.one_of[1].respond.page",
        "[3].fault.stream",
        "[4].fault.stream[0]",
        "[4].fault.stream[1].after.bytes",
    ]
    text = Path(path).read_text("utf-8").splitlines()
    for (position, *_), written in zip(lines, WRITTEN, strict=True):
        line, column = map(int, position.split(":"))
        assert text[line - 1][column - 1 :].startswith(written)


def test_a_start_names_the_first_of_several_mistakes(run, file):
    """And how many more there are."""
    path = file("rules: [{fault: {respond: 99}}, {when: {first: 0}, fault: {respond: pas}}]")
    code, _, err = run("proxy", "--config", path)
    assert (code, err.count("\n")) == (2, 1)
    assert err == (
        f"faultinject: {path}:1:27: rules[0].fault.respond: 99 is not a status from 200 to 599"
        " (and 2 more mistakes)\n"
    )


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("sed: 1\nrules: [{fault: {respond: 99}}, {fault: pas}]", " (and 2 more mistakes)"),
        ("sed: 1\nhst: 1\nrules: [{fault: pass}]", " (and 1 more mistake)"),
        ("sed: 1\nrules: {fault: pas}", " (and 1 more mistake)"),
        ("sed: 1", ""),
    ],
)
def test_a_start_counts_the_mistakes_of_keys_and_rules(run, file, text, rest):
    """As many as `rules check` has lines."""
    path = file(text)
    code, _, err = run("proxy", "--config", path)
    assert (code, err.count("\n")) == (2, 1)
    assert err == f"faultinject: {path}:1:1: unknown key 'sed'; did you mean seed?{rest}\n"
    lines = run("rules", "check", path)[2].splitlines()
    assert len(lines) == 1 + int(next(iter(re.findall("[0-9]+", rest)), "0"))


def test_mistakes_in_other_keys_are_told_too(run, file):
    """The file is that of --config."""
    path = file('{"sed": 1, "status_code": 99, "rules": [{"fault": "pas"}]}', "c.json")
    code, _, err = run("rules", "check", path)
    assert code == 2
    assert err.splitlines() == [
        f"{path}: unknown key 'sed'; did you mean seed?",
        f"{path}: status_code: 99 is not a whole number from 200 to 599",
        f'{path}: rules[0].fault: "pas" {NO_FAULT}',
    ]


def test_rules_that_are_no_list_are_told_once(run, file):
    """As --config tells it."""
    path = file("rules: {fault: pass}")
    assert run("rules", "check", path)[2].splitlines() == [
        f"{path}:1:8: rules: it is not a list of rules, each with a fault in it"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [", ":1:9: not YAML: "),
        ("ca_cert: x", "ca_cert: x is given without --ca-key"),
        ("preset: flakey", ":1:9: preset: there is no preset 'flakey'; did you mean flaky?"),
    ],
)
def test_what_is_no_file_of_rules(run, file, text, message):
    """One line, too."""
    code, _, err = run("rules", "check", file(text))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_warnings_and_what_the_plugin_cannot_do(run, file):
    """They are told, and the file is good all the same."""
    path = file("rules: [{name: a, fault: {break: reset}}, {name: b, fault: pass}]")
    code, out, err = run("rules", "check", path)
    assert (code, out) == (0, f"{path}: 2 rules; all can be used\n")
    warning, note = err.splitlines()
    assert warning.startswith(f"warning: {path}:1:43: rules[1]: it is never reached: ")
    assert note.startswith(
        f"With `faultinject plugin`: {path}:1:9: rules[0]: the plugin cannot reset a connection: "
    )


def test_the_help_is_worth_reading(run):
    """Both commands are there."""
    code, out, _ = run("rules", "--help")
    assert code == 0
    assert "check" in out
    assert "init" in out


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("status_code: 429\nerror_probability: 0.5", "no rules; the file can be used"),
        ("rules: [{fault: pass}]", "1 rule; it can be used"),
        ("rules: [{fault: pass}]\nseed: 1\nstatus_code: 429", "1 rule; it can be used"),
        ("preset: bad-day", "rules; all can be used"),
    ],
)
def test_how_many_rules_there_are(run, file, text, found):
    """What the options mean is not counted."""
    code, out, _ = run("rules", "check", file(text))
    assert code == 0
    assert out.endswith(f"{found}\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")
def test_rules_from_a_pipe(run):
    """As the shell's <(...) makes one; it can be read only once."""
    reading, writing = os.pipe()
    os.write(writing, b"rules: [{fault: {respond: 99}}]")
    os.close(writing)
    path = f"/dev/fd/{reading}"
    assert run("rules", "check", path) == (
        2,
        "",
        f"{path}:1:27: rules[0].fault.respond: 99 is not a status from 200 to 599\n",
    )
    os.close(reading)


RULES = """\
error_probability: 0.5
rules:
  - name: cap
    match: {model: x*}
    fault: {respond: {failure: spend-cap}}
  - name: pings
    match: {stream: true}
    fault: {stream: {after: {count: 2}, stall: {for: forever, pings: 5s}}}
  - name: chat
    match: {shape: chat}
    fault: {respond: 500}
"""


def test_what_rules_mean_at_a_place(run, file):
    """Which API it is, and which rules do nothing there, as if it were a target."""
    place = "bedrock-runtime.eu-west-1.amazonaws.com/model/x/converse-stream"
    code, out, err = run("rules", "check", file(RULES), "--for", place)
    assert code == 0
    assert out.endswith("3 rules; all can be used\n")
    assert f"At {place} the API is bedrock, and converse is spoken.\n" in err
    assert "There the rule pings does nothing: streams of converse have no pings;" in err
    assert "There the rule chat does nothing: its match is not for it.\n" in err
    assert "rule cap" not in err
    err = run("rules", "check", file(RULES), "--for", "https://api.example.com/orders")[2]
    assert "At api.example.com/orders the API is plain, and plain is spoken.\n" in err
    assert "There the rule cap does nothing: plain has no failure spend-cap; it has" in err


OF_PRESETS = """\
preset: [tool-json-cut, mcp-error]
rules: [{name: mine, match: {shape: mcp}, fault: {respond: 500}}]
"""


def test_what_presets_mean_at_a_place(run, file):
    """A preset's rules are one, and where none is for the API it says why, and what would work."""
    place = "generativelanguage.googleapis.com/v1/models/x:streamGenerateContent"
    err = run("rules", "check", file(OF_PRESETS), "--for", place)[2]
    assert "There the preset tool-json-cut does nothing: a tool call comes whole there" in err
    assert "There the preset mcp-error does nothing: it is for calls of the tools of an MCP" in err
    err = run("rules", "check", file(OF_PRESETS), "--for", "api.openai.com/v1/responses")[2]
    assert "tool-json-cut" not in err
    assert "There the rule mine does nothing: its match is not for it.\n" in err


def test_a_place_at_which_an_mcp_server_may_be(run, file):
    """Only what a request says tells it, so rules for one are not said to do nothing."""
    err = run("rules", "check", file(OF_PRESETS), "--for", "example.com/mcp")[2]
    assert "If a request there is a message of the Model Context Protocol, it is mcp.\n" in err
    assert "mcp-error does nothing" not in err
    assert "rule mine" not in err
    assert "There the preset tool-json-cut does nothing: how a tool call is streamed" in err


@pytest.mark.parametrize("place", ["api.openai.com", "a b/x", "/x", "", "localhost=opnai/x"])
def test_what_is_no_place(run, file, place):
    """A host, and a path."""
    code, _, err = run("rules", "check", file(RULES), "--for", place)
    assert code == 2
    assert err.startswith("faultinject: --for: ")


def test_the_schema_is_printed(run):
    """As JSON, by its version."""
    code, out, _ = run("rules", "schema")
    assert code == 0
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
