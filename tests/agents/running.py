"""Runs one agent once: an empty environment, a key that is none, and the built-in fake API."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from faultinject.events import CommandEnded
from faultinject.report.judge import Judge
from faultinject.report.log import event_of
from tests.agents.known import Agent, Way
from tests.support.proxy import Happening, ProxyRun

PATIENCE_SECONDS = 150.0
"""How long an agent may take; then it is ended, and was still trying."""
FAKE_WORDS = ("This is the fake API of faultinject", "This answer was made by faultinject")
"""What it says, in Anthropic's and OpenAI's forms and in others."""
_MODEL_CALL = re.compile(
    r".*/(messages|responses|chat/completions)|.*:(streamG|g)enerateContent", re.DOTALL
)
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f]")


@frozen
class Outcome:
    """What an agent did in one run."""

    calls: tuple[Happening, ...]
    """The events of its model calls, in order."""
    others: int
    """How many other requests it made of its API."""
    seconds: float
    exit_code: int | None
    """None if it was ended after `PATIENCE_SECONDS`."""
    output: str
    findings: tuple[str, ...] = ()
    """The ids of what was found, as `faultinject run` would say."""

    @property
    def reached(self) -> bool:
        """Whether a model call came through the proxy."""
        return bool(self.calls)

    @property
    def harmed(self) -> int:
        """In how many model calls a rule fired."""
        return sum(call["rule"] is not None for call in self.calls)

    @property
    def answered(self) -> bool:
        """Whether it printed what the fake API said."""
        output = " ".join(self.output.split())
        return self.exit_code == 0 and any(words in output for words in FAKE_WORDS)

    @property
    def last_words(self) -> str:
        """The last line that it printed."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def run_agent(agent: Agent, way: Way, command: Path, options: Sequence[str]) -> Outcome:
    """Run an agent in front of a proxy of its own with these options."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home, work, folder = (Path(name, part) for part in ("home", "work", "run"))
        for each in (home, work, folder):
            each.mkdir()
        chosen = ("--fake-upstream", "--target-host", agent.target, *options)
        with ProxyRun(folder, *chosen) as proxy:
            words = {"{url}": proxy.url, "{ca}": str(proxy.ca_file)}
            _write_files(home, way, words)
            started = time.monotonic()
            exit_code, output = _run(
                [str(command), *_filled((*agent.arguments, *way.arguments), words)],
                _environment(agent, way, home, words),
                work,
            )
            seconds = time.monotonic() - started
        found = _found(proxy.events, exit_code)
        events = [e for e in proxy.events if e["event"] == "exchange"]
    calls = tuple(e for e in events if e["method"] == "POST" and _MODEL_CALL.fullmatch(e["path"]))
    return Outcome(calls, len(events) - len(calls), seconds, exit_code, output, found)


def _found(happened: Iterable[Happening], exit_code: int | None) -> tuple[str, ...]:
    """Return the ids of what is found of a command that ended so; None for by a signal."""
    judge = Judge()
    for event in filter(None, map(event_of, happened)):
        judge.listen(event)
    signal_number = signal.SIGKILL if exit_code is None else None
    judge.listen(CommandEnded(time=time.time(), code=exit_code, signal=signal_number))
    return tuple(dict.fromkeys(each.id for each in judge.report().findings))


def _write_files(home: Path, way: Way, words: dict[str, str]) -> None:
    for path, text in way.files.items():
        file = home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_filled([text], words)[0])


def _environment(agent: Agent, way: Way, home: Path, words: dict[str, str]) -> dict[str, str]:
    variable, key = agent.key
    own = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb"}
    filled = {name: _filled([value], words)[0] for name, value in way.variables.items()}
    return own | {variable: key} | filled


def _filled(texts: Sequence[str], words: dict[str, str]) -> list[str]:
    filled = []
    for text in texts:
        for word, value in words.items():
            text = text.replace(word, value)
        filled.append(text)
    return filled


def _run(command: list[str], environment: dict[str, str], folder: Path) -> tuple[int | None, str]:
    # In a session of its own, so that what it starts ends with it.
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, _TERMINAL.sub("", output)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, _TERMINAL.sub("", output)
