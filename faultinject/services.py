"""What the sessions of a run use, put together.

Knows nothing of what listens, and of how a session comes to be.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from faultinject.proxy.runtime import Run
from faultinject.proxy.session import Services
from faultinject.proxy.upstream.dial import Dialer
from faultinject.proxy.upstream.pool import Dial
from faultinject.rules import RuleSet
from faultinject.settings import Settings
from faultinject.tls.certificate_authority import NoAuthority
from faultinject.tls.leaf_cache import LeafCache


def dialer_of(settings: Settings, is_ourselves: Callable[[trio.socket.SocketType], bool]) -> Dialer:
    """Return what dials upstreams; ``is_ourselves`` is as `Dialer` has it."""
    return Dialer(
        settings.connect_to,
        settings.upstream_ca,
        settings.insecure_upstream,
        settings.limits.dial_seconds,
        is_ourselves,
    )


def services_of(
    run: Run,
    dialer: Dialer,
    *,
    dial: Dial | None = None,
    relays_targets: bool = True,
    resumption: bool = True,
) -> Services:
    """Return what a run's sessions use, and load what its rules need.

    ``dial`` opens upstream connections; without it the dialer does. ``resumption`` is as
    `LeafCache` has it.
    """
    # Of each request it is told whether it is a call of an API
    import faultinject.providers.known  # noqa: F401 -- to have it loaded

    _load_performing(run.rule_set)
    limits, authority = run.settings.limits, run.authority
    return Services(
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
        import faultinject.faults.naming
        import faultinject.proxy.planned  # noqa: F401 -- to have it loaded
