"""The fake API in the place of targets' upstreams: ``--fake-upstream``.

Knows nothing of sockets: a target's connection is a stream in memory, whatever its origin says
of TLS, and other origins are dialled by whoever else can.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio
from attrs import define, field

from faultinject.authority import Authority
from faultinject.events import Listener, Warned
from faultinject.net.memory_stream import memory_stream_pair
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.fake.fake_api import FakeApi
from faultinject.proxy.upstream.pool import Dial


@define(eq=False)
class FakeUpstream:
    """Dials the fake API for targets.

    Its connections are served in the nursery that is given, until the one who dialled closes
    them or the nursery is cancelled. A defect in it ends one connection and is told as a warning.
    """

    _nursery: trio.Nursery
    _is_target: Callable[[Authority], bool]
    _dial_other: Dial
    _listener: Listener
    _api: FakeApi = field(factory=FakeApi)

    async def dial(self, origin: Origin) -> trio.abc.Stream:
        """Open a connection that is ready for HTTP. Raises `UpstreamError` for other origins."""
        if not self._is_target(origin.authority):
            return await self._dial_other(origin)
        await trio.lowlevel.checkpoint()
        near, far = memory_stream_pair()
        self._nursery.start_soon(self._serve, far)
        return near

    async def _serve(self, stream: trio.abc.Stream) -> None:
        try:
            await self._api.serve(stream)
        except Exception as error:  # noqa: BLE001 - as a session's, it must not end the others
            words = f"a defect in the fake API: {type(error).__name__}: {error}"
            self._listener(Warned(time=time.time(), message=words))
