"""The example of docs/contributing.md: a new fault touches one file and the list of faults."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import faultinject

PACKAGE = Path(faultinject.__file__).parent
PROJECT = PACKAGE.parent
PAGE = (PROJECT / "docs" / "contributing.md").read_text(encoding="utf-8")
_, _, EXAMPLE = PAGE.partition("\n### Example: a fault\n")

PROGRAM = """
import json, sys
from faultinject.config.rules.line import read_rule_text
from faultinject.report.preview import shown
from tests.unit.faults.playing import made, one_a_second, play

streamed = made({"after": {"count": 1}, "buffer": True})
result = play(streamed, one_a_second(b"data: 1\\n\\n", b"data: 2\\n\\n", b"data: 3\\n\\n"))
rules = [read_rule_text(text) for text in ("buffer after.count=1", "break half-head after.bytes=9")]
broken = play(made(breaks={"how": "half-head", "after": {"bytes": 4}}), one_a_second(b"data: 1"))
print(json.dumps({
    "pieces": [piece.decode() for piece in result.pieces],
    "times": result.times,
    "done": streamed.transform.done,
    "rules": [rule.id.rpartition("-")[0] for rule in rules],
    "ending": broken.ending.data.decode(),
}))
"""


def blocks(language: str) -> list[str]:
    """Return the example's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", EXAMPLE, flags=re.MULTILINE | re.DOTALL)


def patched(text: str, diff: str) -> str:
    """Return a text with the changes of a diff, whose pieces are parted by ``@@``."""
    for piece in diff.split("@@\n"):
        lines = piece.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if not line.startswith("+"))
        after = "".join(line[1:] for line in lines)
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A folder with a copy of the package in which the example was followed."""
    package = tmp_path / "faultinject"
    # With what is compiled, but for what another process is about to rename.
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("*.pyc.*"))
    [module] = blocks("python")
    stream, breaks = blocks("diff")
    (package / "faults" / "stream" / "buffer.py").write_text(module, encoding="utf-8")
    for path, diff in (("faults/stream/__init__.py", stream), ("faults/breaks.py", breaks)):
        text = (package / path).read_text(encoding="utf-8")
        (package / path).write_text(patched(text, diff), encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """Run Python with the package of a folder; return its output."""
    search = os.pathsep.join([str(folder), str(PROJECT)])
    environment = {**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_the_example_of_a_fault(changed: Path) -> None:
    """What it shows is enough: rules in both forms have the fault, and it does what it says."""
    told: dict[str, Any] = json.loads(run(changed, "-c", PROGRAM))
    assert told == {
        "pieces": ["data: 1\n\n", "data: 2\n\ndata: 3\n\n"],
        "times": [1.0, 4.0],
        "done": "buffer after 1 event",
        "rules": ["stream", "break"],
        "ending": "HTTP/1.1 200 OK\r\nContent-Ty",
    }


def test_rules_with_the_fault_of_the_example(changed: Path) -> None:
    """The command that checks files of rules knows it too."""
    rules = changed / "rules.yaml"
    rules.write_text(
        "rules:\n- fault: {stream: {before: {count: 2}, buffer: true}}\n"
        "- fault: {break: half-head}\n",
        encoding="utf-8",
    )
    assert "2 rules" in run(changed, "-m", "faultinject", "rules", "check", str(rules))
