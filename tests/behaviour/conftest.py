"""Each way that a client's bytes come to the proxy, for tests of what is the same on all."""

from __future__ import annotations

import pytest
import trio.testing

from tests.support.transports import EXCEPTIONS, OPENERS, Transport

FAILED = pytest.RaisesGroup(AssertionError, flatten_subgroups=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `transport` on each; where it is excepted, it must fail."""
    if "transport" not in metafunc.fixturenames:
        return
    kinds = [
        pytest.param(
            name,
            marks=[pytest.mark.xfail(strict=True, raises=FAILED, reason=reason)]
            if (reason := EXCEPTIONS.get((name, metafunc.function.__name__)))
            else [],
        )
        for name in OPENERS
    ]
    metafunc.parametrize("transport", kinds, indirect=True)


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> Transport:
    """One of the transports."""
    return Transport(request.param)


@pytest.fixture
def clock(transport: Transport) -> trio.testing.MockClock:
    """A clock that jumps once nothing moves."""
    return transport.clock()
