"""What a plan's filter has done to a response, without input or output."""

from __future__ import annotations

import math

from faultinject.faults.stream import Stall, StreamFault
from faultinject.faults.transform import Cut
from faultinject.http.message import End, RequestHead, ResponseHead
from faultinject.proxy.fault_filter import FaultFilter, Pass, Pause
from faultinject.rules import Plan
from faultinject.rules.facts import Facts

HEAD = ResponseHead(200, b"OK", ((b"Content-Type", b"text/event-stream"),))
FACTS = Facts("api.anthropic.com", 443, RequestHead(b"POST", b"/v1/messages", ()))


def test_a_stall_without_end_ends_with_the_client() -> None:
    """When the client has half-closed its connection, ours is closed."""
    plan = Plan(None, stream=(StreamFault(Stall()),))
    fault_filter = FaultFilter(plan, FACTS, clock=lambda: 5.0)
    acts = list(fault_filter.receive([HEAD, b"data: 1\n\n", End()]))
    assert acts[:3] == [
        Pass((HEAD,)),
        Pause(math.inf, began=[("stall before event 1", math.inf)]),
        Cut(),
    ]
    assert fault_filter.silent
    assert fault_filter.words == "stall before event 1"
