"""Count which small mistakes in what decides the unit tests find: a seeded sample of mutants.

``python -m tools.mutants`` makes small mistakes in the code, one at a time, by mutmut, and runs the
tests that reach each. It prints, for each area, how many were found, and names those that were
not. Minutes an area; not for CI. Work lies in ``mutants/``, which is made anew by ``--fresh``.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
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


def sample(area: str, count: int) -> Iterator[str]:
    """Return names of an area's mutants: the same ones as long as the code is the same."""
    prefixes = tuple(
        f"faultinject.{part.removesuffix('.py').replace('/', '.')}." for part in AREAS[area]
    )
    names = sorted(name for name in results() if name.startswith(prefixes))
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
    for area, names in chosen.items():
        left = [name for name in names if codes.get(name) not in FOUND]
        print(f"{area}: {len(names) - len(left)} of {len(names)} found")  # noqa: T201
        print(*(f"  not found: {name}" for name in left), sep="\n")  # noqa: T201
    return 0 if all(chosen.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
