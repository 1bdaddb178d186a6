"""docs/events.md is complete: it is a promise to programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from faultinject.events import Event, Kind, Outcome, ProxyStarted
from faultinject.report import Summary
from faultinject.report import summary as summary_module
from tests.support.sample_events import SAMPLES, sample

DOCUMENT = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
COMMON = ["event", "v", "level", "time"]
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "number or null": (int, float, type(None)),
    "boolean": (bool,),
    "boolean or null": (bool, type(None)),
    "list of strings": (tuple,),
    "list of objects": (tuple,),
    "object": (dict,),
    "string or null": (str, type(None)),
    "integer or null": (int, type(None)),
}


def section(title: str) -> str:
    """Return the text below a heading, up to the next one."""
    return re.split(r"^#+ ", DOCUMENT.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[
        0
    ]


def fields(text: str) -> dict[str, str]:
    """Return the fields of a section's tables, with their types."""
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", text, flags=re.MULTILINE))


def example(text: str) -> Any:
    """Return a section's JSON example."""
    block = re.search(r"```json\n(.*)\n```", text)
    assert block is not None
    return json.loads(block[1])


def test_common_fields() -> None:
    """What every event has is described once."""
    assert list(fields(section("What every event has"))) == COMMON


@pytest.mark.parametrize("kind", list(SAMPLES), ids=lambda kind: kind.NAME)
def test_event(kind: type[Event]) -> None:
    """Each event has its level, each field in order with its type, and a whole example."""
    text, values = section(kind.NAME), sample(kind).as_dict()
    described = fields(text)
    assert [*COMMON, *described] == list(values)
    assert list(example(text)) == list(values)
    assert example(text)["event"] == kind.NAME
    assert f"Level `{kind.LEVEL}`" in text
    for name, type_name in described.items():
        assert isinstance(values[name], TYPES[type_name]), name


def test_outcomes() -> None:
    """Each outcome has a meaning, and so has what a request is for."""
    described = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|$", section("exchange"), flags=re.MULTILINE)
    assert described == [*get_args(Outcome), *get_args(Kind)]


def test_summary() -> None:
    """Each field of the summary is described, and the example has them all."""
    summary = Summary()
    summary.listen(sample(ProxyStarted))
    values = summary.as_dict()
    text = section("The summary")
    whole, entry = text.split("An entry of `targets`:")
    entry, rule = entry.split("An entry of `rules`:")
    assert list(fields(whole)) == list(example(text)) == list(values)
    assert list(fields(entry)) == list(example(text)["targets"][0]) == list(values["targets"][0])
    assert list(fields(rule)) == list(example(text)["rules"][0]) == list(values["rules"][0])
    assert f"keeps {summary_module.MAX_HOSTS} of them" in text
    assert f"`{summary_module.OTHER}`" in text
