"""Connections that break before a request: what `faultinject run` says of real clients."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support import forked
from tests.support.forks import Forks
from tests.support.proxy import clean_environment

SECONDS = 200.0
HOST = "api.anthropic.com"
BREAKS = {
    "connect": "respond 502 at=connect first=1",
    "handshake": "break reset at=handshake first=1",
}
ASK = '{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}'
_HTTPX = f"""
import httpx
for _ in range(%d):
    try:
        print(httpx.post("https://{HOST}/v1/messages", content='{ASK}').status_code)
        break
    except httpx.HTTPError as error:
        print(repr(error))
"""
_ANTHROPIC = f"""
import json, anthropic
client = anthropic.Anthropic(api_key="k", max_retries=%d)
try:
    print(client.messages.create(**json.loads('{ASK}')).type)
except anthropic.APIConnectionError as error:
    print(repr(error))
"""
_TOGETHER = f"""
import asyncio, json, anthropic
async def main():
    client = anthropic.AsyncAnthropic(api_key="k")
    asks = [client.messages.create(**json.loads('{ASK}')) for _ in range(10)]
    await asyncio.gather(*asks, return_exceptions=True)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def programs() -> Iterator[Forks]:
    """What starts the programs in Python."""
    installed = [name for name in ("anthropic", "httpx") if find_spec(name) is not None]
    with Forks("tests.support.forks:run_program", *installed) as programs:
        yield programs


def python(programs: Forks, program: str, module: str) -> tuple[str, ...]:
    """Return a program in Python as a command; the test is skipped where it cannot run."""
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    return (sys.executable, "-S", forked.__file__, programs.path, program)


def report(forks: Forks, rule: str, command: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Return what is said of a command."""
    file = folder / "report.json"
    run = ("run", "--fake-upstream", "--via", "proxy", "--fail-on", "none", "--rule", rule)
    data = ("--data-dir", str(folder / "data"), "--report", str(file))
    with (folder / "stderr").open("wb") as stderr:
        started = forks.start([*run, *data, "--", *command], stderr, clean_environment())
    with started.stdout:
        started.wait(SECONDS)
    told: dict[str, Any] = json.loads(file.read_text())
    return told


def calls(told: dict[str, Any]) -> list[int]:
    """Return how many calls succeeded and failed, and their attempts."""
    return [told["calls"][name] for name in ("succeeded", "failed", "attempts")]


def found(told: dict[str, Any]) -> list[str]:
    """Return the ids of what was found."""
    return [each["id"] for each in told["findings"]]


@pytest.mark.parametrize(
    ("at", "client", "outcome", "finding"),
    [
        ("handshake", "httpx", [1, 0, 2], []),
        ("connect", "httpx once", [0, 1, 1], ["not-retried"]),
        ("connect", "anthropic", [1, 0, 2], []),
        ("handshake", "anthropic once", [0, 1, 1], ["not-retried"]),
        ("handshake", "anthropic ten times", [10, 0, 11], []),
        ("handshake", "curl", [1, 0, 2], []),
        ("connect", "curl once", [0, 1, 1], ["not-retried"]),
    ],
)
def test_one_that_breaks(
    at: str,
    client: str,
    outcome: list[int],
    finding: list[str],
    forks: Forks,
    programs: Forks,
    tmp_path: Path,
) -> None:
    """Who tries again makes one call of two attempts; who does not gave up."""
    name, _, times = client.partition(" ")
    if name == "curl":
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        again = () if times else ("--retry", "2", "--retry-all-errors")
        command = ("curl", "-s", *again, "-d", ASK, f"https://{HOST}/v1/messages")
    elif name == "httpx":
        command = python(programs, _HTTPX % (1 if times else 3), "httpx")
    elif times == "ten times":
        command = python(programs, _TOGETHER, "anthropic")
    else:
        command = python(programs, _ANTHROPIC % (0 if times else 2), "anthropic")
    told = report(forks, BREAKS[at], command, tmp_path)
    assert (calls(told), found(told)) == (outcome, finding)


@pytest.mark.parametrize(
    ("rule", "program"),
    [
        ("break reset at=handshake", _TOGETHER),
        ("respond 407 at=connect", _ANTHROPIC % 2),
        ("break tls-alert", _ANTHROPIC % 2),
    ],
)
def test_all_break(rule: str, program: str, forks: Forks, programs: Forks, tmp_path: Path) -> None:
    """An SDK that gives up after three attempts does nothing wrong, and neither do ten at once."""
    number = 1 if program != _TOGETHER else 10
    told = report(forks, rule, python(programs, program, "anthropic"), tmp_path)
    assert (calls(told), found(told)) == ([0, number, 3 * number], [])
