"""Chromium without a window, asked over a pair of pipes (the DevTools protocol)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TROUBLE = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


@define
class Page:
    """A page that is open, and what happened in it."""

    _asks: int
    _answers: int
    session: str = ""
    events: list[dict[str, Any]] = field(factory=list)
    _numbers: Iterator[int] = field(factory=lambda: count(1))
    _rest: bytes = b""

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have something done, and return what came of it."""
        number = next(self._numbers)
        asked: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self.session:
            asked["sessionId"] = self.session
        os.write(self._asks, json.dumps(asked).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._answers, 1 << 20)
            assert piece, "Chromium has ended"
            self._rest += piece
        first, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(first)
        return told

    def open(self, file: Path, *, width: int, dark: bool) -> None:
        """Show a file at a width, light or dark, and wait until it is there."""
        self.events.clear()
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])
        self.do("Page.navigate", url=file.as_uri())
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._next())

    def ask(self, script: str) -> Any:
        """Return what a line of JavaScript says of the page."""
        told = self.do("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def picture(self) -> bytes:
        """Return the whole page as PNG."""
        told = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        return b64decode(told["data"])

    @property
    def requested(self) -> list[str]:
        """What the page had loaded, itself among it."""
        sent = [each for each in self.events if each["method"] == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in sent]

    @property
    def trouble(self) -> list[dict[str, Any]]:
        """What stands on its console."""
        return [each for each in self.events if each["method"] in _TROUBLE]


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """Have Chromium open a page, and end it. The test is skipped if there is none."""
    command = next(filter(None, map(shutil.which, NAMES)), None)
    if command is None or not hasattr(os, "posix_spawn"):
        pytest.skip("Chromium is not installed, or is on Windows")
    theirs, asks = os.pipe()
    answers, theirs_too = os.pipe()
    arguments = [
        # Below a root user, as in a container, its sandbox does not start.
        command, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--remote-debugging-pipe",
        f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    files = [
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, theirs, 3),  # where Chromium reads
        (os.POSIX_SPAWN_DUP2, theirs_too, 4),  # and where it writes
    ]
    process = os.posix_spawn(command, arguments, os.environ, file_actions=files)
    try:
        os.close(theirs)
        os.close(theirs_too)
        page = Page(asks, answers)
        targets = page.do("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        told = page.do("Target.attachToTarget", targetId=target, flatten=True)
        page.session = told["sessionId"]
        for part in ("Page", "Network", "Log", "Runtime"):
            page.do(f"{part}.enable")
        yield page
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(asks)
        os.close(answers)
