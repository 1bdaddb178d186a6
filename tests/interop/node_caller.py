"""The Anthropic SDK for Node, as a caller: a Node process that is asked by lines of JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.interop.caller import Caller, Outcome, Route
from tests.support.proxy import clean_environment

FOLDER = Path(__file__).parent / "node"
OLDEST_NODE = 20
ANSWER_SECONDS = 60.0


def require_node() -> None:
    """Skip the test without a usable Node; install the script's packages if they are not there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the Node SDK is not tried")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {said.strip()} is older than {OLDEST_NODE}: the Node SDK is not tried")
    wanted = json.loads((FOLDER / "package.json").read_text("utf-8"))["dependencies"]
    if not all((FOLDER / "node_modules" / package).exists() for package in wanted):
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(command, cwd=FOLDER, check=True)


class NodeCaller(Caller):
    name = "node-anthropic"
    sdk = True
    errors: ClassVar = {429: "RateLimitError", 529: "OverloadedError"}

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        require_node()

    def _open(self) -> None:
        self.process = subprocess.Popen(
            ["node", "client.mjs"], cwd=FOLDER, env=self._environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.stack.callback(self._stop)
        self._read()

    def _environment(self) -> dict[str, str]:
        route = self.route
        variables = {
            "CLIENT_BASE_URL": route.base_url,
            "CLIENT_PROXY_URL": route.proxy_url,
            "CLIENT_MAX_RETRIES": None if route.max_retries is None else str(route.max_retries),
            "NODE_EXTRA_CA_CERTS": str(route.ca_file) if route.ca_file else None,
        }
        return clean_environment(**{name: value for name, value in variables.items() if value})

    def _stop(self) -> None:
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()
            if self.process.wait(ANSWER_SECONDS) != 0:
                raise RuntimeError(f"node ended with {self.process.returncode}")

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"stream": stream, "prompt": prompt}) + "\n")
        self.process.stdin.flush()
        answer = self._read()
        keys = ("text", "error", "status", "marker", "body")
        return Outcome(**{key: answer.get(key) for key in keys})

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        watchdog = threading.Timer(ANSWER_SECONDS, self.process.kill)
        watchdog.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise RuntimeError("node did not answer")
        answer: dict[str, Any] = json.loads(line)
        return answer
