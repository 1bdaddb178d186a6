"""An HTTP/1.1 origin that sends exactly the bytes its pages say and keeps all it received.

One thread a connection, so that a page is straight code: read, send, pause, close. A context
manager: leaving it ends every connection and raises what went wrong in a page.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Self

from tests.support.exchange import Exchange, Received
from tests.support.wire import Wire, header_words

END_SECONDS = 60.0
"""How long a closed connection may take to end on the other side, and the origin to stop."""


Page = Callable[[Exchange], None]


class Origin:
    """The origin, on a free port of 127.0.0.1, serving pages by their path."""

    def __init__(self, pages: Mapping[str, Page], context: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.opened = 0
        """Connections that came up, their TLS included."""
        self.failed_handshakes = 0
        self.ends: dict[int, str] = {}
        """How clients ended connections: ``closed`` in good order, or ``cut`` without
        close_notify."""
        self._pages = pages
        self._context = context
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._failures: list[Exception] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *exc_details: object) -> None:
        self._stopping.set()
        socket.create_connection(("127.0.0.1", self.port)).close()  # wakes accept everywhere
        self._threads[0].join(END_SECONDS)
        with self._changed:
            for sock in self._sockets:
                shut_down(sock)
        for thread in self._threads:
            thread.join(END_SECONDS)
        if self._failures:
            raise ExceptionGroup("the origin's pages failed", self._failures)

    def clear(self) -> None:
        """Forget the requests received so far."""
        with self._changed:
            self.received.clear()

    def wait_for_requests(self, count: int, seconds: float = END_SECONDS) -> list[Received]:
        """Return the requests received once there are that many; raises `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, seconds):
                raise TimeoutError(f"{len(self.received)} requests came, not {count}")
            return list(self.received)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with self._listener:
            while True:
                sock, _ = self._listener.accept()
                if self._stopping.is_set():
                    sock.close()
                    return
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._secured(sock) as secured:
                with self._changed:
                    self._sockets.add(secured)
                    self.opened += 1
                    number = self.opened
                self._serve_requests(secured, number)
        except (OSError, EOFError):
            pass  # the client's way to leave; what it meant is in the request's record
        except Exception as error:
            self._failures.append(error)

    def _note_end(self, connection: int, how: str) -> None:
        with self._changed:
            self.ends[connection] = how
            self._changed.notify_all()

    def wait_for_end(self, connection: int, seconds: float = END_SECONDS) -> str:
        """Return how a client ended a connection; raises `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: connection in self.ends, seconds):
                raise TimeoutError(f"connection {connection} has not ended")
            return self.ends[connection]

    def _secured(self, sock: socket.socket) -> socket.socket:
        if self._context is None:
            return sock
        try:
            return self._context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)
        except OSError:
            self.failed_handshakes += 1
            sock.close()
            raise

    def _serve_requests(self, sock: socket.socket, connection: int) -> None:
        wire, number = Wire(sock), 0
        try:
            while head := wire.read_head():
                number += 1
                received = Received(connection, number, head, wire.read_at)
                if not self._serve_one(received, wire):
                    break
            if sock.fileno() >= 0:
                sock.settimeout(END_SECONDS)
                while wire.read_some():  # or our close would become a reset
                    pass
            self._note_end(connection, "closed")
        except ssl.SSLEOFError:
            self._note_end(connection, "cut")
        except ConnectionResetError:
            self._note_end(connection, "reset")
            raise
        finally:
            with self._changed:
                self._sockets.discard(sock)

    def _serve_one(self, received: Received, wire: Wire) -> bool:
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
        exchange = Exchange(received, wire, self._stopping)
        try:
            self._pages.get(received.path, not_found)(exchange)
            if exchange.open:
                exchange.read_body()
                if b"close" in header_words(received.head, b"connection"):
                    exchange.close()
        except (OSError, EOFError):
            received.client_gone = time.monotonic()
            raise
        finally:
            received.left.set()
        return exchange.open


def not_found(exchange: Exchange) -> None:
    """Answer what no page answers."""
    exchange.read_body()
    exchange.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def shut_down(sock: socket.socket) -> None:
    """Wake whoever reads or writes a socket; nothing if it is closed already."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
