"""What Fault itself is told: both registrations, one alone, and requests outside of tunnels."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from tests.fault.setting import HOST, STATUS, Origins, opened_setting
from tests.support.fault import FaultRun
from tests.support.proxy import PluginRun
from tests.support.raw_client import Connected

PATHS = ("/count?a=b%20c", "/chunked", "/gzip", "/no-content")
NOTICED_SECONDS = 60.0
"""Fault asks every 10 s, and the plugin is patient for 15 s."""


def test_one_registration_alone_is_switched_off(
    fault: Path, origins: Origins, tmp_path: Path
) -> None:
    """Fault then leaves the traffic alone, and the client sees the origin itself."""
    port = origins.by_name["1.3"].port
    options = ["--target-host", f"{HOST}:{port}", "--error-probability", "1"]
    with ExitStack() as stack:
        runs, plugins = [], []
        for kept in (0, 1):
            folder = tmp_path / str(kept)
            folder.mkdir()
            plugin = stack.enter_context(PluginRun(folder, *options))
            plugins.append(plugin)
            flags = f"--grpc-plugin {plugin.urls[kept]} --upstream https://{HOST}:{port}"
            run = FaultRun(fault, folder, f"fault run {flags}")
            runs.append(stack.enter_context(run))
        limit = time.monotonic() + NOTICED_SECONDS
        for run in runs:
            direct = Connected(run.port, origins.ca_file, f"{HOST}:{port}", connect=True)
            while not _is_left_alone(direct):
                assert time.monotonic() < limit, run.said()
                time.sleep(0.5)
        for plugin in plugins:
            warned = plugin.wait_for(lambda event: event["event"] == "warning")
            assert " is missing. Start it with both: fault run " in warned["message"]


def _is_left_alone(direct: Connected) -> bool:
    try:
        with direct.open() as client:
            client.sock.settimeout(2)
            answer = client.ask(b"GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n")
    except OSError:
        return False
    return answer.head.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_plain_http(fault: Path, origins: Origins, probability: float, tmp_path: Path) -> None:
    """With --http-forward it is harmed too, and Fault survives every answer."""
    port = origins.by_name["plain"].port
    options = ["--http-forward", "--target-host", f"{HOST}:{port}"]
    with opened_setting(fault, tmp_path, origins, probability, *options) as setting:
        forward = Connected(setting.fault.port, None, f"{HOST}:{port}")
        for path, method in product(PATHS, (b"GET", b"POST", b"HEAD")):
            url = f"http://{HOST}:{port}{path}".encode()
            with forward.open() as client:
                body = b"" if method != b"POST" else b"Content-Length: 5\r\n"
                head = b"%b %b HTTP/1.1\r\nHost: localhost:%d\r\n%b\r\n" % (method, url, port, body)
                answer = client.ask(head + (b"hello" if body else b""))
            status = int(answer.head.split(b" ")[1])
            if probability:
                assert status == STATUS, (path, method, answer.head)
            else:
                assert status in (200, 204), (path, method, answer.head)
                assert origins.by_name["plain"].received[-1].target == path
