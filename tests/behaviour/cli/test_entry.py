"""Tests of the entry: what a user sees of the root command and of errors."""

# ruff: noqa: E501  (tables of messages are read best a line each)

import errno
import gc
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

import faultinject
from faultinject import __version__
from faultinject.cli import commands, entry, main
from faultinject.cli.entry import only_cause, root
from faultinject.errors import SettingsError, StartError

FULL = Path("/dev/full")


def test_the_version(run):
    """The name and the number."""
    assert run("--version") == (0, f"faultinject {__version__}\n", "")


def test_help_names_every_command(run):
    """With its first sentence."""
    code, out, _ = run("--help")
    assert code == 0
    names = root.list_commands(click.Context(root))
    listed = [
        line.split()[1] for line in out.partition(" Commands ")[2].splitlines() if "│ " in line
    ]
    assert [word for word in listed if word in names] == names


@pytest.mark.parametrize("arguments", [(), ("ca",)])
def test_a_group_alone_prints_its_help(run, arguments):
    """As --help does, and no error: there is nothing wrong in asking."""
    assert run(*arguments) == run(*arguments, "--help")
    assert run(*arguments)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["prox"], "no such command 'prox'; did you mean 'proxy'? (see 'faultinject --help')"),
        (["qqq"], "no such command 'qqq'; the commands are demo, run, proxy, env, plugin, presets, rules, report, ca, completion"),
        (["ca", "pth"], "no such command 'pth'; did you mean 'path'? (see 'faultinject ca --help')"),
        (["proxy", "--sed", "1"], "no such option '--sed'; did you mean '--seed'? (see 'faultinject proxy --help')"),
        (["proxy", "--seed"], "Option '--seed' requires an argument"),
        (["proxy", "more"], "Got unexpected extra argument (more) (see 'faultinject proxy --help')"),
        (["proxy", "--seed", "x"], "--seed: 'x' is not a whole number"),
        (["--nonsense"], "no such option '--nonsense' (see 'faultinject --help')"),
        (["completion"], "Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish (see "),
        (["demo", "--status-code", "x"], "Invalid value for '--status-code': 'x' is not a valid status"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(run, arguments, line):
    """On stderr, with the mend."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"faultinject: {line}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--port", "'--proxy-port'"),
        ("-p", "'--proxy-port'"),
        ("--proxy-prot", "'--proxy-port'"),
        ("--PROXY_PORT", "'--proxy-port'"),
        ("--listen-host", "'--host'"),
        ("--upstream", "'--target-host' or '--connect-to'"),
        ("--target", "'--target-host'"),
        ("--targt-host", "'--target-host'"),
        ("--rules", "'--rule' or '--config'"),
        ("--presets", "'--preset'"),
        ("--key", "'--ca-key'"),
        ("--log", "'--log-level' or '--log-format'"),
        ("--summary-file", "'--summary'"),
        ("--sumary", "'--summary'"),
        ("--prset", "'--preset'"),
        ("--stats", "'--status-code'"),
    ],
)
def test_the_option_that_is_meant(run, typed, meant):
    """By what people look for, by its words, and by how it is written."""
    code, _, err = run("proxy", typed, "1")
    assert code == 2
    words = f"no such option '{typed}'; did you mean {meant}? (see 'faultinject proxy --help')"
    assert err == f"faultinject: {words}\n"


def raising(error):
    """Return a root command that fails."""

    @click.command()
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (StartError("no"), 1, "faultinject: no\n"),
        (SettingsError("no"), 2, "faultinject: no\n"),
        (ExceptionGroup("", [ExceptionGroup("", [StartError("no")])]), 1, "faultinject: no\n"),
        (
            ImportError("no h11"),
            1,
            "faultinject: no h11: a part of faultinject is missing; install it anew\n",
        ),
        (
            ExceptionGroup("", [ImportError("no")]),
            1,
            "faultinject: no: a part of faultinject is missing; install it anew\n",
        ),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), 130, ""),
        (KeyboardInterrupt(), 130, "\n"),
        (click.ClickException("no."), 1, "faultinject: no\n"),
        (click.ClickException(""), 1, ""),
        (StartError(), 1, ""),
    ],
)
def test_errors_become_exit_codes(run, monkeypatch, error, code, line):
    """Groups of one stand for that one."""
    monkeypatch.setattr(entry, "root", raising(error))
    assert run() == (code, "", line)


def test_defects_are_not_hidden(monkeypatch):
    """A group of anything else is raised, with its traceback."""
    error = ExceptionGroup("", [StartError("a"), ZeroDivisionError()])
    monkeypatch.setattr(entry, "root", raising(error))
    with pytest.raises(ExceptionGroup) as caught:
        entry.run([])
    assert only_cause(caught.value) is error


def test_the_arguments_are_the_programs_own_by_default(monkeypatch, capsys):
    """`python -m faultinject` is the command."""
    monkeypatch.setattr(sys, "argv", ["faultinject", "--version"])
    with pytest.raises(SystemExit) as caught:
        # pytest's own loader of what it rewrites, as it does with plugins, cannot run a module.
        runpy.run_path(
            str(Path(faultinject.__file__).with_name("__main__.py")), run_name="__main__"
        )
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"faultinject {__version__}\n"


def test_an_unknown_option_of_a_group_is_clicks_to_refuse(run):
    """Not taken for a command."""
    code, _, err = run("ca", "--nonsense")
    assert (code, err.count("\n")) == (2, 1)


def test_a_command_is_imported_when_it_is_named(monkeypatch):
    """The others cost no time at start."""
    named = []
    monkeypatch.setattr(
        commands, "import_module", lambda name: named.append(name) or pytest.importorskip(name)
    )
    root.commands["completion"].make_context("completion", ["bash"])
    assert named == ["faultinject.cli.completion"]


def test_imports_are_not_searched_for_garbage(monkeypatch, run):
    """What the command does is, and later all is as it was before."""
    seen = []
    monkeypatch.setattr(
        commands, "import_module", lambda name: seen.append(gc.isenabled()) or import_module(name)
    )
    monkeypatch.setattr(click, "echo", lambda _: seen.append(gc.isenabled()))
    for enable in (gc.disable, gc.enable):
        enable()
        run("completion", "bash")
        seen.append(gc.isenabled())
    assert seen == [False, True, False, False, True, True]


class _Interrupting:
    """A finder of modules in whose hands the user loses patience."""

    def find_spec(self, name, path, target=None):
        """Raise what Ctrl-C does."""
        if name == "faultinject.cli.entry":
            raise KeyboardInterrupt


def test_an_interrupt_while_the_program_is_loaded(monkeypatch, capfd):
    """It is no traceback: most of a start's time goes by there."""
    monkeypatch.delitem(sys.modules, "faultinject.cli.entry")
    monkeypatch.setattr(sys, "meta_path", [_Interrupting(), *sys.meta_path])
    assert main(["--version"]) == 130
    assert capfd.readouterr() == ("", "")


def test_little_is_loaded_before_an_interrupt_is_no_traceback():
    """What the console script imports first is outside of our hands."""
    code = (
        "import sys; before = set(sys.modules); from faultinject.cli import main;"
        "print(sorted(set(sys.modules) - before - {'__future__'}))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "['faultinject', 'faultinject.cli', 'gc']\n"  # gc is built in


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is full")
@pytest.mark.parametrize("arguments", [["--version"], ["presets"], ["--help"]])
def test_an_output_that_is_full(arguments):
    """A line, and no traceback; nor does Python complain at its end."""
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "faultinject", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "faultinject: cannot write the output: No space left on device\n"


def test_an_output_that_is_full_and_no_file(monkeypatch, capfd):
    """A program may have put something else in its place."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(entry, "root", raising(OSError(errno.ENOSPC, "full")))
    assert main([]) == 1
    assert capfd.readouterr().err == "faultinject: cannot write the output: full\n"


def test_another_error_of_the_system_is_a_defect(monkeypatch):
    """It should have been a line, where it arose."""
    monkeypatch.setattr(entry, "root", raising(FileNotFoundError(errno.ENOENT, "no", "file")))
    with pytest.raises(FileNotFoundError):
        main([])
