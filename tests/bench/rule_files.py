"""The rule files of the benchmark: many rules that do not match, and a fault that only waits.

They are JSON, which every reader of a configuration file takes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

COUNT = 200
NEVER = "never"
"""An event that the origin does not send."""


def head_misses(number: int) -> list[dict[str, Any]]:
    """A match of each kind that looks at the head, and that the benchmark's request fails."""
    return [
        {"host": f"api-{number}.example.com"},
        {"path": f"/v1/other-{number}"},
        {"path": f"/v1/batches/*/{number}"},
        {"method": "DELETE", "path": "/v1/messages"},
        {"query": {"page": str(number)}},
        {"header": {"x-team": f"team-{number}"}},
        {"client": f"agent-{number}/*"},
    ]


def body_misses(number: int) -> list[dict[str, Any]]:
    """The same of the kinds that look at the body, or may do so."""
    return [
        {"model": f"other-{number}-*"},
        {"json": {"max_tokens": {"above": 100_000 + number}}},
        {"attempt": 1_000_000 + number},  # the same request fails again and again
    ]


def rules_that_miss(*, head_only: bool) -> dict[str, Any]:
    """A configuration of 200 rules, of all kinds in turn, each with a fault that none shall see."""
    matches: list[dict[str, Any]] = []
    while len(matches) < COUNT:
        number = len(matches)
        matches += head_misses(number) + ([] if head_only else body_misses(number))
    return {
        "rules": [
            {"name": f"miss-{number}", "match": match, "fault": {"respond": 503}}
            for number, match in enumerate(matches[:COUNT])
        ]
    }


def fault_that_waits() -> dict[str, Any]:
    """A configuration whose fault is decided for every stream of events and never happens."""
    match, fault = {"path": "/events/*"}, {"stream": {"before": NEVER, "cut": True}}
    return {"rules": [{"name": "waits", "match": match, "fault": fault}]}


def write(directory: Path, name: str, configuration: dict[str, Any]) -> Path:
    """Write one of them to the benchmark's folder."""
    path = directory / name
    path.write_text(json.dumps(configuration))
    return path
