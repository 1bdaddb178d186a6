"""One TLS configuration a host, minted when it is first needed and kept ready.

Knows nothing of connections: it hands out `ssl.SSLContext` objects.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from faultinject.tls.certificate_authority import CertificateAuthority, Leaf

# Far below a leaf's validity, so a proxy that runs for months never presents an expired one.
RENEW_SECONDS = 30 * 24 * 3600.0
# TLS 1.2 with forward secrecy and authenticated encryption; OpenSSL adds TLS 1.3's own suites.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@define
class LeafCache:
    """The contexts of the hosts used last.

    `context_for` has no point at which another task could run, so however many connections ask
    for a new host at once, its leaf is minted once.
    """

    _authority: CertificateAuthority
    _limit: int
    """How many hosts are kept; the one that was not asked for the longest goes first."""
    _num_tickets: int = 1
    """Session tickets a handshake. One is enough to resume; each costs a write."""
    _now: Callable[[], float] = time.time
    _resumption: bool = True
    """Whether a client may resume a session of TLS 1.2, whose handshake has its own order."""
    _kept: OrderedDict[str, tuple[ssl.SSLContext, float]] = field(factory=OrderedDict, init=False)

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return the context that ends TLS for a normal host.

        It speaks TLS 1.2 and 1.3 and selects ``http/1.1`` if the client offers it by ALPN.
        Raises `SettingsError` if the authority has expired, `OSError` if the temporary
        directory cannot be written.
        """
        context, minted_at = self._kept.get(host, (None, 0.0))
        if context is None or not 0 <= self._now() - minted_at < RENEW_SECONDS:
            context = self._new_context(host)
            self._kept[host] = (context, self._now())
        self._kept.move_to_end(host)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return context

    def _new_context(self, host: str) -> ssl.SSLContext:
        context = _context(self._authority.mint(host), self._num_tickets)
        if not self._resumption:
            context.options |= ssl.OP_NO_TICKET  # and OpenSSL keeps no sessions for Python
        return context


def _context(leaf: Leaf, num_tickets: int) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = num_tickets
    _load(context, leaf)
    return context


def _load(context: ssl.SSLContext, leaf: Leaf) -> None:
    """Give the context its certificate and key, which OpenSSL's Python binding takes from a file.

    `mkstemp` makes it readable by its owner alone; it is gone once it is read.
    """
    descriptor, name = tempfile.mkstemp(prefix="faultinject-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(leaf.private_key_pem + leaf.certificate_chain_pem)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
