"""The benchmark's command line: ``python -m tests.bench --help``."""

from __future__ import annotations

import json
import platform
import ssl
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import click
import platformdirs
from rich.console import Console

from tests.bench.certificates import make_certificates
from tests.bench.contestants import CONTESTANTS, Site
from tests.bench.loading import Effort
from tests.bench.machine import allow_many_files, choose_cores, pin
from tests.bench.results import SUBJECT, as_json, judge
from tests.bench.rounds import Bench, run_all
from tests.bench.running import running_origin
from tests.bench.table import show
from tests.bench.workloads import WORKLOADS

FULL, QUICK = Effort(), Effort(seconds=0.3, events=60, posts=4, tunnels=80)
FULL_ROUNDS, QUICK_ROUNDS = 5, 2
TABLE_COLUMNS = 120


def describe_run(bench: Bench, versions: dict[str, str]) -> dict[str, Any]:
    """How and where it was measured."""
    build = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return {
        "versions": versions,
        "python": platform.python_version(),
        "python_optimized": "--enable-optimizations" in build,
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
