"""Several exchanges at once on one client connection, as with HTTP/2: what must be each one's own.

No such connection exists yet. The one here has its requests and responses in memory, as parts; all
behind it is what serves HTTP/1.1.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from faultinject.authority import Authority
from faultinject.errors import ClientGoneError
from faultinject.events import ExchangeEnded
from faultinject.faults.place import Scope
from faultinject.http.exchange_sides import ClientExchange
from faultinject.http.message import End, Part, RequestHead, ResponseHead
from faultinject.net.timeouts import Timeout, TimeoutExpiredError
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.serve_request import RequestServer, Routed
from faultinject.proxy.session import Session
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import Limits
from tests.support.bench import TARGET, Bench, Script, ok, open_bench
from tests.support.llm_api import message_events
from tests.support.peer import Peer
from tests.support.stream_api import streams

AUTHORITY = Authority(TARGET, 443)
ORIGIN = Origin(AUTHORITY, AUTHORITY)
WHOLE = b"".join(message_events())


class Side(ClientExchange):
    """The client's side of one exchange of several."""

    def __init__(self, path: str, body: bytes = b'{"stream": true}') -> None:
        headers = ((b"Host", TARGET.encode()), (b"Content-Length", b"%d" % len(body)))
        self.request = RequestHead(b"POST", path.encode(), headers)
        self.stream = cast("trio.abc.Stream", None)  # nothing here becomes something else
        self.exchange: Exchange | None = None
        self.gone: ClientGoneError | None = None
        self.head: ResponseHead | None = None
        self.data = b""
        self.whole = False
        self._parts: list[Part] = [body, End()]
        self._left = trio.Event()

    # What the proxy does with it

    def buffered_parts(self) -> list[Part]:
        parts, self._parts = self._parts, []
        if self.listener is not None:
            self.listener.received(parts)
        return parts

    async def receive(self) -> list[Part]:
        await trio.lowlevel.checkpoint()
        return self.buffered_parts()

    @property
    def unread(self) -> bytes:
        return b""

    @property
    def body_bytes_received(self) -> int:
        return 0 if self._parts else 16

    async def send(self, *parts: Part) -> None:
        await trio.lowlevel.checkpoint()
        if self.gone is not None:
            raise self.gone
        for part in parts:
            if isinstance(part, ResponseHead):
                self.head = part
            elif isinstance(part, bytes):
                self.data += part
            else:
                self.whole = True
        if self.listener is not None:
            self.listener.sent(parts)

    async def send_raw(self, data: bytes) -> None:
        raise NotImplementedError

    @property
    def body_bytes_sent(self) -> int:
        return len(self.data)

    waits_for_continue = False

    @property
    def request_ended(self) -> bool:
        return not self._parts

    @property
    def response_started(self) -> bool:
        return self.head is not None

    async def wait_for_room(self) -> None:
        await trio.lowlevel.checkpoint()

    async def end_sending(self) -> None:
        raise NotImplementedError

    async def wait_until_gone(self, may_read: Callable[[bytes], bool], most_bytes: int) -> bool:
        assert may_read(b"")
        assert most_bytes > 0
        await self._left.wait()
        raise self.gone or AssertionError

    # What the client does

    def reset(self) -> None:
        """Have the client want no response any more."""
        self.gone = ClientGoneError("the client reset the stream")
        self._left.set()


@define
class Connection:
    """A client connection with several exchanges at once."""

    bench: Bench
    nursery: trio.Nursery
    session: Session
    requests: RequestServer
    sides: list[Side] = field(factory=list)

    def ask(self, path: str) -> Side:
        """Begin an exchange."""
        side = Side(path)
        self.sides.append(side)
        self.nursery.start_soon(self._serve, side)
        return side

    async def _serve(self, side: Side) -> None:
        try:
            with Timeout() as limit:
                limit.reset("the exchange", self.bench.runtime.limits.idle_seconds)
                side.exchange = await self.requests.serve(side, side.request, limit)
        except TimeoutExpiredError:
            return
        ending = side.exchange.ending
        if ending is not None and ending.scope is Scope.CONNECTION:
            self.nursery.cancel_scope.cancel()

    def leave(self) -> None:
        """Have the client end the whole connection."""
        for side in self.sides:
            side.reset()

    def told(self, side: Side) -> ExchangeEnded:
        """Return the one event of an exchange's end."""
        path = side.request.target.decode()
        [event] = [each for each in self.bench.of(ExchangeEnded) if each.path == path]
        return event


@define
class SeveralAtOnce:
    """The stage of a session that has such a connection."""

    bench: Bench
    opened: list[Connection] = field(factory=list)
    begun: trio.Event = field(factory=trio.Event)
    left: trio.Event = field(factory=trio.Event)

    async def serve(self, session: Session) -> None:
        """Wait until the connection is over, which only its exchanges limit."""
        session.timeout.reset("its exchanges", math.inf)
        async with trio.open_nursery() as nursery:
            server = RequestServer(session, lambda head: Routed(head, ORIGIN))
            self.opened.append(Connection(self.bench, nursery, session, server))
            session.waits = True
            self.begun.set()
            await self.left.wait()


@asynccontextmanager
async def connected(upstream: Script, **more: Any) -> AsyncIterator[Connection]:
    """Open a bench and a connection of that kind; at the end its exchanges are over."""
    async with open_bench(upstream=upstream, **more) as bench:
        session = Session(bench.runtime, bench.runtime.next_session_id(), "127.0.0.1:50000")
        stage = SeveralAtOnce(bench)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.run, stage)
            with trio.fail_after(60):
                await stage.begun.wait()
            yield stage.opened[0]
            stage.left.set()
        assert session.open_exchanges == 0


async def half_silent(upstream: Peer) -> None:
    """Answer all but one path."""
    while request := await upstream.read_message():
        if b"/silent" in request.line:
            await upstream.rest()
        else:
            await upstream.send(ok(b"{}"))


def harmed(**fault: Any) -> dict[str, Any]:
    """Return a rule for the one of two exchanges."""
    return {"name": "harm", "match": {"path": HARMED}, "fault": fault}


HARMED, OTHER = "/v1/messages", "/other"
STALLS = harmed(stream={"after": {"count": 1}, "stall": "30s"})
CUTS = {"after": {"count": 2}, "cut": True}


async def test_one_stalls_while_the_other_ends(autojump_clock: MockClock) -> None:
    """Each has an upstream connection of its own, a number, and all of its answer in its time."""
    async with connected(streams(gap_seconds=0.1)) as connection:
        connection.bench.rules(STALLS)
        slow, fast = connection.ask(HARMED), connection.ask(OTHER)
        await trio.sleep(5)
        assert (slow.whole, fast.whole, fast.data) == (False, True, WHOLE)
        assert len(connection.bench.dialer.dialled) == 2
        assert not connection.session.idle
        await trio.sleep(30)
        assert (slow.whole, slow.data) == (True, WHOLE)
        assert connection.session.idle
        told = connection.told(slow), connection.told(fast)
        assert [each.outcome for each in told] == ["harmed", "forwarded"]
        assert {each.exchange for each in told} == {1, 2}
        assert [each.response_bytes for each in told] == [len(WHOLE)] * 2
        again = connection.ask(OTHER), connection.ask(OTHER)
        await trio.sleep(5)
        assert all(each.whole for each in again)
        assert len(connection.bench.dialer.dialled) == 2


async def test_one_is_reset_by_its_client_alone(autojump_clock: MockClock) -> None:
    """Its upstream connection ends at once, and the other's goes on."""
    async with connected(streams()) as connection:
        left, stays = connection.ask(HARMED), connection.ask(OTHER)
        await trio.sleep(2.5)
        left.reset()
        await wait_all_tasks_blocked()
        assert connection.told(left).outcome == "client-gone"
        assert sum(pipe.closed for pipe in connection.bench.dialer.pipes) == 1
        await trio.sleep(10)
        assert (stays.whole, connection.told(stays).outcome) == (True, "forwarded")


@pytest.mark.parametrize("scope", [None, "request", "connection"])
async def test_one_is_cut_by_a_rule(autojump_clock: MockClock, scope: str | None) -> None:
    """The other ends too, once, if the rule names the connection; else it goes on."""
    async with connected(streams()) as connection:
        connection.bench.rules(harmed(stream=CUTS | ({"scope": scope} if scope else {})))
        cut, other = connection.ask(HARMED), connection.ask(OTHER)
        await trio.sleep(10)
        assert cut.exchange is not None
        assert cut.exchange.ending is not None
        assert (cut.whole, connection.told(cut).outcome) == (False, "harmed")
        ends = scope == "connection"
        assert other.whole is not ends
        assert connection.told(other).outcome == ("upstream-error" if ends else "forwarded")
        assert connection.told(other).error == (
            "broken off before the answer's end" if ends else None
        )


@pytest.mark.parametrize("scope", ["request", "connection"])
async def test_one_is_broken_by_a_rule(autojump_clock: MockClock, scope: str) -> None:
    """In place of its answer."""
    async with connected(streams()) as connection:
        connection.bench.rules(harmed(**{"break": {"how": "reset", "scope": scope}}))
        broken, other = connection.ask(HARMED), connection.ask(OTHER)
        await trio.sleep(10)
        assert (broken.head, connection.told(broken).outcome) == (None, "injected")
        assert other.whole is (scope == "request")


async def test_the_client_leaves_with_both_open(autojump_clock: MockClock) -> None:
    """Each is told once."""
    async with connected(streams()) as connection:
        sides = connection.ask(HARMED), connection.ask(OTHER)
        await trio.sleep(2.5)
        connection.leave()
        await wait_all_tasks_blocked()
        assert [connection.told(each).outcome for each in sides] == ["client-gone"] * 2


async def test_each_has_a_time_limit_of_its_own(autojump_clock: MockClock) -> None:
    """One that waits in vain ends by it, whatever goes on beside it."""
    async with connected(half_silent, limits=Limits(idle_seconds=20)) as connection:
        waits = connection.ask("/silent")
        for _ in range(3):
            await trio.sleep(6)
            assert (await answered(connection)).whole
        await trio.sleep(6)
        assert connection.told(waits).error == "broken off before the answer's end"
        assert connection.session.idle
        assert (await answered(connection)).whole


async def answered(connection: Connection) -> Side:
    """Return an exchange that is over."""
    side = connection.ask(OTHER)
    await wait_all_tasks_blocked()
    return side


async def test_rules_count_them_by_their_connection(autojump_clock: MockClock) -> None:
    """Both are of one."""
    limited = {
        "name": "first",
        "when": {"first": 1, "per": "connection"},
        "fault": {"respond": 529},
    }
    async with connected(half_silent) as connection:
        connection.bench.rules(limited)
        sides = connection.ask("/a"), connection.ask("/b")
        await wait_all_tasks_blocked()
        assert sorted(side.head.status for side in sides if side.head) == [200, 529]
        injected = next(side for side in sides if side.head and side.head.status == 529)
        assert json.loads(injected.data)


async def test_the_session_stops_when_the_last_is_over(autojump_clock: MockClock) -> None:
    """As the proxy drains: what is open goes on to its end."""
    async with connected(streams()) as connection:
        first, last = connection.ask(HARMED), connection.ask(OTHER)
        connection.bench.rules()
        await trio.sleep(1)
        connection.bench.runtime.draining = True
        connection.session.drain()
        await trio.sleep(20)
        assert first.whole
        assert last.whole
        assert connection.session.timeout.expired
