"""The first stage of a session: what a client may send to the proxy's port.

Three kinds of request: CONNECT, which opens a tunnel; a request with an absolute URL; and a request
as to an origin server ("base-URL mode", `faultinject.proxy.base_url`), which goes to a target.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import lru_cache

import trio
from attrs import define, field

from faultinject.authority import HTTPS_PORT, Authority, TargetPattern, is_loopback
from faultinject.errors import ClientGoneError, ClientProtocolError, UpstreamError
from faultinject.faults.respond import InjectedResponse
from faultinject.http.h1.connection import ClientConnection
from faultinject.http.headers import addressed_to, split_absolute
from faultinject.http.message import RequestHead, find_header
from faultinject.net.streams import CloseMode, PrefixedStream, close
from faultinject.proxy.base_url import check_keys, corrected, target_meant
from faultinject.proxy.http1 import Http1Session
from faultinject.proxy.local_reply import dated, local_reply
from faultinject.proxy.not_http import NotHttp, is_undecided, not_http
from faultinject.proxy.serve_request import RequestServer, Routed
from faultinject.proxy.session import Session, SessionStage, report_exchange, reported_path
from faultinject.proxy.tunnel import Tunnel
from faultinject.proxy.upstream.dial import Origin
from faultinject.rules.facts import USER_AGENT, Way

_NO_AUTHORITY = ClientProtocolError(
    "there is no certificate authority to look into TLS with: use this proxy as base URL, or start"
    " it with --data-dir, naming a directory that it may write",
    501,
)
_SECRETIVE = frozenset("@/?#;&=")


@define(eq=False, repr=False)
class HttpProxy:
    """Serves one client on its own connection to the proxy."""

    stream: trio.abc.Stream
    on_partial_read: Callable[[], None] | None = None
    target: TargetPattern | None = None
    """The target that every base-URL request here is for; None if the request shows it."""

    async def serve(self, session: Session) -> SessionStage | None:
        """Answer requests until the client leaves, or sends a CONNECT, whose tunnel follows.

        Closes the stream unless a tunnel follows or an exception is raised.
        """
        limits = session.runtime.limits
        client = ClientConnection(
            self.stream,
            head_bytes=limits.head_bytes,
            head_seconds=limits.head_seconds,
            on_partial_read=self.on_partial_read,
        )
        requests = RequestServer(session, _Router(session, self.target).route)
        http1 = Http1Session(session, client, requests)
        if (other := not_http(await http1.first_bytes(is_undecided))) is not None:
            await self._refuse_protocol(session, other)
            return None
        while (connect := await http1.run()) is not None:
            try:
                authority = _tunnel_authority(connect.target.decode("ascii"))
            except ValueError as error:
                await http1.refuse(connect, ClientProtocolError(str(error)))
                break
            origin = Origin(authority, authority)
            session.way = _way(session, connect, authority)
            if not await http1.answer_connect(connect, origin):
                if _cannot_intercept(session, authority):
                    await http1.refuse(connect, _NO_AUTHORITY, origin)
                    break
                return await self._connect(http1, authority)
            if http1.ending is not CloseMode.CLEAN:
                break
        await close(self.stream, http1.ending)
        return None

    async def _refuse_protocol(self, session: Session, other: NotHttp) -> None:
        """Refuse a protocol other than HTTP, as that protocol does it, and report it."""
        report_exchange(
            session,
            None,
            time.perf_counter(),
            number=session.begin_exchange(),
            method="",
            scheme="http",
            path="",
            outcome="refused",
            rule=None,
            error=other.words,
        )
        with contextlib.suppress(trio.BrokenResourceError):
            await self.stream.send_all(other.answer)
        await close(self.stream, CloseMode.LINGER)

    async def _connect(self, http1: Http1Session, authority: Authority) -> SessionStage | None:
        """Open the tunnel of a CONNECT (RFC 9110 section 9.3.6); return the next stage."""
        client = http1.client
        tunnel = Tunnel(http1.session, self.stream, self.on_partial_read, authority=authority)
        try:
            await tunnel.dial_if_relayed()
        except UpstreamError as error:
            await self._decline(client, local_reply(error.status, error.kind, str(error)))
            return None
        if early := client.unread:
            tunnel.stream = PrefixedStream(early, self.stream)
        return tunnel

    async def _decline(self, client: ClientConnection, response: InjectedResponse) -> None:
        client.closes = True
        try:
            await client.send(*dated(response))
        except ClientGoneError:
            return
        await close(self.stream, CloseMode.LINGER)


def _way(session: Session, connect: RequestHead, authority: Authority) -> Way:
    """Return the tunnel that a client asks for. The client's port differs with each connection."""
    address, _, _ = session.client.rpartition(":")
    agent = tuple([value for name, value in connect.headers if name.lower() == USER_AGENT])
    runtime = session.runtime
    return Way(runtime.digests.way(address, agent, str(authority)), runtime.now_seconds)


def _cannot_intercept(session: Session, authority: Authority) -> bool:
    runtime = session.runtime
    if runtime.cannot_intercept is None:
        return False
    return runtime.target_of(authority.host, authority.port) is not None


def _tunnel_authority(target: str) -> Authority:
    if not _SECRETIVE.isdisjoint(target):  # there may be a password in it: it is not repeated
        raise ValueError("CONNECT takes host:port alone, without user, password and path")
    return Authority.parse(target)


@define(eq=False, repr=False)
class _Router:
    """Finds where the requests of one client connection go.

    What the last request led to is kept: the next one mostly goes there, too.
    """

    session: Session
    fixed: TargetPattern | None
    """The target that every base-URL request is for; None if the request shows it."""
    _target: TargetPattern | None = field(default=None, init=False)
    """The target of the last base-URL request."""
    _origin: Origin = field(init=False)
    """Its origin."""

    def route(self, head: RequestHead) -> Routed:
        """Return where a request goes. Raises `ClientProtocolError`."""
        _check_host(head)
        target = self.fixed
        if not head.target.startswith((b"/", b"*")):
            tls, authority, request = split_absolute(head)
            target = None if tls else self._target_at(authority)
            if target is None:
                return Routed(request, Origin(authority, authority, tls=tls))
            head = request
        target = target or target_meant(self.session.runtime.single_targets, head)
        if target is not self._target:
            authority = target.authority
            self._target, self._origin = target, Origin(authority, authority, tls=target.tls)
        return self._base_url_route(head, self._origin, target.default_port)

    def _target_at(self, authority: Authority) -> TargetPattern | None:
        """Return the target whose own port a client names to us as a proxy.

        A client that uses us as proxy for this machine too does so for the base URL that it was
        told.
        """
        ours = is_loopback(authority.host)
        return self.session.runtime.target_ports.get(authority.port) if ours else None

    def _base_url_route(self, head: RequestHead, origin: Origin, default_port: int) -> Routed:
        session, authority = self.session, origin.authority
        if not session.runtime.allows_foreign_keys:
            check_keys(head, authority)
        request = corrected(head, authority)
        mended_from = None if request is head else reported_path(head)
        if mended_from is not None:
            _warn_of_path(session, authority.host, mended_from, reported_path(request))
        return Routed(addressed_to(request, authority, default_port), origin, mended_from)


_REMEMBERED_BYTES = 256


def _check_host(head: RequestHead) -> None:
    """Refuse a Host value that names no host (RFC 9112 section 3.2); an empty one is allowed.

    The error does not repeat the value: there may be a password before an ``@``.
    """
    value = find_header(head.headers, b"host")
    if not value:
        return
    names = _names_a_host if len(value) <= _REMEMBERED_BYTES else _names_a_host.__wrapped__
    if not names(value):
        raise ClientProtocolError("the Host header names no host")


@lru_cache(maxsize=64)
def _names_a_host(value: bytes) -> bool:
    """Remember what was found of the last values: most connections come with the same few."""
    try:
        Authority.parse(value.decode("ascii"), HTTPS_PORT)
    except ValueError:
        return False
    return True


def _warn_of_path(session: Session, host: str, sent: str, meant: str) -> None:
    prefix = meant.removesuffix(sent) if meant.endswith(sent) else ""
    problem = f"lacks {prefix}" if prefix else "has /v1 too often"
    session.runtime.warn_once(
        f"a client asks {host} for {sent}, which it has not: its base URL {problem}. It is asked"
        f" for {meant} instead, and so are others like it",
        about=f"{host} {problem}",
    )
