"""Reads the first bytes of a tunnel, until it can be told what the client means to speak.

Knows nothing of what is done about it, nor of where the streams came from.
"""

from __future__ import annotations

import trio
from attrs import define, field

from faultinject.net.relay import READ_NUM_BYTES
from faultinject.net.streams import PrefixedStream
from faultinject.net.tasks import beside
from faultinject.proxy.session import Session
from faultinject.proxy.sniff import OpeningReader, Speech
from faultinject.tls.client_hello import ClientHello, Unread


@define(eq=False)
class FirstBytes:
    """What a client said first.

    ``opening`` is UNDECIDED if the upstream spoke first or the client said too little before its
    end; ``data`` is all that was read of it, and ``upstream`` still has what it said.
    """

    session: Session
    client: trio.abc.Stream
    only_sni_counts: bool
    """Whether only a ClientHello could make the tunnel a target's, so that all else can go on at
    once."""
    upstream: trio.abc.Stream | None = None
    opening: ClientHello | Speech = field(default=Speech.UNDECIDED, init=False)
    _buffer: bytearray = field(factory=bytearray, init=False)
    _reader: OpeningReader = field(factory=OpeningReader, init=False)
    _limited: bool = field(default=False, init=False)
    """Whether the rest must come soon, since the first of it has."""

    @property
    def data(self) -> bytes:
        """What was read of the client."""
        return bytes(self._buffer)

    async def read_alone(self) -> None:
        """Read the client only. If cancelled, what was read is kept, and either can go on."""
        limits = self.session.services.limits
        while self._undecided:
            if len(self._buffer) > limits.client_hello_bytes:
                return
            if self._buffer and not self._limited:
                self._limited = True
                rest = "the rest of the ClientHello"
                self.session.patience.expect(rest, limits.handshake_seconds)
            self.session.idle = not self._buffer
            try:
                data = await self.client.receive_some(limits.client_hello_bytes)
            except trio.BrokenResourceError:
                return
            finally:
                self.session.idle = False
            if not data:
                return
            self._buffer += data
            self.opening = self._reader.feed(bytes(data))

    async def read(self) -> None:
        """Read the client, but only until the upstream says something, or ends."""
        await beside(self._watch_upstream, self.read_alone)

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
        if self.opening is not Speech.UNDECIDED:
            return False
        return not self.only_sni_counts or self._reader.hello is Unread.INCOMPLETE
