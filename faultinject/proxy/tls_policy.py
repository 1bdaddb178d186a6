"""What shall become of a client that begins TLS: looked into, passed on, or refused.

Does no I/O. Knows nothing of where the client's bytes came from.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from faultinject.tls.client_hello import AlertDescription, ClientHello, fatal_alert

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
_HTTP_1_1 = "http/1.1"


@frozen
class Intercept:
    """It is a target's."""

    name: str
    """What the client calls the host: the name for our leaf."""
    host: str
    """The target that is asked in the client's place."""


@frozen
class Relay:
    """It is not for us."""

    reason: str
    """In words, for the event."""
    warn: bool = False
    """Whether it is a target's all the same, which the user should hear."""


@frozen
class Refuse:
    """It is a target's, and cannot be served."""

    name: str
    reason: str
    alert: bytes
    """What tells the client."""


TlsPolicy = Intercept | Relay | Refuse


def policy_for(
    hello: ClientHello,
    authority_host: str,
    is_target: Callable[[str], bool],
    *,
    relays_targets: bool = True,
) -> TlsPolicy:
    """Say what shall become of a client by its ClientHello.

    ``authority_host`` is whom the client asked to be connected to, if that is known. Without
    ``relays_targets`` nothing of a target's is passed on.
    """
    name = hello.server_name or authority_host
    host = next((each for each in (name, authority_host) if is_target(each)), None)
    if host is None:
        return Relay("not a target")
    if hello.alpn and _HTTP_1_1 not in hello.alpn:
        return _without_http_1_1(hello, name, relays_targets)
    if hello.max_version < TLS_1_2:
        alert = fatal_alert(AlertDescription.PROTOCOL_VERSION, hello.max_version)
        return Refuse(name, "the client offers no TLS 1.2 or later", alert)
    return Intercept(name, host)


def _without_http_1_1(hello: ClientHello, name: str, relays_targets: bool) -> TlsPolicy:
    """Judge a client of a target that offers other protocols only."""
    offered = f"the client offers only {', '.join(hello.alpn)}"
    if relays_targets:
        return Relay(offered, warn=True)
    alert = fatal_alert(AlertDescription.NO_APPLICATION_PROTOCOL)
    return Refuse(name, f"{offered}; the fake API speaks HTTP/1.1", alert)
