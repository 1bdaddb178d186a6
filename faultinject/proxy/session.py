"""One client connection, its whole life: what it shares, and what is told of it.

Knows nothing of where the client's stream came from.
"""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol

from attrs import Factory, define, field

from faultinject.authority import HTTPS_PORT, TargetPattern
from faultinject.events import Event, Listener, SessionEnded, SessionFailed, SessionStarted, Warned
from faultinject.faults.place import Stage as FaultStage
from faultinject.http.cors import SeenOrigins
from faultinject.limits import Limits
from faultinject.net.timeouts import Patience, PatienceEndedError
from faultinject.proxy.upstream.dial import Dialer
from faultinject.proxy.upstream.lease import Lease
from faultinject.proxy.upstream.pool import Dial, OwnLease
from faultinject.rules import Candidates, Counters, Plan, RuleSet, decide
from faultinject.rules.facts import Facts
from faultinject.tls.leaf_cache import LeafCache

MOST_WARNINGS = 1_000
"""So many warnings are said once each, and no more: what is in them may be a client's choice."""


@define(eq=False)
class Services:
    """What every session of a run uses."""

    limits: Limits
    targets: tuple[TargetPattern, ...]
    rule_set: RuleSet
    """Taken anew by each exchange, so that it can be swapped whole."""
    counters: Counters
    leaves: LeafCache
    dialer: Dialer
    dial: Dial
    """Opens upstream connections that are ready for HTTP."""
    listener: Listener
    relays_targets: bool = True
    """Whether a target's tunnel that is not looked into is passed on to the target. Not with the
    fake upstream: what is meant for a target must not reach the network."""
    takes_any_key: bool = False
    """Whether a request without a host may bring a target a key of another vendor's form."""
    refuses_websockets: bool = False
    """Whether clients that ask a target for a WebSocket are answered 426."""
    cannot_look_into: str | None = None
    """Why no tunnel can be looked into; None if they can."""
    draining: bool = False
    """Whether sessions should end as soon as their exchange in hand is over."""
    clock: Callable[[], float] = time.monotonic
    """Returns a time in seconds."""
    _started_at: float = Factory(lambda self: self.clock(), takes_self=True)
    """When the run began: the rules count time from there."""
    origins: SeenOrigins = field(factory=SeenOrigins)
    """What APIs allowed to pages in browsers."""
    _warnings: set[str] = field(factory=set)
    _session_ids: itertools.count[int] = field(factory=lambda: itertools.count(1))

    def decide(
        self,
        rule_set: RuleSet,
        facts: Facts,
        stage: FaultStage,
        candidates: Candidates | None = None,
    ) -> Plan:
        """Return what the rules have happen at a stage of a request; see `rules.decide`."""
        return decide(
            rule_set,
            self.counters,
            facts,
            now_seconds=self.now_seconds,
            stage=stage,
            candidates=candidates,
        )

    @property
    def now_seconds(self) -> float:
        """The time since the start of the run."""
        return self.clock() - self._started_at

    def target_of(self, host: str, port: int) -> TargetPattern | None:
        """Return the first target pattern that a host and port match."""
        return next((target for target in self.targets if target.matches(host, port)), None)

    def target_named(self, host: str) -> TargetPattern | None:
        """Return the first target pattern that a host matches on some port."""
        return next((t for t in self.targets if t.matches(host, t.port or HTTPS_PORT)), None)

    def warn_once(self, message: str, about: str = "") -> None:
        """Warn, unless the same (or something about the same) has been said in this run."""
        about = about or message
        if about not in self._warnings and len(self._warnings) < MOST_WARNINGS:
            self._warnings.add(about)
            self.listener(Warned(time=time.time(), message=message))

    def new_lease(self) -> Lease:
        """Return what lends a client connection its upstream connections."""
        return OwnLease(self.dial, self.limits)

    def next_session_id(self) -> int:
        """Return the number of a new session, from 1."""
        return next(self._session_ids)


class Stage(Protocol):
    """A part of a session's life; returns what follows it, or None at the end.

    Stages follow each other instead of calling each other: what a stage held is gone when the
    next begins, and most of a session is spent waiting in the last.
    """

    def __call__(self, session: Session, /) -> Awaitable[Stage | None]:
        """Serve the session's client."""
        ...


@define(eq=False)
class Session:
    """One client connection."""

    services: Services
    id: int
    client: str
    """The client's address and port."""
    patience: Patience = field(factory=Patience)
    exchanges: int = 0
    idle: bool = False
    """Whether neither side owes the other anything, so that the session may end."""
    idle_seconds: float = Factory(lambda self: self.services.limits.idle_seconds, takes_self=True)
    """How long the client may take to its next request."""
    lease: Lease = Factory(lambda self: self.services.new_lease(), takes_self=True)
    _ended_because: str = "the client's connection was over"

    def emit(self, event: Event) -> None:
        """Tell what happened."""
        self.services.listener(event)

    def drain(self) -> None:
        """End as soon as nothing is under way."""
        if self.idle:
            self.patience.end("the proxy stops")

    async def run(self, serve: Stage) -> None:
        """Serve the client, stage by stage; whatever goes wrong ends this session alone.

        Every defect of ours ends here, is told with its traceback, and lets the neighbours live.
        """
        started = time.perf_counter()
        try:
            self.emit(SessionStarted(time=time.time(), session=self.id, client=self.client))
            async with self.lease:
                with self.patience:
                    stage: Stage | None = serve
                    while stage is not None:
                        stage = await stage(self)
        except PatienceEndedError as error:
            self._ended_because = str(error)
        except Exception as error:  # noqa: BLE001 - the neighbours live
            self._ended_because = "a defect in faultinject"
            self._tell_defect(error)
        except BaseException:  # the whole run ends
            self._ended_because = "the proxy stopped"
            raise
        finally:
            self._tell_end(started)

    def _tell_defect(self, error: Exception) -> None:
        self.emit(
            SessionFailed(
                time=time.time(),
                session=self.id,
                client=self.client,
                error=f"{type(error).__name__}: {error}",
                traceback="".join(traceback.format_exception(error)),
            )
        )

    def _tell_end(self, started: float) -> None:
        self.emit(
            SessionEnded(
                time=time.time(),
                session=self.id,
                reason=self._ended_because,
                exchanges=self.exchanges,
                milliseconds=milliseconds_since(started),
            )
        )


def milliseconds_since(started: float) -> float:
    """Return how long ago a `time.perf_counter` reading was."""
    return round((time.perf_counter() - started) * 1000, 3)
