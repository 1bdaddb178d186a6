"""A small world of clients and an API on a clock of its own, which tells what a proxy would see.

A client is a generator. It yields `Ask` and is sent a `Result`, or yields seconds to wait. Which
request is an attempt of which call is decided by the proxy's own code.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable, Generator, Iterable
from hashlib import blake2b
from typing import Any

from attrs import evolve, field, frozen

from faultinject.events import CommandEnded, Event, ExchangeEnded, Kind, ProxyStopped
from faultinject.observed import (
    MESSAGES,
    Failure,
    FailureKind,
    Message,
    Observed,
    Taken,
    ToolResult,
    WaitAskedBy,
)
from faultinject.report.finding import Finding
from faultinject.report.judge import Judge, Report
from faultinject.report.thresholds import Thresholds
from faultinject.rules.attempts import Attempt, Attempts, Ended
from faultinject.rules.facts import Way
from faultinject.rules.identity import Identity
from faultinject.seen import seen_of
from tests.support.sample_events import TIME, sample

HOST = "api.anthropic.com"


def digest(*pieces: object) -> str:
    """Return a digest as the proxy would make one."""
    return blake2b(repr(pieces).encode(), digest_size=8).hexdigest()


# -- what is asked ------------------------------------------------------------------------------


@frozen(kw_only=True)
class Turn:
    """A message: text, calls of tools by id (name and arguments), or results by id."""

    role: str = "user"
    text: str | None = None
    calls: dict[str, tuple[str, str]] = field(factory=dict)
    results: dict[str, str] = field(factory=dict)


def user(text: str) -> Turn:
    return Turn(text=text)


def assistant(text: str | None = None, **calls: tuple[str, str]) -> Turn:
    return Turn(role="assistant", text=text, calls=calls)


def results(**by_id: str) -> Turn:
    return Turn(results=by_id)


def messages_of(turns: Iterable[Turn]) -> tuple[str | None, tuple[Message, ...]]:
    """Return the digest of a conversation, and its messages."""
    chain, told, calls = digest(), [], {}
    for turn in turns:
        for call_id, (tool, arguments) in turn.calls.items():
            calls[call_id] = (tool, digest(arguments), chain)
        told.append(
            Message(
                role=turn.role,
                text=None if turn.text is None else digest(turn.text.strip()),
                before=chain,
                results=tuple(
                    ToolResult(
                        tool=calls[call_id][0],
                        arguments=calls[call_id][1],
                        call_id=digest(call_id),
                        result=digest(result),
                        prefix=calls[call_id][2],
                    )
                    for call_id, result in turn.results.items()
                ),
            )
        )
        chain = digest(chain, turn)
    return (chain if told else None), tuple(told)


@frozen(kw_only=True)
class Ask:
    """A request, and how long its client waits for the answer."""

    turns: tuple[Turn, ...] = (user("Hi"),)
    system: str | None = "You help."
    more: str = ""
    """What else is in the body."""
    model: str | None = "m"
    credential: str | None = "key"
    host: str = HOST
    method: str = "POST"
    path: str = "/v1/messages"
    kind: Kind | None = "model"
    stream: bool = False
    retry_count: int | None = None
    invocation: str = ""
    """The ``amz-sdk-invocation-id``; empty if there is none."""
    user_agent: str = "sdk"
    session: int = 3
    """The number of the client connection."""
    patience: float = 1e9
    """Seconds."""
    stated: float | None = None
    """The read time-out that it states, in seconds."""
    stated_for_all: float | None = None
    """The time-out that it states for the whole request."""


# -- what is answered ---------------------------------------------------------------------------


@frozen(kw_only=True)
class Answer:
    """What comes back: a whole answer, unless ``failure`` says otherwise."""

    status: int | None = 200
    seconds: float = 0.05
    """From the request to the end."""
    head: float | None = None
    """From the request to the head; None for the same as ``seconds``."""
    failure: Failure | None = None
    kind: FailureKind | None = None
    wait: float | None = None
    asked_by: WaitAskedBy | None = None
    should_retry: bool | None = None
    text: str | None = None
    """What a stream delivers."""
    silent_after: float | None = None
    """When the last byte came, since the request."""
    tokens: tuple[int, int] | None = None
    in_order: bool = False
    """Whether its body ends as it should, though its last event is missing."""

    @property
    def of_connection(self) -> bool:
        """Whether the connection breaks before the request is sent."""
        return self.failure in ("connect", "handshake")


def ok(text: str | None = None, **more: Any) -> Answer:
    return Answer(text=text, **more)


def overloaded(**more: Any) -> Answer:
    return Answer(**{"status": 529, "failure": "answer", "kind": "transient"} | more)


def throttled(wait: float | None = None, **more: Any) -> Answer:
    by = None if wait is None else "retry-after"
    start = {"status": 429, "failure": "answer", "kind": "throttled", "wait": wait, "asked_by": by}
    return Answer(**start | more)


def final(status: int = 400, **more: Any) -> Answer:
    return Answer(**{"status": status, "failure": "answer", "kind": "final"} | more)


def dropped(**more: Any) -> Answer:
    return Answer(**{"status": None, "failure": "no-answer", "kind": "transient"} | more)


def refused(**more: Any) -> Answer:
    """No tunnel to the host."""
    return dropped(**{"failure": "connect", "status": 502} | more)


def broken_stream(text: str | None, failure: Failure = "truncated", **more: Any) -> Answer:
    start = {"failure": failure, "kind": "transient", "text": text, "head": 0.01, "seconds": 1.0}
    return Answer(**start | more)


def stall(after: float = 1.0, seconds: float = 1e6, **more: Any) -> Answer:
    """Begin, and say nothing more until the connection ends."""
    start = {"failure": "stalled", "kind": "transient", "text": "Hel", "head": 0.01}
    return Answer(**start | {"silent_after": after, "seconds": seconds} | more)


def hang(seconds: float = 1e6) -> Answer:
    """Never begin an answer."""
    return Answer(
        status=None, failure="stalled", kind="transient", silent_after=0.0, seconds=seconds
    )


@frozen
class Result:
    """What a client sees."""

    answer: Answer
    timed_out: bool = False

    @property
    def good(self) -> bool:
        return self.answer.failure is None and not self.timed_out


Client = Generator[Ask | float, Result | None, None]
Server = Callable[[Ask, float], Answer]


def script(*answers: Answer) -> Server:
    """Answer the requests in turn; the last answer stays."""
    left = list(answers)
    return lambda _, __: left.pop(0) if len(left) > 1 else left[0]


# -- the world ----------------------------------------------------------------------------------


class World:
    """Runs clients against a server, and keeps the events."""

    def __init__(self, server: Server, *, rules: tuple[str, ...] = (), **started: Any) -> None:
        from faultinject.events import ProxyStarted

        self._server = server
        self._attempts = Attempts()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._exchanges = itertools.count(1)
        self.rule = rules[0] if rules else "options"
        self._open: dict[int, Callable[[float, bool], None]] = {}
        start = {"targets": (HOST, "other.example"), "rules": rules or ("options",)}
        self.events: list[Event] = [sample(ProxyStarted, **start | started)]
        self.now = 0.0

    # Clients

    def start(self, client: Client, at: float = 0.0) -> World:
        """Start a client."""
        self._at(at, lambda now: self._go_on(client, None, now))
        return self

    def run(self, until: float = 1e9) -> World:
        """Run till nothing is left to do, or until then."""
        while self._due and self._due[0][0] <= until:
            self.now, _, act = heapq.heappop(self._due)
            act(self.now)
        if until < 1e9:
            self.now = until
        return self

    def wait(self, seconds: float) -> World:
        """Let time pass."""
        self.now += seconds
        return self

    def end_command(self, code: int | None = 0, signal: int | None = None) -> World:
        """End the command, and all that it was doing."""
        for leave in list(self._open.values()):
            leave(self.now, False)
        time = TIME + self.now
        self.events.append(CommandEnded(time=time, code=code, signal=signal))
        return self.stop()

    def stop(self) -> World:
        """End the run; what is open is broken off."""
        for leave in list(self._open.values()):
            leave(self.now, True)
        self.events.append(ProxyStopped(time=TIME + self.now, reason="told to stop"))
        return self

    def report(self, **options: Any) -> Report:
        """Return what is said of it all."""
        return report(self.events, **options)

    def found(self, **options: Any) -> dict[str, str]:
        """Return the severity of what was found, by id."""
        return found(self.report(**options))

    def _at(self, seconds: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (seconds, next(self._order), act))

    def _go_on(self, client: Client, result: Result | None, now: float) -> None:
        try:
            wish = client.send(result)
        except StopIteration:
            return
        if isinstance(wish, Ask):
            self._ask(client, wish, now)
        else:
            self._at(now + wish, lambda then: self._go_on(client, None, then))

    # Exchanges

    def _ask(self, client: Client, ask: Ask, now: float) -> None:
        answer, number = self._server(ask, now), next(self._exchanges)
        way = way_of(ask, now)
        attempt: Attempt | None
        if answer.of_connection:
            ask = evolve(ask, method="CONNECT", path="", kind=None)
            attempt = self._attempts.begin_broken(way)
        else:
            attempt = self._attempts.begin(evolve(identity(ask), way=way), now)
        assert attempt is not None
        leaves = ask.patience < answer.seconds
        lasts = min(ask.patience, answer.seconds)
        result = Result(answer, timed_out=leaves)

        def end(then: float, stopped: bool) -> None:
            if self._open.pop(number, None) is None:
                return  # the run ended before
            taken: Taken = "whole"
            if stopped:
                taken = "stopped"
            elif then - now < answer.seconds - 1e-9:
                taken = "left"
            elif not answer.in_order and answer.failure not in (
                None, "answer", "error-event", "malformed"
            ):  # fmt: skip
                taken = "broken"
            self._tell(ask, answer, attempt, now, then, taken)
            if not stopped:
                self._go_on(client, result, then)

        self._open[number] = end
        if lasts < 1e5:
            self._at(now + lasts, lambda then: end(then, False))

    def _tell(
        self, ask: Ask, answer: Answer, attempt: Attempt, began: float, ended: float, taken: Taken
    ) -> None:
        seconds = ended - began
        whole = taken == "whole" or taken == "broken"
        head = answer.seconds if answer.head is None else answer.head
        has_head = answer.status is not None and head <= seconds + 1e-9
        failure = answer.failure if whole or answer.failure == "stalled" else None
        kind = answer.kind if failure else None
        quiet = answer.silent_after if answer.silent_after is not None else head if has_head else 0
        asked = failure is not None
        seen = observed_of(ask)
        if answer.of_connection:
            seen = Observed(request=way_of(ask, began).digest)
        observed = evolve(
            seen,
            began_seconds=round(began, 3),
            call=int(attempt.call),
            attempt=attempt.number,
            first_byte_seconds=round(head, 3) if has_head else None,
            quiet_seconds=max(0.0, round(seconds - quiet, 3)),
            taken=taken,
            failure=failure,
            failure_kind=kind,
            wait_asked_seconds=answer.wait if asked else None,
            wait_asked_by=answer.asked_by if asked else None,
            should_retry=answer.should_retry if asked else None,
            delivered=None if answer.text is None else digest(answer.text.strip()),
            input_tokens=answer.tokens[0] if answer.tokens else None,
            output_tokens=answer.tokens[1] if answer.tokens else None,
        )
        self.events.append(
            sample(
                ExchangeEnded,
                time=TIME + ended,
                target=ask.host,
                host=ask.host,
                session=ask.session,
                method=ask.method,
                path=ask.path,
                kind=ask.kind,
                outcome="forwarded" if answer.failure is None else "injected",
                rule=None if answer.failure is None else self.rule,
                status=answer.status if has_head else None,
                milliseconds=round(seconds * 1000, 3),
                seen=seen_of(observed),
            )
        )
        failed = failure is not None and (kind != "final" or answer.of_connection)
        attempt.end(Ended(ended, failed, asked_wait_seconds=(answer.wait or 0.0) if asked else 0.0))


def way_of(ask: Ask, now: float) -> Way:
    """Return the connection of a request: each has one of its own."""
    return Way(digest(ask.host, ask.user_agent), now)


def identity(ask: Ask) -> Identity:
    """Return what a request says of its call."""
    said = observed_of(ask).request
    return Identity(said, ask.invocation, ask.user_agent, ask.retry_count, ask.session)


def observed_of(ask: Ask) -> Observed:
    """Return what is seen of a request before it is answered."""
    prefix, messages = messages_of(ask.turns)
    said = (ask.method, ask.host, ask.path, ask.credential, ask.model, ask.system, ask.turns)
    return Observed(
        provider="anthropic",
        model=ask.model,
        stream=ask.stream,
        retry_count=ask.retry_count,
        read_timeout_seconds=ask.stated,
        timeout_seconds=ask.stated_for_all,
        idempotency_key=False,
        invocation_id=bool(ask.invocation),
        credential=None if ask.credential is None else digest(ask.credential),
        request=digest(*said, ask.more),
        body=digest(*said, ask.more, ask.stream),
        system=None if ask.system is None else digest(ask.system),
        prefix=prefix,
        message_count=len(messages),
        messages=messages[-MESSAGES:],
    )


# -- what is said of it -------------------------------------------------------------------------


def unseen(began: float) -> ExchangeEnded:
    """Return the event of a request to the target of which it is only known when it began."""
    event = sample(
        ExchangeEnded, target=HOST, kind="model", seen=seen_of(Observed(began_seconds=began))
    )
    assert isinstance(event, ExchangeEnded)
    return event


def report(
    events: Iterable[Event],
    *,
    only: Iterable[str] | None = None,
    calls: int = 10_000,
    ignore: Iterable[str] = (),
    **thresholds: Any,
) -> Report:
    """Return what is said of events."""
    judge = Judge(Thresholds(**thresholds), only=only, ignore=ignore, calls=calls)
    for event in events:
        judge.listen(event)
    return judge.report()


def found(told: Report) -> dict[str, str]:
    """Return the severity of what was found, by id."""
    return {finding.id: finding.severity for finding in told.findings}


def finding(told: Report, id_: str) -> Finding:
    """Return the one finding of an id."""
    (only,) = [each for each in told.findings if each.id == id_]
    return only


def log_of(events: Iterable[Event]) -> list[str]:
    """Return events as lines of a log."""
    return [json.dumps(event.as_dict()) + "\n" for event in events]
