"""One setting: origins, the plugin and Fault as processes, and a client's ways through them."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme
from attrs import evolve, frozen

from tests.support.certificates import Certificates
from tests.support.exchange import Exchange, Received
from tests.support.fault import FaultRun
from tests.support.llm_api import llm_pages
from tests.support.origin import Origin
from tests.support.pages import PAGES, ok
from tests.support.proxy import PluginRun
from tests.support.raw_client import Answer, Connected, RawClient

HOST = "localhost"
STATUS = 429
PLUGIN_FOUND_SECONDS = 30.0
LONG_NAMES = [f"{'a-rather-long-name-' * 3}{number}.example.com" for number in range(200)]


@frozen
class Origins:
    """Upstreams that differ in their TLS."""

    ca_file: Path
    by_name: dict[str, Origin]
    """``plain`` has no TLS."""

    def clear(self) -> None:
        """Forget what they received."""
        for origin in self.by_name.values():
            origin.clear()

    def received(self) -> list[Received]:
        """Return what they were asked, but for carriers."""
        return [
            each
            for origin in self.by_name.values()
            for each in origin.received
            if (each.method, each.path) != ("HEAD", "/")
        ]


@contextmanager
def opened_origins(folder: Path) -> Iterator[Origins]:
    """Open one of each kind."""
    certificates = Certificates()
    pages = PAGES | llm_pages() | {"/slow": _slow}
    old, new = certificates.origin_context(), certificates.origin_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    contexts = {
        "1.3": new,
        "1.2": old,
        "long chain": _long_chain(certificates.authority),
        "plain": None,
    }
    with ExitStack() as stack:
        yield Origins(
            certificates.write_authority(folder / "ca.pem"),
            {
                name: stack.enter_context(Origin(pages, context))
                for name, context in contexts.items()
            },
        )


def _slow(exchange: Exchange) -> None:
    """Read the body with pauses, then say what it was."""
    exchange.pause(1)
    length = int(exchange.received.header("content-length") or 0)
    digest = hashlib.sha256()
    left = length
    while left:
        digest.update(piece := exchange.wire.read_exactly(min(left, 500_000)))
        left -= len(piece)
        exchange.pause(0.1)
    exchange._body_read = True
    exchange.send(ok(json.dumps({"bytes": length, "sha256": digest.hexdigest()}).encode()))


def _long_chain(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context whose certificate takes several of Fault's chunks of 4096 bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, *LONG_NAMES).configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


@frozen
class Setting:
    """Everything of one run."""

    plugin: PluginRun
    fault: FaultRun
    origins: Origins

    def port(self, origin: str = "1.3") -> int:
        """Return an origin's port."""
        return self.origins.by_name[origin].port

    def url(self, path: str, origin: str = "1.3") -> str:
        """Return what clients ask."""
        return f"https://{HOST}:{self.port(origin)}{path}"

    def connected(self, way: str = "CONNECT", origin: str = "1.3") -> Connected:
        """Return a way of a raw client: by CONNECT, or by a raw TCP mapping."""
        authority = f"{HOST}:{self.port(origin)}"
        if way == "CONNECT":
            return Connected(self.fault.port, self.plugin.ca_file, authority, connect=True)
        mapped = self.fault.mapped[f"127.0.0.1:{self.port(origin)}"]
        return Connected(mapped, self.plugin.ca_file, authority)

    def ask(self, request: bytes, way: str = "CONNECT", origin: str = "1.3") -> Answer:
        """Ask on a connection of its own."""
        with self.connected(way, origin).open() as client:
            return client.ask(request)


@contextmanager
def opened_setting(
    fault: Path, folder: Path, origins: Origins, probability: float, *options: str
) -> Iterator[Setting]:
    """Run the plugin and Fault; all origins but the one without TLS are targets."""
    secure = {name: each for name, each in origins.by_name.items() if name != "plain"}
    targets = [f"{HOST}:{origin.port}" for origin in secure.values()]
    chosen = [word for target in targets for word in ("--target-host", target)]
    chosen += ["--upstream-ca", str(origins.ca_file), "--error-probability", str(probability)]
    chosen += ["--status-code", str(STATUS), "--seed", "1", "--log-level", "debug", *options]
    mappings = [f"127.0.0.1:{origin.port}" for origin in secure.values()]
    with PluginRun(folder, *chosen) as plugin:
        # Wrapped by Fault, and no target of the plugin's.
        relayed = ["--upstream", f"https://127.0.0.1:{origins.by_name['1.3'].port}"]
        run = FaultRun(fault, folder, plugin.command, *relayed, mappings=mappings)
        with run:
            setting = Setting(plugin, run, origins)
            _wait_for_plugin(setting)
            yield setting


def _wait_for_plugin(setting: Setting) -> None:
    """Ask until it is the plugin that answers: Fault may listen before it has found it."""
    limit = time.monotonic() + PLUGIN_FOUND_SECONDS
    for way in ("CONNECT", "raw TCP"):
        while not _is_intercepted(setting, way):
            if time.monotonic() > limit:
                raise RuntimeError(f"Fault does not use the plugin:\n{setting.fault.said()}")
            time.sleep(0.1)


def _is_intercepted(setting: Setting, way: str) -> bool:
    try:
        return bool(setting.ask(b"GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n", way).head)
    except OSError:  # the origin's own certificate, which is not trusted here
        return False


def versioned(connected: Connected, version: ssl.TLSVersion) -> RawClient:
    """Open a connection of one TLS version."""
    client = evolve(connected, ca_file=None).open()
    context = ssl.create_default_context(cafile=str(connected.ca_file))
    context.minimum_version = context.maximum_version = version
    name = connected.authority.rpartition(":")[0]
    return RawClient(context.wrap_socket(client.sock, server_hostname=name))
