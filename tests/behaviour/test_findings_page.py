"""docs/findings.md: a section for each finding, the thresholds, and a workflow that works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import attrs
import pytest

from faultinject.config.yaml import yaml_value
from faultinject.report.finding import Known
from faultinject.report.findings import KNOWN
from faultinject.report.thresholds import Thresholds, read_thresholds

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "findings.md").read_text("utf-8")
WORKFLOW = DOCS / "examples" / "workflow.yml"


def section(id_: str) -> str:
    """Return what stands under a heading."""
    _, heading, rest = PAGE.partition(f"\n## {id_}\n")
    assert heading, id_
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.id)
def test_each_finding_says_what_when_and_what_to_do(known: Known) -> None:
    """In this order, with its severity first."""
    text = section(known.id)
    first, said, mend = text.index("**"), text.index("\n\nSaid "), text.index("\n\nWhat to do: ")
    assert text[first:].startswith(f"**{known.severity.title()}**") or text[first:].startswith(
        f"**{known.severity.title()}.**"
    )
    assert first < said < mend


def test_findings_stand_in_the_order_of_the_reports() -> None:
    """None is missing, and none is left of earlier times."""
    ids = {known.id for known in KNOWN}
    headings = re.findall(r"^## ([a-z-]+)$", PAGE, flags=re.MULTILINE)
    assert [each for each in headings if each in ids] == [known.id for known in KNOWN]
    assert set(headings) == ids


def test_the_thresholds_are_those_of_the_program() -> None:
    """Each with its default, which the option takes."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| .+ \|$", section("Thresholds"), re.MULTILINE)
    named = {each.name: each.default for each in attrs.fields(Thresholds)}
    del named["effects"]
    assert {name: float(value) for name, value in rows} == named
    assert [name for name, _ in rows] == [*named]
    assert read_thresholds(rows) == Thresholds()


def steps() -> list[dict[str, Any]]:
    """Return the steps of the workflow."""
    workflow: Any = yaml_value(WORKFLOW.read_text("utf-8"))
    found: list[dict[str, Any]] = workflow["jobs"]["failures"]["steps"]
    return found


def test_the_workflow_of_the_page_is_the_file() -> None:
    """Word by word."""
    assert f"```yaml\n{WORKFLOW.read_text('utf-8')}```" in PAGE


def test_the_workflow_uploads_what_it_writes() -> None:
    """Also if the run has failed."""
    *_, run, upload = steps()
    words = shlex.split(run["run"].replace("\\\n", " "))
    files = [words[place + 1] for place, word in enumerate(words) if word == "--report"]
    assert [Path(name).suffix for name in files] == [".md", ".xml", ".html"]
    assert {f"{Path(name).parent}/" for name in files} == {upload["with"]["path"]}
    assert upload["if"] == "always()"
