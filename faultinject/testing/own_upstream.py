"""What answers for the targets: the fake API, they themselves, or a server or app of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from faultinject.authority import HTTP_PORT, HTTPS_PORT, Authority, normal_host
from faultinject.errors import SettingsError
from faultinject.proxy.startup import UpstreamServer
from faultinject.reading.shown import shown_text

FAKE, REAL = "fake", "real"
App = Callable[..., Any]
"""An ASGI app (of version 3), or a WSGI app."""
Upstream = str | App
"""``fake`` or ``real``, the URL of a server, or an app."""
_PORTS = {"http": HTTP_PORT, "https": HTTPS_PORT}
HOST = "127.0.0.1"


def serving(upstream: Upstream) -> AbstractContextManager[UpstreamServer | None]:
    """Return the server that answers for the targets; None if they or the fake API do.

    An app is served for as long as the block lasts. Raises `SettingsError`.
    """
    if upstream in (FAKE, REAL):
        return nullcontext()
    if isinstance(upstream, str):
        return nullcontext(server_at(upstream))
    return _app_served(upstream)


def server_at(url: str) -> UpstreamServer:
    """Return the server that a URL names. Raises `SettingsError`."""
    server = _server(url)
    if server is None:
        shown = "it" if "@" in url else shown_text(url)  # before an @ there may be a password
        raise SettingsError(
            f"upstream: {shown} is neither 'fake' nor 'real', nor the URL of a server"
            " without a path and a user, as http://127.0.0.1:4000"
        )
    return server


def _server(url: str) -> UpstreamServer | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = normal_host(parts.hostname or "")
    except ValueError:
        return None
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in _PORTS or more:
        return None
    return UpstreamServer(Authority(host, port), parts.scheme == "https")


@contextmanager
def _app_served(app: App) -> Iterator[UpstreamServer]:
    with _serve(app)(app) as port:
        yield UpstreamServer(Authority(HOST, port), tls=False)


def _serve(app: App) -> Callable[[App], AbstractContextManager[int]]:
    """Return what serves such an app: it takes as many arguments as its protocol has."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        parameters = None
    taken = [] if parameters is None else [p for p in parameters if p.default is p.empty]
    if len(taken) == 3:  # scope, receive, send
        return _asgi_server()
    if len(taken) == 2:  # environ, start_response
        from faultinject.testing.wsgi_server import wsgi_served

        return wsgi_served
    raise SettingsError(
        f"upstream: {type(app).__name__} is neither an ASGI app (called with"
        " scope, receive, send) nor a WSGI app (called with environ, start_response)"
    )


def _asgi_server() -> Callable[[App], AbstractContextManager[int]]:
    try:
        from faultinject.testing.asgi_server import asgi_served
    except ImportError:
        raise SettingsError(
            "upstream: an ASGI app is served by uvicorn, which is not installed: run"
            " pip install 'faultinject[asgi]'"
        ) from None
    return asgi_served
