"""The order in which the benchmark lets the proxies take turns."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("psutil", reason="the benchmark's own libraries are installed by nox -s bench")
pytest.importorskip(
    "requests", reason="the benchmark's own libraries are installed by nox -s bench"
)

from tests.bench.contestants import Contestant, Faultinject, Mitmproxy, ProxyPy
from tests.bench.rounds import MOST_ROUNDS, able, stand_kind, turns
from tests.bench.workloads import WORKLOADS

ALL: list[Contestant] = [Faultinject(), Mitmproxy(), ProxyPy()]


def test_every_round_begins_with_another_proxy() -> None:
    """What disturbs the first of a round does not always disturb the same one."""
    names = [turn.name for turn in turns(3, "W1", ALL)]
    assert names[::3] == ["faultinject", "mitmproxy", "proxy.py"]
    assert all(set(names[first : first + 3]) == set(names) for first in (0, 3, 6))


@pytest.mark.parametrize("key", MOST_ROUNDS)
def test_some_are_sampled_less_often(key: str) -> None:
    """What takes long, and repeats closely."""
    assert len(turns(9, key, ALL)) == MOST_ROUNDS[key] * len(ALL)
    assert len(turns(1, key, ALL)) == len(ALL)


def test_workloads_that_can_share_running_proxies_stand_together() -> None:
    """Else proxies would be started more often than need be."""
    kinds = [kind for kind, _ in itertools.groupby(map(stand_kind, WORKLOADS.values()))]
    assert len(kinds) == len(set(kinds))


def test_peers_have_no_part_where_rules_are_measured() -> None:
    """They have none."""
    assert able(WORKLOADS["W4"], ALL) == ALL
    assert able(WORKLOADS["rules"], ALL) == ALL[:1]
    assert able(WORKLOADS["harm"], ALL[1:]) == []
