"""Runs the whole matrix: a proxy for each preset, a program for each SDK, all at the same time.

The calls whose pauses are measured are made after all the others, when there is less to do.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.interop.presets.cases import SHOWINGS, Showing
from tests.support.proxy import Happening, ProxyRun, clean_environment

STARTING_AT_A_TIME = 3
MATRIX_SECONDS = 800.0
ASKING = Path(__file__).parent / "asking.py"
NODE = Path(__file__).parents[1] / "node"


Runs = dict[Showing, ProxyRun]
Answers = dict[str, dict[str, list[Happening]]]
"""By SDK and case."""


Cases = Iterable[dict[str, Any]]


@frozen
class Asking:
    """A program that runs."""

    process: subprocess.Popen[str]

    def ask(self, cases: Cases) -> dict[str, list[Happening]]:
        """Return what came of each case's calls, by the case's id."""
        lines = [json.dumps(case) + "\n" for case in cases]
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("".join(lines))
        stdin.flush()
        answers = [json.loads(stdout.readline()) for _ in lines]
        return {answer["id"]: answer["outcomes"] for answer in answers}


@frozen
class Program:
    """What asks by one SDK."""

    sdk: str
    command: tuple[str, ...]
    folder: Path = NODE
    """Where it runs."""

    @contextmanager
    def opened(self, ca_file: Path) -> Iterator[Asking]:
        """Run it; after a while it is killed, and what it was asked fails."""
        with subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=self.folder, env=clean_environment(NODE_EXTRA_CA_CERTS=str(ca_file)),
        ) as process:  # fmt: skip
            watchdog = threading.Timer(MATRIX_SECONDS, process.kill)
            watchdog.start()
            try:
                yield Asking(process)
            finally:
                watchdog.cancel()
                process.kill()


@frozen
class Result:
    """What one SDK's calls, made in one way, came to at one preset."""

    showing: Showing
    sdk: str
    mode: str
    outcomes: list[Happening]
    exchanges: list[Happening]
    """All that the proxy saw for them, in order."""

    @property
    def shown(self) -> Happening:
        """What the call under test came to."""
        return self.outcomes[self.showing.shown]

    @property
    def last(self) -> Happening:
        """What the call after it came to."""
        return self.outcomes[-1]

    @property
    def attempts(self) -> list[Happening]:
        """The attempts of the call under test."""
        return [e for e in self.exchanges if e["rule"] != "later"][self.showing.shown :]

    def gaps_seconds(self) -> list[float]:
        """Return the time from the end of each attempt to the begin of the next."""
        spans = [_span(exchange) for exchange in self.attempts]
        return [(begin - end).total_seconds() for (_, end), (begin, _) in pairwise(spans)]


def _span(exchange: Happening) -> tuple[datetime, datetime]:
    end = datetime.fromisoformat(exchange["time"])
    return end - timedelta(milliseconds=exchange.get("milliseconds") or 0), end


def run_matrix(programs: list[Program], folder: Path, *ca_options: str) -> Iterator[Result]:
    """Show every preset to every SDK, and yield what came of it."""
    with ExitStack() as stack, ThreadPoolExecutor(STARTING_AT_A_TIME) as starting:

        def start(showing: Showing) -> ProxyRun:
            place = folder / showing.preset
            place.mkdir()
            return stack.enter_context(ProxyRun(place, *showing.options(), *ca_options))

        runs = dict(zip(SHOWINGS, starting.map(start, SHOWINGS), strict=True))
        hasty = {showing: run for showing, run in runs.items() if not showing.backs_off}
        timed = {showing: run for showing, run in runs.items() if showing.backs_off}
        ca_file = next(iter(runs.values())).ca_file
        with ExitStack() as opened:  # what hangs is over for the proxy when the program has ended
            asking = {each.sdk: opened.enter_context(each.opened(ca_file)) for each in programs}
            asked = _ask(asking, hasty)
            for sdk, answers in _ask(asking, timed).items():
                asked[sdk] |= answers
        yield from (each for showing, run in runs.items() for each in _results(showing, run, asked))


def _ask(asking: dict[str, Asking], runs: Runs) -> Answers:
    """Ask by all SDKs at the same time."""

    def ask(sdk: str) -> tuple[str, dict[str, list[Happening]]]:
        return sdk, asking[sdk].ask(_cases(sdk, runs))

    with ThreadPoolExecutor(len(asking)) as pool:
        return dict(pool.map(ask, asking))


def _cases(sdk: str, runs: Runs) -> Iterator[dict[str, Any]]:
    for showing, run in runs.items():
        for mode in showing.modes if sdk in showing.sdks else ():
            yield {
                "id": f"{showing.preset} {mode}", "mode": mode, "tools": showing.tools,
                "base_url": f"https://{showing.host(sdk, mode)}", "proxy": run.url,
                "ca_file": str(run.ca_file), "timeout": showing.timeout_seconds,
                "deadline": showing.deadline_seconds, "prompts": showing.prompts,
            }  # fmt: skip


def _results(showing: Showing, run: ProxyRun, asked: Answers) -> Iterator[Result]:
    for sdk in filter(asked.__contains__, showing.sdks):
        for mode in showing.modes:
            host = showing.host(sdk, mode)
            if not showing.derived:
                run.exchanges(len(showing.prompts), host=host)
            seen = [e for e in run.events if e["event"] == "exchange" and e["host"] == host]
            outcomes = asked[sdk][f"{showing.preset} {mode}"]
            yield Result(showing, sdk, mode, outcomes, [e for e in seen if "rule" in e])
