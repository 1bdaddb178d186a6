"""Count which small mistakes in what decides the unit tests find: a seeded sample of mutants.

``python -m tools.mutants`` makes small mistakes in the code, one at a time, by mutmut, and runs the
tests that reach each. It prints, for each area, how many were found, and names those that were
not. Minutes an area; not for CI. Work lies in ``mutants/``, which is made anew by ``--fresh``.

mutmut has imported everything before it makes a mistake, so a mistake in what runs at import (the
tables of a rule's keys) does nothing there. Such mutants get a process of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

AREAS = {
    "rules": ("rules", "config/rules"),
    "faults": ("faults",),
    "framing": ("providers/framing", "http/headers.py", "http/hop_by_hop.py"),
}
"""What is mutated, within the package; `[tool.mutmut]` in pyproject.toml has the same."""

WORK = Path("mutants")
SEED = 20261129
FOUND = {1, 3, 24, -24, 36}
"""mutmut's exit codes for a mutant that a test minded, or that took too long; 0 is one that no test
minded, 33 one that no test reaches."""


def mutmut(*names: str) -> str:
    """Run mutmut on some mutants; return what it printed last.

    What is not there yet, mutants or the times of tests, is made.
    """
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "2", *names]
    done = subprocess.run(  # noqa: S603 -- our own words
        command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout[-2000:]


def results() -> dict[str, int | None]:
    """Return the exit code of each mutant, by its name; None for one that was not tried."""
    found: dict[str, int | None] = {}
    for file in WORK.rglob("*.meta"):
        found |= json.loads(file.read_text("utf-8"))["exit_code_by_key"]
    return found


_AT_IMPORT = """
import json, pkgutil
from mutmut.state import state
import faultinject
for each in pkgutil.walk_packages(faultinject.__path__, "faultinject."):
    if f"{each.name}.".startswith(PREFIXES):
        __import__(each.name)
print(json.dumps(sorted(state()._stats)))
"""


def prefixes(area: str) -> tuple[str, ...]:
    """Return how the names of an area's mutants begin."""
    return tuple(
        f"faultinject.{part.removesuffix('.py').replace('/', '.')}." for part in AREAS[area]
    )


def python_with(mutant: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python among the mutants, with one of them switched on from the beginning."""
    return subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, *arguments],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        cwd=WORK,
        env={**os.environ, "MUTANT_UNDER_TEST": mutant},
    )


def run_at_import() -> set[str]:
    """Return the functions that run when the areas are imported, as mutmut names them."""
    names = tuple(prefix for area in AREAS for prefix in prefixes(area))
    program = _AT_IMPORT.replace("PREFIXES", repr(names))
    return set(json.loads(python_with("stats", "-c", program).stdout))


def is_found_from_the_beginning(name: str) -> bool:
    """Return True if the tests find a mutant that is switched on before anything is imported."""
    given = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    tests = sorted(given["pytest_add_cli_args_test_selection"])
    return python_with(name, "-m", "pytest", "-x", "-q", *tests).returncode in FOUND


def sample(area: str, count: int) -> Iterator[str]:
    """Return names of an area's mutants: the same ones as long as the code is the same."""
    names = sorted(name for name in results() if name.startswith(prefixes(area)))
    yield from random.Random(SEED).sample(names, min(count, len(names)))  # noqa: S311


def main() -> int:
    """Try a sample of each area; exit code 1 if there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(AREAS)} [all]")
    parser.add_argument("--count", type=int, default=150, help="mutants of each area [150]")
    parser.add_argument("--fresh", action="store_true", help="make all mutants anew")
    given = parser.parse_args()
    if unknown := set(given.areas) - set(AREAS):
        parser.error(f"there is no area {min(unknown)}; there are {', '.join(AREAS)}")
    if given.fresh:
        shutil.rmtree(WORK, ignore_errors=True)
    if not results():
        mutmut("faultinject.rules.draws.*")  # any: it makes all of them, and times the tests
    chosen = {area: list(sample(area, given.count)) for area in given.areas or AREAS}
    last_words = mutmut(*(name for names in chosen.values() for name in names))
    codes = results()
    if any(codes[name] is None for names in chosen.values() for name in names):
        sys.exit(f"not all were tried: do the tests pass without any?\n{last_words}")
    early = run_at_import()
    for area, names in chosen.items():
        left = [name for name in names if codes.get(name) not in FOUND]
        at_import = [name for name in left if name.partition("__mutmut_")[0] in early]
        more = {name for name in at_import if is_found_from_the_beginning(name)}
        left = [name for name in left if name not in more]
        counts = f"{len(names) - len(left)} of {len(names)} found ({len(more)} of them at import)"
        print(f"{area}: {counts}")  # noqa: T201
        print(*(f"  not found: {name}" for name in left), sep="\n")  # noqa: T201
    return 0 if all(chosen.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
