"""The plugin's speed: ``python -m tests.bench.plugin --help``; run by ``nox -s bench`` too.

Three ways to the same plugin: ``reply`` mode in this process, beside a handler that sleeps 10 ms
for each chunk; the same as a process of its own, called over gRPC by grpcio; and ``duplex`` behind
the real Fault, where its command is at hand. Each tunnel is a whole TLS handshake, each request a
POST of 1 KB with 14 headers that is answered by an injected 429.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import trio
from attrs import frozen
from rich.console import Console
from rich.table import Table

from tests.bench import plugin_fault, plugin_grpc, plugin_in_process
from tests.bench.__main__ import wide_console
from tests.bench.machine import allow_many_files, choose_cores, pin

Measures = dict[str, float]
WAYS = ("process", "grpc", "fault")
FLOORS = {"hello_to_429_ms": 10.0, "request_to_429_ms": 8.0}
"""How many times faster than the sleeper we have to be, in this process."""
LABELS = {
    "hello_to_429_ms": "ClientHello to 429, p50 ms",
    "request_to_429_ms": "keep-alive request to 429, p50 ms",
    "kib_per_tunnel": "live tunnel, KiB",
    "passed_per_second": "passed chunks / s, one at a time",
    "passed_cpu_us": "plugin's CPU µs a passed chunk",
    "passed_at_once_per_second": "passed chunks / s, 32 at once",
    "passed_at_once_cpu_us": "plugin's CPU µs a passed chunk, 32 at once",
    "requests_per_second": "requests to 429 / s, one at a time",
    "requests_cpu_us": "plugin's CPU µs a request",
    "requests_at_once_per_second": "requests to 429 / s, 32 at once",
    "requests_at_once_cpu_us": "plugin's CPU µs a request, 32 at once",
}


@frozen
class Effort:
    """How much a sample does, and how many there are."""

    rounds: int = 5
    count: int = 200
    seconds: float = 1.0
    tunnels: int = 300


FULL, QUICK = Effort(), Effort(rounds=2, count=40, seconds=0.3, tunnels=100)


def medians(samples: list[Measures]) -> Measures:
    """The median of each measure."""
    names = samples[0] if samples else {}
    return {name: statistics.median(sample[name] for sample in samples) for name in names}


def ratios(ours: Measures, theirs: Measures) -> Measures:
    """How many times faster we are than the sleeper."""
    return {name: theirs[name] / ours[name] for name in FLOORS if name in ours and name in theirs}


def run(
    ways: tuple[str, ...], effort: Effort, folder: Path, console: Console
) -> dict[str, list[Measures]]:
    """Take the samples of each way."""
    samples: dict[str, list[Measures]] = {}
    cores = choose_cores()
    allow_many_files()
    if "process" in ways:
        console.print("in process ...")
        samples |= trio.run(plugin_in_process.measure, effort.rounds, effort.count)
    pin(0, cores.load)
    if "grpc" in ways:
        console.print("over gRPC ...")
        samples["gRPC"] = [
            plugin_grpc.measure(
                folder / "grpc", cores, effort.seconds, effort.count, effort.tunnels
            )
            for _ in range(effort.rounds)
        ]
    program = plugin_fault.find_fault()
    if "fault" in ways and program is None:
        console.print("skipped: no `fault` command in FAULT_BIN, PATH or the cache directory")
    if "fault" in ways and program is not None:
        console.print(f"behind {plugin_fault.version(program)} ...")
        samples["Fault"] = [
            plugin_fault.measure(
                program, folder / f"fault-{number}", cores, effort.count, effort.tunnels // 4
            )
            for number in range(effort.rounds)
        ]
    return samples


def show(console: Console, found: dict[str, Measures], compared: Measures) -> None:
    """Print the medians, and how the floors stand."""
    table = Table(title="The plugin: medians")
    table.add_column("")
    titles = {"faultinject": "reply, in process", "sleeper": "10 ms a chunk", "gRPC": "reply, gRPC"}
    for name in found:
        table.add_column(titles.get(name, "duplex, Fault"), justify="right")
    for measure, label in LABELS.items():
        values = [found[name].get(measure) for name in found]
        if any(value is not None for value in values):
            table.add_row(label, *("-" if value is None else _text(value) for value in values))
    console.print(table)
    for measure, ratio in compared.items():
        word = "[green]pass" if ratio >= FLOORS[measure] else "[red]FAIL"
        floor = f"at least {FLOORS[measure]:g}x"
        console.print(f"{LABELS[measure]}: {ratio:.1f}x the sleeper's speed, {floor}: {word}")


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


@click.command(help=__doc__)
@click.option("--only", default=",".join(WAYS), help=f"Of {', '.join(WAYS)}.")
@click.option("--quick", is_flag=True, help="Small samples: a rough look.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures.")
@click.option("--check", is_flag=True, help="Exit 1 unless every floor is reached.")
def main(only: str, quick: bool, json_path: Path | None, check: bool) -> None:
    """Measure, print, write, judge."""
    ways = tuple(only.split(","))
    if unknown := set(ways) - set(WAYS):
        raise click.BadParameter(f"{min(unknown)!r}: one of {', '.join(WAYS)}", param_hint="--only")
    console = Console(stderr=True)
    effort = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        samples = run(ways, effort, Path(folder), console)
    found = {name: medians(each) for name, each in samples.items()}
    compared = ratios(found.get("faultinject", {}), found.get("sleeper", {}))
    show(wide_console(), found, compared)
    if json_path:
        json_path.write_text(json.dumps(as_json(samples, found, compared), indent=2))
    if check and any(compared.get(name, 0.0) < floor for name, floor in FLOORS.items()):
        sys.exit(1)


def as_json(
    samples: dict[str, list[Measures]], found: dict[str, Measures], compared: Measures
) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "samples": samples,
        "medians": found,
        "ratios": compared,
        "floors": FLOORS,
    }


if __name__ == "__main__":
    main()
