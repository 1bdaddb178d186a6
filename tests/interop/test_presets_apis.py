"""The presets on the SDKs of the other APIs, all at the same time, and what each of them sees.

With FAULTINJECT_WRITE_TABLE=1 in the environment the run writes the tables into their page;
without, it checks that what the page says still holds. No real API is asked.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import frozen

from faultinject.config.presets import NAMES
from tests.interop.apis import table
from tests.interop.apis.cases import LEFT_OUT, SHOWINGS, ApiShowing
from tests.interop.apis.running import ApiResult, programs, run_matrix
from tests.interop.apis.sdks import BY_NAME, SDKS
from tests.interop.node_caller import require_node
from tests.support.proxy import ProxyRun

pytestmark = pytest.mark.interop
by_preset = pytest.mark.parametrize("showing", SHOWINGS, ids=lambda showing: showing.preset)


@frozen
class Matrix:
    """What came of all."""

    results: list[ApiResult]
    reasons: dict[str, str]
    """Why an SDK was not tried."""

    def of(self, showing: ApiShowing) -> list[ApiResult]:
        """Return the results of a preset with each SDK that was tried."""
        found = [result for result in self.results if result.showing is showing]
        assert {result.sdk for result in found} == set(showing.sdks) - self.reasons.keys()
        if not found:
            pytest.skip("none of its SDKs was tried")
        return found


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """Show the presets to every SDK that can be had."""
    reasons = _reasons()
    asking = programs([sdk for sdk in SDKS if sdk.name not in reasons], {})
    with ProxyRun(tmp_path_factory.mktemp("authority"), "--fake-upstream") as run:
        files = ["--ca-cert", str(run.ca_file), "--ca-key", str(run.ca_file.with_suffix(".key"))]
        folder: Path = tmp_path_factory.mktemp("presets")
        results = list(run_matrix(asking, SHOWINGS, folder, *files))
    if os.environ.get("FAULTINJECT_WRITE_TABLE"):
        assert not reasons, "tables with holes are not written"
        table.write(results)
    return Matrix(results, reasons)


def _reasons() -> dict[str, str]:
    try:
        require_node()
    except pytest.skip.Exception as skipped:
        return {sdk.name: str(skipped) for sdk in SDKS if sdk.module.endswith(".mjs")}
    return {}


def test_all_are_shown() -> None:
    """No preset is left out but those that are said to be."""
    assert {showing.preset for showing in SHOWINGS} == set(NAMES) - LEFT_OUT


@pytest.mark.parametrize("sdk", BY_NAME)
def test_each_is_tried(sdk: str, matrix: Matrix) -> None:
    """Each SDK is asked by, or it is said why not."""
    if sdk in matrix.reasons:
        pytest.skip(matrix.reasons[sdk])
    assert any(result.sdk == sdk for result in matrix.results)


@by_preset
def test_what_is_seen(showing: ApiShowing, matrix: Matrix) -> None:
    """What the program sees, and the number of attempts, are those of the page."""
    said = table.committed()
    assert not [
        (result.sdk, result.mode, table.cell(result), said[table.key(result)], result.exchanges)
        for result in matrix.of(showing)
        if table.cell(result) != said[table.key(result)]
    ]


@by_preset
def test_that_something_was_tested(showing: ApiShowing, matrix: Matrix) -> None:
    """The preset's own rules fire at the API that is meant, or the proxy says why they do not."""
    nothing, others = [], []
    for result in matrix.of(showing):
        rules = {e["rule"] for e in result.attempts} - {None}
        passes = table.warned(result) or table.is_for_others(result)
        if not (rules or passes):
            nothing.append((result.sdk, result.mode, result.exchanges, result.unfit))
        providers = {e["provider"] for e in result.exchanges if e["kind"] is not None}
        own = all(rule.startswith(showing.preset) for rule in rules)
        if not (own and providers <= {BY_NAME[result.sdk].api.provider, None}):
            others.append((result.sdk, result.mode, rules, providers))
    assert (nothing, others) == ([], [])


@by_preset
def test_the_next_call(showing: ApiShowing, matrix: Matrix) -> None:
    """On the same client it gets a whole answer, or where it offers a tool a call of that."""
    assert not [
        (result.sdk, result.mode, result.last)
        for result in matrix.of(showing)
        if len(result.outcomes) > 1
        and not (table.ends_well(result.last) and (result.last["text"] or result.last["arguments"]))
    ]


@pytest.mark.parametrize(
    "showing",
    [showing for showing in SHOWINGS if showing.mid_stream],
    ids=lambda showing: showing.preset,
)
def test_no_retries_of_streams(showing: ApiShowing, matrix: Matrix) -> None:
    """Once a stream has begun, no SDK tries again."""
    assert not [
        (result.sdk, result.mode, result.attempts)
        for result in matrix.of(showing)
        if len(result.attempts) != 1
    ]


def test_each_sdk_has_a_name() -> None:
    """Results are told apart by it."""
    assert len(BY_NAME) == len(SDKS)
