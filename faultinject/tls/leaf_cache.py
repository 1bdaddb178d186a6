"""Keeps an `ssl.SSLContext` for each host, made when it is first needed."""

from __future__ import annotations

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from faultinject.tls.client_hello import SPOKEN
from faultinject.tls.pem_files import PemFiles

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from faultinject.tls.certificate_authority import CertificateAuthority, Leaf, NoAuthority

# Far below a leaf's validity, so a proxy that runs for months never uses an expired one.
RENEW_SECONDS = 30 * 24 * 3600.0
# TLS 1.2 with forward secrecy and authenticated encryption; OpenSSL adds TLS 1.3's own suites.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@define(eq=False, repr=False)
class _CachedContext:
    """A host's context."""

    context: ssl.SSLContext
    minted_at: float
    has_rsa: bool = False


@define(eq=False, repr=False)
class LeafCache:
    """The contexts of the hosts that were used last.

    `context_for` lets no other task run. So a new host's leaf is minted once, however many
    connections need it at the same time.
    """

    _authority: CertificateAuthority | NoAuthority
    _limit: int
    """How many hosts are kept. The one that was unused for the longest goes first."""
    _now: Callable[[], float] = time.time
    _resumption: bool = True
    """Whether a client may resume a session of TLS 1.2, which changes the handshake's order."""
    _files: PemFiles = field(factory=PemFiles)
    _rsa_key: RSAPrivateKey | None = None
    """One key for all leaves, like their EC key (see `Issuer`); made when it is first needed."""
    _cached: OrderedDict[str, _CachedContext] = field(factory=OrderedDict, init=False)
    _making_key: trio.Lock = field(factory=trio.Lock, init=False)

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return the server context for a normal host, with an EC certificate (P-256).

        It has TLS 1.2 and 1.3, and selects one of `SPOKEN` if the client offers it by ALPN. Raises
        `SettingsError` if there is no authority or it has expired, and `OSError` if the certificate
        cannot be passed to OpenSSL.
        """
        return self._cached_for(host).context

    async def context_with_rsa(self, host: str) -> ssl.SSLContext:
        """Return the host's context, which from now on also has an RSA certificate (2048 bits).

        It is for clients that do not accept the EC certificate; OpenSSL chooses by their
        ClientHello. The key is made when it is first needed, in a thread, so that other tasks go
        on. Raises the same errors as `context_for`.
        """
        async with self._making_key:
            self._rsa_key = self._rsa_key or await trio.to_thread.run_sync(_new_rsa_key)
        kept = self._cached_for(host)
        if not kept.has_rsa:
            self._load(kept.context, self._authority.mint(host, self._rsa_key))
            kept.has_rsa = True
        return kept.context

    def _cached_for(self, host: str) -> _CachedContext:
        kept = self._cached.get(host)
        if kept is None or not 0 <= self._now() - kept.minted_at < RENEW_SECONDS:
            kept = _CachedContext(self._new_context(host), self._now())
            self._cached[host] = kept
        self._cached.move_to_end(host)
        while len(self._cached) > self._limit:
            self._cached.popitem(last=False)
        return kept

    def _new_context(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(SPOKEN)
        context.num_tickets = 0  # each costs a write, and a local client gains nothing
        if not self._resumption:
            context.options |= ssl.OP_NO_TICKET  # the server's session cache is off in Python
        self._load(context, self._authority.mint(host))
        return context

    def _load(self, context: ssl.SSLContext, leaf: Leaf) -> None:
        self._files.load(context, leaf.private_key_pem + leaf.certificate_chain_pem)


def _new_rsa_key() -> RSAPrivateKey:
    from faultinject.tls.certificates import new_rsa_key

    return new_rsa_key()
