"""Observes an exchange as an attempt of a call, and returns what was seen when it is over.

All that a client or an API chose becomes digests with the run's key here, or marks of which they
are made where somebody asks. As long as nothing in the run has failed lately, a request that was
answered is looked at no closer than it must be: its JSON is not parsed. That keeps what most
requests cost small.
"""

from __future__ import annotations

import time
from typing import Any

from faultinject.http.exchange_sides import ClientExchange
from faultinject.providers.retries import asked_wait, should_retry
from faultinject.providers.shape import Usage
from faultinject.providers.streamed import streamed_text
from faultinject.proxy.broken_connection import BrokenConnection
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.exchange_end import (
    ExchangeEnd,
    document_of,
    ended,
    failure_of,
    is_error_event,
    is_good,
    was_made_unreadable,
)
from faultinject.proxy.request_digests import (
    HeadContent,
    mark_of,
    mark_of_text,
    peeked,
)
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.session import Session
from faultinject.proxy.traffic_copy import ANSWER_BYTES, BODY_BYTES, TrafficCopy, uncoded
from faultinject.rules.attempts import Attempt, Attempts
from faultinject.rules.facts import Facts
from faultinject.rules.identity import Identity
from faultinject.seen import (
    REQUEST,
    AnswerPart,
    AnySeen,
    Asked,
    BodyPart,
    OwnPart,
    Parts,
    PlainSeen,
    Seen,
    rounded,
)

NO_USAGE = Usage(None, None)
_NOT_TOLD: Asked = (None, None)
LONGEST_STREAM = 256 * 1024
"""Of a longer stream the text and the tokens are not read: it would hold up other requests."""


def observer_of(
    session: Session, client: ClientExchange, facts: Facts
) -> Observer | BrokenConnection | None:
    """Begin to observe an exchange; None if it is no call of a target's API."""
    runtime = session.runtime
    if runtime.target_of(facts.host, facts.port) is None:
        return None
    if facts.kind not in ("model", "api"):
        return None if facts.way is None or facts.kind is not None else BrokenConnection(session)
    observer = Observer(runtime, facts)
    client.listener = observer
    return observer


class Observer(TrafficCopy):
    """Observes one exchange. Once it is over, `seen` returns what was seen of it.

    What takes a while is put off, as far as it can be found out later as well: the observer is a
    step of the `Backlog`. It is put there once as the attempt ends, and again when the exchange is
    over if the first step was done by then.
    """

    # It is the copy: with one object for each, a request that is answered would take two of them.
    # What most begin with stands at the class, as there.

    _run: Runtime
    _request: HeadContent | None = None
    _has_ended = False
    _said: BodyPart | None = None
    _found: Parts | None = None
    _attempt: Attempt | None = None
    _is_joined = False
    """Whether it was found out which attempt it was."""
    _is_over = False
    """Whether the exchange is over, so that all of it can be found out."""
    kept_bytes = 0
    """As of a `Step`: none while the exchange goes on, whose copy is in `CopyRoom` anyway."""

    def __init__(self, runtime: Runtime, facts: Facts) -> None:
        # As `TrafficCopy` does it: to call that would take longer than all of this.
        self._run, self.began_seconds = runtime, facts.began_seconds or 0.0
        self._facts = facts

    @property
    def request(self) -> HeadContent:
        """What the request's head says."""
        if self._request is None:
            self._request = self._run.digests.head(self._facts, self)
        return self._request

    # How the attempt ended

    def end(self, end: ExchangeEnd, counted: Attempt | None) -> None:
        """Note how the attempt ended; only the first note counts.

        ``counted`` is the attempt that it is, if a rule counts attempts.
        """
        if self._has_ended:
            return
        self._has_ended = True
        runtime, facts = self._run, self._facts
        self._end, self._attempt = end, counted
        self._came_by = facts.connection, facts.way
        self._end_seconds, self._unix_seconds = runtime.now_seconds, time.time()
        self._known_seconds = self.head_seconds
        counters = runtime.counters
        if not is_good(end):  # what follows is looked at closely
            counters.attempts.disturb(self._end_seconds)
        if not self.body_ended:
            self._what_was_said()  # as far as it is known now: more of it may come
        counters.backlog.put_off(self)

    def do(self) -> None:
        """Do what was put off."""
        if not self._is_joined:
            self._join()
        if self._is_over:
            self._find_out()

    def _join(self) -> None:
        """Find out which attempt of which call it was, and have the call go on from its end."""
        self._is_joined = True
        runtime, request = self._run, self.request
        if self._attempt is None:
            self._attempt = self._begun(request, runtime.counters.attempts)
        if self._attempt is not None:
            seconds = self._end_seconds, self._known_seconds, self._unix_seconds
            self._attempt.end(ended(self._end, request.provider, runtime.whole_errors, *seconds))

    def _begun(self, request: HeadContent, attempts: Attempts) -> Attempt | None:
        """Return which attempt it is, for which no rule asked. It may be late: times are given."""
        told = request.invocation, request.client, request.retry_count
        identity = Identity(self._what_was_said()[REQUEST], *told, *self._came_by)
        return attempts.begin(identity, self.began_seconds)

    def _what_was_said(self) -> BodyPart:
        """Return what the request's body says."""
        if self._said is None:
            body = self.whole_body
            mark = None if body is None else mark_of(body)
            self._said = self._run.digests.content(self.request, mark, self._facts_with_body)
        return self._said

    def _facts_with_body(self) -> Facts:
        """Return the facts as rules have read them, or as far as they are kept without that."""
        if self._facts.body is None:
            bare = self.request.bare
            self._facts = bare.with_body(uncoded(bare.head, self.whole_body, BODY_BYTES))
        return self._facts

    # What was seen

    def seen(self, exchange: Exchange, counted: Attempt | None) -> AnySeen:
        """Return what was seen of the exchange, which is over; ``counted`` is as of `end`."""
        if not self._has_ended:
            if counted is None and (plain := self._plain(exchange)) is not None:
                return plain
            self.end(exchange.end, counted)
        runtime = self._run
        if self._facts.body is None:
            self._facts = self.request.bare  # what its headers say is not kept
        self._how = exchange.taken
        self._over_seconds = runtime.now_seconds
        self._fault_filter = exchange.fault_filter
        self._is_over, self.kept_bytes = True, self.held_bytes
        if self._is_joined:
            runtime.counters.backlog.put_off(self)
        else:  # it waits there
            runtime.counters.backlog.keep(self.kept_bytes)
        seen = Seen(rounded(self.began_seconds), self._parts)
        if self._found is not None or self._fault_filter is not None:  # a filter keeps much
            seen.find_out()
        return seen

    def _plain(self, exchange: Exchange) -> PlainSeen | None:
        """Return what is kept of it if it is plain: it was answered, while nothing had failed.

        None if it is not, or says itself that it follows a failure.
        """
        runtime, began = self._run, self.began_seconds
        attempts, backlog = runtime.counters.attempts, runtime.counters.backlog
        if began <= attempts.quiet_from or not is_good(exchange):
            return None
        if (tail := exchange.tail) is not None and is_error_event(tail.last):
            return None
        request = self._request = runtime.digests.head(self._facts, self)
        if request.invocation or request.retry_count:
            return None
        if backlog.steps:  # calls are numbered in order, and a long wait may be among it
            backlog.catch_up()
            if began <= attempts.quiet_from:
                return None
        self._give_back(self._held_bytes)
        body = self.body if self.body_ended else None
        body = bytes(body) if isinstance(body, bytearray) else body
        mark = None if body is None else hash(body)  # as of `mark_of`
        if request.model is not None or not body:
            asked: Asked = request.model, request.streams
        else:  # it is told only where events are written
            asked = _NOT_TOLD if backlog.puts_off else peeked(body) or _NOT_TOLD
        waited = (self.head_seconds or began) - began
        return PlainSeen(((request.part, attempts.next_number(), began, waited, mark), asked))

    def _parts(self) -> Parts:
        while self._found is None:
            self._run.counters.backlog.do_next()
        return self._found

    def _find_out(self) -> None:
        self._found = self.request.part, self._what_was_said(), self._how_answered(), self._own()
        self.close()
        self._said = None
        del self._facts, self._end, self._fault_filter  # they are large

    def _how_answered(self) -> AnswerPart:
        """Return how the request was answered."""
        runtime, head, request, how = self._run, self.head, self.request, self._how
        if how == "whole" and head is not None and head.status >= 400:
            runtime.counters.attempts.disturb(self._over_seconds)
            body = self.whole_answer
            return runtime.whole_errors.part_of(request.provider, head, body, self._unix_seconds)
        answer = None if head is None else document_of(head, self.whole_answer)
        failed = failure_of(self._fault_filter, self, request.provider, request.path, how)
        if failed is None and self._facts.kind == "model" and answer is None:
            unreadable = was_made_unreadable(self._end, self, how)
            failed = ("malformed", "transient") if unreadable else None
        wait = asked_wait(head, answer, self._unix_seconds) if failed and head is not None else None
        usage, text = self._usage_and_text(answer)
        if failed is not None or how != "whole":
            runtime.counters.attempts.disturb(self._over_seconds)
        return (
            how,
            *(failed or (None, None)),
            *((rounded(wait[0]), wait[1]) if wait else (None, None)),
            None if head is None else should_retry(head),
            usage.input_tokens,
            usage.output_tokens,
            mark_of_text(text),
        )

    def _own(self) -> OwnPart:
        """Return what the attempt has in common with no other."""
        attempt, began, head_seconds = self._attempt, self.began_seconds, self.head_seconds
        waited = None if head_seconds is None else rounded(head_seconds - began)
        call = number = gap = None
        if attempt is not None:
            call, number, gap = int(attempt.call), attempt.number, attempt.gap_seconds
        gap = None if gap is None else rounded(gap)
        last_seconds = max(began, self.spoke_seconds, self.heard_seconds)
        quiet = rounded(self._over_seconds - last_seconds)
        return rounded(began), call, number, gap, waited, quiet

    def _usage_and_text(self, answer: Any) -> tuple[Usage, str]:
        """Return the tokens that an answer told of, and its text if it is a stream.

        ``answer`` is the JSON value that it is, or None.
        """
        head, request = self.head, self.request
        if head is None or head.status >= 400:
            return NO_USAGE, ""
        shape = request.provider.shape_of(request.path)
        stream = shape.stream_of(head, self._facts_with_body().api_request)
        if stream is None:
            return (None if answer is None else shape.usage(answer)) or NO_USAGE, ""
        decoder, progress = stream.framing.decoder(), stream.progress()
        body = uncoded(head, self.answer_so_far, ANSWER_BYTES) or b""
        if len(body) > LONGEST_STREAM:
            return NO_USAGE, ""
        pieces = decoder.feed(body) + (decoder.end() if self.answer_ended else [])
        events = [event for event in pieces if event.is_event]
        for event in events:
            progress.observe(event)
        fault_filter = self._fault_filter
        is_made = fault_filter is not None and fault_filter.plan.upstream == "skipped"
        return (None if is_made else progress.usage) or NO_USAGE, streamed_text(events)
