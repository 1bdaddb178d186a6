"""Opens the plugin's two registrations.

Knows nothing of what the tunnels do, and of asyncio only which module to load for it, and when.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faultinject.authority import local_url
from faultinject.events import Warned
from faultinject.memory import give_back
from faultinject.plugin import wire
from faultinject.plugin.calls import Side, TunnelPlugin
from faultinject.plugin.guard import TunnelGuard
from faultinject.plugin.http_calls import HttpCalls
from faultinject.plugin.registrations import Registrations
from faultinject.plugin.service import PluginService
from faultinject.proxy.session import Services
from faultinject.settings import PluginSettings


@asynccontextmanager
async def open_front(
    settings: PluginSettings, services: Services, tunnels: TunnelPlugin
) -> AsyncIterator[Registrations]:
    """Listen for the host for as long as the block runs; the value says where.

    Leaving the block cancels every call under way and closes the host's connections. Tunnels
    that shall be told better (`Close`) must end inside of it. Raises `StartError` if this
    Python has no trio-asyncio, or a port cannot be had.
    """
    # Late, for loading it takes a while, changes asyncio, and fails on some Pythons.
    from faultinject.plugin.bridge.grpc_server import Endpoint, open_grpc

    def tell(problem: str) -> None:
        services.listener(Warned(time=time.time(), message=problem))

    registrations = Registrations(settings.tunnel, tell=tell)
    guarded = TunnelGuard(tunnels, services.listener)
    http = HttpCalls(services, settings.http_forward)
    ports = {
        Side.CLIENT: (settings.port, "--port"),
        Side.UPSTREAM: (settings.upstream_port, "--upstream-port"),
    }
    spare_memory = give_back if settings.gives_memory_back else None
    endpoints, largest = [], wire.largest_messages(settings.tunnel)
    for side, (port, option) in ports.items():
        service = PluginService(side, registrations, guarded, http)
        calls = service.calls()
        endpoints.append(
            Endpoint(
                settings.host, port, option, wire.SERVICE, calls, largest, give_back=spare_memory
            )
        )

    async with open_grpc(endpoints, tell) as bound_ports:
        for side, bound_port in zip(ports, bound_ports, strict=True):
            registrations.urls[side] = local_url(settings.host, bound_port)
        yield registrations
