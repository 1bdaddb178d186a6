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
from tests.support.proxy import Happening, ProxyRun

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

    def of(self, showing: Showing) -> list[Result]:
        """Return the results of a preset with each SDK that was tried."""
        found = [result for result in self.results.values() if result.showing is showing]
        assert {result.sdk for result in found} == set(showing.sdks) - self.reasons.keys()
        if not found:
            pytest.skip("none of its SDKs was tried")
        return found


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
    """Parametrize by preset; a test lists all SDKs for which something is wrong."""
    return pytest.mark.parametrize("showing", list(showings), ids=lambda showing: showing.preset)


def test_all_are_shown() -> None:
    """No preset is left out but those for MCP servers, which have SDKs of their own."""
    names = {name for name in NAMES if not name.startswith("mcp-")}
    assert {showing.preset for showing in SHOWINGS} == names


@pytest.mark.parametrize("sdk", SDKS)
def test_each_is_tried(sdk: str, matrix: Matrix) -> None:
    """Each SDK is asked by, or it is said why not."""
    if sdk in matrix.reasons:
        pytest.skip(matrix.reasons[sdk])
    assert any(result.sdk == sdk for result in matrix.results.values())


@each(SHOWINGS)
def test_what_is_seen(showing: Showing, matrix: Matrix) -> None:
    """Class, status, type, attempts and the text before the fault are those of the table."""
    said = table.committed()
    assert not [
        (table.key(result), table.cell(result), said[table.key(result)], result.exchanges)
        for result in matrix.of(showing)
        if table.cell(result) != said[table.key(result)]
    ]


@each(SHOWINGS)
def test_the_next_call(showing: Showing, matrix: Matrix) -> None:
    """On the same client it gets a whole answer; where it offers a tool, a call of that."""
    assert not [
        (result.sdk, result.mode, result.last)
        for result in matrix.of(showing)
        if not (called(result.last) if showing.tools else answered(result.last))
    ]


def called(outcome: Happening) -> bool:
    """Return whether a call of a tool came, with its arguments."""
    if outcome["stop"] not in ("tool_use", "tool_calls"):
        return False
    return isinstance(json.loads(str(outcome["arguments"])), dict)


def answered(outcome: Happening) -> bool:
    """Return whether the whole answer came."""
    return table.ends_well(outcome) and outcome["text"] == TEXT


@each(SHOWINGS)
def test_that_the_fault_happened(showing: Showing, matrix: Matrix) -> None:
    """What the proxy tells is the preset's rule, for each attempt but those that pass."""
    wrong = []
    for result in matrix.of(showing):
        rules = [e["rule"] for e in result.attempts if e["rule"] is not None]
        own = all(rule.startswith(showing.preset) for rule in rules)
        if not (own and (rules or showing.by_chance)):
            wrong.append((result.sdk, result.mode, result.exchanges))
    assert not wrong


@each(showing for showing in SHOWINGS if "raw" in showing.modes and not showing.tools)
def test_text_before(showing: Showing, matrix: Matrix) -> None:
    """What came of the text before a fault is its begin, and no more is lost or added."""
    assert not [
        (result.sdk, result.mode, each["text"])
        for result in matrix.of(showing)
        for each in result.outcomes
        if not TEXT.startswith(each["text"])
    ]


@each(showing for showing in SHOWINGS if showing.by_chance)
def test_chance(showing: Showing, matrix: Matrix) -> None:
    """Some requests are harmed and some are not."""
    fired = [e["rule"] is not None for result in matrix.of(showing) for e in result.attempts]
    assert any(fired)
    assert not all(fired)


@each(showing for showing in SHOWINGS if showing.backs_off)
def test_pauses(showing: Showing, matrix: Matrix) -> None:
    """They are those of the SDKs' own back-off, or longer on a busy machine."""
    assert not [
        (result.sdk, result.mode, gap, result.exchanges)
        for result in matrix.of(showing)
        for (least, most), gap in zip(PAUSES_SECONDS, result.gaps_seconds(), strict=False)
        if not least - LATE_SECONDS <= gap <= most + BUSY_SECONDS
    ]


@pytest.mark.parametrize("sdk", SDKS)
def test_shortest_pauses(sdk: str, matrix: Matrix) -> None:
    """The shortest of each SDK's are its back-off; a busy machine only makes them longer."""
    if sdk in matrix.reasons:
        pytest.skip(matrix.reasons[sdk])
    timed = [showing for showing in SHOWINGS if showing.backs_off]
    gaps = [
        each.gaps_seconds() for showing in timed for each in matrix.of(showing) if each.sdk == sdk
    ]
    retried = [gap for gap in gaps if len(gap) == len(PAUSES_SECONDS)]
    assert len(retried) >= len(timed) - 1
    for (least, most), measured in zip(PAUSES_SECONDS, zip(*retried, strict=True), strict=True):
        assert least <= min(measured) <= most + SLACK_SECONDS, measured


def test_told_pauses(matrix: Matrix) -> None:
    """A wait of 2 seconds that is told is kept."""
    [told] = (showing for showing in SHOWINGS if showing.preset == "rate-limited")
    wrong = []
    for result in matrix.of(told):
        gaps = result.gaps_seconds()
        kept = [gap for gap in gaps if 2.0 - LATE_SECONDS <= gap <= 2.0 + BUSY_SECONDS]
        if not len(kept) == len(gaps) == 2:
            wrong.append((result.sdk, result.mode, gaps))
    assert not wrong


@each(showing for showing in SHOWINGS if showing.preset in ORDERLY)
def test_long_waits(showing: Showing, matrix: Matrix) -> None:
    """Who obeys makes no attempt within 2 seconds and waits on; others say so at once."""
    wrong = []
    for result in matrix.of(showing):
        does = ORDERLY[showing.preset][result.sdk]
        attempts = 3 if does == "own" else 1
        as_said = (result.shown["hangs"], len(result.attempts)) == (does == "waits", attempts)
        if not as_said or (does == "waits" and result.shown["seconds"] <= SILENT_SECONDS):
            wrong.append((result.sdk, does, result.shown, result.attempts))
    assert not wrong


@each(showing for showing in SHOWINGS if showing.preset in WITHOUT_RETRY or showing.mid_stream)
def test_no_retries(showing: Showing, matrix: Matrix) -> None:
    """What is not worth another attempt gets none; nor does a stream that has begun."""
    assert not [
        (result.sdk, result.mode, result.attempts)
        for result in matrix.of(showing)
        if len(result.attempts) != 1
    ]
