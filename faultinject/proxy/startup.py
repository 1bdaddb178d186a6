"""Prepares a run of the proxy or the plugin before it listens: rules and certificate authority.

Errors in the user's settings are found here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import trio
from attrs import Factory, define, field, frozen

import faultinject
from faultinject.authority import Authority, TargetPattern
from faultinject.config.rule_set import (
    Composed,
    asked_probability,
    chances,
    composed,
    first_attempts,
    of_tunnels,
)
from faultinject.errors import DataDirectoryError, SettingsError
from faultinject.events import Event, Listener, PluginStopped, ProxyStopped, Warned
from faultinject.providers.known import provider_for
from faultinject.rules import Counters, RuleSet
from faultinject.rules.backlog import MOST_STEPS, Backlog
from faultinject.rules.checks import Capabilities
from faultinject.settings import Only, Settings
from faultinject.tls.certificate_authority import CertificateAuthority, NoAuthority
from faultinject.tls.handshake import check_roots, key_log_problem
from faultinject.tls.pem_files import PemFiles


def ignore_event(_event: Event) -> None:
    """Do nothing: the default listener."""


def check_kind(settings: object, kind: type[Settings]) -> None:
    """Raise `SettingsError` unless ``settings`` is a ``kind``: a program may pass anything."""
    if not isinstance(settings, kind):
        raise SettingsError(
            f"{type(settings).__name__} is not a {kind.__name__};"
            f" make one by faultinject.{kind.__name__}(...)"
        )


@frozen(kw_only=True)
class Running:
    """A proxy or plugin that runs, for the program that started it."""

    ca_cert: Path | None
    """The certificate that clients must trust; None if there is no certificate authority."""
    _draining: trio.Event

    def drain(self) -> None:
        """Accept no new clients, close idle connections, and stop after the open exchanges.

        These get ``limits.drain_seconds``; then `serve` or `serve_plugin` returns.
        """
        self._draining.set()


@frozen
class UpstreamServer:
    """A server that answers for the targets in their place, whatever their names are."""

    authority: Authority
    tls: bool


class StartFields(TypedDict):
    """Fields of the event of a start, of proxy and plugin alike."""

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
    told_apis: dict[str, str]
    first_attempts: dict[str, int]
    of_tunnels: tuple[str, ...]
    only_for: tuple[str, ...]
    refuse_websocket: bool
    presets: dict[str, str]


@define(eq=False, repr=False)
class Run:
    """The settings, rules, counters and certificate authority of a run."""

    settings: Settings
    listener: Listener
    authority: CertificateAuthority | NoAuthority
    pem_files: PemFiles
    """How leaf certificates reach OpenSSL."""
    _composed: Composed
    upstream: UpstreamServer | None = None
    """The server that answers for the targets; None if they (or the fake API) do."""
    on_rules: Callable[[RuleSet], None] | None = field(default=None, init=False)
    """Called with each rule set that replaces the one before."""
    counters: Counters = field(
        default=Factory(lambda self: counters_for(self.settings), takes_self=True), init=False
    )
    """How often each rule was reached and fired."""
    target_ports: dict[int, TargetPattern] = field(factory=dict, init=False)
    """The ports at which the proxy is the base URL of one target, once they listen."""
    draining: trio.Event = field(factory=trio.Event, init=False)

    @classmethod
    def of(
        cls,
        settings: Settings,
        listener: Listener,
        capabilities: Capabilities | None = None,
        *,
        is_base_url: bool = False,
        authority: CertificateAuthority | NoAuthority | None = None,
        upstream: UpstreamServer | None = None,
    ) -> Run:
        """Prepare a run. Raises `SettingsError`, `StartError`.

        Without ``capabilities`` every fault can be performed. ``is_base_url`` means that clients
        may come without TLS, so that a run is useful without a certificate authority too.
        ``authority`` is that of a run before, with the same settings about it.
        """
        rules = composed(settings, capabilities)
        if settings.upstream_ca is not None:
            check_roots(settings.upstream_ca)
        pem_files = PemFiles(settings.data_dir)
        authority = authority or _authority(settings, pem_files, may_lack=is_base_url)
        return cls(settings, listener, authority, pem_files, rules, upstream)

    @property
    def rule_set(self) -> RuleSet:
        """The rules in force."""
        return self._composed.rule_set

    def replace_rules(self, settings: Settings) -> None:
        """Put the rules of other settings in force; what is counted goes on, by the rules' ids.

        What they bring to warn of is reported. Raises `SettingsError`; then nothing has changed.
        """
        before, self._composed = self._composed, composed(settings)
        for message in self._composed.warnings:
            if message not in before.warnings:
                self.listener(Warned(time=time.time(), message=message))
        if self.on_rules is not None:
            self.on_rules(self.rule_set)

    # Its events

    def start_fields(self) -> StartFields:
        """Return the fields that the start events of proxy and plugin share."""
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
                if target.exact
                and target.api is None
                and provider_for(target.host, "/").name == "plain"
            ),
            "told_apis": {str(each): each.api for each in settings.target_host if each.api},
            "first_attempts": first_attempts(self.rule_set),
            "of_tunnels": of_tunnels(self.rule_set),
            "only_for": self._composed.only_for,
            "refuse_websocket": settings.refuse_websocket,
            "presets": dict(self._composed.presets),
        }

    @contextmanager
    def announced(
        self, started: Event, stopped: type[ProxyStopped | PluginStopped]
    ) -> Iterator[None]:
        """Report the start and then the warnings; after the block, report the end."""
        self.listener(started)
        for message in self._warnings():
            self.listener(Warned(time=time.time(), message=message))
        try:
            yield
        finally:
            reason = "told to stop" if self.draining.is_set() else "cancelled"
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
        if names := authority.uncovered_names(targets):
            yield (
                f"{authority.certificate_path}: its name constraints leave out"
                f" {', '.join(names)}: clients refuse what it signs for that; use another CA"
            )


def counters_for(settings: Settings) -> Counters:
    """Return the counters of a run that has these settings."""
    return Counters(backlog=Backlog(MOST_STEPS if settings.observes_late else 0))


def _authority(
    settings: Settings, pem_files: PemFiles, *, may_lack: bool
) -> CertificateAuthority | NoAuthority:
    """Open or make the certificate authority. Raises `SettingsError`.

    With ``may_lack`` it is no error if there can be none, provided that the user has named no
    place for it and that there is a target for base-URL mode.
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
