"""Every preset on the real SDKs, all at the same time, and the table that says what they see.

With FAULTINJECT_WRITE_TABLE=1 in the environment the run writes the table into its page; without,
it checks that what the page says still holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

import pytest
from attrs import frozen

from faultinject.config.presets import NAMES
from faultinject.proxy.upstream.fake.fake_api import TEXT
from tests.interop.presets import table
from tests.interop.presets.cases import SDKS, SHOWINGS, Showing
from tests.interop.presets.programs import programs
from tests.interop.presets.running import Result, run_matrix
from tests.support.proxy import ProxyRun

pytestmark = pytest.mark.interop

PAUSES_SECONDS = ((0.35, 0.6), (0.7, 1.1))
"""The SDKs' own, before the second and the third attempt."""
SLACK_SECONDS = 0.3
BUSY_SECONDS = 5.0
LATE_SECONDS = 0.1
"""How much later than an attempt's end the proxy may tell of it: the pause seems shorter."""
SILENT_SECONDS = 2.0
ORDERLY = {  # a client that is told to wait does it, or raises at once, or goes its own way
    "rate-limited-long": {
        "py-anthropic-2": "waits", "py-anthropic-0": "own", "node-anthropic": "waits",
        "py-openai-3": "raises", "py-openai-2": "raises", "node-openai": "waits",
    },
    "cf-timeout": dict.fromkeys(SDKS, "waits") | {"py-anthropic-0": "own"},
}  # fmt: skip
WITHOUT_RETRY = {"auth-expired", "too-large", "empty-200", "html-200", "corrupt-json"}


@frozen
class Matrix:
    """What came of all."""

    results: dict[table.Key, Result]
    reasons: dict[str, str]
    """Why an SDK was not tried."""

    def of(self, preset: str, sdk: str) -> list[Result]:
        """Return the results of a preset with an SDK; skips the test if it was not tried."""
        if sdk in self.reasons:
            pytest.skip(self.reasons[sdk])
        return [r for r in self.results.values() if (r.showing.preset, r.sdk) == (preset, sdk)]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Matrix:
    """Show every preset to every SDK that can be had."""
    assert pytestconfig.cache is not None
    found, reasons = programs(pytestconfig.cache.mkdir("older-sdks"))
    first = tmp_path_factory.mktemp("authority")
    with ProxyRun(first, "--fake-upstream") as run:
        files = ["--ca-cert", str(run.ca_file), "--ca-key", str(run.ca_file.with_suffix(".key"))]
        results = list(run_matrix(found, tmp_path_factory.mktemp("presets"), *files))
    if os.environ.get("FAULTINJECT_WRITE_TABLE"):
        assert not reasons, "a table with holes is not written"
        table.write(results)
    return Matrix({table.key(result): result for result in results}, reasons)


def each(showings: Iterable[Showing]) -> pytest.MarkDecorator:
    """Parametrize by preset and SDK."""
    pairs = [(showing.preset, sdk) for showing in showings for sdk in showing.sdks]
    ids = [f"{preset}-{sdk}" for preset, sdk in pairs]
    return pytest.mark.parametrize(("preset", "sdk"), pairs, ids=ids)


def test_all_are_shown() -> None:
    """No preset is left out but those for MCP servers, which have SDKs of their own."""
    names = {name for name in NAMES if not name.startswith("mcp-")}
    assert {showing.preset for showing in SHOWINGS} == names


@each(SHOWINGS)
def test_what_is_seen(preset: str, sdk: str, matrix: Matrix) -> None:
    """Class, status, type, attempts and the text before the fault are those of the table."""
    said = table.committed()
    for result in matrix.of(preset, sdk):
        seen = table.cell(result)
        assert seen == said[table.key(result)], (result.shown, result.exchanges)


@each(SHOWINGS)
def test_the_next_call(preset: str, sdk: str, matrix: Matrix) -> None:
    """On the same client it gets a whole answer; where it offers a tool, a call of that."""
    for result in matrix.of(preset, sdk):
        if result.showing.tools:
            assert result.last["stop"] in ("tool_use", "tool_calls"), result.last
            assert isinstance(json.loads(str(result.last["arguments"])), dict)
            continue
        assert table.ends_well(result.last), result.last
        assert result.last["text"] == TEXT


@each(SHOWINGS)
def test_that_the_fault_happened(preset: str, sdk: str, matrix: Matrix) -> None:
    """What the proxy tells is the preset's rule, for each attempt but those that pass."""
    for result in matrix.of(preset, sdk):
        harmed = [e for e in result.attempts if e["rule"] is not None]
        assert all(e["rule"].startswith(preset) for e in harmed)
        assert harmed or result.showing.by_chance, result.exchanges


@each(showing for showing in SHOWINGS if "raw" in showing.modes and not showing.tools)
def test_text_before(preset: str, sdk: str, matrix: Matrix) -> None:
    """What came of the text before a fault is its begin, and no more is lost or added."""
    for result in matrix.of(preset, sdk):
        assert all(TEXT.startswith(outcome["text"]) for outcome in result.outcomes)


@pytest.mark.parametrize("preset", [each.preset for each in SHOWINGS if each.by_chance])
def test_chance(preset: str, matrix: Matrix) -> None:
    """Some requests are harmed and some are not."""
    results = [r for r in matrix.results.values() if r.showing.preset == preset]
    fired = [e["rule"] is not None for result in results for e in result.attempts]
    assert any(fired)
    assert not all(fired)


@each(showing for showing in SHOWINGS if showing.backs_off)
def test_pauses(preset: str, sdk: str, matrix: Matrix) -> None:
    """They are those of the SDKs' own back-off, or longer on a busy machine."""
    for result in matrix.of(preset, sdk):
        for (least, most), gap in zip(PAUSES_SECONDS, result.gaps_seconds(), strict=False):
            assert least - LATE_SECONDS <= gap <= most + BUSY_SECONDS, result.exchanges


@pytest.mark.parametrize("sdk", SDKS)
def test_shortest_pauses(sdk: str, matrix: Matrix) -> None:
    """The shortest of each SDK's are its back-off; a busy machine only makes them longer."""
    timed = [showing.preset for showing in SHOWINGS if showing.backs_off]
    gaps = [result.gaps_seconds() for preset in timed for result in matrix.of(preset, sdk)]
    retried = [gap for gap in gaps if len(gap) == len(PAUSES_SECONDS)]
    assert len(retried) >= len(timed) - 1
    for (least, most), measured in zip(PAUSES_SECONDS, zip(*retried, strict=True), strict=True):
        assert least <= min(measured) <= most + SLACK_SECONDS, measured


@each(showing for showing in SHOWINGS if showing.preset == "rate-limited")
def test_told_pauses(preset: str, sdk: str, matrix: Matrix) -> None:
    """A wait of 2 seconds that is told is kept."""
    for result in matrix.of(preset, sdk):
        gaps = result.gaps_seconds()
        assert len(gaps) == 2
        assert all(2.0 - LATE_SECONDS <= gap <= 2.0 + BUSY_SECONDS for gap in gaps), gaps


@each(showing for showing in SHOWINGS if showing.preset in ORDERLY)
def test_long_waits(preset: str, sdk: str, matrix: Matrix) -> None:
    """Who obeys makes no attempt within 2 seconds and waits on; others say so at once."""
    for result in matrix.of(preset, sdk):
        does = ORDERLY[preset][sdk]
        assert result.shown["hangs"] is (does == "waits")
        assert len(result.attempts) == (3 if does == "own" else 1)
        assert does != "waits" or result.shown["seconds"] > SILENT_SECONDS


@each(showing for showing in SHOWINGS if showing.preset in WITHOUT_RETRY)
def test_no_retries(preset: str, sdk: str, matrix: Matrix) -> None:
    """What is not worth another attempt gets none."""
    for result in matrix.of(preset, sdk):
        assert len(result.attempts) == 1


@each(showing for showing in SHOWINGS if showing.mid_stream)
def test_no_retries_of_streams(preset: str, sdk: str, matrix: Matrix) -> None:
    """Once a stream has begun, no SDK tries again."""
    for result in matrix.of(preset, sdk):
        assert len(result.attempts) == 1
