"""Changes of an environment as shells have them."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.environment.shells import SHELLS, shown_in
from tests.support.examples import examples

HARD = 'it\'s "here" $HOME \\n `id`'


@pytest.mark.parametrize(
    ("shell", "lines"),
    [
        ("sh", ["export A=/x", "unset B", "export C='a b'"]),
        ("fish", ["set -gx A '/x'", "set -e B", "set -gx C 'a b'"]),
        (
            "powershell",
            ["$env:A = '/x'", "Remove-Item Env:B -ErrorAction SilentlyContinue", "$env:C = 'a b'"],
        ),
        ("dotenv", ["A=/x", "B=", "C='a b'"]),
    ],
)
def test_a_change_is_a_line(shell, lines):
    """What is to be unset is unset, or empty where that cannot be said."""
    assert shown_in(shell, {"A": "/x", "B": None, "C": "a b"}).splitlines() == lines


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("fish", "set -gx A 'it\\'s \"here\" $HOME \\\\n `id`'"),
        ("powershell", "$env:A = 'it''s \"here\" $HOME \\n `id`'"),
        ("dotenv", 'A="it\'s \\"here\\" $HOME \\\\n `id`"'),
    ],
)
def test_quotes_within_are_escaped(shell, line):
    """As each reads them."""
    assert shown_in(shell, {"A": HARD}) == line + "\n"


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs sh")
@examples(20)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_sh_reads_what_was_meant(value):
    """Whatever is in it."""
    script = shown_in("sh", {"A": value}) + 'printf "%s" "$A"'
    done = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True)
    assert done.stdout.decode() == value


def test_each_shell_is_known():
    """By the names that the option takes."""
    assert set(SHELLS) == {"sh", "fish", "powershell", "dotenv"}
