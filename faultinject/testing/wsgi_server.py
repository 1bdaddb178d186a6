"""A WSGI app of the user's, served by Python's own wsgiref, a thread for each request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

HOST = "127.0.0.1"


class _WsgiServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, without the look-up of the host's name that `http.server` does."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as the base has it
        """Say nothing of requests: the proxy does."""


@contextmanager
def wsgi_served(app: Callable[..., Any]) -> Iterator[int]:
    """Serve an app for as long as the block lasts; return its port."""
    stopping = threading.Event()
    with make_server(HOST, 0, app, _WsgiServer, _QuietHandler) as server:

        def serve() -> None:
            while not stopping.is_set():
                server.handle_request()

        thread = threading.Thread(target=serve, name="faultinject's app", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            stopping.set()
            _wake(server.server_port)
            thread.join()


def _wake(port: int) -> None:
    """Connect, so that the server looks up; `serve_forever` would look up twice a second."""
    connection = HTTPConnection(HOST, port)
    connection.connect()
    connection.close()
