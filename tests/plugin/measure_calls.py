"""How many calls a second the bridge takes: ``python -m tests.plugin.measure_calls``.

`ProcessTunnelData` with a full chunk that is echoed, called by grpcio in a process of its own, one
after another and many at once, with and without other calls held meanwhile. The CPU time is that
of our process alone; the machine's load does not change it much.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import trio

from faultinject.plugin.interface import Direction, Replace, Reply, Side
from faultinject.plugin.serving import open_registrations
from faultinject.settings import PluginSettings
from tests.plugin.support import host, make_services

CALLS = 3000
CHUNK_BYTES = 8192
LOADS = [(at_once, held) for held in (0, 400) for at_once in (1, 8, 32)]


class Echo:
    """Tunnels that return the chunk, but for empty ones, which they hold."""

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Answer."""
        if not chunk:
            await trio.sleep_forever()
        return Replace(chunk)


def call(port: int, at_once: int, held: int) -> None:
    """Make the calls; print their number a second and the median of their times."""
    with host(port) as calling:
        kept = [calling.start("ProcessTunnelData", id=str(number)) for number in range(held)]
        request = calling.request("ProcessTunnelData", id="a" * 36, chunk=b"x" * CHUNK_BYTES)

        def one(_number: int) -> float:
            started = time.perf_counter()
            calling.stub.ProcessTunnelData(request)
            return time.perf_counter() - started

        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(one, range(100)))
            print("ready", flush=True)
            sys.stdin.readline()
            started = time.perf_counter()
            times = list(threads.map(one, range(CALLS)))
            rate = CALLS / (time.perf_counter() - started)
        print(json.dumps([rate, statistics.median(times)]), flush=True)
        assert not any(each.done() for each in kept)


async def line(stream: trio.abc.ReceiveStream) -> bytes:
    """Read a line, which nothing follows yet."""
    read = b""
    while not read.endswith(b"\n"):
        more = await stream.receive_some()
        assert more, "the client failed"
        read += more
    return read


async def measure() -> None:
    """Serve, and print a line for each load."""
    settings = PluginSettings(port=0, upstream_port=0)
    async with open_registrations(settings, make_services([]), Echo()) as registrations:
        port = registrations.urls[Side.CLIENT].rpartition(":")[2]
        for at_once, held in LOADS:
            command = [sys.executable, "-m", "tests.plugin.measure_calls"]
            arguments = [port, str(at_once), str(held)]
            start = partial(
                trio.lowlevel.open_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            client = await start([*command, *arguments])
            assert client.stdin is not None
            assert client.stdout is not None
            async with client.stdin, client.stdout:
                await line(client.stdout)
                cpu = time.process_time()
                await client.stdin.send_all(b"\n")
                rate, seconds = json.loads(await line(client.stdout))
                cpu = (time.process_time() - cpu) / CALLS
                await client.wait()
            print(
                f"{at_once:>2} at once, {held:>3} held: {rate:>5.0f} calls/s,"
                f" median {seconds * 1e6:>6.0f} µs, {cpu * 1e6:>4.0f} µs CPU a call"
            )


if __name__ == "__main__":
    if sys.argv[1:]:
        call(*map(int, sys.argv[1:]))
    else:
        trio.run(measure)
