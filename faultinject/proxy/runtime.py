"""A run of the proxy or the plugin: its rules, its authority, and what its sessions use."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import trio
from attrs import Factory, define, field, frozen

import faultinject
from faultinject.authority import HTTPS_PORT, TargetPattern
from faultinject.errors import DataDirectoryError, SettingsError
from faultinject.events import (
    Event,
    Listener,
    PluginStopped,
    ProxyStopped,
    Warned,
)
from faultinject.faults.place import Stage as FaultStage
from faultinject.http.cors import SeenOrigins
from faultinject.proxy.upstream.dial import Dialer
from faultinject.proxy.upstream.lease import Lease
from faultinject.proxy.upstream.pool import Dial, OwnLease
from faultinject.rules import Candidates, Counters, Plan, RuleSet, decide
from faultinject.rules.facts import Facts
from faultinject.settings import Limits, Only, Settings
from faultinject.tls.certificate_authority import CertificateAuthority, NoAuthority
from faultinject.tls.handshake import check_roots, key_log_problem
from faultinject.tls.leaf_cache import LeafCache
from faultinject.tls.pem_files import PemFiles

if TYPE_CHECKING:
    from faultinject.config.rule_set import Composed
    from faultinject.rules import Counters, RuleSet
    from faultinject.rules.checks import Capabilities


def nobody(_event: Event) -> None:
    """Listen to nothing."""


def check_kind(settings: object, kind: type[Settings]) -> None:
    """Raise `SettingsError` unless settings are of a kind: a program may hand over anything."""
    if not isinstance(settings, kind):
        raise SettingsError(
            f"{type(settings).__name__} is not a {kind.__name__};"
            f" make one by faultinject.{kind.__name__}(...)"
        )


@frozen(kw_only=True)
class Running:
    """What serves, as whoever started it sees it."""

    ca_cert: Path | None
    """The certificate that clients must trust; None if there is no certificate authority."""
    _told_to_drain: trio.Event

    def drain(self) -> None:
        """Let no new client in, end idle ones, and end once open exchanges have.

        They get ``limits.drain_seconds``; then what serves returns.
        """
        self._told_to_drain.set()


class StartFields(TypedDict):
    """What is told of every start."""

    time: float
    version: str
    host: str
    targets: tuple[str, ...]
    error_probability: float
    status_code: int
    seed: int
    ca_cert: str | None
    rules: tuple[str, ...]
    chances: dict[str, float]
    only: Only
    unknown_apis: tuple[str, ...]
    first_attempts: dict[str, int]
    only_for: tuple[str, ...]
    refuse_websocket: bool


@define(eq=False)
class Run:
    """What a run has before anything listens, and keeps to its end."""

    settings: Settings
    listener: Listener
    authority: CertificateAuthority | NoAuthority
    pem_files: PemFiles
    """How leaves reach OpenSSL."""
    _given: Composed | None
    """The rules, if there are others than the options' own."""
    told_to_drain: trio.Event = field(factory=trio.Event, init=False)

    @classmethod
    def of(
        cls,
        settings: Settings,
        listener: Listener,
        capabilities: Capabilities | None = None,
        *,
        is_base_url: bool = False,
    ) -> Run:
        """Make ready what settings mean. Raises `SettingsError`, `StartError`.

        Without ``capabilities`` there is no fault that cannot be performed. ``is_base_url`` says
        that clients may come without TLS, so that a run without a certificate authority is of use.
        """
        # The options alone are a rule with which nothing can be wrong: that one can wait.
        has_rules = settings.rules or settings.preset
        given = _compose(settings, capabilities) if has_rules else None
        if settings.upstream_ca is not None:
            check_roots(settings.upstream_ca)
        pem_files = PemFiles(settings.data_dir)
        authority = _authority(settings, pem_files, may_lack=is_base_url)
        return cls(settings, listener, authority, pem_files, given)

    @cached_property
    def counters(self) -> Counters:
        """How often each rule was reached and fired."""
        from faultinject.rules import Counters

        return Counters()

    @cached_property
    def _composed(self) -> Composed:
        return self._given or _compose(self.settings)

    @property
    def rule_set(self) -> RuleSet:
        """The rules at the start."""
        return self._composed.rule_set

    # What is told

    def start_fields(self) -> StartFields:
        """Return what the event of the start says, whatever the way in is."""
        from faultinject.config.rule_set import asked_probability, chances, first_attempts
        from faultinject.providers.known import provider_for

        settings, ca_cert = self.settings, self.authority.certificate_path
        return {
            "time": time.time(),
            "version": faultinject.__version__,
            "host": settings.host,
            "targets": tuple(str(target) for target in settings.target_host),
            "error_probability": asked_probability(settings),
            "status_code": settings.status_code,
            "seed": settings.seed,
            "ca_cert": None if ca_cert is None else str(ca_cert),
            "rules": self.rule_set.ids,
            "chances": chances(self.rule_set),
            "only": settings.only,
            "unknown_apis": tuple(
                target.host
                for target in settings.target_host
                if target.exact and provider_for(target.host, "/").name == "plain"
            ),
            "first_attempts": first_attempts(self.rule_set),
            "only_for": self._composed.only_for,
            "refuse_websocket": settings.refuse_websocket,
        }

    @contextmanager
    def told(self, started: Event, stopped: type[ProxyStopped | PluginStopped]) -> Iterator[None]:
        """Tell of the start, then of what the user should know; after the block of the end."""
        self.listener(started)
        for message in self._warnings():
            self.listener(Warned(time=time.time(), message=message))
        try:
            yield
        finally:
            reason = "told to stop" if self.told_to_drain.is_set() else "cancelled"
            totals = self.counters.totals(self.rule_set.ids)
            self.listener(stopped(time=time.time(), reason=reason, rules=totals))

    def _warnings(self) -> Iterator[str]:
        if isinstance(self.authority, NoAuthority):
            yield (
                "TLS cannot be intercepted, so that CONNECT to a target is refused; base-URL mode"
                f" works: {self.authority.reason}"
            )
        else:
            yield from self._warnings_of(self.authority)
        if (problem := key_log_problem()) is not None:
            yield problem
        yield from self._composed.warnings

    def _warnings_of(self, authority: CertificateAuthority) -> Iterator[str]:
        if authority.key_readable_by_others:
            yield (
                f"{authority.key_path}: other users of this machine may read the key, and so"
                " pass for any site towards whoever trusts the certificate; run 'chmod 600' on it"
            )
        targets = [target.host for target in self.settings.target_host if target.exact]
        if names := authority.names_left_out(targets):
            yield (
                f"{authority.certificate_path}: its name constraints leave out"
                f" {', '.join(names)}: clients refuse what it signs for that; use another CA"
            )


def _authority(
    settings: Settings, pem_files: PemFiles, *, may_lack: bool
) -> CertificateAuthority | NoAuthority:
    """Open the certificate authority that is meant, or make it.

    If it ``may_lack``, the user has named no place for it, and there is a target that a base URL
    can stand for, its absence is no error. Raises `SettingsError`.
    """
    chosen = settings.ca_cert, settings.ca_key, settings.data_dir
    try:
        authority = CertificateAuthority.chosen(*chosen)
        pem_files.check()
    except DataDirectoryError as error:
        has_base_url = may_lack and any(target.exact for target in settings.target_host)
        if has_base_url and chosen == (None, None, None):
            return NoAuthority(str(error))
        raise
    return authority


def _compose(settings: Settings, capabilities: Capabilities | None = None) -> Composed:
    from faultinject.config.rule_set import composed

    return composed(settings, capabilities)


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
        return OwnLease(self.dial, self.limits)

    def next_session_id(self) -> int:
        """Return the number of a new session, from 1."""
        return next(self._session_ids)


def dialer_of(settings: Settings, is_ourselves: Callable[[trio.socket.SocketType], bool]) -> Dialer:
    """Return what dials upstreams; ``is_ourselves`` is as `Dialer` has it."""
    return Dialer(
        settings.connect_to,
        settings.upstream_ca,
        settings.insecure_upstream,
        settings.limits.dial_seconds,
        is_ourselves,
    )


def runtime_of(
    run: Run,
    dialer: Dialer,
    *,
    dial: Dial | None = None,
    relays_targets: bool = True,
    resumption: bool = True,
) -> Runtime:
    """Return what a run's sessions use, and load what its rules need.

    ``dial`` opens upstream connections; without it the dialer does. ``resumption`` is as
    `LeafCache` has it.
    """
    # Of each request it is told whether it is a call of an API
    import faultinject.providers.known  # noqa: F401 -- to have it loaded

    _load_performing(run.rule_set)
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


def _load_performing(rule_set: RuleSet) -> None:
    """Load what performs the plans of rules, if it will be needed: else a request waits for it."""
    if any(rule.response is None for rule in rule_set.rules):
        import faultinject.faults.render
        import faultinject.proxy.planned  # noqa: F401 -- to have it loaded
