"""What the run of all tests stands on."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says what else the machine does: it is no reason to fail.
settings.register_profile(
    "dev", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# The same examples each time, and so half as many of them. Those that nobody has seen yet are tried
# by a plain `pytest`.
settings.register_profile(
    "ci", settings.get_profile("dev"), derandomize=True, database=None, max_examples=50
)
# For the Pythons that follow the first one: what a property says is not theirs to change.
settings.register_profile("few", settings.get_profile("ci"), max_examples=10)
settings.load_profile("dev")


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
