"""Tests of the shell completion."""

import pytest

from faultinject.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_program(run, shell):
    """It sets the variable by which the program knows what is asked."""
    code, out, err = run("completion", shell)
    assert (code, err) == (0, "")
    assert f"_FAULTINJECT_COMPLETE={shell}_complete" in out


def test_another_shell_is_refused(run):
    """With the ones there are."""
    code, _, err = run("completion", "tcsh")
    assert code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in err


def completed(environment, capfd, words):
    """Return what the program offers for the last of the words."""
    environment.setenv("_FAULTINJECT_COMPLETE", "bash_complete")
    environment.setenv("COMP_WORDS", " ".join(words))
    environment.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit):
        main([])
    return capfd.readouterr().out.split()


def test_commands_options_words_and_paths_are_offered(environment, capfd):
    """Whatever comes next."""
    assert completed(environment, capfd, ["faultinject", "pro"]) == ["plain,proxy"]
    assert completed(environment, capfd, ["faultinject", "proxy", "--see"]) == ["plain,--seed"]
    words = ["faultinject", "proxy", "--log-level", "w"]
    assert completed(environment, capfd, words) == ["plain,warning"]
    assert completed(environment, capfd, ["faultinject", "proxy", "--ca-key", "x"]) == ["file,x"]


@pytest.mark.parametrize(
    "before", [["proxy", "--preset"], ["plugin", "--preset"], ["presets", "show"]]
)
def test_presets_are_offered(environment, capfd, before):
    """Wherever one is named."""
    names = ["plain,overloaded", "plain,overload-storm"]
    assert completed(environment, capfd, ["faultinject", *before, "ov"]) == names


@pytest.mark.parametrize(
    ("word", "offered"),
    [
        ("overloaded@", ["plain,overloaded@10%", "plain,overloaded@first=2"]),
        ("overloaded@f", ["plain,overloaded@first=2"]),
        ("tls-reset@", ["plain,tls-reset@10%"]),
        ("nonsense@", []),
    ],
)
def test_how_often_a_preset_happens_is_offered(environment, capfd, word, offered):
    """Behind the at sign, and only what the preset takes."""
    assert completed(environment, capfd, ["faultinject", "proxy", "--preset", word]) == offered
