"""Observes an exchange as an attempt of a call: `Observed` is made when it is over.

All that a client or an API chose becomes digests with the run's key here. As long as nothing in the
run has failed lately, a request that was answered is looked at no closer than it must be: its JSON
is not parsed. That keeps what most requests cost small.
"""

from __future__ import annotations

import time
from typing import Any

from faultinject.http.h1.connection import ClientConnection
from faultinject.matchers import MISSING
from faultinject.observed import Observed
from faultinject.providers.retries import asked_wait, should_retry
from faultinject.providers.shape import Usage
from faultinject.providers.streamed import streamed_text
from faultinject.proxy.broken_connection import BrokenConnection
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.exchange_end import ExchangeEnd, ended, is_good
from faultinject.proxy.failure import failure_of, is_error_event, taken
from faultinject.proxy.request_digests import UNKNOWN_CONTENT, HeadContent, RequestContent, peeked
from faultinject.proxy.session import Session
from faultinject.proxy.traffic_copy import ANSWER_BYTES, BODY_BYTES, TrafficCopy, uncoded
from faultinject.rules.attempts import Attempt, Attempts
from faultinject.rules.facts import Facts, parsed_json
from faultinject.rules.identity import Identity

NO_USAGE = Usage(None, None)
LONGEST_STREAM = 256 * 1024
"""Of a longer stream the text and the tokens are not read: it would hold up other requests."""


def observer_of(
    session: Session, client: ClientConnection, facts: Facts
) -> Observer | BrokenConnection | None:
    """Begin to observe an exchange; None if it is no call of a target's API."""
    runtime = session.runtime
    if runtime.target_of(facts.host, facts.port) is None:
        return None
    if facts.kind not in ("model", "api"):
        return None if facts.way is None or facts.kind is not None else BrokenConnection(session)
    observer = Observer(session, facts)
    client.on_received, client.on_sent = observer.copy.received, observer.copy.sent
    return observer


class Observer:
    """Observes one exchange."""

    __slots__ = (
        "_alone", "_attempt", "_body_digest", "_content", "_has_ended", "_head",
        "copy", "facts", "session",
    )  # fmt: skip

    def __init__(self, session: Session, facts: Facts) -> None:
        self.session = session
        self.facts = facts
        self.copy = TrafficCopy(session.runtime, facts.began_seconds or 0.0)
        self._head: HeadContent | None = None
        self._content: RequestContent | None = None
        self._body_digest: str | None = None
        self._has_ended = False
        self._attempt: Attempt | None = None
        self._alone: int | None = None
        """The number of the call, if it was answered at once and nothing in the run failed lately:
        so little more has to be known."""

    @property
    def head(self) -> HeadContent:
        """What the request's head says."""
        if self._head is None:
            self._head = self.session.runtime.digests.head(self.facts)
        return self._head

    def end(self, end: ExchangeEnd, counted: Attempt | None) -> None:
        """Note how the attempt ended; only the first note counts.

        ``counted`` is the attempt that it is, if a rule counts attempts.
        """
        if self._has_ended:
            return
        self._has_ended = True
        runtime, facts = self.session.runtime, self.facts
        attempts = runtime.counters.attempts
        if counted is None and is_good(end) and self._is_alone(attempts):
            self._alone = attempts.begin_alone()
            return
        self._attempt = counted or self._begun(attempts)
        if self._attempt is not None:
            now_seconds, head_seconds = runtime.now_seconds, self.copy.head_seconds
            self._attempt.end(ended(end, facts.provider, now_seconds, head_seconds))

    def _is_alone(self, attempts: Attempts) -> bool:
        """Return True if a request that was answered follows no failure."""
        head, tail = self.head, self.copy.tail
        if head.retry_count or head.invocation:
            return False
        quiet = attempts.is_quiet(self.copy.began_seconds)
        return quiet and (tail is None or not is_error_event(tail.last))

    def _begun(self, attempts: Attempts) -> Attempt | None:
        """Return which attempt it is, for which no rule asked. It may be late: times are given."""
        head, content = self.head, self._request_content().content
        identity = Identity(
            content,
            head.invocation,
            head.client,
            head.retry_count,
            self.facts.connection,
            self.facts.way,
        )
        return attempts.begin(identity, self.copy.began_seconds)

    def _request_content(self) -> RequestContent:
        if self._content is None:
            facts = self.facts
            if facts.body is None:
                facts.body = uncoded(facts.head, self.copy.whole_body, BODY_BYTES)
            digests = self.session.runtime.digests
            known = facts.body is not None
            self._content = (
                digests.content(facts, self.head, self._body()) if known else UNKNOWN_CONTENT
            )
        return self._content

    def _body(self) -> str | None:
        """Return the digest of the body; None if that is not known."""
        if self._body_digest is None and (body := self.copy.whole_body) is not None:
            self._body_digest = self.session.runtime.digests.body(self.head, body)
        return self._body_digest

    def observed(self, exchange: Exchange) -> Observed:
        """Return what was seen of the exchange, which is over."""
        return self._closely(exchange) if self._alone is None else self._plainly(self._alone)

    def _plainly(self, call: int) -> Observed:
        copy, head = self.copy, self.head
        began = copy.began_seconds
        model: str | None = head.model
        stream: bool | None = head.streams
        if model is None and (body := copy.whole_body):
            model, stream = peeked(body) or (None, None)
        return Observed(
            began_seconds=_rounded(began),
            provider=head.provider,
            model=model,
            stream=stream,
            call=call,
            attempt=1,
            retry_count=head.retry_count,
            first_byte_seconds=_rounded((copy.head_seconds or began) - began),
            taken="whole",
            read_timeout_seconds=head.read_timeout_seconds,
            timeout_seconds=head.timeout_seconds,
            idempotency_key=head.idempotency_key,
            credential=head.credential,
            body=self._body(),
        )

    def _closely(self, exchange: Exchange) -> Observed:
        session, facts, copy, attempt = self.session, self.facts, self.copy, self._attempt
        request, content = self.head, self._request_content()
        head, answer = copy.head, _answer_of(copy)
        stopped = session.runtime.draining or not session.timeout.expired
        how = taken(exchange, stopped=stopped)
        failed = failure_of(exchange, copy, facts.provider, facts.path, answer, how)
        wait = asked_wait(head, answer, time.time()) if failed and head is not None else None
        usage, text = self._usage_and_text(exchange, answer)
        if failed is not None or how != "whole":
            session.runtime.counters.attempts.disturb(session.runtime.now_seconds)
        return Observed(
            began_seconds=_rounded(copy.began_seconds),
            provider=request.provider,
            model=content.model,
            stream=content.stream,
            call=None if attempt is None else int(attempt.call),
            attempt=None if attempt is None else attempt.number,
            retry_count=request.retry_count,
            gap_seconds=None if attempt is None else _rounded(attempt.gap_seconds),
            first_byte_seconds=_rounded(_since(copy.began_seconds, copy.head_seconds)),
            quiet_seconds=_rounded(session.runtime.now_seconds - copy.spoke_seconds),
            taken=how,
            failure=failed and failed[0],
            failure_kind=failed and failed[1],
            wait_asked_seconds=_rounded(wait and wait[0]),
            wait_asked_by=wait and wait[1],
            should_retry=None if head is None else should_retry(head),
            read_timeout_seconds=request.read_timeout_seconds,
            timeout_seconds=request.timeout_seconds,
            idempotency_key=request.idempotency_key,
            invocation_id=bool(request.invocation),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            credential=request.credential,
            request=content.content,
            body=self._body(),
            system=content.system,
            prefix=content.prefix,
            message_count=content.message_count,
            messages=content.messages,
            delivered=session.runtime.digests.text(text),
        )

    def _usage_and_text(self, exchange: Exchange, answer: Any) -> tuple[Usage, str]:
        """Return the tokens that an answer told of, and its text if it is a stream.

        ``answer`` is the JSON value that it is, or None.
        """
        facts, copy, head = self.facts, self.copy, self.copy.head
        if head is None or head.status >= 400:
            return NO_USAGE, ""
        shape = facts.provider.shape_of(facts.path)
        stream = shape.stream_of(head, facts.api_request)
        if stream is None:
            return (None if answer is None else shape.usage(answer)) or NO_USAGE, ""
        decoder, progress = stream.framing.decoder(), stream.progress()
        body = uncoded(head, copy.answer_so_far, ANSWER_BYTES) or b""
        if len(body) > LONGEST_STREAM:
            return NO_USAGE, ""
        pieces = decoder.feed(body) + (decoder.end() if copy.answer_ended else [])
        events = [event for event in pieces if event.is_event]
        for event in events:
            progress.observe(event)
        is_made = (
            exchange.fault_filter is not None and exchange.fault_filter.plan.upstream == "skipped"
        )
        return (None if is_made else progress.usage) or NO_USAGE, streamed_text(events)


def _rounded(seconds: float | None) -> float | None:
    # As `round(seconds, 3)`, which takes much longer: it writes the digits.
    return None if seconds is None else round(seconds * 1000) / 1000


def _since(began: float, then: float | None) -> float | None:
    return None if then is None else then - began


def _answer_of(copy: TrafficCopy) -> Any:
    """Return the answer as a JSON value; None if it is none, or not known."""
    head = copy.head
    if head is None:
        return None
    body = uncoded(head, copy.whole_answer, ANSWER_BYTES)
    value = parsed_json(body) if body else MISSING
    return None if value is MISSING else value
