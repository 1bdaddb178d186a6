"""`faultinject presets` lists them and shows one; `--preset` and `--rule` reach the settings."""

import json
import re
import socket
import sys

import pytest

from faultinject.cli.presets import GROUPS
from faultinject.config import PROXY_OPTIONS, load_settings
from faultinject.config.presets import NAMES, preset_named
from faultinject.config.yaml import yaml_value
from faultinject.errors import SettingsError
from faultinject.settings import ChosenPreset, WrittenRules


def settings_of(given, environment=None):
    """Return the settings of the proxy."""
    return load_settings(given, environment or {}, PROXY_OPTIONS)


def test_the_groups_have_them_all():
    """In the order of the page."""
    assert [name for names in GROUPS.values() for name in names] == list(NAMES)


@pytest.mark.parametrize("columns", [40, 80, 100, 160])
def test_the_list_is_as_wide_as_the_terminal(run, monkeypatch, columns):
    """Each with what is seen, and nothing is longer than can be read."""
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, err = run("presets")
    assert (code, err) == (0, "")
    listed = out.partition("\nInject one")[0]
    indented = [line for line in listed.splitlines() if line.startswith(" ")]
    assert max(map(len, indented)) <= min(columns, 100)
    words = " ".join(listed.split())
    for title, names in GROUPS.items():
        assert f"\n\n{title}\n" in f"\n\n{out}"
        for name in names:
            assert f"{name} {preset_named(name).sees}" in words


def test_the_list_for_grep_has_a_line_each(run, monkeypatch):
    """Where there is no terminal."""
    monkeypatch.delenv("COLUMNS")
    listed = run("presets")[1].partition("\nInject one")[0]
    lines = [line.split() for line in listed.splitlines() if line.startswith(" ")]
    assert lines == [[name, *preset_named(name).sees.split()] for name in NAMES]


def test_list_is_a_command(run):
    """It says the same as no command."""
    assert run("presets", "list") == run("presets")


def test_one_is_shown(run):
    """Its words, its rules, its evidence, and the bytes for each API."""
    code, out, _ = run("presets", "show", "stream-cut")
    assert code == 0
    preset = preset_named("stream-cut")
    words = " ".join(out.split())
    for sentence in (preset.sees, preset.expect, *preset.evidence):
        assert sentence in words
    assert "      stream: {after: {count: 5}, cut: true}\n" in out
    for provider in ("anthropic, a stream of /v1/messages", "openai, a stream of /v1/responses"):
        assert f"\n---- {provider}, rule stream-cut ----\nHTTP/1.1 200 OK\n" in out
    assert out.count("[FIN, without the body's proper end]\n") == 3  # a form of stream each
    assert "\n---- gemini" not in out
    assert "For another API: faultinject presets show stream-cut --provider NAME" in words


def test_one_is_shown_for_every_api(run):
    """If that is asked for, or if the best known ones have no such failure."""
    every = run("presets", "show", "stream-cut", "--provider", "all")[1]
    for provider in ("anthropic", "gemini", "cohere"):
        assert f"\n---- {provider}, a stream of " in every
    assert "For another API" not in every
    out = run("presets", "show", "mcp-error")[1]
    assert "\n---- mcp, " in out
    assert "For another API" not in out


def test_a_note_is_shown(run):
    """Of the presets that have one."""
    note = preset_named("tool-json-cut").note
    assert note is not None
    assert f"Note: {note}" in " ".join(run("presets", "show", "tool-json-cut")[1].split())
    assert "To note" not in run("presets", "show", "flaky")[1]


def test_whom_it_meets_is_shown(run):
    """Calls of the API, or every connection."""
    met = " ".join(run("presets", "show", "overloaded")[1].split())
    assert "Which requests it hits: calls of the API to a target" in met
    for name in ("tls-reset", "proxy-407"):
        met = " ".join(run("presets", "show", name)[1].split())
        assert "Which requests it hits: every connection to a target" in met


def test_one_api_alone(run):
    """The others' bytes are left out; one that is none is a mistake."""
    out = run("presets", "show", "overloaded", "--provider", "openai")[1]
    assert "---- openai" in out
    assert "---- anthropic" not in out
    code, _, err = run("presets", "show", "overloaded", "--provider", "opnai")
    expected = "faultinject: --provider: 'opnai' is not a known API; did you mean openai?\n"
    assert (code, err) == (2, expected)
    assert "there are all, anthropic, " in run("presets", "show", "flaky", "--provider", "zz")[2]


def test_a_name_is_no_command(run):
    """The line says what is."""
    line = "faultinject: flaky is a preset; write 'presets show flaky'"
    assert run("presets", "flaky") == (2, "", f"{line} (see 'faultinject presets --help')\n")


def test_rules_alone(run):
    """They are a file that can be used."""
    out = run("presets", "show", "flaky", "--rules")[1]
    assert yaml_value(out)["rules"][0]["name"] == "flaky"


def test_one_that_is_none(run):
    """The nearest is named."""
    code, _, err = run("presets", "show", "flakey")
    expected = "faultinject: there is no preset 'flakey'; did you mean flaky?\n"
    assert (code, err) == (2, expected)


def test_one_as_it_is_chosen(run):
    """What is behind the @ is said in words, for the rules are shown as they are."""
    out = " ".join(run("presets", "show", "overloaded@30%@first=2")[1].split())
    assert "As given: each rule below has 0.3 times its chance, at most 100 %." in out
    when = "when: {first: 2, per: attempt-group}"
    assert f"only for the first attempts of each call, as with {when}." in out
    assert "To let retries succeed" not in out
    assert "As given" not in run("presets", "show", "overloaded")[1]


def test_one_with_a_chance_of_its_own(run):
    """It says what makes it surer: @first leaves the chance as it is."""
    out = " ".join(run("presets", "show", "flaky")[1].split())
    surer = "To make it surer: --preset flaky@16 makes the chances of its rules 16 times as great"
    assert surer in out
    assert "only the first two attempts of each call, with the chance that it has." in out
    assert "To make it surer" not in run("presets", "show", "flaky@2")[1]
    assert "To make it surer" not in run("presets", "show", "overloaded")[1]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("overloaded@first", "'first' is not first=N with a whole number from 1, as in first=2"),
        ("overloaded@150%", "'150%' is not a percentage up to 100%; .* as in flaky@1.5"),
        ("overloaded@fist=2", "'fist=2' is not a chance (.*), nor first=N as in first=2"),
        ("overloded@2", "there is no preset 'overloded'; did you mean overloaded?"),
        ("tls-reset@first=2", "--preset tls-reset@first=2: its rule .*; leave @first out, or .*"),
        ("flaky@2 --rules", "--rules prints the rules of flaky as they are; leave out the @"),
    ],
)
def test_one_that_cannot_be_chosen_so(run, arguments, problem):
    """The line says what is wrong with it, as that of --preset does."""
    code, out, err = run("presets", "show", *arguments.split())
    assert (code, out) == (2, "")
    pattern = re.escape(f"faultinject: {problem}\n").replace(r"\.\*", ".*")
    assert re.fullmatch(pattern, err), err


# -- the options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("overloaded", ChosenPreset("overloaded")),
        ("overloaded@0.3", ChosenPreset("overloaded", 0.3)),
        ("overloaded@30%", ChosenPreset("overloaded", 0.3)),
        ("flaky@2", ChosenPreset("flaky", 2.0)),
        ("overloaded@first=2", ChosenPreset("overloaded", first=2)),
        ("overloaded@30%@first=2", ChosenPreset("overloaded", 0.3, 2)),
        ("overloaded@first=999999999@2", ChosenPreset("overloaded", 2.0, 999_999_999)),
    ],
)
def test_a_preset_and_how_often(text, chosen, tmp_path):
    """The factor and the first attempts stand behind an @ each, wherever the preset is chosen."""
    assert settings_of({"preset": [text]}).preset == (chosen,)
    assert settings_of({}, {"FAULTINJECT_PRESET": text}).preset == (chosen,)
    path = tmp_path / "r.yaml"
    path.write_text(f"preset: [{text}]\n")
    assert settings_of({"config": [str(path)]}).preset == (chosen,)


@pytest.mark.parametrize(
    "text",
    ["", "@1", "a@", "a@x", "a@0", "a@-1", "a@nan", "a@inf", "a@1%%",
     "a@first=", "a@first=0", "a@first=x", "a@first=-1", "a@first=1.5", "a@first=9999999999",
     "a@first", "a@first:2", "a@1@2", "a@first=1@first=2", "@first=2"],
)  # fmt: skip
def test_a_preset_that_cannot_be_read(text):
    """One line says what would be right."""
    with pytest.raises(
        SettingsError, match=r"^--preset: .* is not (the name of|a chance \(|first=N with a whole)"
    ):
        settings_of({"preset": [text]})


def test_rules_of_all_sources_count(tmp_path):
    """The command line's first, then the environment's, then the file's."""
    path = tmp_path / "r.yaml"
    path.write_text("rules: [{fault: pass}]\npreset: [flaky@0.5, bad-day]\n")
    variables = {"FAULTINJECT_RULE": "respond 501\n\n respond 502, \n"}
    given = {"config": [str(path)], "rule": ["respond 503"]}
    settings = settings_of(given, variables)
    assert settings.rules == (
        WrittenRules("respond 503", "--rule"),
        WrittenRules("respond 501", "FAULTINJECT_RULE 1"),
        WrittenRules(" respond 502, ", "FAULTINJECT_RULE 2"),
        WrittenRules([{"fault": "pass"}], str(path), tmp_path),
    )
    assert settings.preset == (ChosenPreset("flaky", 0.5), ChosenPreset("bad-day"))


def test_rules_in_a_file_are_a_list(tmp_path):
    """Anything else is a mistake."""
    path = tmp_path / "r.json"
    path.write_text('{"rules": {"fault": "pass"}}')
    with pytest.raises(SettingsError, match=r"r\.json: rules: it is not a list of rules"):
        settings_of({"config": [str(path)]})


@pytest.mark.parametrize("name", ["error_probability", "status_code", "error_body", "header"])
def test_the_short_form_is_there_if_it_is_given(name, tmp_path):
    """In whichever way."""
    value = {"error_probability": "1", "status_code": "429", "header": "A: b"}.get(name, "x")
    assert settings_of({name: [value]}).short_form is True
    assert settings_of({}, {f"FAULTINJECT_{name.upper()}": value}).short_form is True
    assert settings_of({"seed": ["1"]}).short_form is None
    path = tmp_path / "c.json"
    path.write_text('{"status_code": 429}')
    assert settings_of({"config": [str(path)]}).short_form is True


@pytest.mark.parametrize("command", ["proxy", "plugin"])
def test_a_mistake_in_a_rule_is_one_line(run, command):
    """Before anything is started."""
    code, out, err = run(command, "--rule", "respond 999")
    expected = "faultinject: --rule: rule.fault.respond: 999 is not a status from 200 to 599\n"
    assert (code, out, err) == (2, "", expected)


@pytest.mark.skipif(sys.platform == "win32", reason="stops it by signals")
def test_a_run_tells_of_its_rules(served, tmp_path, data_dir):
    """At its start, at its end, and in the summary; a file's and a preset's work alike."""
    statuses = []

    def ask(output):
        port = json.loads(output.until("\n").splitlines()[0])["port"]
        statuses.extend(status_of(port, body) for body in (b"{}", b'{"stream":true}'))

    summary_file = tmp_path / "summary.json"
    options = ["--preset", "stream-cut", "--rule", "respond 503 first=1 name=mine"]
    files = ["--log-format", "json", "--summary", str(summary_file)]
    ports = ["--proxy-port", "0", "--fake-upstream"]
    code, output = served("proxy", *ports, *options, *files, during=ask)
    assert code == 0
    events = [json.loads(line) for line in output.splitlines()]
    started, stopped = events[0], events[-1]
    summary = json.loads(summary_file.read_text())
    assert statuses == [b"503", b"200"]
    assert (started["rules"], started["error_probability"]) == (["mine", "stream-cut"], 0)
    assert stopped["rules"] == [
        {"rule": "mine", "reached": 2, "fired": 1},
        {"rule": "stream-cut", "reached": 1, "fired": 1},
    ]
    assert [rule["not_reached"] for rule in summary["rules"]] == [0, 0]
    [harmed] = [each for each in events if each.get("outcome") == "harmed"]
    assert (harmed["rule"], harmed["fault"]) == ("stream-cut", "cut after 5 events")


def status_of(port, body):
    """Ask for a message in base-URL mode; return the status of the answer, read to its end."""
    head = (
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(head % len(body) + body)
        return client.makefile("rb").read().split()[1]


@pytest.mark.parametrize(
    ("name", "provider", "why"),
    [
        ("tool-json-cut", "mistral", "a tool call comes whole there, in one event;"),
        ("spend-cap", "groq", "groq has no failure spend-cap; it has auth-expired,"),
        ("mcp-error", "openai", "it is for calls of the tools of an MCP server;"),
        ("ping-only", "plain", ""),
    ],
)
def test_an_api_for_which_it_does_nothing(run, name, provider, why):
    """It is said why, and not left empty."""
    text = run("presets", "show", name, "--provider", provider)[1]
    assert (f"---- {provider} ----\n[it does nothing: {why}" in text) is bool(why)


def test_an_api_for_which_it_does_something_but_to_no_example(run):
    """The shapes are named for which it does."""
    text = run("presets", "show", "ping-only", "--provider", "ollama")[1]
    assert text.endswith(
        "---- ollama ----\n[for the shape ollama it does nothing: streams of ollama have no pings;"
        " use stall without pings; for messages it does something]\n"
    )
