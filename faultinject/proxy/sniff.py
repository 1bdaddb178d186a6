"""Reads the first bytes of a tunnel until the client's protocol is known."""

from __future__ import annotations

import enum
import re

import trio
from attrs import define, field

from faultinject.net.relay import READ_NUM_BYTES
from faultinject.net.streams import PrefixedStream
from faultinject.net.tasks import run_with_watcher
from faultinject.proxy.session import Session
from faultinject.tls.client_hello import ClientHello, HelloReader, Unread

# A request line's method and the space behind it (RFC 9112 section 3). Only capitals: that is
# what registered methods are made of, and it tells HTTP from other protocols early.
_LONGEST_METHOD = 20
_HTTP = re.compile(rb"[A-Z]{3,%d} " % _LONGEST_METHOD)
_MAYBE_HTTP = re.compile(rb"[A-Z]{1,%d}" % _LONGEST_METHOD)


class Protocol(enum.Enum):
    """A client's protocol, if it did not send a good ClientHello."""

    UNDECIDED = enum.auto()
    """Too little has arrived to decide."""
    HTTP = enum.auto()
    OTHER = enum.auto()
    BROKEN_TLS = enum.auto()
    """TLS whose first message no TLS library would accept."""
    UNEXPECTED_TLS = enum.auto()
    """TLS that does not begin with a ClientHello."""
    TOO_LONG_TLS = enum.auto()
    """TLS with a record above the limit."""


_FLAWS = {
    Unread.INCOMPLETE: Protocol.UNDECIDED,
    Unread.MALFORMED: Protocol.BROKEN_TLS,
    Unread.UNEXPECTED: Protocol.UNEXPECTED_TLS,
    Unread.TOO_LONG: Protocol.TOO_LONG_TLS,
    Unread.NOT_TLS: Protocol.OTHER,
}
TLS_FLAWS = {
    Protocol.BROKEN_TLS: "a malformed ClientHello",
    Protocol.UNEXPECTED_TLS: "a TLS message that is no ClientHello",
    Protocol.TOO_LONG_TLS: "a TLS record of more than 16384 bytes",
}
"""What is wrong with the TLS of clients that cannot be intercepted."""


class OpeningReader:
    """Recognises the first bytes of a tunnel as they arrive; looks at each byte once."""

    def __init__(self) -> None:
        self.hello: ClientHello | Unread = Unread.INCOMPLETE
        """What they are, read as TLS."""
        self._reader = HelloReader()
        self._start = b""

    def feed(self, data: bytes) -> ClientHello | Protocol:
        """Add the next bytes; return what all bytes so far are."""
        self._start += data[: _LONGEST_METHOD + 1 - len(self._start)]
        self.hello = self._reader.feed(data)
        if not self._start:
            return Protocol.UNDECIDED
        if _HTTP.match(self._start):
            return Protocol.HTTP
        if _MAYBE_HTTP.fullmatch(self._start):
            return Protocol.UNDECIDED
        return self.hello if isinstance(self.hello, ClientHello) else _FLAWS[self.hello]


@define(eq=False, repr=False)
class FirstBytes:
    """What a client sent first.

    ``opening`` is UNDECIDED if the upstream sent something first, or the client ended too early.
    ``data`` is all that was read of the client; ``upstream`` can still be read from its beginning.
    """

    session: Session
    client: trio.abc.Stream
    only_sni_counts: bool
    """Whether only the server name in a ClientHello could make the tunnel a target's. Then reading
    stops as soon as the bytes are no ClientHello."""
    upstream: trio.abc.Stream | None = None
    opening: ClientHello | Protocol = field(default=Protocol.UNDECIDED, init=False)
    _buffer: bytearray = field(factory=bytearray, init=False)
    _reader: OpeningReader = field(factory=OpeningReader, init=False)
    _limited: bool = field(default=False, init=False)
    """Whether the time limit for the rest of the first message is set."""

    @property
    def data(self) -> bytes:
        """What was read from the client."""
        return bytes(self._buffer)

    async def read_alone(self) -> None:
        """Read the client only. If cancelled, `data` is kept, and reading can go on."""
        limits = self.session.runtime.limits
        while self._undecided:
            if len(self._buffer) > limits.client_hello_bytes:
                return
            if self._buffer and not self._limited:
                self._limited = True
                rest = "the rest of the ClientHello"
                self.session.timeout.reset(rest, limits.handshake_seconds)
            self.session.waits = not self._buffer
            try:
                data = await self.client.receive_some(limits.client_hello_bytes)
            except trio.BrokenResourceError:
                return
            finally:
                self.session.waits = False
            if not data:
                return
            self._buffer += data
            self.opening = self._reader.feed(bytes(data))

    async def read(self) -> None:
        """Read the client, but only until the upstream sends something or ends."""
        await run_with_watcher(self._watch_upstream, self.read_alone)

    async def _watch_upstream(self, ended: trio.CancelScope) -> None:
        if self.upstream is None:
            return
        try:
            data = await self.upstream.receive_some(READ_NUM_BYTES)
        except trio.BrokenResourceError:
            data = b""
        self.upstream = PrefixedStream(bytes(data), self.upstream)
        ended.cancel()

    @property
    def _undecided(self) -> bool:
        if self.opening is not Protocol.UNDECIDED:
            return False
        return not self.only_sni_counts or self._reader.hello is Unread.INCOMPLETE
