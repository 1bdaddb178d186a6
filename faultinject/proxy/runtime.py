"""What all sessions of a run share: rules, counters, leaf certificates, and upstream dialling."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence

import trio
from attrs import Factory, define, field

from faultinject.authority import HTTPS_PORT, TargetPattern
from faultinject.events import Listener, RuleUnfit, Warned
from faultinject.faults.place import Stage
from faultinject.http.cors import SeenOrigins
from faultinject.net.timeouts import FirstWaits
from faultinject.providers.told import Apis
from faultinject.proxy.base_url import single_targets
from faultinject.proxy.exchange_end import WholeErrors
from faultinject.proxy.request_digests import RequestDigests
from faultinject.proxy.startup import Run
from faultinject.proxy.traffic_copy import CopyRoom
from faultinject.proxy.upstream.dial import Dialer
from faultinject.proxy.upstream.lease import FIRST_WAIT_SECONDS, Lease
from faultinject.proxy.upstream.pool import Dial, PoolLease
from faultinject.rules import Candidates, Counters, Plan, Rule, RuleSet, decide
from faultinject.rules.facts import Facts
from faultinject.settings import Limits, Settings
from faultinject.tls.certificate_authority import NoAuthority
from faultinject.tls.leaf_cache import LeafCache

MOST_WARNINGS = 1_000
"""How many warnings are remembered, so that each is given once; after these there are no more.
A client may choose what is in them."""

MOST_HOSTS = 1_000
"""Of so many hosts it is remembered which target they are."""


@define(eq=False, repr=False)
class Runtime:
    """What all sessions of a run share."""

    limits: Limits
    targets: tuple[TargetPattern, ...]
    rule_set: RuleSet
    """Read anew by each exchange, so that it can be replaced as a whole."""
    counters: Counters
    leaves: LeafCache
    dialer: Dialer
    dial: Dial
    """Opens upstream connections that are ready for HTTP."""
    listener: Listener
    target_ports: Mapping[int, TargetPattern] = field(factory=dict)
    """The ports of ours at which every base-URL request is for one target."""
    relays_targets: bool = True
    """Whether a target's tunnel that cannot be intercepted is relayed. Not with the fake upstream:
    nothing that is meant for a target must reach the network."""
    allows_foreign_keys: bool = False
    """Whether a base-URL request may send a target a key of another vendor's form."""
    refuses_websockets: bool = False
    """Whether clients that ask a target for a WebSocket are answered 426."""
    fakes_targets: bool = False
    """Whether the fake API answers for targets. It declines every WebSocket, and no rule is asked
    before: a client that can do without then makes the requests that rules are for."""
    cannot_intercept: str | None = None
    """Why no tunnel can be intercepted; None if they can."""
    apis: Apis = Factory(lambda self: Apis.of(self.targets), takes_self=True)
    """Which API is at which host."""
    draining: bool = False
    """Whether sessions should end after their open exchange."""
    tells_starts: bool = False
    """Whether it is told that an exchange begins: a line more for each, of use at debug only."""
    clock: Callable[[], float] = time.monotonic
    """Returns a time in seconds."""
    started_at: float = Factory(lambda self: self.clock(), takes_self=True)
    """When the run began: the rules count time from there."""
    origins: SeenOrigins = field(factory=SeenOrigins)
    """What APIs have allowed pages in browsers (CORS)."""
    single_targets: Sequence[TargetPattern] = Factory(
        lambda self: single_targets(self.targets), takes_self=True
    )
    """The targets that a base-URL request may be for."""
    digests: RequestDigests = Factory(
        lambda self: RequestDigests(self.counters.attempts.key), takes_self=True
    )
    """Digests what requests say."""
    whole_errors: WholeErrors = field(factory=WholeErrors)
    """Knows what errors say."""
    first_waits: FirstWaits = field(factory=lambda: FirstWaits(FIRST_WAIT_SECONDS))
    """Limits the time in which sessions wait for one peer alone. Whoever serves runs it."""
    copy_room: CopyRoom = field(factory=CopyRoom)
    """Bounds the copies of what passes."""
    delay_room: CopyRoom = field(factory=CopyRoom)
    """Bounds what is received of requests while they are delayed."""
    _known_targets: dict[tuple[str, int], TargetPattern | None] = field(factory=dict)
    _warnings: set[str] = field(factory=set)
    _session_ids: itertools.count[int] = field(factory=lambda: itertools.count(1))

    def decide(
        self,
        rule_set: RuleSet,
        facts: Facts,
        stage: Stage,
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
            on_unfit=self._tell_unfit,
        )

    def _tell_unfit(self, rule: Rule, facts: Facts, reason: str) -> None:
        """Tell of a rule that does nothing for an API that it meets, once for each shape."""
        provider, shape = facts.provider.name, facts.shape
        if self._is_new(f"{rule.id} at {provider} {shape}"):
            self.listener(
                RuleUnfit(
                    time=time.time(),
                    rule=rule.id,
                    host=facts.host,
                    provider=provider,
                    shape=shape,
                    reason=reason,
                )
            )

    @property
    def now_seconds(self) -> float:
        """The time since the start of the run."""
        return self.clock() - self.started_at

    def target_of(self, host: str, port: int) -> TargetPattern | None:
        """Return the first target pattern that a host and port match."""
        try:
            return self._known_targets[host, port]
        except KeyError:
            if len(self._known_targets) >= MOST_HOSTS:
                self._known_targets.clear()
            found = (target for target in self.targets if target.matches(host, port))
            return self._known_targets.setdefault((host, port), next(found, None))

    def target_name(self, host: str, port: int) -> str:
        """Return the first target pattern that a host and port match as text, else the host."""
        target = self.target_of(host, port)
        return host if target is None else str(target)

    def target_named(self, host: str) -> TargetPattern | None:
        """Return the first target pattern that a host matches on some port."""
        return next((t for t in self.targets if t.matches(host, t.port or HTTPS_PORT)), None)

    def warn_once(self, message: str, about: str = "") -> None:
        """Warn, unless the same (or something about the same) has been said in this run."""
        if self._is_new(about or message):
            self.listener(Warned(time=time.time(), message=message))

    def _is_new(self, about: str) -> bool:
        """Return True if something about this is to be said; it counts as said then."""
        if about in self._warnings or len(self._warnings) >= MOST_WARNINGS:
            return False
        self._warnings.add(about)
        return True

    def new_lease(self) -> Lease:
        """Return a lease of upstream connections for one client connection."""
        return PoolLease(self.dial, self.limits, self.first_waits)

    def next_session_id(self) -> int:
        """Return the number of a new session, from 1."""
        return next(self._session_ids)


def dialer_of(settings: Settings, is_loop: Callable[[trio.socket.SocketType], bool]) -> Dialer:
    """Return a dialer for these settings; ``is_loop`` is as in `Dialer`."""
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
    """Return the runtime of a run.

    ``dial`` opens upstream connections; without it the dialer does. ``resumption`` is as
    in `LeafCache`.
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
            resumption=resumption,
            files=run.pem_files,
        ),
        dialer=dialer,
        dial=dial or dialer.dial,
        listener=run.listener,
        target_ports=run.target_ports,
        relays_targets=relays_targets,
        cannot_intercept=authority.reason if isinstance(authority, NoAuthority) else None,
        refuses_websockets=run.settings.refuse_websocket,
        tells_starts=run.settings.log_level == "debug",
        fakes_targets=run.settings.fake_upstream and run.upstream is None,
        allows_foreign_keys=run.settings.allow_foreign_keys or run.settings.fake_upstream,
    )
