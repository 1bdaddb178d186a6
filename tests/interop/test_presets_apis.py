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
from tests.interop.apis.cases import LEFT_OUT, SHOWINGS
from tests.interop.apis.running import ApiResult, programs, run_matrix
from tests.interop.apis.sdks import BY_NAME, SDKS
from tests.interop.node_caller import require_node
from tests.support.proxy import ProxyRun

pytestmark = pytest.mark.interop
PAIRS = [(showing.preset, sdk) for showing in SHOWINGS for sdk in showing.sdks]
by_preset_and_sdk = pytest.mark.parametrize(("preset", "sdk"), PAIRS, ids=map("-".join, PAIRS))


@frozen
class Matrix:
    """What came of all."""

    results: list[ApiResult]
    reasons: dict[str, str]
    """Why an SDK was not tried."""

    def of(self, preset: str, sdk: str) -> list[ApiResult]:
        """Return the results of a preset with an SDK; skips the test if it was not tried."""
        if sdk in self.reasons:
            pytest.skip(self.reasons[sdk])
        found = [r for r in self.results if (r.showing.preset, r.sdk) == (preset, sdk)]
        assert found
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


@by_preset_and_sdk
def test_what_is_seen(preset: str, sdk: str, matrix: Matrix) -> None:
    """What the program sees, and the number of attempts, are those of the page."""
    said = table.committed()
    for result in matrix.of(preset, sdk):
        assert table.cell(result) == said[table.key(result)], (result.shown, result.exchanges)


@by_preset_and_sdk
def test_that_something_was_tested(preset: str, sdk: str, matrix: Matrix) -> None:
    """The preset's own rules fire at the API that is meant, or the proxy says why they do not."""
    for result in matrix.of(preset, sdk):
        rules = {e["rule"] for e in result.attempts} - {None}
        assert all(rule.startswith(preset) for rule in rules)
        passes = table.warned(result) or table.is_for_others(result)
        assert rules or passes, (result.exchanges, result.unfit)
        providers = {e["provider"] for e in result.exchanges if e["kind"] is not None}
        assert providers <= {BY_NAME[sdk].api.provider, None}


@by_preset_and_sdk
def test_the_next_call(preset: str, sdk: str, matrix: Matrix) -> None:
    """On the same client it gets a whole answer, or where it offers a tool a call of that."""
    for result in matrix.of(preset, sdk):
        if len(result.outcomes) > 1:
            assert table.ends_well(result.last), result.last
            assert result.last["text"] or result.last["arguments"]


@by_preset_and_sdk
def test_no_retries_of_streams(preset: str, sdk: str, matrix: Matrix) -> None:
    """Once a stream has begun, no SDK tries again."""
    for result in matrix.of(preset, sdk):
        assert len(result.attempts) == 1 or not result.showing.mid_stream


def test_each_sdk_has_a_name() -> None:
    """Results are told apart by it."""
    assert len(BY_NAME) == len(SDKS)
