"""Tests of the help: complete and grouped."""

import subprocess
import sys

import pytest

from faultinject.cli.entry import root
from faultinject.config import PROXY_OPTIONS
from faultinject.config.options import CA_OPTIONS


def flattened(text):
    """Return the words of help as one string, without the panels' lines."""
    return "".join(text.replace("│", "").split())


def test_help_has_each_option_with_its_default_and_variable(run):
    """All that the table says of it."""
    code, out, err = run("proxy", "--help")
    assert (code, err) == (0, "")
    shown = flattened(out)
    for option in PROXY_OPTIONS:
        assert option.flag in shown
        if not option.kind.choices:
            assert flattened(option.help) in shown
        if option.variable:
            assert f"[envvar:{option.variable}]" in shown
        if option.default and not option.kind.is_flag:
            assert f"[default:{option.default}]" in shown


def test_help_has_the_opposite_of_each_flag_that_a_file_may_set(run):
    """Beside the flag that it undoes; --install-ca has none."""
    _, out, _ = run("proxy", "--help")
    shown = flattened(out)
    names = (
        "no-fake-upstream",
        "no-insecure-upstream",
        "no-allow-foreign-keys",
        "no-refuse-websocket",
        "marker",
    )
    for name in names:
        assert f"Theoppositeis--{name}." in shown
    assert shown.count("Theoppositeis") == len(names)


def test_options_stand_in_their_groups(run):
    """In the order of the table, and none is left over."""
    _, out, _ = run("proxy", "--help")
    groups = list(dict.fromkeys(option.group for option in PROXY_OPTIONS))
    titles = [line.strip("╭─╮ ") for line in out.splitlines() if line.startswith("╭")]
    assert titles == [*groups, "Options"]


def test_examples_keep_their_lines(run):
    """They can be copied."""
    _, out, _ = run("proxy", "--help")
    lines = [line.strip() for line in out.splitlines()]
    assert "faultinject proxy --status-code 429 --error-probability 0.33 --seed 1" in lines
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:8080 python app.py" in lines


def test_short_form_of_help(run):
    """-h is --help, also below the root."""
    assert run("proxy", "-h") == run("proxy", "--help")


def test_help_of_the_commands_about_the_authority(run):
    """They show the options that say which authority is meant."""
    _, out, _ = run("ca", "path", "--help")
    assert all(option.flag in out for option in CA_OPTIONS)
    assert "--error-probability" not in out


def test_help_is_plain_where_it_is_not_read_on_a_terminal(run):
    """No colour codes in a file."""
    assert "\x1b" not in run("proxy", "--help")[1]


@pytest.mark.parametrize("stand_in", root.commands.values(), ids=list(root.commands))
def test_the_list_of_commands_says_what_each_says_itself(stand_in, run):
    """Though none is imported to write it."""
    command = stand_in.make_context(stand_in.name, [], resilient_parsing=True).command
    assert stand_in.short_help == command.help.splitlines()[0]
    assert f"{stand_in.name} {stand_in.short_help}" in " ".join(run("--help")[1].split())


def test_the_list_of_commands_imports_none():
    """It is what a newcomer tries first."""
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "faultinject", "--help"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert "Commands" in listed.stdout
    assert "faultinject.cli.entry" in listed.stderr
    assert not [name for name in root.commands if f"faultinject.cli.{name}\n" in listed.stderr]
