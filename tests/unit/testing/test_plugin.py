"""The pytest plugin, as a test's author meets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.unit.testing.clients import proxies

Run = Callable[..., pytest.RunResult]


def test_a_program_meets_the_failure_and_the_test_sees_it(run_tests: Run) -> None:
    """By the environment alone; afterwards that is as it was."""
    run_tests(
        """
before = dict(os.environ)

def test_it(faultinject):
    faultinject.rules("respond 529 first=1")
    assert ask() == 529
    assert ask() == 200
    assert [each.status for each in faultinject.exchanges] == [529, 200]
    assert os.environ["HTTPS_PROXY"] == faultinject.url

def test_after():
    names = {"HTTPS_PROXY", "SSL_CERT_FILE", "NO_PROXY"}
    assert {n: os.environ.get(n) for n in names} == {n: before.get(n) for n in names}
""",
        plugins=None,
    ).assert_outcomes(passed=2)


def test_rules_and_counters_are_a_tests_own(run_tests: Run) -> None:
    """The second test has neither the first one's rule nor its exchanges."""
    run_tests(
        """
def test_one(faultinject):
    faultinject.rules("respond 529 first=1")
    assert ask() == 529

def test_two(faultinject):
    assert ask() == 200
    assert len(faultinject.exchanges) == 1
    faultinject.rules("respond 529 first=2")
    assert [ask(), ask(), ask()] == [529, 529, 200]
"""
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "mistake",
    [
        "rules('respond 5299')",
        "rules({'name': 'options', 'fault': 'pass'})",
        "preset('overloded')",
        "add('respond 5299')",
    ],
)
def test_a_mistake_is_shown_where_the_test_makes_it(run_tests: Run, mistake: str) -> None:
    """And not in what reads it, nor beside what the program did: it was not run."""
    result = run_tests(f"def test(faultinject):\n    faultinject.{mistake}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f">       faultinject.{mistake}", "E *SettingsError: *"])
    result.stdout.no_fnmatch_line("*What the program did*")
    result.stdout.no_fnmatch_line("*.py:[0-9]*: in *")
    result.stdout.no_fnmatch_line("*embedded.py*")


def test_a_rule_of_which_nothing_came_fails_the_call(run_tests: Run) -> None:
    """It is a failure and no error, and says why."""
    result = run_tests(
        """
def test_unasked(faultinject):
    faultinject.rules("respond 529")

def test_unmatched(faultinject):
    faultinject.rules("respond 529 path=/v1/other")
    ask()

def test_unlucky(faultinject):
    faultinject.rules("respond 529 nth=3")
    ask()

@pytest.mark.faultinject(preset="overloaded")
def test_preset():
    pass

def test_optional(faultinject):
    faultinject.rules("respond 529", optional=True)
    faultinject.preset("overloaded", optional=True)
"""
    )
    result.assert_outcomes(failed=4, passed=1)
    result.stdout.fnmatch_lines(
        [
            "faultinject: nothing came of the rule 'respond 529': no request came through the *",
            "faultinject: nothing came of the rule *other': no request matched it",
            "*api.anthropic.com/v1/messages*200*",
            "faultinject: nothing came of the rule *: requests reached it (1), and it did not *",
            "faultinject: nothing came of the preset 'overloaded': no request came *",
        ]
    )


def test_a_failed_test_shows_what_happened(run_tests: Run) -> None:
    """In a section of its own; a test that passes has none."""
    result = run_tests(
        """
@pytest.mark.faultinject("respond 503 name=busy first=1")
def test_it():
    assert ask() == 200
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- faultinject -*", "*injected*/v1/messages*503*rule=busy"])
    result.stdout.fnmatch_lines(["What the program did: 1 call (1 *"])


HASTY = """
ANSWER = {"status": 429, "headers": {"retry-after": "30"}}
RULE = {"fault": {"respond": ANSWER}, "when": {"first": 1}}

def test_hasty(faultinject):
    faultinject.rules(RULE)
    assert [ask(), ask()] == [429, 200]

def test_checked(faultinject):
    faultinject.rules(RULE)
    assert [ask(), ask()] == [429, 200]
    assert faultinject.calls[-1].attempts == 2
    faultinject.check()
"""


def test_findings_fail_a_test_that_checks_or_all_if_strict(run_tests: Run) -> None:
    """And the page for them is named."""
    result = run_tests(HASTY)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*CheckError: retry-after-ignored: *", "*findings.md#retry-af*"])
    result = run_tests(HASTY, "--faultinject-strict")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["faultinject: retry-after-ignored: *▶ 429 · *200"])


def test_markers_of_class_and_function_add_up(run_tests: Run) -> None:
    """The function's rules are asked first."""
    run_tests(
        """
@pytest.mark.faultinject("respond 500 nth=2", fake_pace=1)
class TestIt:
    @pytest.mark.faultinject("respond 503 first=1")
    def test_both(self, faultinject):
        assert [ask(), ask(), ask()] == [503, 200, 500]

    @pytest.mark.faultinject("respond 503", optional=True)
    def test_optional_is_the_markers_own(self, faultinject):
        assert [ask(), ask()] == [503, 503]
""",
        "--strict-markers",
    ).assert_outcomes(passed=1, failed=1)


def test_a_test_case_of_unittest_has_a_marker(run_tests: Run) -> None:
    """It cannot name a fixture, and needs not."""
    result = run_tests(
        """
import unittest

@pytest.mark.faultinject("respond 503 first=1")
class TestIt(unittest.TestCase):
    def test_both(self):
        self.assertEqual([ask(), ask()], [503, 200])

    def test_nothing(self):
        pass
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["faultinject: nothing came of *"])


def test_what_cannot_be_is_said_without_a_traceback(run_tests: Run) -> None:
    """A rule in a marker, an ini value, a seed."""
    source = """
@pytest.mark.faultinject("respond 999")
def test_it():
    pass
"""
    result = run_tests(source)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["faultinject: *999*"])
    result.stdout.no_fnmatch_line("*embedded.py*")
    assert run_tests("", "--faultinject-seed", "x").ret == pytest.ExitCode.USAGE_ERROR
    assert run_tests("", ini="faultinject_env = never").ret == pytest.ExitCode.USAGE_ERROR


def test_the_environment_of_a_session(run_tests: Run, pytester: pytest.Pytester) -> None:
    """It is there when modules and conftest.py are imported, and the same for all tests."""
    pytester.makeconftest("import os\nat_import = os.environ['HTTPS_PROXY']")
    run_tests(
        """
at_import = os.environ["HTTPS_PROXY"]

def test_none():
    assert ask() == 200

def test_one(faultinject):
    faultinject.rules("respond 529")
    assert faultinject.url == at_import
    assert ask() == 529

def test_none_again():
    assert ask() == 200
""",
        ini="faultinject_env = session",
    ).assert_outcomes(passed=3)
    assert "HTTPS_PROXY" not in __import__("os").environ


def test_seeds_are_the_tests_own_and_repeat(run_tests: Run) -> None:
    """From the test's name; another number gives all tests others."""
    source = """
def test_one(faultinject):
    print("seed", faultinject.seed)

def test_two(faultinject):
    print("seed", faultinject.seed)
"""

    def seeds(*arguments: str) -> list[str]:
        lines = run_tests(source, "-s", *arguments).outlines
        return [line for line in lines if "seed " in line]

    first = seeds()
    assert len({*first}) == 2
    assert seeds() == first
    header, *others = seeds("--faultinject-seed", "7")
    assert header == "faultinject: --faultinject-seed 7"
    assert len({*first, *others}) == 4
    assert seeds("--faultinject-seed", "random")[0] not in (header, *first)


ASYNC = """
import anyio, anyio.to_thread

{mark}
async def test_it(faultinject{more}):
    faultinject.rules("respond 529 first=1")
    assert await anyio.to_thread.run_sync(ask) == 529
    assert await anyio.to_thread.run_sync(ask) == 200
    assert len(faultinject.exchanges) == 2
    faultinject.check()

{mark}
async def test_nothing_came(faultinject{more}):
    faultinject.rules("respond 529")
"""


@pytest.mark.parametrize(
    ("plugin", "mark", "ini", "count"),
    [
        ("trio", "", "trio_mode = true", 1),
        ("anyio", "@pytest.mark.anyio", "", 2),  # under asyncio and Trio
        ("asyncio", "@pytest.mark.asyncio", "asyncio_default_fixture_loop_scope = function", 1),
    ],
    ids=["pytest-trio", "anyio", "pytest-asyncio"],
)
def test_async_tests(run_tests: Run, plugin: str, mark: str, ini: str, count: int) -> None:
    """Whoever runs them."""
    if plugin == "asyncio":
        pytest.importorskip("pytest_asyncio")
    more = ", anyio_backend" if "anyio" in mark else ""
    result = run_tests(ASYNC.format(mark=mark, more=more), ini=ini, plugins=(plugin,))
    result.assert_outcomes(passed=count, failed=count)
    result.stdout.fnmatch_lines(["faultinject: nothing came of *"])


def test_workers_of_xdist(run_tests: Run, pytester: pytest.Pytester) -> None:
    """Each has a proxy of its own, and the process that hands out the tests has none.

    They share the seed that was drawn: the one that the first lines say, so that it can be
    repeated, with workers or without.
    """
    source = """
import pathlib

at_import = os.environ["HTTPS_PROXY"]

@pytest.mark.parametrize("number", range(4))
def test_it(faultinject, number):
    faultinject.rules("respond 529 first=1")
    assert [ask(), ask()] == [529, 200]
    assert len(faultinject.exchanges) == 2
    assert faultinject.url == at_import
    with pathlib.Path("seeds").open("a") as file:
        file.write(f"{number} {faultinject.seed}\\n")
"""

    def seeds(*arguments: str) -> tuple[str, list[str]]:
        ini = "faultinject_env = session"
        result = run_tests(source, *arguments, ini=ini, plugins=("xdist",))
        result.assert_outcomes(passed=4)
        assert not proxies()
        written = pytester.path / "seeds"
        lines = sorted(written.read_text().splitlines())
        written.unlink()
        return next(line for line in result.outlines if "--faultinject-seed" in line), lines

    header, drawn = seeds("-n", "2", "--faultinject-seed", "random")
    again = header.rpartition(" ")[2]
    assert seeds("-n", "0", "--faultinject-seed", again) == (header, drawn)


def test_a_worker_is_told_by_its_environment(
    run_tests: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is started with are the options of the process that hands out the tests."""
    source = """
def test_it():
    assert "HTTPS_PROXY" in os.environ
"""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    options = ("-n", "0", "--tx", "1*popen")
    ini = "faultinject_env = session"
    run_tests(source, *options, ini=ini, plugins=("xdist",)).assert_outcomes(passed=1)


def test_to_import_the_plugin_loads_pytest_alone() -> None:
    """Nothing else, so that it costs every run of pytest next to nothing."""
    program = (
        "import sys, pytest, importlib.metadata; before = {*sys.modules};"
        "import faultinject.pytest_plugin; print(sorted({*sys.modules} - before))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "['faultinject', 'faultinject.pytest_plugin']"
