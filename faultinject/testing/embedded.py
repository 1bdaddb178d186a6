"""The proxy for a test or any other program, whatever event loop that runs, or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from attrs import frozen

from faultinject.environment.client_variables import Changes, ClientEnvironment
from faultinject.environment.vendor_variables import dummy_keys
from faultinject.errors import CheckError, FaultinjectError, SettingsError, StartError
from faultinject.events import ExchangeEnded
from faultinject.proxy.server import RunningProxy
from faultinject.proxy.startup import Run
from faultinject.report.as_lines import text_report
from faultinject.report.finding import Finding
from faultinject.rules.index import RuleSet
from faultinject.settings import Settings
from faultinject.testing.own_upstream import FAKE, REAL, Upstream, serving
from faultinject.testing.program import ProgramCall, calls_in, judged
from faultinject.testing.proxy_thread import ProxyThread
from faultinject.testing.recorder import Recorder
from faultinject.testing.wanted import RuleSource, Wanted, as_list, checked_settings


@frozen
class _Opened:
    """A run that was opened."""

    thread: ProxyThread
    run: Run
    running: RunningProxy


class Proxy:
    """A proxy on a thread of its own, for ``with``, and ``async with`` in any event loop.

    To enter and to leave takes milliseconds, and blocks an event loop that long. What happened can
    be read inside the block and after it.
    """

    def __init__(
        self,
        rules: RuleSource | Iterable[RuleSource] = (),
        *,
        preset: str | Iterable[str] = (),
        optional: bool = False,
        upstream: Upstream = FAKE,
        thread: ProxyThread | None = None,
        **settings: Any,
    ) -> None:
        """Take what shall fail, and who answers if nothing does; nothing is started yet.

        ``rules``, ``preset`` and ``optional`` are as for the methods `rules` and `preset`.
        ``upstream`` is as for the method `upstream`; ``thread`` is one that is shared. The
        ``settings`` are fields of `Settings`, with other defaults: targets are the APIs that are
        known, and the base URLs in the environment; streams of the fake API have no pauses. Raises
        `SettingsError`.
        """
        self._shared = thread
        self._upstream = upstream
        self._given = checked_settings(settings)
        self._wanted = Wanted()
        self._recorder = Recorder()
        self._owned = ExitStack()
        """The thread, if it is not shared."""
        self._app = ExitStack()
        """The user's app, if one answers for the targets."""
        self._opened: _Opened | None = None
        self._is_open = False
        self.add(rules, preset, optional=optional)

    # What shall fail

    def add(
        self,
        rules: RuleSource | Iterable[RuleSource] = (),
        preset: str | Iterable[str] = (),
        *,
        optional: bool = False,
    ) -> None:
        """Add rules and presets, one or several of each; see `rules` and `preset`."""
        __tracebackhide__ = True  # of pytest: the test is shown, and not this
        self.rules(*as_list(rules), optional=optional)
        self.preset(*as_list(preset), optional=optional)

    def rules(self, *rules: RuleSource, optional: bool = False) -> None:
        """Add rules, behind those that are there; what is counted goes on.

        Each is a line of text, a mapping as a rules file has it, a file's `Path`, or the value of
        `load_rules`. One of which nothing comes makes `check` fail, unless it is ``optional``.
        Raises `SettingsError`.
        """
        __tracebackhide__ = True
        self._want(partial(self._wanted.with_rules, rules, optional=optional))

    def preset(self, *names: str, optional: bool = False) -> None:
        """Add presets, as ``overloaded`` or ``overloaded@first=2``; the rest is as for `rules`."""
        __tracebackhide__ = True
        self._want(partial(self._wanted.with_presets, names, optional=optional))

    def upstream(self, upstream: Upstream) -> None:
        """Have something else answer for the targets, before the first request.

        It is ``fake``, ``real``, the URL of a server, or an ASGI or WSGI app, which is served as
        long as the proxy is. Raises `SettingsError`, `StartError`.
        """
        if self.exchanges:
            raise SettingsError("upstream: requests have come already; say it before the first")
        before, self._upstream = self._upstream, upstream
        if self._is_open:
            app = self._app
            try:
                self._open(self._was_opened.thread)
            except BaseException:
                self._upstream = before
                raise
            app.close()

    def _want(self, read: Callable[[], Wanted]) -> None:
        """Read other rules and put them in force, or nothing changes."""
        __tracebackhide__ = True
        try:
            self._put_in_force(read())
        except FaultinjectError as error:
            # The mistake is in what the caller has written, and not on the way through our reader.
            raise error.with_traceback(None)  # noqa: B904 - it is the same

    def _put_in_force(self, wanted: Wanted) -> None:
        if self._is_open and (opened := self._opened) is not None:
            settings = self._settings(opened.thread, wanted)

            async def replace() -> None:
                opened.run.replace_rules(settings)

            opened.thread.call(replace)
        self._wanted = wanted

    def _settings(self, thread: ProxyThread, wanted: Wanted) -> Settings:
        given = {"data_dir": thread.data_dir, **self._given}
        given.setdefault("allow_foreign_keys", self._upstream != REAL)
        settings = Settings(
            proxy_port=0,
            rules=RuleSet(wanted.rules, seed=0),
            preset=wanted.presets,
            short_form=False,
            fake_upstream=self._upstream == FAKE,
            **given,
        )
        self._given["seed"] = settings.seed  # drawn once
        return settings

    # How it is reached

    @property
    def url(self) -> str:
        """What clients use as their proxy, or as base URL."""
        return self._was_opened.running.url

    @property
    def ca_cert(self) -> Path:
        """The file of the certificate that clients must trust."""
        # There is one, for its directory is given: if it cannot be used nothing starts.
        return cast("Path", self._was_opened.running.ca_cert)

    @property
    def variables(self) -> Changes:
        """The environment variables by which clients use the proxy and trust it; None unsets one.

        They keep what is there: a bundle of certificates has those that clients trust now. Where no
        key is set for an API there is one that is none, unless the targets themselves answer.
        """
        opened = self._was_opened
        bundles = opened.thread.bundles(self.ca_cert, self._recorder.warn)
        targets = opened.run.settings.target_host
        clients = ClientEnvironment(os.environ, self.url, targets, bundles)
        changes = clients.changes()
        if self._upstream != REAL:
            changes |= dummy_keys(os.environ, targets)
        for entry, target in clients.uncovered:
            self._recorder.warn(f"NO_PROXY: {entry} is left out, because it covers {target}")
        return changes

    @property
    def env(self) -> dict[str, str]:
        """The whole environment for a program that shall use the proxy, as `subprocess` takes."""
        changed = {**os.environ, **self.variables}
        return {name: value for name, value in changed.items() if value is not None}

    @property
    def _was_opened(self) -> _Opened:
        if self._opened is None:
            raise StartError("the proxy is not started: enter it by 'with' or 'async with'")
        return self._opened

    # What happened

    @property
    def seed(self) -> int:
        """The seed of the draws."""
        return self._was_opened.run.settings.seed

    @property
    def exchanges(self) -> list[ExchangeEnded]:
        """The exchanges that have ended, the first first; of very many the latest."""
        return self._settled().exchanges

    @property
    def calls(self) -> list[ProgramCall]:
        """The program's calls of the API, each with all its attempts, the first first."""
        return calls_in(self._settled().events)

    @property
    def findings(self) -> list[Finding]:
        """What is to be said of how the program took the failures, the worst first.

        It is judged as if the program were over: a call that failed was given up. Each has an
        ``id`` (docs/findings.md), a ``severity``, ``evidence`` and a ``timeline``.
        """
        return judged(self._settled().events).findings

    @property
    def timeline(self) -> str:
        """What happened and what is to be said of it as text, as on a terminal."""
        recorder = self._settled()
        return recorder.timeline() + text_report(judged(recorder.events))

    @property
    def unfired(self) -> list[str]:
        """A sentence for each rule or preset of which nothing came, and which is not optional."""
        recorder, run = self._settled(), self._was_opened.run
        return recorder.unfired(self._wanted.expected, run.counters.totals(run.rule_set.ids))

    @property
    def problems(self) -> list[str]:
        """What is in `unfired`, and each finding whose severity is ``error``."""
        errors = [each for each in self.findings if each.severity == "error"]
        return [
            *self.unfired,
            *(f"{each.id}: {each.evidence}  {each.timeline}".rstrip() for each in errors),
        ]

    def check(self) -> None:
        """Raise `CheckError` (an `AssertionError`) if there are `problems`."""
        __tracebackhide__ = True  # of pytest: the test is shown, and not this
        if problems := self.problems:
            raise CheckError("\n".join(problems))

    def _settled(self) -> Recorder:
        """Return the recorder, once it knows of all that clients have done so far."""
        if self._is_open:
            self._was_opened.thread.settle()
        return self._recorder

    # From start to end

    def __enter__(self) -> Proxy:
        with ExitStack() as owned:
            thread = self._shared
            if thread is None:
                thread = ProxyThread(self._given.get("data_dir"))
                owned.callback(thread.stop)
            self._open(thread)
            self._owned = owned.pop_all()
        return self

    def _open(self, thread: ProxyThread) -> None:
        """Open a run in a thread. Raises `SettingsError`, `StartError`; then nothing is left."""
        with ExitStack() as owned:
            server = owned.enter_context(serving(self._upstream))
            settings = self._settings(thread, self._wanted)
            recorder = Recorder()
            run, running = thread.open(settings, recorder.listen, server)
            self._recorder, self._opened = recorder, _Opened(thread, run, running)
            self._is_open = True
            self._app = owned.pop_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._owned, self._app:
            self._settled()
            self._is_open = False

    async def __aenter__(self) -> Proxy:
        """Enter; see the class."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave; see the class."""
        self.__exit__(kind, error, traceback)
