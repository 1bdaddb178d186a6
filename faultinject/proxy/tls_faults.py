"""Faults at the TLS handshake: what a rule has the client get instead of a ServerHello."""

from __future__ import annotations

import math
import time
from typing import cast

import trio
from attrs import Factory, define, field

from faultinject.authority import Authority
from faultinject.faults import transform
from faultinject.faults.breaks import Break, break_words
from faultinject.faults.delay import delay_words
from faultinject.net.streams import CloseMode, close
from faultinject.net.tasks import run_with_watcher
from faultinject.observed import Taken
from faultinject.proxy.broken_connection import BrokenConnection
from faultinject.proxy.session import Session, report_exchange, report_wait
from faultinject.rules import Plan


@define(eq=False, repr=False)
class BrokenHandshake:
    """A client whose TLS handshake a rule breaks.

    `run` closes the client's stream as planned.
    """

    session: Session
    stream: trio.abc.Stream
    authority: Authority
    plan: Plan
    _number: int = 0
    """The exchange's, as which it counts."""
    _words: list[str] = field(factory=list)
    """What has happened, for the event."""
    _began_seconds: float = field(
        default=Factory(lambda self: self.session.runtime.now_seconds, takes_self=True), init=False
    )
    _has_left: bool = field(default=False, init=False)
    """Whether the client left before it was over."""
    _is_done: bool = field(default=False, init=False)
    """Whether nothing cut it short."""

    async def run(self) -> None:
        """Break the handshake, and report it."""
        self._number = self.session.begin_exchange()
        ending = CloseMode.TRUNCATE
        try:
            for wait in self.plan.waits:
                self._words.append(delay_words(wait.seconds, wait.before))
                self._report_wait(self._words[-1], wait.seconds)
                await self._while_client_stays(wait.seconds)
            self._words.append(break_words(self._breaks))
            ending = await self._break(self._breaks)
            self._is_done = True
        except trio.BrokenResourceError:
            self._has_left = True
        finally:
            self.plan.end()
            self._report()
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
                if (pacing := self.session.lease.pacing) is not None:
                    pacing.before_read(b"")
                while await self.stream.receive_some(limits.client_hello_bytes):
                    pass
            except trio.BrokenResourceError:
                pass
            self._has_left = True
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
            number=self._number,
            method="CONNECT",
            scheme="https",
            path="",
            rule=self.plan.rule_id,
        )

    @property
    def _taken(self) -> Taken:
        """How the client took it."""
        if self._has_left:
            return "left"
        runtime, timeout = self.session.runtime, self.session.timeout
        is_broken = self._is_done or (timeout.expired and not runtime.draining)
        return "broken" if is_broken else "stopped"

    def _report(self) -> None:
        way, now_seconds = self.session.way, self.session.runtime.now_seconds
        began_seconds = self._began_seconds if way is None else way.began_seconds
        report_exchange(
            self.session,
            self.authority,
            time.perf_counter() - (now_seconds - began_seconds),
            number=self._number,
            method="CONNECT",
            scheme="https",
            path="",
            outcome="injected",
            rule=self.plan.rule_id,
            fault=", ".join(self._words),
            seen=BrokenConnection(self.session).broken_handshake(self._breaks, self._taken),
        )
