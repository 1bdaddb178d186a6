"""Starts the parts of the demonstration: a fake API behind TLS, and the proxy.

They are real and local: free ports of 127.0.0.1, and certificate authorities that are made for the
demonstration in a temporary directory.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import evolve, frozen

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
"""The API that the client asks for. The real one is never reached."""
PROBABILITY = 0.5
TEXT = (
    "Networks fail in small ways, all day long. A program that has practised does not even look up."
)
GAP_SECONDS = 0.05
_LOOPBACK = "127.0.0.1"
_MOST_EVENTS = 1000
"""Far more than the demonstration makes."""


class EventQueue:
    """Keeps the proxy's events until they are read."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Event](_MOST_EVENTS)

    def listen(self, event: Event) -> None:
        """Take an event."""
        self._send.send_nowait(event)

    async def next(self) -> Event:
        """Wait for the next event and return it."""
        return await self._receive.receive()


@frozen(eq=False, repr=False)
class DemoSetup:
    """The running parts."""

    api: FakeApi
    api_address: Authority
    settings: Settings
    proxy: RunningProxy
    events: EventQueue

    @property
    def proxy_address(self) -> Authority:
        """Where the proxy listens."""
        return Authority(self.proxy.host, self.proxy.port)


@asynccontextmanager
async def open_setup(folder: Path, status: int, fails: Sequence[bool]) -> AsyncIterator[DemoSetup]:
    """Start everything, and stop it at the end. The certificates are kept in ``folder``.

    ``fails`` says which requests get the status; the seed is chosen to match.
    """
    async with trio.open_nursery() as nursery:
        api, events = FakeApi(TEXT, GAP_SECONDS), EventQueue()
        authority = CertificateAuthority.open_or_create(folder / "api")
        address = await _serve_api(nursery, api, authority)
        settings = _settings(folder, status, address, authority.certificate_path, fails)
        proxy = await nursery.start(partial(serve, settings, listener=events.listen))
        yield DemoSetup(api, address, settings, proxy, events)
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
    """Return the first seed with which exactly these requests fail."""
    [rule] = rule_set_of(settings).rules

    def fits(seed: int) -> bool:
        draws = (Draws(seed, rule.id, number) for number in range(1, len(fails) + 1))
        return [draw.chance(rule.when.probability) for draw in draws] == list(fails)

    return next(seed for seed in itertools.count(1) if fits(seed))
