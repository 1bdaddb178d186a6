"""An ASGI app of the user's, served by uvicorn on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import uvicorn

from faultinject.errors import StartError

_LET_GO_SECONDS = 1
"""How long the app may go on with open requests once it shall stop."""


class _AsgiServer(uvicorn.Server):
    """Says when it listens, and at which port."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.port: Future[int] = Future()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.port.set_result(self.servers[0].sockets[0].getsockname()[1])

    def serve_in_thread(self) -> None:
        """Serve until `should_exit`, or until the app's start fails."""
        try:
            self.run()
        except SystemExit:  # uvicorn has logged why
            pass
        finally:
            if not self.port.done():
                self.port.set_exception(StartError("upstream: the app's start (lifespan) failed"))


@contextmanager
def asgi_served(app: Callable[..., Any]) -> Iterator[int]:
    """Serve an app for as long as the block lasts; return its port. Raises `StartError`.

    It runs in an asyncio event loop, as nearly all are made for that. The process's logging,
    signals and event loop policy are left alone.
    """
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        loop="asyncio",
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LET_GO_SECONDS,
    )
    server = _AsgiServer(config)
    thread = threading.Thread(target=server.serve_in_thread, name="faultinject's app", daemon=True)
    thread.start()
    try:
        yield server.port.result()
    finally:
        server.should_exit = True
        thread.join()
