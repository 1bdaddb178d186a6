"""Cores, CPU time and memory of processes: what the benchmark asks the system."""

from __future__ import annotations

import os
import resource
import sys
import time

import psutil
from attrs import frozen


@frozen
class Cores:
    """Which core does what; both None where the system cannot bind a process to a core."""

    proxy: int | None
    load: int | None

    def describe(self) -> str:
        """What to tell the reader of the figures."""
        if self.proxy is None:
            return "nothing is pinned to a core here: expect more noise"
        return f"proxy on core {self.proxy}, load generator and origin on core {self.load}"


def choose_cores() -> Cores:
    """The last core for the proxy, the first for the load; none of it with a single core."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[-1], usable[0]) if len(usable) > 1 else Cores(None, None)


def pin(pid: int, core: int | None) -> None:
    """Bind a process to a core; processes that it starts later inherit this. pid 0 is our own."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, {core})


def allow_many_files() -> None:
    """Raise the limit of open files as far as it goes without privileges; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 16384) if hard != resource.RLIM_INFINITY else 16384
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its living descendants have used so far."""
    return sum(_own_cpu_seconds(member) for member in _family(pid))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants."""
    return sum(member.memory_info().rss for member in _family(pid))


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _own_cpu_seconds(member: psutil.Process) -> float:
    if sys.platform == "linux":
        # clock_getcpuclockid(3): a process's CPU clock in nanoseconds. /proc and psutil count
        # in ticks of 10 ms, which is too coarse for a sample of a second.
        return time.clock_gettime((~member.pid << 3) | 2)
    times = member.cpu_times()
    return float(times.user + times.system)
