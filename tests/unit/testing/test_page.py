"""What docs/pytest.md shows is true: each example is run."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import httpx  # noqa: F401 - loaded once, and not by each inner run
import pytest

Run = Callable[..., pytest.RunResult]
PAGE = (Path(__file__).parents[3] / "docs" / "pytest.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
PROGRAM = next(text for _, text in BLOCKS if "def answer" in text)
EXAMPLES = [at for at, (kind, text) in enumerate(BLOCKS) if "def test_" in text]


def test_the_examples_are_found() -> None:
    """All but the program are tests, what they print, and an ini file."""
    assert len(EXAMPLES) >= 9
    assert {kind for kind, _ in BLOCKS} == {"python", "text", "ini"}
    assert len([kind for kind, _ in BLOCKS if kind == "python"]) == len(EXAMPLES) + 1


@pytest.mark.parametrize("at", EXAMPLES)
def test_an_example(run_tests: Run, pytester: pytest.Pytester, at: int) -> None:
    """It passes, unless the page shows how it fails."""
    pytester.makepyfile(my_program=PROGRAM)
    (_, before), (_, source), (kind, after) = [*BLOCKS, ("", "")][at - 1 : at + 2]
    ini = before.removeprefix("[pytest]\n") if "[pytest]" in before else ""
    plugins = ("anyio",) if "mark.anyio" in source else ()
    result = run_tests(source, ini=ini, plugins=plugins)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of a client that a module keeps open
        gc.collect()
    outcomes = result.parseoutcomes()
    if kind == "text":
        assert outcomes == {"failed": 1}
        result.stdout.fnmatch_lines(after.splitlines())
    else:
        assert {*outcomes} == {"passed"}


def test_each_option_is_there(pytester: pytest.Pytester, run_tests: Run) -> None:
    """And the page tells of each."""
    told = {*re.findall(r"--faultinject-\w+", PAGE)}
    helped = run_tests("", "--help").stdout.str()
    assert {*re.findall(r"--faultinject-\w+", helped)} == told
    assert "faultinject_env" in helped
