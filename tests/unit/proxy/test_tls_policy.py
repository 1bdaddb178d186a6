"""What becomes of a client by its ClientHello."""

from __future__ import annotations

import pytest

from faultinject.proxy.intercept import INSIDE
from faultinject.proxy.tls_policy import (
    TLS_1_2,
    TLS_1_3,
    Intercept,
    Refuse,
    Relay,
    TlsPolicy,
    policy_for,
)
from faultinject.tls.client_hello import SPOKEN, AlertDescription, ClientHello, fatal_alert


def judged(
    name: str | None = "a.example",
    *alpn: str,
    version: int = TLS_1_3,
    authority: str = "",
    relays_targets: bool = True,
) -> TlsPolicy:
    """Judge a hello; the only target is ``a.example``."""
    hello = ClientHello(name, alpn, version)
    return policy_for(hello, authority, "a.example".__eq__, relays_targets=relays_targets)


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2", "http/1.1")])
@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
def test_a_target_is_looked_into(alpn: tuple[str, ...], version: int) -> None:
    """With HTTP/1.1, or without ALPN."""
    assert judged("a.example", *alpn, version=version) == Intercept("a.example", "a.example")


def test_all_that_is_spoken_inside_has_a_stage() -> None:
    """And so has a client that names nothing."""
    assert set(INSIDE) == {None, *SPOKEN}


def test_the_name_of_the_leaf_is_the_clients() -> None:
    """Even if only the tunnel's authority is a target's."""
    assert judged("b.example", authority="a.example") == Intercept("b.example", "a.example")
    assert judged(None, authority="a.example") == Intercept("a.example", "a.example")


@pytest.mark.parametrize("name", [None, "b.example"])
def test_others_are_passed_on(name: str | None) -> None:
    """Whatever they offer."""
    assert judged(name, "h2", version=0, authority="c.example") == Relay("not a target")


def test_a_target_without_http_1_1() -> None:
    """It is passed on with a warning, or refused where nothing of a target's may pass."""
    offered = "the client offers only h2, spdy/3"
    assert judged("a.example", "h2", "spdy/3") == Relay(offered, warn=True)
    alert = fatal_alert(AlertDescription.NO_APPLICATION_PROTOCOL)
    assert judged("a.example", "h2", "spdy/3", relays_targets=False) == Refuse(
        "a.example", f"{offered}; the fake API speaks HTTP/1.1", alert
    )


def test_old_tls_is_refused() -> None:
    """In a record that the client reads."""
    alert = fatal_alert(AlertDescription.PROTOCOL_VERSION, 0x0301)
    reason = "the client offers no TLS 1.2 or later"
    assert judged(version=0x0301) == Refuse("a.example", reason, alert)
