"""Decides by a ClientHello: intercept the client's TLS, relay it, or refuse it. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from faultinject.tls.client_hello import SPOKEN, AlertDescription, ClientHello, fatal_alert

TLS_1_2, TLS_1_3 = 0x0303, 0x0304


@frozen
class Intercept:
    """The client asks for a target: end its TLS here."""

    name: str
    """The host's name as the client has it: the name in the leaf certificate."""
    host: str
    """The target's host, for the upstream connection."""


@frozen
class Relay:
    """The client's bytes are relayed unchanged."""

    reason: str
    """Why, for the event."""
    warn: bool = False
    """Whether the client asks for a target all the same: the user is warned then."""


@frozen
class Refuse:
    """The client asks for a target and cannot be served."""

    name: str
    reason: str
    alert: bytes
    """The TLS alert for the client."""


TlsPolicy = Intercept | Relay | Refuse


def policy_for(
    hello: ClientHello,
    authority_host: str,
    is_target: Callable[[str], bool],
    *,
    relays_targets: bool = True,
) -> TlsPolicy:
    """Return what to do with a client, by its ClientHello.

    ``authority_host`` is the host in its CONNECT, if there was one. Without ``relays_targets`` no
    client that asks for a target is relayed.
    """
    name = hello.server_name or authority_host
    host = next((each for each in (name, authority_host) if is_target(each)), None)
    if host is None:
        return Relay("not a target")
    if hello.alpn and not any(name in hello.alpn for name in SPOKEN):
        return _unspoken(hello, name, relays_targets)
    if hello.max_version < TLS_1_2:
        alert = fatal_alert(AlertDescription.PROTOCOL_VERSION, hello.max_version)
        return Refuse(name, "the client offers no TLS 1.2 or later", alert)
    return Intercept(name, host)


def _unspoken(hello: ClientHello, name: str, relays_targets: bool) -> TlsPolicy:
    """Return the policy for a target's client that offers other protocols only."""
    offered = f"the client offers only {', '.join(hello.alpn)}"
    if relays_targets:
        return Relay(offered, warn=True)
    alert = fatal_alert(AlertDescription.NO_APPLICATION_PROTOCOL)
    return Refuse(name, f"{offered}; the fake API speaks HTTP/1.1", alert)
