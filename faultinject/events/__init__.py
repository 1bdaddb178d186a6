"""What happened, as immutable values; the only source of log lines.

Each event has a ``NAME`` for programs. The fields are promises (see docs/events.md), and no field
ever holds a header, a body or a query.
"""

from faultinject.events.connections import (
    ClientHelloRead,
    HandshakeCompleted,
    HandshakeFailed,
    RelayEnded,
    SessionEnded,
    SessionFailed,
    SessionStarted,
)
from faultinject.events.event import (
    VERSION,
    Event,
    Level,
    Listener,
    rfc3339,
)
from faultinject.events.exchanges import (
    ExchangeEnded,
    ExchangeStarted,
    FaultBegan,
    Kind,
    Outcome,
)
from faultinject.events.runs import (
    CommandEnded,
    EventsDropped,
    PluginStarted,
    PluginStopped,
    ProxyDraining,
    ProxyStarted,
    ProxyStopped,
    RuleUnfit,
    RunStarted,
    RunStopped,
    Warned,
)

__all__ = [
    "VERSION",
    "ClientHelloRead",
    "CommandEnded",
    "Event",
    "EventsDropped",
    "ExchangeEnded",
    "ExchangeStarted",
    "FaultBegan",
    "HandshakeCompleted",
    "HandshakeFailed",
    "Kind",
    "Level",
    "Listener",
    "Outcome",
    "PluginStarted",
    "PluginStopped",
    "ProxyDraining",
    "ProxyStarted",
    "ProxyStopped",
    "RelayEnded",
    "RuleUnfit",
    "RunStarted",
    "RunStopped",
    "SessionEnded",
    "SessionFailed",
    "SessionStarted",
    "Warned",
    "rfc3339",
]
