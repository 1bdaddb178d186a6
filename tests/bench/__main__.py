"""The benchmark's command line: ``python -m tests.bench --help``."""

from __future__ import annotations

import contextlib
import json
import platform
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import platformdirs
import psutil
from attrs import evolve, frozen
from rich.console import Console

from tests.bench.certificates import make_certificates
from tests.bench.client import WrongAnswerError
from tests.bench.contestants import CONTESTANTS, Contestant, Site
from tests.bench.machine import Cores, allow_many_files, choose_cores, pin
from tests.bench.results import SUBJECT, Outcome, Results, as_json, judge
from tests.bench.running import (
    Origin,
    Running,
    StartFailedError,
    last_words,
    running_origin,
    running_proxy,
    warm_up,
)
from tests.bench.table import show
from tests.bench.workloads import WORKLOADS, Effort, Measures, Workload

FULL, QUICK = Effort(), Effort(seconds=0.4, events=80, posts=5, tunnels=150)
FULL_ROUNDS, QUICK_ROUNDS = 5, 2
MEMORY_ROUNDS = 2
"""Memory repeats closely, and 500 handshakes take their time."""

TABLE_COLUMNS = 120


@frozen
class Bench:
    """What all samples of a run share."""

    site: Site
    origin: Origin
    cores: Cores
    effort: Effort
    rounds: int
    console: Console

    def site_of(self, contestant: Contestant) -> Site:
        """The proxy's own directory, the same at every start."""
        return evolve(self.site, directory=self.site.directory / contestant.name)


def measure(bench: Bench, key: str, contestants: list[Contestant]) -> dict[str, Outcome]:
    """One workload: the proxies take turns within each round, each round in another order."""
    workload = WORKLOADS[key]
    outcomes = {contestant.name: Outcome() for contestant in contestants}
    with contextlib.ExitStack() as stack:
        proxies: dict[str, Running] = {}
        for turn in turns(bench, key, contestants):
            name = turn.name
            if outcomes[name].failure:
                continue
            try:
                if name not in proxies:
                    proxies[name] = start(bench, workload, turn, stack)
                outcomes[name].samples.append(sample(bench, workload, turn, proxies[name]))
            except StartFailedError as error:
                outcomes[name] = Outcome(failure=str(error))
            except (WrongAnswerError, OSError, psutil.Error) as error:
                said = last_words(bench.site_of(turn).directory)
                outcomes[name] = Outcome(failure=f"{error!r}; the proxy said: {said}")
    return outcomes


def turns(bench: Bench, key: str, contestants: list[Contestant]) -> list[Contestant]:
    """Who is sampled when."""
    rounds = min(bench.rounds, MEMORY_ROUNDS) if key == "idle" else bench.rounds
    starts = [number % len(contestants) for number in range(rounds)]
    return [name for first in starts for name in contestants[first:] + contestants[:first]]


def start(
    bench: Bench, workload: Workload, contestant: Contestant, stack: contextlib.ExitStack
) -> Running:
    """Start a proxy and use it once; it stays until the workload is done."""
    site = bench.site_of(contestant)
    proxy = stack.enter_context(
        running_proxy(contestant, workload.mode, site, bench.origin, bench.cores)
    )
    warm_up(proxy, workload.mode)
    return proxy


def sample(bench: Bench, workload: Workload, contestant: Contestant, proxy: Running) -> Measures:
    """One sample, from the running proxy or from a fresh one."""
    bench.console.print(f"  {workload.title}: {contestant.name} ...", style="dim")
    if not workload.fresh:
        return workload.sample(proxy, bench.effort)
    with running_proxy(
        contestant, workload.mode, bench.site_of(contestant), bench.origin, bench.cores
    ) as fresh:
        return workload.sample(fresh, bench.effort)


def run_all(bench: Bench, keys: list[str], contestants: list[Contestant]) -> Results:
    """Every workload in turn."""
    return {key: measure(bench, key, contestants) for key in keys}


def describe_run(bench: Bench, versions: dict[str, str]) -> dict[str, Any]:
    """How and where it was measured."""
    return {
        "versions": versions,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "system": platform.platform(),
        "cores": bench.cores.describe(),
        "rounds": bench.rounds,
        "seconds_per_sample": bench.effort.seconds,
    }


def words(known: list[str], text: str, option: str) -> list[str]:
    """A comma-separated list of known names; "none" is empty."""
    chosen = [] if text == "none" else text.split(",")
    if unknown := [word for word in chosen if word not in known]:
        raise click.BadParameter(f"{unknown[0]!r}: one of {', '.join(known)}", param_hint=option)
    return chosen


def wide_console() -> Console:
    """The terminal, or a page that is wide enough where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=TABLE_COLUMNS)


@click.command(help=__doc__)
@click.option("--only", default=",".join(WORKLOADS), help="Workloads, comma-separated.")
@click.option("--peers", default="mitmproxy,proxy.py", help="Comma-separated, or none.")
@click.option("--rounds", type=click.IntRange(1), help="Samples of each proxy and workload.")
@click.option("--quick", is_flag=True, help="Small samples and two rounds: a rough look.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures.")
@click.option("--check", is_flag=True, help="Exit 1 unless every floor is reached.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=platformdirs.user_cache_path("faultinject") / "bench",
    show_default="the user's cache directory",
    help="Where the peers' virtual environments live.",
)
def main(
    only: str,
    peers: str,
    rounds: int | None,
    quick: bool,
    json_path: Path | None,
    check: bool,
    cache: Path,
) -> None:
    """Measure, print, write, judge."""
    keys = words(list(WORKLOADS), only, "--only")
    known_peers = [name for name in CONTESTANTS if name != SUBJECT]
    contestants = [CONTESTANTS[name]() for name in (SUBJECT, *words(known_peers, peers, "--peers"))]
    console = wide_console()
    versions = {contestant.name: contestant.prepare(cache) for contestant in contestants}
    console.print("; ".join(f"{name} {version}" for name, version in versions.items()))
    cores = choose_cores()
    pin(0, cores.load)
    console.print(cores.describe())
    allow_many_files()
    with tempfile.TemporaryDirectory() as directory:
        certificates = make_certificates(Path(directory))
        with running_origin(certificates) as origin:
            site = Site(0, origin.https_port, origin.source_port, certificates, Path(directory))
            effort = QUICK if quick else FULL
            rounds = rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS)
            bench = Bench(site, origin, cores, effort, rounds, Console(stderr=True))
            results = run_all(bench, keys, contestants)
    show(console, results, list(versions))
    if json_path:
        json_path.write_text(json.dumps(as_json(results, describe_run(bench, versions)), indent=2))
    if check and not all(verdict.passed for verdict in judge(results)):
        sys.exit(1)


if __name__ == "__main__":
    main()
