"""The bounds of everything that a stranger could make large or long, with their defaults.

Knows nothing of what happens at a limit: whoever holds the resource answers for that.
"""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Limits:
    """Bounds in bytes, seconds and numbers. Each default is meant to be met by no honest peer."""

    head_bytes: int = 256 * 1024
    """Longest request or response head, trailers, and line of a chunk. Servers allow less (Node
    16 KiB, nginx 32), but it is for the origin to say so."""
    head_seconds: float = 30.0
    """Longest time from the first byte of a head, of trailers or of a chunk's line to its end, and
    for CONNECT."""
    handshake_seconds: float = 10.0
    """Longest time for a client's ClientHello, and then for the rest of the TLS handshake."""
    client_hello_bytes: int = 32 * 1024
    """Longest ClientHello. Post-quantum ones have some 2 KiB."""
    silent_tunnel_seconds: float = 0.5
    """How long a new tunnel to a target may be silent until the upstream is asked to speak first
    (as SMTP or SSH servers do)."""
    idle_seconds: float = 3600.0
    """How long a client connection or a relay may be without a byte in either direction."""
    idle_tunnel_seconds: float = 900.0
    """How long a tunnel behind Fault may wait for its next request, or be relayed without a byte:
    Fault does not always tell that one is over. Origins end idle connections earlier."""
    body_idle_seconds: float = 60.0
    """Longest pause within a request body that is read to be thrown away."""
    drained_body_bytes: int = 32 * 1024 * 1024
    """Largest request body that is read to its end before an injected answer. The Messages API
    itself takes 32 MB; after a longer one the connection is closed with the answer."""
    dial_seconds: float = 20.0
    """Longest time to reach an upstream: name look-up, TCP and TLS together."""
    send_seconds: float = 300.0
    """How long a client may leave an answer of our own unread until it is given up. One that is
    passed on may wait as long as anything else, ``idle_seconds``: a debugger stops its reader."""
    upstream_connections: int = 8
    """Largest number of upstream connections that one client connection keeps, one an origin; the
    one that was not used for the longest goes first."""
    early_bytes: int = 64 * 1024
    """Most bytes held that a client sent before their turn (pipelined requests)."""
    sessions: int = 10_000
    """Largest number of client connections at once."""
    leaves: int = 1_000
    """Largest number of leaf certificates kept ready, the least recently used goes first."""
    drain_seconds: float = 5.0
    """How long open exchanges may go on after the first Ctrl-C or SIGTERM."""
    queued_events: int = 10_000
    """Most events that wait for a slow terminal or file; further ones are dropped and counted."""
