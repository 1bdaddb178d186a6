"""Watches a client while it waits for its response: if it leaves, the work for it ends at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from attrs import define, field

from faultinject.errors import ClientGoneError
from faultinject.http.h1.connection import ClientConnection
from faultinject.net.tasks import run_with_watcher
from faultinject.proxy.upstream.lease import Lease
from faultinject.settings import Limits

T = TypeVar("T")


@define(eq=False)
class ClientWatch:
    """The watch over one client during one exchange."""

    client: ClientConnection
    lease: Lease
    limits: Limits
    ended: trio.Event = field(factory=trio.Event, init=False)
    """Set when the client has ended its side and may still be reading."""
    on_gone: Callable[[], None] = lambda: None
    """Called when the client has left."""

    async def run(self) -> None:
        """Return when there is nothing more to watch for. Raises `ClientGoneError`.

        A client that has announced its last request may end its side of a TCP connection and
        still read. If it has not, the end means that it does not want the response any more: the
        upstream should stop working on it.
        """
        try:
            await self._run()
        except ClientGoneError:
            self.on_gone()
            raise

    async def _run(self) -> None:
        if not self.lease.before_watch():
            return
        may_half_close = self.client.half_closeable and self.client.is_last_request
        while len(self.client.unread) < self.limits.early_bytes:
            if not self.lease.before_read(self.client.unread):
                return
            if not await self.client.read_more():
                if may_half_close:
                    self.ended.set()
                    return  # it sends nothing more, and may well be reading
                raise ClientGoneError("the client closed the connection before the answer's end")

    async def run_while_connected(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run ``main`` while the client stays. Raises `ClientGoneError` once it has left."""
        failure: ClientGoneError | None = None

        async def watch(ended: trio.CancelScope) -> None:
            nonlocal failure
            try:
                await self.run()
            except ClientGoneError as error:
                failure = error
                ended.cancel()

        results: list[T] = []

        async def run() -> None:
            results.append(await main())

        await run_with_watcher(watch, run)
        if results:
            return results[0]
        raise failure or ClientGoneError("the client left")
