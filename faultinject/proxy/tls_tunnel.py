"""A tunnel whose client speaks TLS: what becomes of it, whatever carries the tunnel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import trio
from attrs import define

from faultinject.authority import Authority
from faultinject.errors import HandshakeError
from faultinject.proxy.decision import decide_handshake
from faultinject.proxy.intercept import ServeTls
from faultinject.proxy.session import (
    Session,
    SessionStage,
    report_handshake_failure,
    report_hello,
    warn_of_relay,
)
from faultinject.proxy.tls_faults import BrokenHandshake
from faultinject.proxy.tls_policy import Intercept, Refuse, policy_for
from faultinject.proxy.upstream.dial import Origin
from faultinject.tls.client_hello import ClientHello
from faultinject.tls.layer import WrapTls


@define(eq=False, repr=False)
class TlsTunnel(ABC):
    """Decides by the client's ClientHello: intercept, refuse or relay.

    The caller owns the client's stream.
    """

    session: Session
    stream: trio.abc.Stream
    """The client's."""
    on_partial_read: Callable[[], None] | None = None
    """Called before a read, if the last one brought only a part of a message."""
    wrap_tls: ClassVar[WrapTls]
    """Puts TLS on the client's stream."""

    @property
    def asked_for(self) -> Authority | None:
        """What the client has asked for before; None if it has named nothing."""
        return None

    async def serve_tls(self, data: bytes, hello: ClientHello) -> SessionStage | None:
        """Serve a client whose first bytes are a ClientHello.

        Returns the next stage if the tunnel is intercepted, else None at its end.
        """
        asked = self.asked_for
        report_hello(self.session, str(asked or ""), hello)
        policy = policy_for(
            hello,
            asked.host if asked else "",
            self.is_target,
            relays_targets=self.session.runtime.relays_targets,
        )
        if isinstance(policy, Intercept):
            return await self._intercept(policy, data, hello)
        if isinstance(policy, Refuse):
            await self.refuse(policy)
            return None
        name = hello.server_name or ""
        if policy.warn:
            warn_of_relay(self.session, str(asked or name), policy.reason)
        await self.relay(data, policy.reason, name)
        return None

    async def _intercept(
        self, policy: Intercept, data: bytes, hello: ClientHello
    ) -> SessionStage | None:
        origin = self.origin_of(policy.host)
        if (plan := decide_handshake(self.session, origin.authority)) is not None:
            await BrokenHandshake(self.session, self.stream, origin.authority, plan).run()
            return None
        partial, name = self.on_partial_read, policy.name
        stage = ServeTls(self.stream, origin, partial, name, data, hello, self.wrap_tls)
        return await self.accept(stage)

    async def refuse(self, policy: Refuse) -> None:
        """Refuse a handshake with an alert, and report it."""
        report_handshake_failure(self.session, policy.name, HandshakeError(policy.reason))
        await self.send_refusal(policy)

    async def accept(self, stage: ServeTls) -> SessionStage | None:
        """Go on with a client that is intercepted, or return the stage that does."""
        return stage

    @abstractmethod
    def is_target(self, host: str) -> bool:
        """Return True if a host is a target."""

    @abstractmethod
    def origin_of(self, host: str) -> Origin:
        """Return the origin of a target's host."""

    @abstractmethod
    async def send_refusal(self, policy: Refuse) -> None:
        """Send the client the alert of a refusal; then its connection ends."""

    @abstractmethod
    async def relay(self, data: bytes, reason: str, host: str) -> None:
        """Relay the tunnel, from the first bytes on, and report it.

        ``host`` is the name in the ClientHello, if there is one.
        """
