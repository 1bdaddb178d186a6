"""Which process of pytest-xdist runs no test itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from faultinject.pytest_plugin import _only_hands_out


@pytest.mark.parametrize(
    ("chosen", "worker", "hands_out"),
    [({"numprocesses": 2}, None, True), ({"tx": ["popen"]}, None, True), ({}, None, False),
     ({"numprocesses": 2}, "gw0", False)],
)  # fmt: skip
def test_only_the_controller(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], worker: str | None, hands_out: bool
) -> None:
    """A worker has the same options; its environment tells it from the controller."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker is not None:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    config: Any = SimpleNamespace(known_args_namespace=SimpleNamespace(**chosen))
    assert _only_hands_out(config) is hands_out
