"""A soak: mixed traffic for minutes, and whether memory and open files stay flat.

``python -m tests.bench.soak --help``. The proxy runs as a program of its own, its clients in a few
threads here. Memory and files are read every few seconds, and again after a rest at the end.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import click
import psutil
from attrs import define, field, frozen

from tests.bench.certificates import make_certificates
from tests.bench.client import BODY, Tunnel, WrongAnswerError, post
from tests.bench.contestants import Faultinject, Mode, Site
from tests.bench.machine import allow_many_files, choose_cores
from tests.bench.running import Running, running_origin, running_proxy, wait_for_file

WORKERS = 8
PAUSE_SECONDS = 0.01
SAMPLE_SECONDS = 5.0
REST_SECONDS = 30.0
REST_MIB = 60.0
"""Largest memory at rest after a soak."""
GROWTH_MIB = 8.0
"""Memory is flat if its median in the last third is at most so much above that in the second."""
MORE_FILES = 4
"""At rest so many more files may be open than before."""
LARGE_BYTES = 300_000
BLIND_BYTES = 1_000_000
STATUSES = (200, 429)


class Mixed(Faultinject):
    """The proxy under test; it injects into three requests in ten."""

    def command(self, mode: Mode, site: Site) -> list[str]:
        return [*super().command(mode, site), "--error-probability", "0.3"]


@frozen
class Sample:
    """What the proxy held at a moment."""

    mib: float
    files: int


@define
class Soak:
    """The clients of one soak."""

    proxy: Running
    until: float
    """When they stop, as `time.monotonic` has it."""
    tls: ssl.SSLContext = field(init=False)
    done: Counter[str] = field(factory=Counter)
    """How often each kind of traffic passed."""
    failures: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.tls = self.proxy.tls()

    def work(self, number: int) -> None:
        """Do one thing after another, in an order that the worker's number settles."""
        chance = random.Random(number)
        kinds = (self.once, self.keep_alive, self.large, self.stream, self.leave, self.blind)
        while time.monotonic() < self.until:
            kind = chance.choice(kinds)
            try:
                kind()
                self.done[kind.__name__] += 1
            except (OSError, WrongAnswerError) as error:
                self.failures.append(f"{kind.__name__}: {error!r}")
            time.sleep(PAUSE_SECONDS)

    def once(self) -> None:
        """Send a request on a connection of its own."""
        self._requests(post(self._authority), 1)

    def keep_alive(self) -> None:
        """Send twenty on one connection."""
        self._requests(post(self._authority), 20)

    def large(self) -> None:
        """Send a long body."""
        head = post(self._authority).partition(b"\r\n\r\n")[0]
        length = b"Content-Length: %d"
        head = head.replace(length % len(BODY), length % LARGE_BYTES)
        self._requests(head + b"\r\n\r\n" + bytes(LARGE_BYTES), 2)

    def stream(self) -> None:
        """Read an event stream, or the error in its place, to its end."""
        with self._tunnel() as tunnel:
            tunnel.stream.sendall(self._events)
            received = tunnel.stream.recv(65536)
            while not received.endswith((b"\r\n0\r\n\r\n", b"}")):
                if not (more := tunnel.stream.recv(65536)):
                    raise WrongAnswerError("the answer ended early")
                received = received[-8:] + more

    def leave(self) -> None:
        """Ask for an event stream and leave."""
        with self._tunnel() as tunnel:
            tunnel.stream.sendall(self._events)

    def blind(self) -> None:
        """Read bytes through a tunnel that is not looked into."""
        with Tunnel(self.proxy.source(), None) as tunnel:
            tunnel.stream.sendall(BLIND_BYTES.to_bytes(8, "big"))
            left_bytes = BLIND_BYTES
            while left_bytes:
                if not (received := tunnel.stream.recv(65536)):
                    raise WrongAnswerError("the tunnel ended early")
                left_bytes -= len(received)

    @property
    def _authority(self) -> str:
        return self.proxy.target().authority

    @property
    def _events(self) -> bytes:
        return f"GET /events/20/500 HTTP/1.1\r\nHost: {self._authority}\r\n\r\n".encode()

    def _tunnel(self) -> Tunnel:
        return Tunnel(self.proxy.target(), self.tls)

    def _requests(self, request: bytes, count: int) -> None:
        with self._tunnel() as tunnel:
            for _ in range(count):
                tunnel.ask(request, *STATUSES)


def sample(pid: int) -> Sample:
    """Read what a process holds."""
    process = psutil.Process(pid)
    return Sample(process.memory_info().rss / 2**20, process.num_fds())


def soak(proxy: Running, minutes: float) -> tuple[Soak, list[Sample]]:
    """Have the clients work; return them, and the samples taken meanwhile."""
    clients = Soak(proxy, time.monotonic() + minutes * 60)
    threads = [
        threading.Thread(target=clients.work, args=(number,), daemon=True)
        for number in range(WORKERS)
    ]
    samples = []
    for thread in threads:
        thread.start()
    for number in itertools.count(1):
        time.sleep(SAMPLE_SECONDS)
        samples.append(sample(proxy.pid))
        if number % 12 == 1:
            click.echo(f"  {number * SAMPLE_SECONDS:5.0f} s: {described(samples[-1])}")
        if time.monotonic() > clients.until:
            break
    for thread in threads:
        thread.join()
    return clients, samples


def described(held: Sample) -> str:
    """A sample in words."""
    return f"{held.mib:6.1f} MiB, {held.files:3d} open files"


def faults_of(samples: list[Sample], before: Sample, rest: Sample) -> list[str]:
    """What is not as it should be."""
    third = max(1, len(samples) // 3)
    middle, last = samples[third : 2 * third] or samples, samples[-third:]
    growth = statistics.median(s.mib for s in last) - statistics.median(s.mib for s in middle)
    found = []
    if growth > GROWTH_MIB:
        found.append(f"memory grew by {growth:.1f} MiB from the second third to the last")
    if rest.mib > REST_MIB:
        found.append(f"{rest.mib:.1f} MiB at rest, where {REST_MIB:g} are allowed")
    if rest.files > before.files + MORE_FILES:
        found.append(f"{rest.files - before.files} more open files at rest than before")
    return found


@click.command(help=__doc__)
@click.option("--minutes", default=10.0, type=click.FloatRange(0.1, 120))
def main(minutes: float) -> None:
    """Soak, print what was held, and exit 1 if it was not flat or something failed."""
    allow_many_files()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificates = make_certificates(directory)
        origin = stack.enter_context(running_origin(certificates))
        site = Site(0, origin.https_port, origin.source_port, certificates, directory)
        started = running_proxy(Mixed(), "pass", site, origin, choose_cores())
        proxy = stack.enter_context(started)
        wait_for_file(proxy.ca_file)
        Soak(proxy, 0).once()  # so that the certificate exists and the code is loaded
        before = sample(proxy.pid)
        click.echo(f"before: {described(before)}")
        clients, samples = soak(proxy, minutes)
        time.sleep(REST_SECONDS)
        rest = sample(proxy.pid)
    click.echo(f"at rest: {described(rest)}; most: {max(s.mib for s in samples):.1f} MiB")
    click.echo(f"passed: {dict(clients.done)}; failed: {len(clients.failures)}")
    found = [*faults_of(samples, before, rest), *clients.failures[:5]]
    click.echo("\n".join(found) or "flat")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
