"""What a run found: medians, ratios to the peers, and the floors that they are held to.

Plain arithmetic on samples.
"""

from __future__ import annotations

import statistics
from typing import Any

from attrs import asdict, field, frozen

SUBJECT = "faultinject"
MORE_IS_BETTER = frozenset({"requests_per_second", "megabytes_per_second"})
COMPARED = {
    "W1": ("cpu_us_per_request", "requests_per_second"),
    "W2": ("cpu_us_per_request", "requests_per_second"),
    "W3": ("cpu_us_per_megabyte", "megabytes_per_second"),
    "W4": ("cpu_us_per_request", "requests_per_second"),
    "long": ("injected_cpu_us", "passed_cpu_us"),
    "base": ("injected_cpu_us", "passed_cpu_us"),
    "SSE": ("added_us",),
    "rules": (
        *("passed_head_percent", "injected_head_percent"),
        *("passed_all_percent", "injected_all_percent"),
    ),
    "harm": ("added_us",),
    "apis": tuple(
        f"{kind}_{api}_percent"
        for kind in ("injected", "passed", "streamed")
        for api in ("gemini", "bedrock", "ollama")
    ),
    "requests": ("median_ms",),
    "idle": ("kib_per_tunnel",),
    "start": ("listening_ms",),
}
"""The measures that are compared between proxies; the others only explain."""


@frozen
class Floor:
    """What a measure has to reach: so many times better than a peer, or at most a value."""

    workload: str
    measure: str
    limit: float
    peer: str | None = None

    def describe(self) -> str:
        """As the table says it."""
        return f">= {self.limit:g}x {self.peer}" if self.peer else f"<= {self.limit:g}"


FLOORS = (
    Floor("W1", "cpu_us_per_request", 4, "mitmproxy"),
    Floor("W1", "cpu_us_per_request", 5, "proxy.py"),
    Floor("W2", "cpu_us_per_request", 8, "mitmproxy"),
    Floor("W3", "cpu_us_per_megabyte", 1.3, "mitmproxy"),
    Floor("W4", "cpu_us_per_request", 4, "mitmproxy"),
    Floor("SSE", "added_us", 250),
    Floor("rules", "passed_head_percent", 10),
    Floor("rules", "injected_head_percent", 10),
    Floor("rules", "passed_all_percent", 10),
    Floor("rules", "injected_all_percent", 10),
    Floor("harm", "added_us", 300),
    *(Floor("apis", measure, 10) for measure in COMPARED["apis"]),
    Floor("requests", "median_ms", 40),
    Floor("idle", "kib_per_tunnel", 30),
    Floor("start", "listening_ms", 2.0, "mitmproxy"),  # that is, in half its time
)


@frozen
class Outcome:
    """The samples of one proxy in one workload, or why there are none."""

    samples: list[dict[str, float]] = field(factory=list)
    failure: str | None = None

    def median(self, measure: str) -> float | None:
        """Over all samples that have the measure; None if there are none."""
        values = [sample[measure] for sample in self.samples if measure in sample]
        return statistics.median(values) if values else None


Results = dict[str, dict[str, Outcome]]
"""Outcomes by workload and proxy."""


@frozen
class TlsPolicy:
    """How a floor stands. ``value`` is the ratio or the measure; None if it was not measured."""

    floor: Floor
    value: float | None

    @property
    def passed(self) -> bool | None:
        """None if the floor could not be judged."""
        if self.value is None:
            return None
        return self.value >= self.floor.limit if self.floor.peer else self.value <= self.floor.limit


def ratio(results: Results, workload: str, measure: str, peer: str) -> float | None:
    """How many times better than a peer we are; None if one of the two is not known."""
    ours, theirs = (median(results, workload, measure, name) for name in (SUBJECT, peer))
    if not ours or not theirs:
        return None
    return ours / theirs if measure in MORE_IS_BETTER else theirs / ours


def median(results: Results, workload: str, measure: str, name: str) -> float | None:
    """The median of one measure of one proxy; None if it was not measured."""
    outcome = results.get(workload, {}).get(name)
    return outcome.median(measure) if outcome else None


def judge(results: Results) -> list[TlsPolicy]:
    """Every floor of the workloads that were run."""
    return [
        TlsPolicy(floor, _reached(results, floor)) for floor in FLOORS if floor.workload in results
    ]


def _reached(results: Results, floor: Floor) -> float | None:
    if floor.peer is None:
        return median(results, floor.workload, floor.measure, SUBJECT)
    return ratio(results, floor.workload, floor.measure, floor.peer)


def as_json(results: Results, run: dict[str, Any]) -> dict[str, Any]:
    """Everything, for programs: ``run`` says how and where it was measured."""
    return {
        "run": run,
        "workloads": {
            workload: {name: _outcome(outcome) for name, outcome in outcomes.items()}
            for workload, outcomes in results.items()
        },
        "ratios": {workload: _ratios(results, workload) for workload in results},
        "floors": [
            {**asdict(verdict.floor), "value": verdict.value, "passed": verdict.passed}
            for verdict in judge(results)
        ],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    measures = outcome.samples[0] if outcome.samples else {}
    medians = {measure: outcome.median(measure) for measure in measures}
    return {"medians": medians, "samples": outcome.samples, "failure": outcome.failure}


def _ratios(results: Results, workload: str) -> dict[str, dict[str, float | None]]:
    peers = [name for name in results[workload] if name != SUBJECT]
    return {
        measure: {peer: ratio(results, workload, measure, peer) for peer in peers}
        for measure in COMPARED[workload]
    }
