"""The interface through which exchanges get connections to their upstreams.

There are two kinds of lease. `faultinject.proxy.upstream.pool` dials and keeps connections. Behind
Fault the connection is the other end of the client's own tunnel
(`faultinject.plugin.duplex.tunnel_lease`): only that one has a `Pacing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from faultinject.http.exchange_sides import UpstreamExchange
from faultinject.http.message import RequestHead
from faultinject.net.timeouts import FirstWaits
from faultinject.proxy.upstream.dial import Origin

FIRST_WAIT_SECONDS = 0.05
"""How long only one peer is waited for."""


class Pacing:
    """What a session does at the right time where its two connections are one tunnel's two ends.

    There the host moves the bytes of either end only while it is not asked for more of the other's.
    Where the two connections are independent, there is no such object.
    """

    is_strict = True
    """Whether the client may be read only after the upstream was sent its request."""

    def begin_exchange(self, *, may_end: bool) -> None:
        """Note that a plan is carried out.

        ``may_end`` says that it may end the client's connection before the response has ended.
        """

    def end_exchange(self) -> None:
        """Note that the plan was carried out."""

    async def begin_upload(self, request: RequestHead) -> None:
        """Get ready for a request that is about to be sent. Raises `UpstreamError`."""

    def body_wanted(self) -> None:
        """Note that the upstream has sent a 100 (Continue) for a request that waits for it."""

    def end_upload(self) -> None:
        """Note that the whole request has been sent."""

    def before_watch(self) -> bool:
        """Return False if the client must not be read until the response has ended."""
        return True

    def before_read(self, unread: bytes) -> bool:  # noqa: ARG002
        """Return False if the client must not be read now: ``unread`` holds its next requests."""
        return True

    def before_pause(self, writes: int, guessed: int) -> None:
        """Flush what was written to the client: a pause follows.

        After the pause the response is written on, in about ``writes`` pieces with pauses between
        them, before the upstream is sent another request. There may be ``guessed`` more, or the
        response ends without them.
        """

    async def before_local_reply(self, writes: int = 1, unread: bytes = b"") -> None:
        """Get ready to send the client a response that did not come from the upstream.

        It will be sent in ``writes`` pieces; ``unread`` is what the client has sent beyond its
        request. Raises `UpstreamError`.
        """


class Lease(ABC):
    """The upstream connections of one client connection; a context manager that owns them."""

    pacing: Pacing | None = None
    """What is to be done at which time, where that matters."""

    first_waits: FirstWaits
    """In which only one peer is waited for; then the other is watched too, in case it leaves."""

    redials = True
    """Whether another connection can be opened in place of one that has ended."""

    @property
    @abstractmethod
    def idle_connection(self) -> UpstreamExchange | None:
        """The connection that the client's last request used, if it waits for the next one.

        When the upstream ends it, the client's is ended too.
        """

    @property
    def is_closed(self) -> bool:
        """True once no request can be sent any more; the client's connection ends then too."""
        return False

    @abstractmethod
    async def open(self, origin: Origin, *, fresh: bool = False) -> UpstreamExchange:
        """Return a connection to an origin for one exchange: a new one, or one that was used.

        It is nobody else's until it is given back. With ``fresh`` it is a new one. Raises
        `UpstreamError`.
        """

    @abstractmethod
    async def release(self, connection: UpstreamExchange) -> None:
        """Take a connection back whose exchange went well; close it if it can serve no other."""

    @abstractmethod
    async def discard(self, connection: UpstreamExchange) -> None:
        """Take a connection back and close it: it can serve no other exchange."""

    async def __aenter__(self) -> Lease:
        return self

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
