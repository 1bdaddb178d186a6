"""The parts of the demonstration: a fake API behind TLS, the proxy, and an ear on its events.

All of it is real and local: free ports of 127.0.0.1, and certificate authorities that are made
for the occasion in a directory of their own. Knows nothing of what is asked or shown.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import evolve, field, frozen

from faultinject.authority import HTTPS_PORT, Authority, ConnectTo, TargetPattern
from faultinject.config.rule_set import rule_set_of
from faultinject.events import Event
from faultinject.proxy.server import RunningProxy, serve
from faultinject.proxy.upstream.fake.fake_api import FakeApi
from faultinject.rules import Draws
from faultinject.settings import Settings
from faultinject.tls.certificate_authority import CertificateAuthority
from faultinject.tls.leaf_cache import LeafCache

API = Authority("api.anthropic.com", HTTPS_PORT)
"""What the client asks for; it never gets there."""
PROBABILITY = 0.5
TEXT = (
    "Networks fail in small ways, all day long. A program that has practised does not even look up."
)
GAP_SECONDS = 0.05
_LOOPBACK = "127.0.0.1"
_MOST_EVENTS = 1000
"""Far more than the demonstration makes."""


class Ear:
    """Keeps the proxy's events until they are wanted."""

    def __init__(self) -> None:
        self._put, self._take = trio.open_memory_channel[Event](_MOST_EVENTS)

    def listen(self, event: Event) -> None:
        """Take an event."""
        self._put.send_nowait(event)

    async def next(self) -> Event:
        """Return the next event, once there is one."""
        return await self._take.receive()


@frozen
class Stage:
    """The parts, up and running."""

    api: FakeApi
    api_address: Authority
    settings: Settings
    proxy: RunningProxy
    ear: Ear = field(repr=False)

    @property
    def proxy_address(self) -> Authority:
        """Where the proxy listens."""
        return Authority(self.proxy.host, self.proxy.port)


@asynccontextmanager
async def open_stage(folder: Path, status: int, fails: Sequence[bool]) -> AsyncIterator[Stage]:
    """Start everything, and stop it at the end; ``folder`` is for the certificates.

    ``fails`` says which requests shall get the status: the seed is chosen so.
    """
    async with trio.open_nursery() as nursery:
        api, ear = FakeApi(TEXT, GAP_SECONDS), Ear()
        authority = CertificateAuthority.open_or_create(folder / "api")
        address = await _serve_api(nursery, api, authority)
        settings = _settings(folder, status, address, authority.certificate_path, fails)
        proxy = await nursery.start(partial(serve, settings, listener=ear.listen))
        yield Stage(api, address, settings, proxy, ear)
        nursery.cancel_scope.cancel()


async def _serve_api(
    nursery: trio.Nursery, api: FakeApi, authority: CertificateAuthority
) -> Authority:
    """Serve the API over TLS on a free port; return its address."""
    context = LeafCache(authority, 1).context_for(API.host)
    [listener] = await trio.open_ssl_over_tcp_listeners(
        0, context, host=_LOOPBACK, https_compatible=True
    )
    port = listener.transport_listener.socket.getsockname()[1]  # type: ignore[attr-defined]  # Trio says: a Listener
    nursery.start_soon(trio.serve_listeners, api.serve, [listener])
    return Authority(_LOOPBACK, port)


def _settings(
    folder: Path, status: int, address: Authority, api_ca: Path, fails: Sequence[bool]
) -> Settings:
    settings = Settings(
        host=_LOOPBACK,
        proxy_port=0,
        target_host=(TargetPattern(API.host),),
        error_probability=PROBABILITY,
        status_code=status,
        data_dir=folder / "proxy",
        connect_to=(ConnectTo(API.host, API.port, address.host, address.port),),
        upstream_ca=api_ca,
    )
    return evolve(settings, seed=seed_for(settings, fails))


def seed_for(settings: Settings, fails: Sequence[bool]) -> int:
    """Return the first seed with which the requests fail just so."""
    [rule] = rule_set_of(settings).rules

    def fits(seed: int) -> bool:
        draws = (Draws(seed, rule.id, number) for number in range(1, len(fails) + 1))
        return [draw.chance(rule.when.probability) for draw in draws] == list(fails)

    return next(seed for seed in itertools.count(1) if fits(seed))
