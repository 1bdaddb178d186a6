"""Shows results as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tests.bench.results import COMPARED, SUBJECT, Results, TlsPolicy, judge, median, ratio
from tests.bench.workloads import WORKLOADS

LABELS = {
    "cpu_us_per_request": "CPU µs / request",
    "injected_cpu_us": "injected: CPU µs / request",
    "passed_cpu_us": "passed on: CPU µs / request",
    "cpu_us_per_megabyte": "CPU µs / MB",
    "requests_per_second": "requests / s",
    "megabytes_per_second": "MB / s",
    "busy_percent": "proxy busy, %",
    "added_us": "added per event, p50 µs",
    "direct_us": "without a proxy, µs",
    "fault_us": "of it by the fault, µs",
    "passed_head_percent": "passed on, rules on heads: CPU +%",
    "injected_head_percent": "injected, rules on heads: CPU +%",
    "passed_all_percent": "passed on, on bodies too: CPU +%",
    "injected_all_percent": "injected, on bodies too: CPU +%",
    "passed_us": "passed on, no rules: CPU µs",
    "injected_us": "injected, no rules: CPU µs",
    **{
        f"{kind}_{api}_percent": f"{words}, {api.title()}'s: CPU +%"
        for kind, words in (
            ("injected", "injected"),
            ("passed", "passed on"),
            ("streamed", "streamed"),
        )
        for api in ("gemini", "bedrock", "ollama")
    },
    "streamed_us": "streamed, Anthropic's: CPU µs",
    "median_ms": "p50 ms",
    "kib_per_tunnel": "KiB / tunnel",
    "mib_before": "RSS before, MiB",
    "listening_ms": "listening after ms",
}
EXPLAINING = (
    *("busy_percent", "passed_us", "injected_us", "streamed_us"),
    *("fault_us", "direct_us", "mib_before"),
)
"""Measures that no floor and no comparison is about."""


def show(console: Console, results: Results, names: list[str]) -> None:
    """Print the measures, the floors, and what failed."""
    console.print(measures_table(results, names))
    console.print(floors_table(judge(results)))
    for workload, outcomes in results.items():
        for name, outcome in outcomes.items():
            if outcome.failure:
                console.print(f"{workload}, {name}: {outcome.failure}", markup=False)


def measures_table(results: Results, names: list[str]) -> Table:
    """Medians of every proxy; in brackets how many times better we are than it."""
    table = Table(title="Medians; in brackets: how many times better faultinject is")
    for column in ("", "workload", "measure"):
        table.add_column(column)
    for name in names:
        table.add_column(name, justify="right")
    for workload in results:
        explained = [measure for measure in EXPLAINING if _known(results, workload, measure)]
        labels = (workload, WORKLOADS[workload].title)
        for measure in (*COMPARED[workload], *explained):
            cells = [_cell(results, workload, measure, name) for name in names]
            table.add_row(*labels, LABELS[measure], *cells)
            labels = ("", "")
        table.add_section()
    return table


def floors_table(verdicts: list[TlsPolicy]) -> Table:
    """Each floor and how it stands."""
    table = Table(title="Floors")
    for column in ("workload", "measure", "floor"):
        table.add_column(column)
    table.add_column("measured", justify="right")
    table.add_column("")
    words = {True: "[green]pass", False: "[red]FAIL", None: "[yellow]not measured"}
    for verdict in verdicts:
        floor = verdict.floor
        value = "-" if verdict.value is None else f"{verdict.value:.2f}"
        word = words[verdict.passed]
        table.add_row(floor.workload, LABELS[floor.measure], floor.describe(), value, word)
    return table


def _known(results: Results, workload: str, measure: str) -> bool:
    samples = [sample for outcome in results[workload].values() for sample in outcome.samples]
    return any(measure in sample for sample in samples)


def _cell(results: Results, workload: str, measure: str, name: str) -> str:
    value = median(results, workload, measure, name)
    if value is None:
        outcome = results[workload].get(name)
        return "failed" if outcome and outcome.failure else "-"
    text = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    if name == SUBJECT or measure not in COMPARED[workload]:
        return text
    better = ratio(results, workload, measure, name)
    return f"{text} ({better:.2f}x)" if better is not None else text
