"""The interface through which an exchange borrows a connection to the upstream.

There are two kinds of lease. `faultinject.proxy.upstream.pool` dials and keeps connections. Behind
Fault the connection is the other end of the client's own tunnel
(`faultinject.plugin.duplex.tunnel_lease`), and the hooks of the interface exist for that one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import RequestHead
from faultinject.proxy.upstream.dial import Origin


class Lease(ABC):
    """The upstream connection of one client connection; a context manager that owns it."""

    watch_after_seconds = 0.05
    """How long only one peer is waited for; then the other is watched too, in case it leaves."""

    may_end = False
    """Whether a rule may end the client's connection before the response has ended."""

    def __init__(self) -> None:
        self._connection: UpstreamConnection | None = None

    @property
    def borrowed(self) -> UpstreamConnection:
        """The connection. Only between `acquire` and `discard`."""
        if self._connection is None:
            raise RuntimeError("nothing was acquired")
        return self._connection

    @property
    def connection(self) -> UpstreamConnection | None:
        """The connection, if there is one."""
        return self._connection

    @property
    def idle_connection(self) -> UpstreamConnection | None:
        """The connection that the client's last request used, if it waits for the next one.

        When the upstream ends it, the client's is ended too.
        """
        return self._connection

    @abstractmethod
    async def acquire(self, origin: Origin, *, fresh: bool = False) -> bool:
        """Open or reuse a connection to an origin; return True if it was used before.

        With ``fresh`` it is a new one. Raises `UpstreamError`.
        """

    @abstractmethod
    async def discard(self) -> None:
        """Close the connection, if there is one: it cannot serve another request."""

    # Hooks for a lease whose connection is the other end of the client's own tunnel. Where the
    # two connections are independent, there is nothing to do.

    async def begin_upload(self, request: RequestHead) -> None:  # noqa: B027
        """Get ready for a request that is about to be sent. Raises `UpstreamError`."""

    def body_wanted(self) -> None:  # noqa: B027
        """Note that the upstream has sent a 100 (Continue) for a request that waits for it."""

    def end_upload(self) -> None:  # noqa: B027
        """Note that the whole request has been sent."""

    def before_read(self, unread: bytes) -> bool:  # noqa: ARG002
        """Return False if the client must not be read now: ``unread`` holds its next requests."""
        return True

    @property
    def is_closed(self) -> bool:
        """True once no request can be sent any more; the client's connection ends then too."""
        return False

    @property
    def is_paced(self) -> bool:
        """True if the client may be read only after the upstream was sent its request."""
        return False

    def before_watch(self) -> bool:
        """Return False if the client must not be read until the response has ended."""
        return True

    def before_pause(self, writes: int) -> None:  # noqa: B027
        """Flush what was written to the client: a pause follows.

        After the pause the response is written on, in about ``writes`` pieces with pauses between
        them, before the upstream is sent another request.
        """

    async def before_local_reply(self, writes: int = 1, unread: bytes = b"") -> None:  # noqa: B027
        """Get ready to send the client a response that did not come from the upstream.

        It will be sent in ``writes`` pieces; ``unread`` is what the client has sent beyond its
        request. Raises `UpstreamError`.
        """

    async def __aenter__(self) -> Lease:
        return self

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
