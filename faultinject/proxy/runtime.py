"""What every session of a run uses: its rules, counters, leaves, and the way to upstreams."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import trio
from attrs import Factory, define, field

from faultinject.authority import HTTPS_PORT, TargetPattern
from faultinject.events import Listener, Warned
from faultinject.faults.place import Stage as FaultStage
from faultinject.http.cors import SeenOrigins
from faultinject.proxy.run import Run
from faultinject.proxy.upstream.dial import Dialer
from faultinject.proxy.upstream.lease import Lease
from faultinject.proxy.upstream.pool import Dial, PoolLease
from faultinject.rules import Candidates, Counters, Plan, RuleSet, decide
from faultinject.rules.facts import Facts
from faultinject.settings import Limits, Settings
from faultinject.tls.certificate_authority import NoAuthority
from faultinject.tls.leaf_cache import LeafCache

MOST_WARNINGS = 1_000
"""So many warnings are said once each, and no more: what is in them may be a client's choice."""


@define(eq=False)
class Runtime:
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
        return PoolLease(self.dial, self.limits)

    def next_session_id(self) -> int:
        """Return the number of a new session, from 1."""
        return next(self._session_ids)


def dialer_of(settings: Settings, is_loop: Callable[[trio.socket.SocketType], bool]) -> Dialer:
    """Return what dials upstreams; ``is_loop`` is as `Dialer` has it."""
    return Dialer(
        settings.connect_to,
        settings.upstream_ca,
        settings.insecure_upstream,
        settings.limits.dial_seconds,
        is_loop,
    )


def runtime_of(
    run: Run,
    dialer: Dialer,
    *,
    dial: Dial | None = None,
    relays_targets: bool = True,
    resumption: bool = True,
) -> Runtime:
    """Return what a run's sessions use.

    ``dial`` opens upstream connections; without it the dialer does. ``resumption`` is as
    `LeafCache` has it.
    """
    limits, authority = run.settings.limits, run.authority
    return Runtime(
        limits=limits,
        targets=run.settings.target_host,
        rule_set=run.rule_set,
        counters=run.counters,
        leaves=LeafCache(
            authority,
            limits.leaves,
            num_tickets=0,
            resumption=resumption,
            files=run.pem_files,
        ),
        dialer=dialer,
        dial=dial or dialer.dial,
        listener=run.listener,
        relays_targets=relays_targets,
        cannot_look_into=authority.reason if isinstance(authority, NoAuthority) else None,
        refuses_websockets=run.settings.refuse_websocket,
        takes_any_key=run.settings.allow_foreign_keys or run.settings.fake_upstream,
    )
