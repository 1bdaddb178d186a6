"""The pytest plugin: the fixture and the marker ``faultinject`` (docs/pytest.md).

To import it loads nothing but pytest. What serves is loaded when the first test asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from faultinject.testing.embedded import Proxy
    from faultinject.testing.pytest_session import PytestSession

_NAME = "faultinject"
_MARKER = (
    f"{_NAME}(*rules, preset=(), upstream='fake', optional=False, ...): make the API fail by these"
    " rules while the test runs; the arguments are those of faultinject.Proxy"
)
_SEED = "faultinject_seed"
_SESSION: pytest.StashKey[PytestSession] = pytest.StashKey()
_PROXY: pytest.StashKey[Proxy] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the ini value."""
    group = parser.getgroup(_NAME, "faultinject: how a program takes an API's failures")
    group.addoption(
        "--faultinject-seed",
        metavar="N",
        default="0",
        help="other draws for all tests: a whole number, or 'random'; with the same number each"
        " test has the same draws again (default: 0)",
    )
    group.addoption(
        "--faultinject-strict",
        action="store_true",
        help="fail a test for each finding of severity error, as faultinject.check() does",
    )
    parser.addini(
        "faultinject_env",
        "when the environment leads to the proxy: 'test' (while a test uses the fixture), or"
        " 'session' (from the start, for clients that are made at import)",
        default="test",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Set the environment for the session, if that is asked for, before user code is imported."""
    when = early_config.getini("faultinject_env")
    if when not in ("test", "session"):
        raise pytest.UsageError(f"faultinject_env: {when!r} is neither 'test' nor 'session'")
    if when == "session" and not _only_hands_out(early_config):
        _session_of(early_config).set_environment()


def _only_hands_out(config: pytest.Config) -> bool:
    """Return True in the process of pytest-xdist that runs no test itself.

    A worker gets the same options, and is told that it is one by its environment alone.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return False
    chosen = config.known_args_namespace
    return bool(getattr(chosen, "numprocesses", None) or getattr(chosen, "tx", None))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and check the options."""
    config.addinivalue_line("markers", _MARKER)
    given = config.option.faultinject_seed
    config.option.faultinject_seed = seed = getattr(config, "workerinput", {}).get(_SEED, given)
    if seed == "random":
        config.option.faultinject_seed = str(int.from_bytes(os.urandom(4)))
    elif not seed.isdecimal():
        raise pytest.UsageError(f"--faultinject-seed: {seed!r} is no whole number, nor 'random'")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the seed that was drawn."""
    node.workerinput[_SEED] = node.config.option.faultinject_seed


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say with what seed the draws can be repeated, if it is not the usual one."""
    seed = config.option.faultinject_seed
    return [] if seed == "0" else [f"faultinject: --faultinject-seed {seed}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the marker bring the fixture with it."""
    for item in items:
        if not isinstance(item, pytest.Function) or item.get_closest_marker(_NAME) is None:
            continue
        if _NAME not in item.fixturenames:
            item.fixturenames.insert(0, _NAME)


@pytest.fixture(name=_NAME)
def fixture(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """Return a proxy that makes the API fail for this test (`faultinject.Proxy`)."""
    item = request.node
    with _session_of(request.config).proxy_for(item) as proxy:
        item.stash[_PROXY] = proxy
        yield proxy
        del item.stash[_PROXY]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that passed though nothing came of a rule, or, if strict, for a finding."""
    yield
    proxy = item.stash.get(_PROXY, None)
    if proxy is None:
        return
    problems = proxy.problems if item.config.option.faultinject_strict else proxy.unfired
    if problems:
        pytest.fail("\n".join(f"faultinject: {each}" for each in problems), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what happened when a test has failed, unless it had no rules to test with."""
    report = yield
    proxy = item.stash.get(_PROXY, None)
    if proxy is not None and call.when == "call" and report.failed and not _is_misspelt(call):
        report.sections.append((_NAME, proxy.timeline))
    return report


def _is_misspelt(call: pytest.CallInfo[None]) -> bool:
    """Return True if what a test asks of us cannot be: a rule, a preset, a setting."""
    from faultinject.errors import SettingsError

    return call.excinfo is not None and isinstance(call.excinfo.value, SettingsError)


def _session_of(config: pytest.Config) -> PytestSession:
    if _SESSION not in config.stash:
        from faultinject.testing.pytest_session import PytestSession

        config.stash[_SESSION] = session = PytestSession(config)
        config.add_cleanup(session.stop)
    return config.stash[_SESSION]
