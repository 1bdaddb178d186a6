"""What `faultinject run` finds of real SDKs, and the table of it in docs/findings.md.

With FAULTINJECT_WRITE_TABLE=1 in the environment the run writes the table into its page; without,
it checks that what the page says still holds.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.interop.findings import asking, table
from tests.support import forked
from tests.support.forks import Forks
from tests.support.proxy import clean_environment

pytestmark = pytest.mark.interop

AT_A_TIME = 6
SECONDS = 200.0
NAME = "SDKs"
HOSTS = {
    "anthropic": "api.anthropic.com",
    "openai": "api.openai.com",
    "boto3": "bedrock-runtime.us-east-1.amazonaws.com",
    "google-genai": "generativelanguage.googleapis.com",
    "cohere": "api.cohere.com",
    "groq": "api.groq.com",
}
MODULES = {"google-genai": "google.genai"}
TRUE_OF = {"google-genai": {"retry-after-ignored"}}
"""It does not read ``RetryInfo``, by which Gemini asks for a wait."""
COLUMNS = {
    # What is in the head of the column: the preset, and how the program asks.
    "`overload-storm`": ("overload-storm", "plain"),
    "`overloaded`": ("overloaded", "plain"),
    "`rate-limited`": ("rate-limited", "plain"),
    "`auth-expired`": ("auth-expired", "plain"),
    "`tls-reset`": ("tls-reset", "plain"),
    "`stream-overloaded`": ("stream-overloaded", "stream"),
    "`stream-cut`": ("stream-cut", "stream"),
    "`overloaded`, ten at once": ("overloaded", "together"),
}


def cell(forks: Forks, program: tuple[str, ...], preset: str, folder: Path) -> str:
    """Say what is found of a program, and in how many attempts it asks."""
    *_, sdk, mode = program
    name = f"{sdk}-{preset}-{mode}"
    file = folder / f"{name}.json"
    run = ("run", "--fake-upstream", "--via", "proxy", "--fail-on", "none", "--preset", preset)
    more = ("--target-host", HOSTS[sdk], "--data-dir", str(folder / "data"), "--report", str(file))
    with (folder / f"{name}.stderr").open("wb") as stderr:
        started = forks.start([*run, *more, "--", *program], stderr, clean_environment())
    with started.stdout:
        try:
            assert started.wait(SECONDS) == 0, name
        finally:
            started.kill()
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    words = table.found_words(each["id"] for each in told["findings"])
    if mode == "together":
        return words  # which attempt is of which call is not always known there
    attempts = told["calls"]["attempts"]
    return f"{attempts} attempt{'' if attempts == 1 else 's'}: {words}"


@pytest.fixture(scope="module")
def cells(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> dict[table.Key, str]:
    """What is found of all SDKs that are installed."""
    folder = tmp_path_factory.mktemp("findings")
    modules = {sdk: MODULES.get(sdk, sdk) for sdk in asking.SDKS}
    installed = [sdk for sdk in modules if find_spec(modules[sdk].partition(".")[0]) is not None]
    keys = [(sdk, column) for sdk in installed for column in COLUMNS]
    loaded = Forks(f"{asking.__name__}:main", *(modules[sdk] for sdk in installed))

    def found_of(key: table.Key) -> str:
        preset, mode = COLUMNS[key[1]]
        program = (sys.executable, "-S", forked.__file__, loaded.path, key[0], mode)
        return cell(forks, program, preset, folder)

    with loaded, ThreadPoolExecutor(AT_A_TIME) as pool:
        found = list(pool.map(found_of, keys))
    return dict(zip(keys, found, strict=True))


def test_the_table(cells: dict[table.Key, str]) -> None:
    """It is written, or what it says still holds."""
    if os.environ.get("FAULTINJECT_WRITE_TABLE"):
        table.put(NAME, table.written("SDK", list(COLUMNS), cells))
    said = table.committed(NAME)
    assert cells == {key: said[key] for key in cells}


@pytest.mark.parametrize("sdk", asking.SDKS)
def test_sdks_do_nothing_wrong(cells: dict[table.Key, str], sdk: str) -> None:
    """At their defaults nothing of them is an error, and no preset does nothing to them."""
    errors = {"no-backoff", "retry-storm", "endless-retry", "retry-after-ignored", "nothing-tested"}
    told = " ".join(each for (name, _), each in cells.items() if name == sdk)
    if not told:
        pytest.skip(f"{sdk} is not installed")
    assert [each for each in errors - TRUE_OF.get(sdk, set()) if each in told] == []
