"""What the tests of the pytest plugin run in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points

import pytest
import trustme

# Loaded here: an inner run forgets the modules that it loads, and not all can be loaded again.
import faultinject.proxy.acceptor
import faultinject.testing.pytest_session
import faultinject.tls.certificates  # noqa: F401

PROGRAM = """
import json, os, urllib.error, urllib.request

def ask(host="api.anthropic.com"):
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"content-type": "application/json", "x-api-key": "k"}
    request = urllib.request.Request(
        f"https://{host}/v1/messages", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.build_opener().open(request, timeout=60) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            error.read()
        return error.code
"""
"""A program under test: it finds the proxy by its environment."""


@pytest.fixture(scope="session")
def few_roots(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with one root in it, in place of the system's hundreds, which take long to load."""
    file = tmp_path_factory.mktemp("roots") / "root.pem"
    trustme.CA().cert_pem.write_to_path(file)
    return str(file)


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch, few_roots: str) -> None:
    """Let clients trust little but the proxy: what it adds to is what they trusted before."""
    monkeypatch.setenv("SSL_CERT_FILE", few_roots)


_BARE = (
    *("-p", "no:cacheprovider", "-W", "error"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of what is loaded above
)
_INSTALLED = any(each.name == "faultinject" for each in entry_points(group="pytest11"))
_ALL = (*("-p", "no:asyncio"), *(() if _INSTALLED else ("-p", "faultinject.pytest_plugin")))


@pytest.fixture
def run_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pytest.RunResult]:
    """Return a function that runs tests, given as source, with the plugin.

    Other plugins it loads by their names; without a list of them all that are installed, as a
    user's pytest does.
    """
    pytester.makepyfile(program=PROGRAM)

    def run(
        source: str, *arguments: str, ini: str = "", plugins: tuple[str, ...] | None = ()
    ) -> pytest.RunResult:
        pytester.makeini(f"[pytest]\n{ini}\n")
        pytester.makepyfile(test_it=f"import os, pytest\nfrom program import ask\n{source}")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(pytester.path), *sys.path]))
        alone = ("--disable-plugin-autoload", "-p", "faultinject.pytest_plugin")
        named = [word for plugin in plugins or () for word in ("-p", plugin)]
        return pytester.runpytest_inprocess(
            *(_ALL if plugins is None else alone), *named, *_BARE, *arguments
        )

    return run
