"""Requests that the host shows whole: decides which of them get an injected answer.

These are the requests of plain-HTTP proxying and of Fault's ``--proxy http…`` mappings; what is
in tunnels does not come here. Knows nothing of gRPC.
"""

from __future__ import annotations

import time

from attrs import define

from faultinject.authority import HTTP_PORT, HTTPS_PORT, Authority, TargetPattern
from faultinject.events import ExchangeEnded
from faultinject.facts import Facts
from faultinject.faults.respond import InjectedResponse
from faultinject.http.message import RequestHead, find_header
from faultinject.rules import Plan, decide
from faultinject.session import Services, milliseconds_since

CLIENT_UNKNOWN = "behind-fault"
"""Stands for the client's address in events: the host does not tell it."""


@define(eq=False)
class HttpCalls:
    """Decides on requests that come one at a time, from nobody in particular."""

    services: Services
    enabled: bool
    """Whether any of them are harmed (``--http-forward``)."""

    def answer(self, request: RequestHead, body_bytes: int) -> InjectedResponse | None:
        """Return the response to inject, or None if the upstream shall be asked.

        One event tells of each request. The host does not show which response belongs to it, so
        the event of one that is passed on has no status.
        """
        authority = self._authority(request) if self.enabled else None
        if authority is None:
            return None
        started = time.perf_counter()
        facts = Facts(authority.host, authority.port, request)
        plan = decide(self.services.rule_set, self.services.counters, facts)
        self._tell(facts, plan, body_bytes, started)
        return plan.source

    def _authority(self, request: RequestHead) -> Authority | None:
        """Return where a request goes: what its Host header says.

        Behind a mapping to an HTTPS upstream that has no port, so one that makes it a target is
        taken.
        """
        text = (find_header(request.headers, b"host") or b"").decode("ascii", "replace")
        try:
            choice = [Authority.parse(text, port) for port in (HTTP_PORT, HTTPS_PORT)]
        except ValueError:
            return None
        return next((each for each in choice if self._target(each)), choice[0])

    def _target(self, authority: Authority) -> TargetPattern | None:
        return self.services.target_of(authority.host, authority.port)

    def _tell(self, facts: Facts, plan: Plan, body_bytes: int, started: float) -> None:
        response = plan.source
        self.services.listener(
            ExchangeEnded(
                time=time.time(),
                session=self.services.next_session_id(),
                exchange=1,
                client=CLIENT_UNKNOWN,
                target=str(self.services.target_of(facts.host, facts.port) or facts.host),
                method=facts.method,
                scheme="http",
                host=facts.host,
                port=facts.port,
                path=facts.path,
                outcome="forwarded" if response is None else "injected",
                rule=plan.rule_id,
                status=None if response is None else response.status,
                request_bytes=body_bytes,
                response_bytes=0 if response is None else len(response.body),
                milliseconds=milliseconds_since(started),
            )
        )
