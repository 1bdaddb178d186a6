"""The proxy of a pytest process: one thread, and in it a run for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import pytest

from faultinject.errors import FaultinjectError
from faultinject.testing.embedded import Proxy
from faultinject.testing.proxy_thread import ProxyThread

_MARKER = "faultinject"
_FOR_RULES = ("rules", "preset", "optional")
"""What each marker says for itself; of the rest the nearest one's counts."""


class PytestSession:
    """Runs the proxy from the first test that asks for it to the end of the session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._thread = ProxyThread()
        self._patch: pytest.MonkeyPatch | None = None
        self._rest()

    def set_environment(self) -> None:
        """Set the environment until the session ends."""
        self._patch = pytest.MonkeyPatch()
        with Proxy(thread=self._thread) as proxy:
            _set(self._patch, proxy.variables)
        self._rest()

    def stop(self) -> None:
        """End the thread, and restore the environment."""
        if self._patch is not None:
            self._patch.undo()
        self._thread.stop()

    @contextmanager
    def proxy_for(self, item: pytest.Item) -> Iterator[Proxy]:
        """Run a proxy for a test, as its markers say."""
        try:
            proxy = self._made_for(item)
            proxy.__enter__()
        except FaultinjectError as error:
            pytest.fail(f"faultinject: {error}", pytrace=False)
        try:
            with pytest.MonkeyPatch.context() as patch:
                if self._patch is None:
                    _set(patch, proxy.variables)
                yield proxy
        finally:
            proxy.__exit__(None, None, None)
            self._rest()

    def _made_for(self, item: pytest.Item) -> Proxy:
        markers = list(item.iter_markers(_MARKER))  # the nearest first
        given: dict[str, Any] = {"seed": self._seed_of(item)}
        for marker in reversed(markers):
            given |= {k: v for k, v in marker.kwargs.items() if k not in _FOR_RULES}
        proxy = Proxy(thread=self._thread, **given)
        for marker in markers:
            proxy.add(
                [*marker.args, *marker.kwargs.get("rules", ())],
                marker.kwargs.get("preset", ()),
                optional=marker.kwargs.get("optional", False),
            )
        return proxy

    def _seed_of(self, item: pytest.Item) -> int:
        text = f"{self._config.option.faultinject_seed} {item.nodeid}"
        return int.from_bytes(blake2b(text.encode(), digest_size=4).digest())

    def _rest(self) -> None:
        """Serve without rules: late calls of a test that is over must not meet those of the next.

        Nor may they reach the network.
        """
        Proxy(thread=self._thread).__enter__()


def _set(patch: pytest.MonkeyPatch, variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            patch.delenv(name, raising=False)
        else:
            patch.setenv(name, value)
