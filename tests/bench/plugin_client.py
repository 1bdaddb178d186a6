"""The load generator's client of a plugin: TLS and HTTP/1.1 in memory, a chunk at a time.

What it sends is a chunk, and what it reads is a reply; who carries them is somebody else's affair.
Checks every answer.
"""

from __future__ import annotations

import ssl

from tests.bench.client import LENGTH, WrongAnswerError


class ChunkClient:
    """One tunnel's client. Each method returns or takes what is on the wire."""

    def __init__(self, tls: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def hello(self) -> bytes:
        """The first chunk."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        raise WrongAnswerError("a handshake that needs no answer")

    def finish(self, reply: bytes) -> None:
        """End the handshake on the upstream's flight; its last words go with the first request.

        That is one chunk less than most clients need, in favour of who sleeps for each.
        """
        self._incoming.write(reply)
        self._tls.do_handshake()

    def request(self, request: bytes) -> bytes:
        """The chunk of a request."""
        self._tls.write(request)
        return self._outgoing.read()

    def answer(self, reply: bytes, status: int) -> None:
        """Read a whole answer, which must have that status."""
        self._incoming.write(reply)
        received = b""
        try:
            while data := self._tls.read(65536):
                received += data
        except ssl.SSLWantReadError:
            pass
        head, _, body = received.partition(b"\r\n\r\n")
        length = LENGTH.search(head + b"\r\n")
        if head[9:12] != b"%d" % status or length is None or int(length[1]) != len(body):
            raise WrongAnswerError(f"{received[:60]!r} where a whole {status} was due")
