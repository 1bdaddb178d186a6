"""Reads the requests of one client connection one after another (HTTP/1.1), and has each served.

Nothing behind `RequestServer` assumes that a connection has one request at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field

from faultinject.errors import ClientGoneError, ClientProtocolError
from faultinject.http.h1.connection import ClientConnection
from faultinject.http.message import RequestHead
from faultinject.net.streams import CloseMode, send_close_notify
from faultinject.net.tasks import run_with_watcher
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.serve_request import RequestServer
from faultinject.proxy.session import Session
from faultinject.proxy.upstream.dial import Origin


@define(eq=False, repr=False)
class Http1Session:
    """Answers a client's requests until it leaves or sends a CONNECT."""

    session: Session
    client: ClientConnection
    requests: RequestServer
    ending: CloseMode = field(default=CloseMode.CLEAN, init=False)
    """How to close the client's connection once `run` has returned None."""
    _head_ends_by: float | None = field(default=None, init=False)
    """When the head must have arrived whose beginning `first_bytes` has read."""

    async def run(self) -> RequestHead | None:
        """Answer requests. Returns the head of a CONNECT, or None at the connection's end."""
        connect = await self._run()
        if connect is None:  # its client goes on by another one, if at all
            runtime = self.session.runtime
            clients = runtime.counters.attempts.clients
            clients.close_connection(self.session.id, runtime.now_seconds)
        return connect

    async def _run(self) -> RequestHead | None:
        while not self.session.runtime.draining:
            request = await self._next_request()
            if request is None or request.method == b"CONNECT":
                return request
            self.ending = await self._serve(request)
            del request  # most of a connection's life is spent waiting for the next one
            if self.ending is not CloseMode.CLEAN or not self.client.next_cycle():
                break
            if self.session.lease.is_closed:
                break
        if self.ending is CloseMode.CLEAN and self.client.has_unread:
            self.ending = CloseMode.LINGER  # it has asked for more than it will get
        return None

    # Waiting for a request

    async def first_bytes(self, too_few: Callable[[bytes], bool]) -> bytes:
        """Wait for the client's first bytes and return them; `run` reads them again.

        Reads on while ``too_few`` returns True, for at most the time that a head may take. Returns
        no bytes if the client leaves first, or the session should end.
        """
        self.session.timeout.reset("a request", self.session.idle_seconds)
        try:
            if await self._stays_idle():
                seconds = self.session.runtime.limits.head_seconds
                self._head_ends_by = trio.current_time() + seconds
                if too_few(self.client.unread):
                    with trio.CancelScope(deadline=self._head_ends_by):
                        while await self.client.read_more() and too_few(self.client.unread):
                            pass
        except ClientGoneError:
            return b""
        return self.client.unread

    async def _next_request(self) -> RequestHead | None:
        """Return the next request's head, or None if there is none and the session is over."""
        limits = self.session.runtime.limits
        self.session.timeout.reset("a request", self.session.idle_seconds)
        try:
            request = self.client.buffered_request()
            while request is None:  # an empty line may come first, and the head much later
                if self.client.has_unread:
                    request = await self._rest_of_head(limits.head_seconds)
                elif await self._stays_idle():
                    self._head_ends_by = None
                    request = self.client.buffered_request()
                else:
                    return None
        except ClientGoneError:
            return None
        except ClientProtocolError as error:
            await self.refuse(None, error)
            return None
        self._head_ends_by = None
        self.session.timeout.reset("the exchange", limits.idle_seconds)
        return request

    async def _stays_idle(self) -> bool:
        """Wait for the client's next bytes; return False if the session should end instead."""
        session = self.session
        session.waits = True
        try:
            stays = await self._wait_for_bytes()
        except trio.Cancelled:  # the proxy stops, or nothing came for too long
            await send_close_notify(self.client.stream)
            raise
        finally:
            session.waits = False
        return stays

    async def _wait_for_bytes(self) -> bool:
        lease = self.session.lease
        upstream = lease.idle_connection
        if upstream is None:
            return await self.client.read_more()
        with lease.first_waits.on(self.client.bottom):
            return await self.client.read_more()  # mostly the next request follows at once

        async def watch(ended: trio.CancelScope) -> None:
            # A client sees its origin close an idle connection; so shall ours.
            await upstream.wait_until_not_idle()
            ended.cancel()

        return bool(await run_with_watcher(watch, self.client.read_more))

    async def _rest_of_head(self, head_seconds: float) -> RequestHead | None:
        """Return the head that has begun to arrive; None if it was an empty line."""
        ends_by, self._head_ends_by = self._head_ends_by, None
        with trio.CancelScope(deadline=ends_by or trio.current_time() + head_seconds):
            while self.client.has_unread:
                if not await self.client.read_more():
                    raise ClientGoneError("the client closed the connection within a head")
                if (request := self.client.buffered_request()) is not None:
                    return request
            return None
        raise ClientProtocolError(f"the request's head did not end within {head_seconds:g} s", 408)

    # Its answer

    async def _serve(self, request: RequestHead) -> CloseMode:
        exchange = await self.requests.serve(self.client, request, self.session.timeout)
        return self._ending_after(exchange)

    async def answer_connect(self, request: RequestHead, origin: Origin) -> bool:
        """Answer a CONNECT if a rule does; return False if none does, so that a tunnel opens.

        Afterwards the client may send another request, unless `ending` is set.
        """
        exchange = await self.requests.answer_connect(
            self.client, request, self.session.timeout, origin
        )
        if exchange is None:
            return False
        self.ending = self._ending_after(exchange)
        if self.ending is CloseMode.CLEAN and not self.client.next_cycle():
            self.ending = CloseMode.LINGER
        return True

    async def refuse(
        self,
        request: RequestHead | None,
        error: ClientProtocolError,
        origin: Origin | None = None,
    ) -> None:
        """Answer with a local reply (an error); the connection ends after it."""
        self.ending = CloseMode.LINGER
        await self.requests.refuse(self.client, request, self.session.timeout, error, origin)

    def _ending_after(self, exchange: Exchange) -> CloseMode:
        """Return how the connection ends after an exchange; `CLEAN` if it need not end."""
        if exchange.ending is not None:
            return exchange.ending.how  # nothing else can end the exchange alone
        if exchange.upstream_was_reset and not exchange.answered:
            return CloseMode.RESET
        is_read = self.client.request_ended
        if not exchange.answered or (exchange.relayed is not None and exchange.relayed.broken):
            # A reset might destroy what there is of an answer; where there is none, it is as good.
            keeps_words = self.client.response_started and not is_read
            return CloseMode.TRUNCATE_LINGERING if keeps_words else CloseMode.TRUNCATE
        return CloseMode.CLEAN if is_read and not self.client.ended else CloseMode.LINGER
