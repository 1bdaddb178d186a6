"""What the tests of the plugin's gRPC side share: fakes of what is called, and of who calls.

The client is grpcio, another implementation than ours, with classes that protoc made of
`plugin.proto` for the run.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.resources import files
from types import ModuleType
from typing import Any, cast

import grpc
import trio
from attrs import define, field
from grpc_tools import protoc

from faultinject.authority import TargetPattern
from faultinject.events import Event
from faultinject.faults.respond import Respond
from faultinject.plugin.interface import Direction, Replace, Reply, Side
from faultinject.proxy.runtime import Runtime
from faultinject.rules import Counters, Match, Rule, RuleSet, When
from faultinject.settings import Limits
from tests.plugin.generate_proto import ROOT

GIVEN_UP_SECONDS = 60
"""How long a test waits for what must happen."""


# What is called


@define(eq=False)
class HeldCall:
    """A call that is held until it is released or cancelled, and counts."""

    arrived: int = 0
    cancelled: int = 0
    _released: trio.Event = field(factory=trio.Event)
    _changed: trio.Event = field(factory=trio.Event)

    async def __call__(self, request: Any) -> Any:
        """Hold; answer by the request's chunk."""
        self._count(arrived=1)
        try:
            await self._released.wait()
        except trio.Cancelled:
            self._count(cancelled=1)
            raise
        return request

    def release(self) -> None:
        """Let all go."""
        self._released.set()

    def _count(self, arrived: int = 0, cancelled: int = 0) -> None:
        self.arrived += arrived
        self.cancelled += cancelled
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, condition: Callable[[HeldCall], bool]) -> None:
        """Wait until the counts are as told."""
        with trio.fail_after(GIVEN_UP_SECONDS):
            while not condition(self):
                await self._changed.wait()


@define(eq=False)
class FakeTunnels:
    """Tunnels that answer as told, and remember what they were asked."""

    answer: Callable[[bytes], Awaitable[Reply]] | None = None
    """By default the chunk is returned."""
    asked: list[tuple[Side, Direction, str, bytes]] = field(factory=list)

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Answer."""
        self.asked.append((side, direction, tunnel_id, chunk))
        return Replace(chunk) if self.answer is None else await self.answer(chunk)


def make_services(
    events: list[Event], *, probability: float = 1.0, target: str = "api.example.com", **fault: Any
) -> Runtime:
    """Return what calls use of a run's services: rules, targets, and who is told."""
    targets = (TargetPattern.parse(target),)
    respond = Respond(**{"status": 429, **fault})
    rule = Rule.of("options", Match(targets), When(probability), respond, marker=True)
    nothing = cast("Any", None)  # not used by calls
    return Runtime(
        limits=Limits(),
        targets=targets,
        rule_set=RuleSet((rule,), seed=1),
        counters=Counters(),
        leaves=nothing,
        dialer=nothing,
        dial=nothing,
        listener=events.append,
    )


# Who calls


@cache
def contract() -> tuple[ModuleType, ModuleType]:
    """Return the modules that protoc makes of the contract: messages and stub."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [f"--{what}={folder}" for what in ("python_out", "grpc_python_out")]
        include = files("grpc_tools") / "_proto"
        assert not protoc.main(
            ["protoc", f"-I{ROOT}", f"-I{include}", *arguments, str(ROOT / "plugin.proto")]
        )
        sys.path.insert(0, folder)
        try:
            messages = importlib.import_module("plugin_pb2")
            return messages, importlib.import_module("plugin_pb2_grpc")
        finally:
            sys.path.remove(folder)


@define(eq=False)
class Host:
    """Calls one registration, as Fault does."""

    stub: Any
    messages: Any

    async def call(self, method: str, **fields: Any) -> Any:
        """Call and return the answer; raises `grpc.RpcError`."""
        call = partial(getattr(self.stub, method), timeout=GIVEN_UP_SECONDS)
        return await trio.to_thread.run_sync(call, self.request(method, **fields))

    def start(self, method: str, timeout: float | None = None, **fields: Any) -> grpc.Future:
        """Call without waiting for the answer."""
        return getattr(self.stub, method).future(self.request(method, **fields), timeout=timeout)

    def request(self, method: str, **fields: Any) -> Any:
        """Make a call's request."""
        return getattr(self.messages, f"{method}Request")(**fields)


@contextmanager
def host(port: int) -> Iterator[Host]:
    """A host that is connected to a port until the block is left."""
    messages, stubs = contract()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Host(stubs.PluginServiceStub(channel), messages)


async def ended(call: grpc.Future) -> grpc.StatusCode:
    """Wait for a call's end and return its status."""
    token, done = trio.lowlevel.current_trio_token(), trio.Event()
    call.add_done_callback(lambda _call: token.run_sync_soon(done.set))
    with trio.fail_after(GIVEN_UP_SECONDS):
        await done.wait()
    return call.code()


def tasks() -> list[str]:
    """Return the names of all tasks of Trio that there are, asyncio's loop included."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return sorted(_names_below(root))


def _names_below(task: trio.lowlevel.Task) -> Iterator[str]:
    yield task.name
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _names_below(child)
