"""Runs the calls of all SDKs at once, through a proxy for each preset."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from attrs import frozen

from tests.interop.apis.cases import ApiShowing
from tests.interop.apis.sdks import BY_NAME, Sdk
from tests.interop.presets.cases import LATER
from tests.interop.presets.running import NODE, STARTING_AT_A_TIME, Program, Result
from tests.support.proxy import Happening, ProxyRun

ROOT = Path(__file__).parents[3]
Runs = dict[ApiShowing, ProxyRun]
Case = tuple[ApiShowing, str, str]
"""A preset, an SDK and a mode."""


@frozen
class ApiResult(Result):
    """What one SDK's calls came to, and what the proxy said meanwhile."""

    unfit: list[Happening]
    """Its events of rules that mean nothing for an API."""

    @property
    def attempts(self) -> list[Happening]:
        """The attempts of the call under test."""
        own = [e for e in self.exchanges if not str(e["rule"]).startswith(LATER)]
        return own[self.showing.shown :]


def programs(sdks: Iterable[Sdk], interpreters: dict[str, str]) -> list[Program]:
    """Return what asks by the SDKs: a program for all that one module has.

    ``interpreters`` are those of other virtual environments, by module.
    """
    return [
        Program(module, ("node", module), NODE)
        if module.endswith(".mjs")
        else Program(
            module,
            (interpreters.get(module, sys.executable), "-m", "tests.interop.apis.asking", module),
            ROOT,
        )
        for module in dict.fromkeys(sdk.module for sdk in sdks)
    ]


def run_matrix(
    asking: list[Program], showings: Iterable[ApiShowing], folder: Path, *ca_options: str
) -> Iterator[ApiResult]:
    """Show every preset to every SDK, and yield what came of it."""
    with ExitStack() as stack, ThreadPoolExecutor(STARTING_AT_A_TIME) as starting:

        def start(showing: ApiShowing) -> tuple[ApiShowing, ProxyRun]:
            place = folder / showing.preset
            place.mkdir()
            return showing, stack.enter_context(ProxyRun(place, *showing.options(), *ca_options))

        runs = dict(starting.map(start, showings))
        answers = _ask(asking, runs)
        for case in _cases(runs):
            if (outcomes := answers.get(_id(case))) is not None:
                yield _result(case, runs[case[0]], outcomes)


def _cases(runs: Runs) -> Iterator[Case]:
    for showing in runs:
        for sdk in showing.sdks:
            yield from ((showing, sdk, mode) for mode in showing.modes)


def _id(case: Case) -> str:
    showing, sdk, mode = case
    return f"{sdk} {showing.preset} {mode}"


def _ask(asking: list[Program], runs: Runs) -> dict[str, list[Happening]]:
    ca_file = next(iter(runs.values())).ca_file

    def ask(program: Program) -> dict[str, list[Happening]]:
        cases = (each for each in _cases(runs) if BY_NAME[each[1]].module == program.sdk)
        with program.opened(ca_file) as opened:
            return opened.ask(_told(case, runs[case[0]]) for case in cases)

    with ThreadPoolExecutor(len(asking)) as pool:
        return {id_: seen for answers in pool.map(ask, asking) for id_, seen in answers.items()}


def _told(case: Case, run: ProxyRun) -> Happening:
    showing, sdk, mode = case
    return {
        "id": _id(case), "client": BY_NAME[sdk].client, "mode": mode, "tools": showing.tools,
        "base_url": f"https://{showing.host(sdk, mode)}", "proxy": run.url,
        "ca_file": str(run.ca_file), "timeout": showing.timeout_seconds,
        "deadline": showing.deadline_seconds, "prompts": showing.prompts,
    }  # fmt: skip


def _result(case: Case, run: ProxyRun, outcomes: list[Happening]) -> ApiResult:
    showing, sdk, mode = case
    port = int(showing.host(sdk, mode).rpartition(":")[2])
    with suppress(TimeoutError):
        run.exchanges(len(outcomes), port=port)  # some are over only when the client has left
    seen = [e for e in run.events if e["event"] == "exchange" and e["port"] == port]
    unfit = [e for e in run.events if e["event"] == "rule-unfit"]
    exchanges = [e for e in seen if "rule" in e]
    return ApiResult(showing, sdk, mode, outcomes, exchanges, unfit)
