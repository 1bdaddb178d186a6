"""Takes the samples: which proxies are up when, and whose turn it is."""

from __future__ import annotations

import contextlib
import itertools

import psutil
from attrs import evolve, field, frozen
from rich.console import Console

from tests.bench.client import WrongAnswerError
from tests.bench.contestants import Contestant, Mode, Site
from tests.bench.loading import Effort, Measures
from tests.bench.machine import Cores
from tests.bench.results import SUBJECT, Outcome, Results
from tests.bench.running import (
    Origin,
    Running,
    StartFailedError,
    last_words,
    running_proxy,
    warm_up,
)
from tests.bench.workloads import WORKLOADS, Workload

MOST_ROUNDS = {"idle": 2, "rules": 2, "harm": 3}
"""Memory repeats closely, and hundreds of handshakes take their time. What is compared within one
sample needs fewer of them."""


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


@frozen
class Stand:
    """The proxies that are up for workloads of one mode: started once, used by all of them.

    A workload may want the same proxy in other modes beside it; those then stay up too.
    """

    bench: Bench
    stack: contextlib.ExitStack
    proxies: dict[tuple[Mode, str], Running] = field(factory=dict)

    def take_sample(self, workload: Workload, contestant: Contestant) -> Measures:
        """One sample, from the proxy that is up, or from a fresh one if the workload wants that."""
        if workload.fresh:
            self._visit(workload.mode, contestant)
            with self._start(workload.mode, contestant) as fresh:
                return workload.sample(fresh, self.bench.effort)
        beside = {mode: self._up(mode, contestant) for mode in workload.beside}
        proxy = evolve(self._up(workload.mode, contestant), beside=beside)
        return workload.sample(proxy, self.bench.effort)

    def _up(self, mode: Mode, contestant: Contestant) -> Running:
        if (mode, contestant.name) not in self.proxies:
            proxy = self.stack.enter_context(self._start(mode, contestant))
            warm_up(proxy, mode)
            self.proxies[mode, contestant.name] = proxy
        return self.proxies[mode, contestant.name]

    def _start(
        self, mode: Mode, contestant: Contestant
    ) -> contextlib.AbstractContextManager[Running]:
        site = self.bench.site_of(contestant)
        return running_proxy(contestant, mode, site, self.bench.origin, self.bench.cores)

    def _visit(self, mode: Mode, contestant: Contestant) -> None:
        """Run a proxy that never ran before, so that its files exist at the start that counts."""
        if not self.bench.site_of(contestant).directory.exists():
            with self._start(mode, contestant) as proxy:
                warm_up(proxy, mode)


def measure(stand: Stand, key: str, contestants: list[Contestant]) -> dict[str, Outcome]:
    """One workload: the proxies take turns within each round, each round in another order."""
    contestants = able(WORKLOADS[key], contestants)
    outcomes = {contestant.name: Outcome() for contestant in contestants}
    for turn in turns(stand.bench.rounds, key, contestants):
        if outcomes[turn.name].failure:
            continue
        try:
            outcomes[turn.name].samples.append(stand.take_sample(WORKLOADS[key], turn))
        except StartFailedError as error:
            outcomes[turn.name] = Outcome(failure=str(error))
        except (WrongAnswerError, OSError, psutil.Error) as error:
            said = last_words(stand.bench.site_of(turn).directory)
            outcomes[turn.name] = Outcome(failure=f"{error!r}; the proxy said: {said}")
    return outcomes


def able(workload: Workload, contestants: list[Contestant]) -> list[Contestant]:
    """Those that have all the modes of a workload: rules are the subject's own."""
    if not workload.beside:
        return contestants
    return [contestant for contestant in contestants if contestant.name == SUBJECT]


def turns(rounds: int, key: str, contestants: list[Contestant]) -> list[Contestant]:
    """Who is sampled when."""
    count = min(rounds, MOST_ROUNDS.get(key, rounds))
    starts = [number % len(contestants) for number in range(count)]
    return [turn for first in starts for turn in contestants[first:] + contestants[:first]]


def run_all(bench: Bench, keys: list[str], contestants: list[Contestant]) -> Results:
    """Every workload in turn, in the order of `WORKLOADS`, which groups them by mode."""
    results = {}
    ordered = [key for key in WORKLOADS if key in keys]
    for _, group in itertools.groupby(ordered, lambda key: stand_kind(WORKLOADS[key])):
        with contextlib.ExitStack() as stack:
            stand = Stand(bench, stack)
            for key in group:
                bench.console.print(f"{key}: {WORKLOADS[key].title} ...")
                results[key] = measure(stand, key, contestants)
    return results


def stand_kind(workload: Workload) -> tuple[Mode, bool]:
    """Workloads that have this in common can use the same running proxies."""
    return workload.mode, workload.fresh
