"""What an exchange needs of the upstream's side: the interface through which it borrows.

Knows nothing of where connections come from: a pool (`faultinject.proxy.upstream.pool`), or the
other end of the client's own tunnel (`faultinject.plugin`).
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
    """How long one peer is waited for alone; then the other is watched too, for its leaving."""

    may_end = False
    """Whether a rule may end the client's connection before its answer's end."""

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
        """Have a connection to an origin, ready for a request; say whether it was used before.

        Raises `UpstreamError`. With ``fresh`` it is a new one.
        """

    @abstractmethod
    async def discard(self) -> None:
        """End the connection, if there is one: it is not good for another request."""

    # What a lease must know whose connection is the other end of the client's own tunnel. Where
    # the two are apart there is nothing to do.

    async def begin_upload(self, request: RequestHead) -> None:  # noqa: B027
        """Get ready for a request that is about to be sent. Raises `UpstreamError`."""

    def body_wanted(self) -> None:  # noqa: B027
        """Say that the upstream has asked for a body that waits to be asked for, by a 100."""

    def end_upload(self) -> None:  # noqa: B027
        """Say that the request has been sent to its end."""

    def follow(self, unread: bytes) -> bool:  # noqa: ARG002
        """Say whether the client must not be asked for more: its next requests are ``unread``."""
        return False

    @property
    def used_up(self) -> bool:
        """Whether nothing more can be asked, so that the client's connection shall end too."""
        return False

    @property
    def holds_client(self) -> bool:
        """Whether the client must not be asked for more before the upstream was asked."""
        return False

    def stay_ready(self) -> bool:
        """Say whether the client must not be asked for more, so that its connection can end."""
        return False

    def let_go(self, writes: int) -> None:  # noqa: B027
        """Let what was written to the client go, for time will pass.

        About so many ``writes`` follow, each after some time, before the upstream is asked again.
        """

    async def make_way(self, writes: int = 1, unread: bytes = b"") -> None:  # noqa: B027
        """Do what it takes so that an answer that no upstream gave can reach the client.

        It will be sent in that many ``writes``; ``unread`` is what the client has sent beyond its
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
