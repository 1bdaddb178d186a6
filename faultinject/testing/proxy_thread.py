"""A thread of its own, with Trio in it, in which one run of the proxy follows another on one port.

Each run has rules, counters and a listener of its own. What began in a run stays with it: when the
next one opens, its idle connections are closed, and its open exchanges have
``limits.drain_seconds`` to end.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import trio
from trio.testing import wait_all_tasks_blocked

from faultinject.environment.bundles import Bundles
from faultinject.errors import StartError
from faultinject.events import Listener
from faultinject.proxy.server import RunningProxy, serve_run
from faultinject.proxy.startup import Run, UpstreamServer
from faultinject.settings import Settings
from faultinject.tls.certificate_authority import CertificateAuthority, NoAuthority

T = TypeVar("T")
_Place = tuple[Path | None, Path | None, Path | None]
"""The settings that say where a certificate authority is."""
HOST = "127.0.0.1"
_SETTLE_SECONDS = 1.0
"""How long a proxy that never rests is waited for."""


class ProxyThread:
    """The thread. `stop` ends it, and removes what it wrote."""

    def __init__(self, data_dir: Path | None = None) -> None:
        """Start the thread, which listens. Raises `StartError`.

        ``data_dir`` is where the certificate authority lives; without it there is a new one, in a
        temporary directory.
        """
        self._temporary = tempfile.TemporaryDirectory(prefix="faultinject-")
        self._folder = Path(self._temporary.name)
        self.data_dir = data_dir or self._folder
        self._authorities: dict[_Place, CertificateAuthority | NoAuthority] = {}
        self._bundles: dict[Path, Bundles] = {}
        self._running: RunningProxy | None = None
        self._failure: BaseException | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="faultinject", daemon=True)
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._temporary.cleanup()
            raise

    # Called from other threads

    def open(
        self, settings: Settings, listener: Listener, upstream: UpstreamServer | None = None
    ) -> tuple[Run, RunningProxy]:
        """End the run that is open, and open another.

        Raises `SettingsError`, `StartError`; then the run before goes on.
        """
        place = settings.ca_cert, settings.ca_key, settings.data_dir
        known = self._authorities.get(place)
        run = Run.of(settings, listener, is_base_url=True, authority=known, upstream=upstream)
        self._authorities[place] = run.authority
        return run, self.call(lambda: self._open(run))

    def bundles(self, ca_cert: Path, warn: Callable[[str], None]) -> Bundles:
        """Return what makes the files of certificates that clients trust."""
        if ca_cert not in self._bundles:
            self._bundles[ca_cert] = Bundles(self._folder, ca_cert.read_bytes(), warn)
        bundles = self._bundles[ca_cert]
        bundles.warn = warn
        return bundles

    def settle(self) -> None:
        """Wait until all that clients have done so far is reported."""
        self.call(_settled)

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run something in the thread, and return its value.

        It may be called in an event loop, which it blocks as long. Raises `StartError` if the
        thread has ended.
        """
        done: Future[T] = Future()
        try:
            self._token.run_sync_soon(self._start, work, done)
        except trio.RunFinishedError:
            raise StartError("the proxy's thread has ended") from self._failure
        return done.result()

    def stop(self) -> None:
        """End the thread; exchanges that are open break off."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._nursery.cancel_scope.cancel)
        self._thread.join()
        self._temporary.cleanup()

    # In the thread

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self._failure = error
            if not self._started.done():
                self._started.set_exception(error)

    async def _serve(self) -> None:
        try:
            [listener] = await trio.open_tcp_listeners(0, host=HOST.encode())
        except OSError as error:
            raise StartError(f"cannot listen on {HOST}: {error.strerror}") from error
        async with listener, trio.open_nursery() as nursery:
            self._listener, self._nursery = listener, nursery
            self._token = trio.lowlevel.current_trio_token()
            self._started.set_result(None)
            await trio.sleep_forever()

    def _start(self, work: Callable[[], Awaitable[T]], done: Future[T]) -> None:
        if self._nursery.cancel_scope.cancel_called:
            done.set_exception(StartError("the proxy's thread is being stopped"))
            return
        self._nursery.start_soon(_carry_out, work, done)

    async def _open(self, run: Run) -> RunningProxy:
        await self._close()
        # The same port: a client that was made in the run before can go on.
        own = trio.SocketListener(self._listener.socket.dup())
        running: RunningProxy = await self._nursery.start(serve_run, run, [own])
        self._running = running
        return running

    async def _close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await _settled()  # what it accepted is its own
            running.drain()
            await _settled()


async def _settled() -> None:
    with trio.move_on_after(_SETTLE_SECONDS):
        await wait_all_tasks_blocked()


async def _carry_out(work: Callable[[], Awaitable[T]], done: Future[T]) -> None:
    try:
        done.set_result(await work())
    except trio.Cancelled:
        done.set_exception(StartError("the proxy's thread was stopped"))
        raise
    except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
        done.set_exception(error)
