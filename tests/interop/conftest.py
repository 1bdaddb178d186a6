"""What the interop tests share: one origin for all, and a rule of when they are collected.

They need the packages of the `interop` dependency group, so a run of the whole suite leaves them
out: they are collected only if this folder (or something in it) is named on the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.ways import Way, Ways, opened_ways
from tests.support.certificates import Certificates
from tests.support.forks import Forks
from tests.support.llm_api import llm_pages
from tests.support.origin import Origin
from tests.support.pages import PAGES
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
def certificates() -> Certificates:
    """The certificates of the origin."""
    return Certificates()


@pytest.fixture(scope="session")
def origin_ca(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the authority that the origin is verified by."""
    return certificates.write_authority(tmp_path_factory.mktemp("origin") / "ca.pem")


@pytest.fixture(scope="session")
def shared_origin(certificates: Certificates) -> Iterator[Origin]:
    """The TLS origin, for the whole run."""
    with Origin(PAGES | llm_pages(), certificates.origin_context()) as origin:
        yield origin


@pytest.fixture
def origin(shared_origin: Origin) -> Origin:
    """The TLS origin, with no requests received yet."""
    shared_origin.clear()
    return shared_origin


# The tests are tried on the direct way too: what fails there is no defect of the proxy.
WAYS = ("direct", "intercepted", "relayed", "base-url", "plain")


@pytest.fixture(scope="session")
def plain_origin() -> Iterator[Origin]:
    """The origin without TLS."""
    with Origin(PAGES) as origin:
        yield origin


@pytest.fixture(scope="session")
def ways(
    tmp_path_factory: pytest.TempPathFactory,
    shared_origin: Origin,
    plain_origin: Origin,
    origin_ca: Path,
) -> Iterator[Ways]:
    """A proxy at probability 0 and the ways through it."""
    folder = tmp_path_factory.mktemp("invisible")
    with opened_ways(folder, shared_origin, plain_origin, origin_ca) as opened:
        yield opened


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, ways: Ways) -> Way:
    """Each way to the origin."""
    chosen = ways.by_name[request.param]
    chosen.origin.clear()
    return chosen


@pytest.fixture
def intercepted(ways: Ways) -> Way:
    """The way through a tunnel that the proxy looks into."""
    chosen = ways.by_name["intercepted"]
    chosen.origin.clear()
    return chosen
