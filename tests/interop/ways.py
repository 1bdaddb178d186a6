"""The ways by which a request reaches the origin, each as a raw client connects to it.

Also how requests are written and asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.support.origin import Origin
from tests.support.proxy import ProxyRun, proxy_options
from tests.support.raw_client import Answer, Connected

TARGET = "api.anthropic.com"
RELAYED = "other.example"
PLAIN = "plain.other.example"
"""Answers plain HTTP on port 80."""


@frozen
class Way:
    """One way to the origin, and how its clients write a request's head."""

    connected: Connected
    direct: Connected
    """The way without the proxy to the same origin."""
    origin: Origin
    host: bytes = TARGET.encode()
    """What the origin is to find in the Host header."""
    sent_host: bytes = b""
    """What clients of this way write there; empty for the same."""
    prefix: bytes = b""
    """What they write before the path."""

    def direct_head(self, head: bytes) -> bytes:
        """Return a request for the target as it is sent without the proxy."""
        return head.replace(_HOST_VALUE % TARGET.encode(), _HOST_VALUE % self.host, 1)

    def client_head(self, head: bytes) -> bytes:
        """Return a request for the target as it is sent through the proxy."""
        head = head.replace(
            _HOST_VALUE % TARGET.encode(), _HOST_VALUE % (self.sent_host or self.host), 1
        )
        return head.replace(b" /", b" " + self.prefix + b"/", 1)


_HOST_VALUE = b": %s\r\n"


@frozen
class Ways:
    """Everything of one run: the proxy at probability 0 and the ways through it and past it."""

    proxy: ProxyRun
    by_name: dict[str, Way]


@contextmanager
def opened_ways(
    folder: Path, origin: Origin, plain_origin: Origin, origin_ca: Path
) -> Iterator[Ways]:
    """Run a proxy that never injects, and hand out the ways."""
    options = proxy_options(origin.port, origin_ca, TARGET)
    options += ["--connect-to", f"{RELAYED}:443:127.0.0.1:{origin.port}"]
    options += ["--connect-to", f"{PLAIN}:80:127.0.0.1:{plain_origin.port}"]
    # As a pattern: with two single hosts the base URL would have to say which is meant.
    options += ["--target-host", f"*.{RELAYED}", "--error-probability", "0"]
    with ProxyRun(folder, *options) as proxy:
        direct = Connected(origin.port, origin_ca)
        tunnel = Connected(proxy.port, proxy.ca_file, connect=True)
        relay = Connected(proxy.port, origin_ca, f"{RELAYED}:443", connect=True)
        bare = Connected(proxy.port, None)
        plain_direct = Connected(plain_origin.port, None)
        own_host = b"127.0.0.1:%d" % proxy.port
        absolute = b"http://" + PLAIN.encode()
        yield Ways(
            proxy,
            {
                "direct": Way(direct, direct, origin),
                "intercepted": Way(tunnel, direct, origin),
                "relayed": Way(relay, direct, origin),
                "base-url": Way(bare, direct, origin, sent_host=own_host),
                "plain": Way(bare, plain_direct, plain_origin, PLAIN.encode(), prefix=absolute),
            },
        )


def get(path: str, *lines: bytes, method: bytes = b"GET") -> bytes:
    """Return a request without a body."""
    more = b"".join(line + b"\r\n" for line in lines)
    return method + b" %s HTTP/1.1\r\nHost: api.anthropic.com\r\n%s\r\n" % (path.encode(), more)


def post(path: str, body: bytes, *lines: bytes) -> bytes:
    """Return a request with a body of known length."""
    return get(path, b"Content-Length: %d" % len(body), *lines, method=b"POST") + body


def ask_once(connected: Connected, request: bytes) -> Answer:
    """Ask on a connection of its own."""
    with connected.open() as client:
        return client.ask(request)


def ask_both(way: Way, request: bytes) -> tuple[Answer, Answer]:
    """Return the answer without the proxy and the one through it."""
    direct = ask_once(way.direct, way.direct_head(request))
    return direct, ask_once(way.connected, way.client_head(request))
