"""One event of every kind, and a way to vary them, for the tests of whoever listens."""

from __future__ import annotations

from typing import Any

from faultinject.events import (
    ClientHelloRead,
    CommandEnded,
    Event,
    EventsDropped,
    ExchangeEnded,
    FaultBegan,
    HandshakeCompleted,
    HandshakeFailed,
    PluginStarted,
    PluginStopped,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    RuleUnfit,
    SessionEnded,
    SessionFailed,
    SessionStarted,
    Warned,
)

TIME = 1_800_000_000.25
CLIENT = "127.0.0.1:53124"
SAMPLES: dict[type[Event], dict[str, Any]] = {
    ProxyStarted: {
        "version": "1.2.3",
        "url": "http://127.0.0.1:8080",
        "host": "127.0.0.1",
        "port": 8080,
        "targets": ("api.anthropic.com", "*.example.com"),
        "error_probability": 0.1,
        "status_code": 429,
        "seed": 42,
        "ca_cert": "/data/fault-ca.crt",
        "fake_upstream": False,
    },
    ProxyStopped: {"reason": "told to stop"},
    PluginStarted: {
        "version": "1.2.3",
        "client_url": "http://127.0.0.1:50051",
        "upstream_url": "http://127.0.0.1:50052",
        "host": "127.0.0.1",
        "tunnel": "duplex",
        "targets": ("api.anthropic.com", "*.example.com"),
        "error_probability": 0.1,
        "status_code": 429,
        "seed": 42,
        "ca_cert": "/data/fault-ca.crt",
        "command": "fault run --grpc-plugin http://127.0.0.1:50051 --upstream '*'",
    },
    PluginStopped: {"reason": "told to stop"},
    RuleUnfit: {
        "rule": "cap",
        "host": "api.example.com",
        "provider": "plain",
        "shape": "plain",
        "reason": "plain has no failure spend-cap; it has overloaded",
    },
    SessionStarted: {"session": 3, "client": CLIENT},
    ClientHelloRead: {
        "session": 3,
        "authority": "api.anthropic.com:443",
        "server_name": "api.anthropic.com",
        "alpn": ("h2", "http/1.1"),
    },
    HandshakeCompleted: {
        "session": 3,
        "host": "api.anthropic.com",
        "tls_version": "TLSv1.3",
        "alpn": None,
        "milliseconds": 2.25,
    },
    HandshakeFailed: {
        "session": 3,
        "client": CLIENT,
        "host": "api.anthropic.com",
        "reason": "unknown ca",
        "refused": True,
        "left": False,
    },
    ExchangeEnded: {
        "session": 3,
        "exchange": 1,
        "client": CLIENT,
        "target": "api.anthropic.com",
        "method": "POST",
        "scheme": "https",
        "host": "api.anthropic.com",
        "port": 443,
        "path": "/v1/messages",
        "outcome": "injected",
        "rule": "error",
        "status": 429,
        "request_bytes": 100,
        "response_bytes": 112,
        "milliseconds": 1.25,
    },
    FaultBegan: {
        "session": 3,
        "exchange": 1,
        "client": CLIENT,
        "method": "POST",
        "scheme": "https",
        "host": "api.anthropic.com",
        "port": 443,
        "path": "/v1/messages",
        "rule": "stalls",
        "fault": "stall after 5 events",
        "seconds": None,
    },
    RelayEnded: {
        "session": 3,
        "client": CLIENT,
        "host": "pypi.org",
        "port": 443,
        "reason": "not a target",
        "sent_bytes": 517,
        "received_bytes": 1_234_567,
        "milliseconds": 345.6,
        "opened": True,
    },
    SessionEnded: {"session": 3, "reason": "closed", "exchanges": 5, "milliseconds": 2400.0},
    SessionFailed: {
        "session": 3,
        "client": CLIENT,
        "error": "AssertionError: no",
        "traceback": "Traceback:\n  line 1\nAssertionError: no\n",
    },
    CommandEnded: {"code": 1, "signal": None},
    Warned: {"message": "listening on every address"},
    EventsDropped: {"count": 17},
}


def sample(kind: type[Event], /, **changes: Any) -> Any:
    """Return the sample of a kind of event, with some fields changed."""
    return kind(**({"time": TIME} | SAMPLES[kind] | changes))
