"""Decides which of the whole requests that the host shows (ProcessHttpRequest) get a response here.

These are the requests of plain-HTTP proxying and of Fault's ``--proxy http…`` mappings, not those
in tunnels.
"""

from __future__ import annotations

import time

from attrs import define, evolve

from faultinject.authority import HTTP_PORT, HTTPS_PORT, Authority, TargetPattern
from faultinject.faults.place import Stage
from faultinject.faults.render import render_reply
from faultinject.faults.respond import InjectedResponse, Respond
from faultinject.http.message import RequestHead, find_header
from faultinject.net.timeouts import Timeout
from faultinject.proxy.decision import add_body
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.session import Session, report_exchange, reported_path
from faultinject.rules import Plan
from faultinject.rules.attempts import Ended
from faultinject.rules.facts import Facts

CLIENT_UNKNOWN = "behind-fault"
"""The client's address in events, because the host does not give the real one."""


def _rendered(fault: Respond, plan: Plan, facts: Facts) -> InjectedResponse:
    provider = facts.provider
    fields = provider.draw_fields(plan.numbers("fields"), time.time(), facts.api_request)
    return render_reply(fault, provider, fields, plan.marker)


@define(eq=False, repr=False)
class HttpForward:
    """Decides on single requests, whose client and connection are unknown."""

    runtime: Runtime
    enabled: bool
    """Whether rules apply to these requests (``--http-forward``)."""

    def answer(self, request: RequestHead, body: bytes) -> InjectedResponse | None:
        """Return the response to inject, or None to let the request go on.

        Each request is reported in one event. The event of a forwarded request has no status,
        because the host does not show which response belongs to which request.
        """
        authority = self._authority(request) if self.enabled else None
        if authority is None:
            return None
        started = time.perf_counter()
        facts = Facts(authority.host, authority.port, request, apis=self.runtime.apis)
        add_body(self.runtime, facts, body)
        plan = self.runtime.decide(self.runtime.rule_set, facts, Stage.ANSWER)
        response = plan.source
        if plan.respond is not None:
            response = _rendered(plan.respond, plan, facts)
        page = self.runtime.origins.page(authority, request)
        if page is not None and response is not None:
            response = evolve(response, headers=page.with_page_headers(response.headers))
        # How a forwarded request ends is not shown.
        plan.end(Ended(self.runtime.now_seconds, failed=response is not None))
        self._report(authority, facts, len(body), plan.rule_id, response, started)
        return response

    def _authority(self, request: RequestHead) -> Authority | None:
        """Return where a request goes, from its Host header.

        Behind a mapping to an HTTPS upstream the header has no port. Then the default port is used
        that makes the host a target.
        """
        text = (find_header(request.headers, b"host") or b"").decode("ascii", "replace")
        try:
            choice = [Authority.parse(text, port) for port in (HTTP_PORT, HTTPS_PORT)]
        except ValueError:
            return None
        return next((each for each in choice if self._target(each)), choice[0])

    def _target(self, authority: Authority) -> TargetPattern | None:
        return self.runtime.target_of(authority.host, authority.port)

    def _report(
        self,
        authority: Authority,
        facts: Facts,
        request_bytes: int,
        rule_id: str | None,
        response: InjectedResponse | None,
        started: float,
    ) -> None:
        number, no_limit = self.runtime.next_session_id(), Timeout()
        session = Session(self.runtime, number, CLIENT_UNKNOWN, timeout=no_limit)
        report_exchange(
            session,
            authority,
            started,
            number=session.begin_exchange(),
            method=facts.method,
            scheme="http",
            path=reported_path(facts.head),
            outcome="forwarded" if response is None else "injected",
            rule=rule_id,
            status=None if response is None else response.status,
            request_bytes=request_bytes,
            response_bytes=0 if response is None else len(response.body),
            kind=facts.kind,
        )
