"""The proxy's sessions in memory: clients on one side, scripted upstreams on the other.

A test opens a bench, says what upstreams do, connects clients, and compares what comes out. Each
bench that is left asserts that nothing was left behind: no task, no open connection, no
`SessionFailed`, no place of a rule that is still taken, no room for copies, and that every session
and exchange was reported once. Only the dialler is a fake; everything between the two streams is
the real code.
"""

from __future__ import annotations

import itertools
import ssl
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import trio
import trio.testing
from attrs import define, evolve, field

from faultinject.authority import Authority, TargetPattern
from faultinject.config.rule_set import rule_set_of
from faultinject.config.rules import read_rules
from faultinject.errors import UpstreamError
from faultinject.events import (
    Event,
    ExchangeEnded,
    SessionEnded,
    SessionFailed,
    SessionStarted,
)
from faultinject.proxy.http_proxy import HttpProxy
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.session import Session
from faultinject.proxy.startup import counters_for
from faultinject.proxy.traffic_copy import CopyRoom
from faultinject.proxy.upstream.dial import Dialer, Origin
from faultinject.rules import RuleSet
from faultinject.rules.attempts import Attempt, Attempts
from faultinject.rules.identity import Identity
from faultinject.settings import Limits, Settings
from faultinject.tls.certificate_authority import CertificateAuthority
from faultinject.tls.certificates import new_rsa_key
from faultinject.tls.leaf_cache import LeafCache
from tests.support.peer import Cut, Message, Peer
from tests.support.pipes import Pipe, pipe_pair
from tests.support.tls_peers import client_context

TARGET = "api.example.com"
GIVEN_UP_SECONDS = 10_000.0
"""Longer than any limit: whoever still waits then waits for ever. Tests have a clock that jumps."""

Script = Callable[[Peer], Awaitable[None]]
E = TypeVar("E", bound=Event)


@cache
def authority() -> CertificateAuthority:
    """The certificate authority of all benches."""
    with tempfile.TemporaryDirectory() as folder:
        return CertificateAuthority.open_or_create(Path(folder))


@cache
def leaves() -> LeafCache:
    """The leaves of all benches: minting takes longer than most tests."""
    return LeafCache(authority(), 100)


@cache
def rsa_leaves() -> LeafCache:
    """Leaves whose RSA key is there: a thread that makes one has no place in a clock that jumps."""
    return LeafCache(authority(), 100, rsa_key=new_rsa_key())


RSA_ONLY = {"version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
"""What makes a context one of those that need them."""


def trusting_context(**more: Any) -> ssl.SSLContext:
    """Return a client's context that trusts `authority`."""
    return client_context(ca_pem=authority().certificate_pem.decode(), **more)


@cache
def _usual_context() -> ssl.SSLContext:
    """The context of all clients that are as most are."""
    return trusting_context(alpn=["http/1.1"])


def outdated_context() -> ssl.SSLContext:
    """Return a client's context that knows TLS 1.1 at most."""
    context = client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def ok(body: bytes, *headers: bytes) -> bytes:
    """Return a plain 200."""
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, len(body), body)


def get(path: str, host: str = TARGET, *headers: bytes) -> bytes:
    """Return a GET."""
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (path.encode(), host.encode(), lines)


def post(path: str, body: bytes, *headers: bytes, host: str = TARGET) -> bytes:
    """Return a POST with its length."""
    lines = b"".join(line + b"\r\n" for line in headers)
    head = b"POST %b HTTP/1.1\r\nHost: %b\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path.encode(), host.encode(), lines, len(body)) + body


async def echoes(upstream: Peer) -> None:
    """Answer each request with its request line and the length of its body."""
    while request := await upstream.read_message():
        await upstream.send(ok(b"%b %d" % (request.line, len(request.body))))


def answers(*pieces: bytes) -> Script:
    """Return a script that answers a request by these, one after another, and ends then."""

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        for piece in pieces:
            await upstream.send(piece)
            await trio.testing.wait_all_tasks_blocked()

    return script


async def stays_open(upstream: Peer) -> None:
    """Wait until the proxy ends the connection."""
    await upstream.rest()


@define(eq=False)
class ScriptedDialer:
    """Dials upstreams that follow a script; the connection ends when the script does."""

    bench: Bench
    failure: UpstreamError | None = None
    dialled: list[Origin | Authority] = field(factory=list)
    pipes: list[Pipe] = field(factory=list)
    """The proxy's ends of the connections."""

    async def dial(self, origin: Origin) -> trio.abc.Stream:
        """Stand for `Dialer.dial`."""
        return await self._open(origin)

    async def dial_blind(self, address: Authority) -> trio.abc.Stream:
        """Stand for `Dialer.dial_blind`."""
        return await self._open(address)

    async def _open(self, where: Origin | Authority) -> trio.abc.Stream:
        self.dialled.append(where)
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        ours, theirs = pipe_pair()
        self.pipes.append(ours)
        self.bench.nursery.start_soon(self._play, self.bench.upstream, theirs)
        return ours

    async def _play(self, script: Script, pipe: Pipe) -> None:
        try:
            await script(Peer(pipe))
        except (trio.BrokenResourceError, Cut):
            pass  # the proxy has left
        finally:
            await trio.aclose_forcefully(pipe)


class _AttemptsInView(Attempts):
    """Attempts that are kept, so that a test can see whether each has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Attempt] = []

    def begin(self, identity: Identity, began_seconds: float) -> Attempt | None:
        """Keep what the real ones return."""
        attempt = super().begin(identity, began_seconds)
        if attempt is not None:
            self.begun.append(attempt)
        return attempt


@define(eq=False)
class Bench:
    """A proxy without sockets."""

    nursery: trio.Nursery
    settings: Settings
    upstream: Script
    events: list[Event] = field(factory=list)
    sessions: list[Session] = field(factory=list)
    dialer: ScriptedDialer = field(init=False)
    runtime: Runtime = field(init=False)
    doors: list[Pipe] = field(factory=list)
    """The proxy's ends of the clients' connections."""
    attempts: _AttemptsInView = field(factory=_AttemptsInView)
    cancelled: bool = False
    _rooms: dict[CopyRoom, int] = field(factory=dict)
    """The run's own, and what each has left at the start; a test may put others in their place."""
    _scopes: list[trio.CancelScope] = field(factory=list)
    _clients: list[Pipe] = field(factory=list)
    _running: int = 0
    _one_ended: trio.Event = field(factory=trio.Event)

    def start(self) -> None:
        """Get ready for clients."""
        settings, self.dialer = self.settings, ScriptedDialer(self)
        counters = counters_for(settings)
        counters.attempts = self.attempts
        self.runtime = Runtime(
            limits=settings.limits,
            targets=settings.target_host,
            rule_set=rule_set_of(settings),
            counters=counters,
            leaves=leaves(),
            dialer=cast("Dialer", self.dialer),
            dial=self.dialer.dial,
            listener=self.events.append,
            refuses_websockets=settings.refuse_websocket,
            allows_foreign_keys=settings.allow_foreign_keys,
            clock=trio.current_time,
        )
        rooms = (self.runtime.copy_room, self.runtime.delay_room)
        self._rooms = {room: room.left_bytes for room in rooms}

    # Clients

    def connect(self) -> Peer:
        """Return a client of the proxy's port."""
        ours, theirs = pipe_pair()
        self._clients.append(ours)
        self.doors.append(theirs)
        self.nursery.start_soon(self._serve, theirs)
        return Peer(ours)

    async def tunnel(self, authority: str = f"{TARGET}:443") -> Peer:
        """Return a client whose CONNECT was answered 200."""
        client = self.connect()
        connect = b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % authority.encode()
        assert (await client.ask(connect)).line == b"HTTP/1.1 200 Connection established"
        return client

    async def tls(self, authority: str = f"{TARGET}:443", name: str = TARGET) -> Peer:
        """Return a client that speaks TLS through a tunnel."""
        client = await self.tunnel(authority)
        await client.start_tls(_usual_context(), name)
        return client

    async def _serve(self, stream: Pipe) -> None:
        self._running += 1
        session = Session(self.runtime, self.runtime.next_session_id(), "127.0.0.1:50000")
        self.sessions.append(session)
        try:
            with trio.CancelScope() as scope:
                self._scopes.append(scope)
                if self.cancelled:
                    scope.cancel()
                async with stream:
                    await session.run(HttpProxy(stream))
        finally:
            self._running -= 1
            self._one_ended.set()
            self._one_ended = trio.Event()

    # What happened

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def ended(self) -> SessionEnded:
        """Return the last session's end, once all sessions are over."""
        with trio.fail_after(GIVEN_UP_SECONDS):
            while self._running:
                await self._one_ended.wait()
        return self.of(SessionEnded)[-1]

    async def exchange(self) -> ExchangeEnded:
        """Return the only exchange so far, once nothing moves any more."""
        await trio.testing.wait_all_tasks_blocked()
        [exchange] = self.of(ExchangeEnded)
        return exchange

    @property
    def outcomes(self) -> list[str]:
        """How the exchanges so far ended."""
        return [exchange.outcome for exchange in self.of(ExchangeEnded)]

    def inject(self, probability: float, **more: Any) -> None:
        """From the next request on inject with this probability."""
        settings = evolve(self.settings, error_probability=probability, **more)
        self.runtime.rule_set = rule_set_of(settings)

    def rules(self, *values: dict[str, Any], seed: int = 1) -> None:
        """From the next request on go by these rules."""
        self.runtime.rule_set = RuleSet(read_rules(list(values), "test").rules, seed)

    def cancel_sessions(self) -> None:
        """Cancel all sessions, and those to come."""
        self.cancelled = True
        for scope in self._scopes:
            scope.cancel()

    def start_afresh(self, upstream: Script) -> None:
        """Go on with new sessions after those that were cancelled."""
        self.cancelled = False
        self.upstream = upstream
        self.dialer.failure = None
        self.runtime.dial = self.dialer.dial
        self.inject(0)

    # The end

    async def leave(self) -> None:
        """End all clients and wait for their sessions."""
        for pipe in self._clients:
            await trio.aclose_forcefully(pipe)
        await self.ended()

    def check_nothing_is_left(self) -> None:
        """Assert that every connection was closed, and that all that began was reported to end."""
        assert all(pipe.closed for pipe in self.doors), "a client's connection is open"
        assert all(pipe.closed for pipe in self.dialer.pipes), "an upstream's connection is open"
        started = [event.session for event in self.of(SessionStarted)]
        ended = {event.session: event.exchanges for event in self.of(SessionEnded)}
        assert sorted(started) == sorted(ended), "a session was not reported to end"
        assert len(ended) == len(self.of(SessionEnded)), "a session was reported to end twice"
        exchanges = sorted((event.session, event.exchange) for event in self.of(ExchangeEnded))
        counted = [(session, n + 1) for session in sorted(ended) for n in range(ended[session])]
        assert exchanges == counted, "not each exchange was reported once"
        assert not any(attempt._open for attempt in self.attempts.begun), "an attempt is open"
        counters = self.runtime.counters
        groups = (group.values() for group in counters._grouped.values())
        tallies = itertools.chain(counters._rules.values(), *groups)
        assert not any(tally.open for tally in tallies), "a rule's place is taken"
        counters.backlog.catch_up()
        kept = [left - room.left_bytes for room, left in self._rooms.items()]
        assert not any(kept), "a copy still takes room"


@asynccontextmanager
async def open_bench(
    *,
    probability: float = 0.0,
    upstream: Script = echoes,
    limits: Limits | None = None,
    targets: tuple[str, ...] = (TARGET,),
    defects: bool = False,
    **options: Any,
) -> AsyncIterator[Bench]:
    """Open a bench; when it is left, all is checked that a run must not leave behind.

    ``defects`` says that the test means to see `SessionFailed`.
    """
    settings = Settings(
        target_host=tuple(TargetPattern.parse_target(target) for target in targets),
        error_probability=probability,
        status_code=options.pop("status_code", 429),
        seed=options.pop("seed", 1),
        limits=limits or Limits(),
        **options,
    )
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery, settings, upstream)
        bench.start()
        try:
            yield bench
        except BaseException as error:
            error.add_note("\n".join(map(str, bench.events[-20:])))
            for failed in bench.of(SessionFailed):
                error.add_note(failed.traceback)
            raise
        await bench.leave()
        nursery.cancel_scope.cancel()
    bench.check_nothing_is_left()
    failures = [event.traceback for event in bench.of(SessionFailed)]
    assert defects or not failures, "\n".join(failures)


__all__ = ["Bench", "Message", "Peer", "open_bench"]
