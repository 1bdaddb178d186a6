"""Faults at the TLS handshake: what a rule has the client get instead of a ServerHello."""

from __future__ import annotations

import math
import time
from typing import cast

import trio
from attrs import define, field

from faultinject.authority import Authority
from faultinject.faults import transform
from faultinject.faults.breaks import Break, break_words
from faultinject.faults.delay import delay_words
from faultinject.net.streams import CloseMode, close
from faultinject.net.tasks import run_with_watcher
from faultinject.proxy.session import Session, report_exchange, report_wait
from faultinject.rules import Plan


@define(eq=False)
class BrokenHandshake:
    """A client whose TLS handshake a rule breaks.

    `run` closes the client's stream as planned.
    """

    session: Session
    stream: trio.abc.Stream
    authority: Authority
    plan: Plan
    _words: list[str] = field(factory=list)
    """What has happened, for the event."""

    async def run(self) -> None:
        """Break the handshake, and report it."""
        started = time.perf_counter()
        self.session.exchanges += 1
        ending = CloseMode.TRUNCATE
        try:
            for wait in self.plan.waits:
                self._words.append(delay_words(wait.seconds, wait.before))
                self._report_wait(self._words[-1], wait.seconds)
                await self._while_client_stays(wait.seconds)
            self._words.append(break_words(self._breaks))
            ending = await self._break(self._breaks)
        except trio.BrokenResourceError:
            pass  # it has left
        finally:
            self.plan.end()
            self._report(started)
        await close(self.stream, ending)

    @property
    def _breaks(self) -> Break:
        return cast("Break", self.plan.breaks)  # `decide_handshake` returns no other plan

    async def _break(self, breaks: Break) -> CloseMode:
        if breaks.how.lasts_seconds:
            self._report_wait(break_words(breaks), breaks.how.lasts_seconds)
        ending = CloseMode.TRUNCATE_LINGERING
        for act in breaks.how.acts(0.0, self.plan.numbers("break")):
            match act:
                case transform.Garbage(data):
                    await self.stream.send_all(data)
                    ending = CloseMode.LINGER
                case transform.WaitUntil() | transform.Hang():
                    seconds = act.seconds if isinstance(act, transform.WaitUntil) else None
                    await self._while_client_stays(seconds)
                    ending = CloseMode.TRUNCATE
                case transform.Reset():
                    ending = CloseMode.RESET
        return ending

    async def _while_client_stays(self, seconds: float | None) -> None:
        """Wait so long (None: for ever), or until the client leaves."""
        limits = self.session.runtime.limits
        self.session.timeout.reset("the client to leave", (seconds or 0.0) + limits.idle_seconds)

        async def watch(ended: trio.CancelScope) -> None:
            try:
                self.session.lease.before_read(b"")
                while await self.stream.receive_some(limits.client_hello_bytes):
                    pass
            except trio.BrokenResourceError:
                pass
            ended.cancel()

        async def wait() -> None:
            await trio.sleep(math.inf if seconds is None else seconds)

        await run_with_watcher(watch, wait)

    def _report_wait(self, words: str, seconds: float) -> None:
        report_wait(
            self.session,
            self.authority,
            words,
            seconds,
            method="CONNECT",
            scheme="https",
            path="",
            rule=self.plan.rule_id,
        )

    def _report(self, started: float) -> None:
        report_exchange(
            self.session,
            self.authority,
            started,
            method="CONNECT",
            scheme="https",
            path="",
            outcome="injected",
            rule=self.plan.rule_id,
            fault=", ".join(self._words),
        )
