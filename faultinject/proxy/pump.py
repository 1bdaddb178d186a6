"""Passes a response from its source through a filter to the client, in one way for every plan.

Where a response comes from is a `ResponseSource`, what happens to it a `Filter` or nothing. This is
the only place where the acts of a filter are performed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from faultinject.errors import ClientGoneError, ClientProtocolError, UpstreamError
from faultinject.faults.place import Scope
from faultinject.faults.transform import Garbage, Reset, Send
from faultinject.http.message import End, Part, ResponseHead
from faultinject.net.streams import CloseMode
from faultinject.net.tasks import run_with_watcher
from faultinject.proxy.exchange import Ending, Exchange
from faultinject.proxy.fault_filter import Filter, FilterAct, Pass, Pause


class ResponseSource(ABC):
    """Where a response comes from."""

    @abstractmethod
    async def open(self) -> None:
        """Do what comes before the response: ask for it, or read the request that it answers.

        Raises `ClientGoneError`, `ClientProtocolError`, `UpstreamError`.
        """

    async def open_again(self, error: UpstreamError) -> None:
        """Open it once more after an error, if that is possible; else raise the error."""
        raise error

    @abstractmethod
    async def receive(self) -> list[Part]:
        """Wait for the next parts, at least one. The last is an `End`, or the head of a 101.

        If it is cancelled, nothing is lost. Raises `UpstreamError`.
        """

    @abstractmethod
    async def receive_at_once(self) -> list[Part] | None:
        """Receive, or return None if there must be a task beside that does `meanwhile`.

        A second task costs as much as the rest of a short exchange.
        """

    @abstractmethod
    async def meanwhile(self) -> None:
        """Do what goes on beside the response: send the request, watch the client.

        Raises `ClientGoneError`, `ClientProtocolError`.
        """

    def sent(self, parts: Sequence[Part]) -> None:  # noqa: B027
        """Note that the client was sent what the filter made of these parts."""

    async def close(self) -> None:  # noqa: B027
        """Do what comes after the response, while `meanwhile` goes on."""


async def pump(source: ResponseSource, passes: Filter | None, exchange: Exchange) -> None:
    """Send a response to an exchange's client as its filter lets it through.

    Returns when the response has ended, and all that goes on beside it. Raises `ClientGoneError`,
    `ClientProtocolError`, `UpstreamError`; a response may have begun by then (`Exchange.head`).
    """
    await source.open()
    while True:
        try:
            await _pump(source, passes, exchange)
        except UpstreamError as error:
            await source.open_again(error)
        else:
            return


async def _pump(source: ResponseSource, passes: Filter | None, exchange: Exchange) -> None:
    if passes is None:
        while (parts := await source.receive_at_once()) is not None:
            if await _pass_on(parts, source, exchange):
                return
    failure: ClientGoneError | ClientProtocolError | None = None

    async def meanwhile(ended: trio.CancelScope) -> None:
        nonlocal failure
        try:
            await source.meanwhile()
        except (ClientGoneError, ClientProtocolError) as error:
            failure = error
            ended.cancel()

    async def respond() -> None:
        if passes is None:
            while not await _pass_on(await source.receive(), source, exchange):
                pass
        else:
            await _filter(source, passes, exchange)
        await source.close()

    try:
        await run_with_watcher(meanwhile, respond)
        if failure is not None and not exchange.is_complete:
            raise failure
    finally:
        failure = None  # by its traceback it keeps the exchange, and this frame kept it


async def while_connected(
    acts: Iterable[FilterAct], exchange: Exchange, receive: Callable[[], Awaitable[None]]
) -> None:
    """Perform acts while the client stays and ``receive`` takes its request.

    Raises `ClientGoneError` once it has left, and `ClientProtocolError`.
    """
    failure: ClientGoneError | ClientProtocolError | None = None

    async def watch(ended: trio.CancelScope) -> None:
        nonlocal failure
        try:
            await receive()
            await exchange.watch()
        except (ClientGoneError, ClientProtocolError) as error:
            failure = error
            ended.cancel()

    try:
        await run_with_watcher(watch, lambda: perform(acts, exchange))
        if failure is not None:
            raise failure
    finally:
        failure = None  # as above


# A response as it is


async def _pass_on(parts: list[Part], source: ResponseSource, exchange: Exchange) -> bool:
    """Send the client what was received; return True after the last."""
    over = await _send(parts, exchange, last=isinstance(parts[-1], End))
    source.sent(parts)
    return over


async def _send(parts: Sequence[Part], exchange: Exchange, *, last: bool) -> bool:
    """Send parts in one write; return True if the response is over.

    ``last`` says that the client may take the response as complete with these.
    """
    head = exchange.head
    for part in parts:
        if isinstance(part, ResponseHead) and (not part.interim or part.status == 101):
            head = part
    if last and exchange.on_end is not None:
        # Of a plain answer there is nothing to note: most are spared the call.
        is_plain = exchange.own is None and exchange.fault_filter is None
        if not is_plain or head is None or head.status >= 400:
            await exchange.before_last(head)
    await exchange.client.send(*parts)
    exchange.head = head
    exchange.answered = isinstance(parts[-1], End) or exchange.status == 101
    return exchange.answered


# A response with a filter


async def _filter(source: ResponseSource, passes: Filter, exchange: Exchange) -> None:
    over = await perform(passes.begin(), exchange)
    while not over:
        with trio.CancelScope(deadline=passes.wake_at) as until_wake:
            parts = await source.receive()
        if until_wake.cancelled_caught:
            over = await perform(passes.tick(), exchange)
        else:
            over = await perform(passes.receive(parts), exchange)
            source.sent(parts)


async def perform(acts: Iterable[FilterAct], exchange: Exchange) -> bool:
    """Perform acts; return True if nothing can follow."""
    for act in acts:
        match act:
            case Send(data):
                _expect_reading(exchange)
                await exchange.client.send(data)
            case Pass():
                if act.last and not isinstance(act.parts[0], ResponseHead):
                    _expect_reading(exchange)
                if act.parts:
                    await _send(act.parts, exchange, last=act.last)
                if act.ends:
                    return True
            case Pause():
                await _pause(act, exchange)
            case _:
                await _end(act, exchange)
                return True
    return False


def _expect_reading(exchange: Exchange) -> None:
    exchange.timeout.reset("the client to read its answer", exchange.limits.idle_seconds)


async def _pause(pause: Pause, exchange: Exchange) -> None:
    idle_seconds, timeout = exchange.limits.idle_seconds, exchange.timeout
    for words, seconds in pause.began:
        exchange.report_wait(words, seconds)
    exchange.pause(pause.writes, pause.guessed)
    if pause.until_seconds == math.inf:
        timeout.reset("the client to leave", idle_seconds)
        await exchange.client_ended.wait()
        return
    seconds = max(0.0, pause.until_seconds - trio.current_time())
    timeout.reset("a fault's delay", seconds + idle_seconds)
    await trio.sleep_until(pause.until_seconds)


async def _end(act: FilterAct, exchange: Exchange) -> None:
    """End the exchange without the response's proper end."""
    if isinstance(act, Garbage):
        await exchange.before_last(exchange.head, whole=False)
        await exchange.client.send_raw(act.data)
    if isinstance(act, Reset):
        how = CloseMode.RESET
    else:  # with FIN: unread bytes of the client would make it an RST
        is_read = exchange.client.request_ended
        how = CloseMode.TRUNCATE if is_read else CloseMode.TRUNCATE_LINGERING
    fault_filter = exchange.fault_filter
    scope = fault_filter.plan.scope if fault_filter else Scope.REQUEST
    exchange.ending = Ending(how, scope)
