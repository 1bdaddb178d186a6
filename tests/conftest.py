"""What the run of all tests stands on. Knows nothing of what they test."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Take what collecting makes out of the garbage collector's rounds: it stays to the end.

    To walk it at each of them took a tenth of the whole run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Have no garbage collected: with hundreds of sessions open, each search walks all of them."""
    gc.disable()
    yield
    gc.enable()
