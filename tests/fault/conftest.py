"""What the tests with the real Fault share, and a rule of when they are collected.

They need the command `fault` 0.x and the packages of the `interop` dependency group, so a run of
the whole suite leaves them out: they are collected only if this folder (or something in it) is
named on the command line, as `nox -s fault` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.setting import Origins, Setting, opened_origins, opened_setting
from tests.support.fault import find_fault, version_of
from tests.support.forks import Forks
from tests.support.proxy import started_by_forks

HERE = Path(__file__).parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Ignore what is in this folder unless it was named."""
    named = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(HERE) for path in named) else True


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[Forks]:
    """What starts each proxy and plugin."""
    with started_by_forks() as forks:
        yield forks


@pytest.fixture(scope="session")
def fault() -> Path:
    """The command."""
    command = find_fault()
    if command is None:
        pytest.exit("there is no `fault` 0.x: `nox -s fault -- --install` gets it", 4)
    return command


def pytest_report_header() -> str:
    """Say which version is used."""
    command = find_fault()
    return "fault: none" if command is None else f"fault: {version_of(command)} ({command})"


@pytest.fixture(scope="session")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origins]:
    """The upstreams."""
    with opened_origins(tmp_path_factory.mktemp("origins")) as opened:
        yield opened


def _setting(probability: float) -> object:
    @pytest.fixture(scope="session")
    def setting(
        fault: Path, origins: Origins, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Setting]:
        folder = tmp_path_factory.mktemp("fault")
        with opened_setting(fault, folder, origins, probability) as opened:
            yield opened

    return setting


always = _setting(1.0)
"""The plugin answers every request."""
never = _setting(0.0)
"""The plugin answers none."""
sometimes = _setting(0.5)
"""The plugin answers half of them."""


@pytest.fixture(autouse=True)
def forget(origins: Origins) -> None:
    """Let each test see its own requests only."""
    origins.clear()
