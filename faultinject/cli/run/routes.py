"""How a command's clients are led to the proxy: by the proxy's variables, by base URLs, or both."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath

from attrs import evolve, frozen

from faultinject.authority import TargetPattern, is_loopback
from faultinject.environment.client_variables import proxy_in
from faultinject.environment.vendor_variables import own_urls, without_variable
from faultinject.errors import SettingsError
from faultinject.settings import RunSettings

_VERSION = re.compile(r"v(\d+)\.(\d+)")
_VERSION_SECONDS = 5.0
_RUN_BY_NODE = re.compile(rb"#!\s*(?:\S*/env\s+(?:-S\s+)?)?(?:\S*/)?node(?:js)?\s")
_MOST_LINE_BYTES = 256


@frozen(eq=False, repr=False)
class Route:
    """How the clients are led."""

    settings: RunSettings
    """With the user's own base URLs among the targets."""
    proxy: bool
    """Whether the proxy's variables are set."""
    base_url_targets: tuple[TargetPattern, ...]
    """The targets whose base URLs are set."""
    seen_by_proxy: tuple[TargetPattern, ...]
    """The targets that no entry of NO_PROXY may cover."""
    old_node: str | None = None
    """The version of a Node for which base URLs are set: its ``fetch`` heeds no proxy."""


def route_of(
    settings: RunSettings,
    environment: Mapping[str, str],
    warn: Callable[[str], None],
    find_old_node: Callable[[Mapping[str, str]], str | None] | None = None,
    url: str | None = None,
) -> Route:
    """Decide how the clients are led. Raises `SettingsError` if they use another proxy already.

    ``url`` is the proxy's, if it is known: the environment may name it already.
    """
    if (variable := proxy_in(environment, url)) is not None:
        raise SettingsError(
            f"{variable} names a proxy of yours, through which faultinject cannot connect yet; if"
            f" hosts can be reached without it: env -u {variable} faultinject run ..."
        )
    own = [each.target for each in own_urls(environment) if not _is_at(each.target, url)]
    targets = tuple(dict.fromkeys((*settings.target_host, *own)))
    find = find_old_node or old_node
    node = find(environment) if settings.via == "auto" else None
    by_url = _by_base_url(settings, targets, has_old_node=node is not None)
    if settings.via == "base-url":
        for target in without_variable(environment, targets, fake=settings.fake_upstream):
            warn(f"{target}: no variable tells clients its base URL; use --via proxy for it")
    # A local server that a variable names is led to by that variable: the command may talk to
    # others on this machine, and these are left alone.
    local = {each for each in own if is_loopback(each.host)} - set(settings.target_host)
    return Route(
        evolve(settings, target_host=targets, port_per_target=bool(by_url)),
        proxy=settings.via != "base-url",
        base_url_targets=by_url,
        seen_by_proxy=tuple(each for each in targets if each not in local),
        old_node=node,
    )


def _is_at(target: TargetPattern, url: str | None) -> bool:
    """Return True if a target is what is at a URL: the proxy itself."""
    return url is not None and str(target) == url


def _by_base_url(
    settings: RunSettings, targets: tuple[TargetPattern, ...], *, has_old_node: bool
) -> tuple[TargetPattern, ...]:
    """Return the targets whose base URLs are set.

    Without a choice: local servers, which some clients (Go's) ask for without any proxy, and all
    if there is a Node whose ``fetch`` heeds no proxy.
    """
    exact = tuple(target for target in targets if target.exact)
    if settings.via == "proxy":
        return ()
    if settings.via == "base-url" or has_old_node:
        return exact
    return tuple(target for target in exact if not target.tls)


def old_node(environment: Mapping[str, str]) -> str | None:
    """Return the version of a ``node`` on PATH that does not know NODE_USE_ENV_PROXY, if any."""
    versions = map(_version_of, _nodes(environment))
    return next((version.strip() for version in versions if not heeds_proxy(version)), None)


def is_node(program: str, environment: Mapping[str, str]) -> bool:
    """Return True for Node and for scripts that it runs, such as npm, by their first line."""
    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    if found is None:
        return False
    if PurePath(program).stem.lower() == "node":
        return True
    try:
        with Path(found).open("rb") as file:
            return _RUN_BY_NODE.match(file.readline(_MOST_LINE_BYTES)) is not None
    except OSError:
        return False


def heeds_proxy(version: str) -> bool:
    """Return True if a version of Node (``v22.21.0``) uses the proxy of its environment.

    NODE_USE_ENV_PROXY came with 22.21 and 24.0, and for all of ``http`` with 24.5:
    https://nodejs.org/api/cli.html#node_use_env_proxy1. What is no version is taken for a new one.
    """
    found = _VERSION.match(version)
    if found is None:
        return True
    major, minor = map(int, found.groups())
    return (major, minor) >= (24, 5) or (major == 22 and minor >= 21)


def _nodes(environment: Mapping[str, str]) -> Iterator[Path]:
    seen = set()
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        file = Path(folder or ".", "node")
        if os.access(file, os.X_OK) and file.is_file() and (real := file.resolve()) not in seen:
            seen.add(real)
            yield file


def _version_of(node: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- the user's own
            [node, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout
