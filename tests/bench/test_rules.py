"""The rules whose cost is measured, and the reckoning of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psutil", reason="the benchmark's own libraries are installed by nox -s bench")
pytest.importorskip(
    "requests", reason="the benchmark's own libraries are installed by nox -s bench"
)

from rich.console import Console

from faultinject.cli.rules import checked
from tests.bench.certificates import Certificates, Pair
from tests.bench.contestants import Faultinject, Mode, Site
from tests.bench.results import Outcome
from tests.bench.rule_files import fault_that_waits, rules_that_miss, write
from tests.bench.rules import SLICES, added
from tests.bench.table import show

BODY_KINDS = {"model", "json", "attempt"}


@pytest.mark.parametrize(
    ("configuration", "count"),
    [
        (rules_that_miss(head_only=True), 200),
        (rules_that_miss(head_only=False), 200),
        (fault_that_waits(), 1),
    ],
)
def test_each_rule_can_be_used(configuration: dict[str, Any], count: int, tmp_path: Path) -> None:
    """Else the proxy would not start, or rules would be missing."""
    found = checked(write(tmp_path, "rules.json", configuration))
    assert (found.problems, found.count) == ((), count)


def test_only_one_of_the_files_asks_for_bodies() -> None:
    """The other shows what rules cost that need no body."""
    kinds = [
        {key for rule in rules_that_miss(head_only=head_only)["rules"] for key in rule["match"]}
        for head_only in (True, False)
    ]
    assert not kinds[0] & BODY_KINDS
    assert kinds[1] == kinds[0] | BODY_KINDS


@pytest.mark.parametrize(
    ("mode", "count"),
    [("pass", None), ("inject", None), ("inject-head-rules", 200), ("harm", 1)],
)
def test_a_mode_with_rules_names_their_file(mode: Mode, count: int | None, tmp_path: Path) -> None:
    """And a mode without has none."""
    pair = Pair(tmp_path / "a", tmp_path / "b")
    certificates = Certificates(pair, tmp_path / "c", pair, tmp_path / "d")
    command = Faultinject().command(mode, Site(1, 2, 3, certificates, tmp_path))
    assert command[command.index("--error-probability") + 1] == ("1" if "inject" in mode else "0")
    if count is None:
        assert "--config" not in command
    else:
        assert checked(Path(command[command.index("--config") + 1])).count == count


def test_what_rules_add_is_a_share_of_the_cost_without_them() -> None:
    """A quarter more is 25 %."""
    measures = added("passed", [200.0, 210.0, 250.0])
    assert measures["passed_us"] == 200
    assert measures["passed_head_percent"] == pytest.approx(5)
    assert measures["passed_all_percent"] == pytest.approx(25)


def test_each_proxy_has_as_many_turns_and_the_same_mean_time() -> None:
    """A machine that gets steadily slower does not make rules look dear."""
    turns = [[place for place, which in enumerate(SLICES) if which == one] for one in range(3)]
    count = len(SLICES) // 3
    assert {(len(places), sum(places)) for places in turns} == {
        (count, count * (len(SLICES) - 1) / 2)
    }


def test_the_table_shows_a_workload_that_peers_have_no_part_in() -> None:
    """Their columns are empty, and nothing is called a failure."""
    console = Console(width=160, record=True)
    results = {"harm": {"faultinject": Outcome([{"added_us": 212.0, "fault_us": 36.0}])}}
    show(console, results, ["faultinject", "mitmproxy"])
    text = console.export_text()
    assert "212" in text
    assert "failed" not in text
