"""What answers for the targets: the fake API, they themselves, or a server of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from faultinject.authority import HTTP_PORT, HTTPS_PORT, Authority
from faultinject.config.scalars import shown_text
from faultinject.errors import SettingsError
from faultinject.proxy.startup import UpstreamServer

FAKE, REAL = "fake", "real"
Upstream = str
"""``fake`` or ``real``, or the URL of a server."""
_PORTS = {"http": HTTP_PORT, "https": HTTPS_PORT}


@contextmanager
def serving(upstream: Upstream) -> Iterator[UpstreamServer | None]:
    """Return the server that answers for the targets; None if they or the fake API do."""
    yield None if upstream in (FAKE, REAL) else server_at(upstream)


def server_at(url: str) -> UpstreamServer:
    """Return the server that a URL names. Raises `SettingsError`."""
    server = _server(url)
    if server is None:
        raise SettingsError(
            f"upstream: {shown_text(url)} is neither 'fake' nor 'real', nor the URL of a server"
            " without a path and a user, as http://127.0.0.1:4000"
        )
    return server


def _server(url: str) -> UpstreamServer | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in _PORTS or not parts.hostname or more:
        return None
    return UpstreamServer(Authority(parts.hostname, port), parts.scheme == "https")
