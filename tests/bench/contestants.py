"""The proxies that are measured: how each is installed, started and trusted.

Every proxy runs quietly, verifies the origin's certificate, and is given its fastest reasonable
settings.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import Literal, Protocol

from attrs import frozen

import faultinject
from tests.bench import rule_files
from tests.bench.certificates import Certificates

Mode = Literal[
    "inject",
    "pass",
    "blind",
    "inject-head-rules",
    "inject-all-rules",
    "pass-head-rules",
    "pass-all-rules",
    "harm",
]
"""Answer each request with 429; intercept and pass on; or relay the tunnel untouched.

For the proxy under test alone: the first two again, with 200 rules that do not match, which look
at the request's head only or also at its body; and pass on with a stream fault waiting.
"""

PEERS = Path(__file__).parent / "peers"


@frozen
class Site:
    """What a proxy needs to know to run: its own port, the origin, certificates, a directory."""

    port: int
    origin_port: int
    source_port: int
    certificates: Certificates
    directory: Path
    """For the proxy's own files; the same one for every start, so that its CA exists already."""


class Contestant(Protocol):
    """One proxy."""

    @property
    def name(self) -> str:
        """As it stands in the table."""

    def prepare(self, cache: Path) -> str:
        """Install it if need be; returns its version."""

    def command(self, mode: Mode, site: Site) -> list[str]:
        """The command line that runs it in the foreground."""

    def ca_file(self, site: Site) -> Path:
        """The certificate that its clients have to trust."""


class Faultinject:
    """The proxy under test, from the Python that runs the benchmark."""

    name = "faultinject"

    def prepare(self, cache: Path) -> str:
        return faultinject.__version__

    def command(self, mode: Mode, site: Site) -> list[str]:
        return [
            *(sys.executable, "-m", "faultinject", "proxy"),
            *("--proxy-port", str(site.port)),
            *("--target-host", f"localhost:{site.origin_port}"),
            *("--error-probability", "1" if mode.startswith("inject") else "0"),
            *("--status-code", "429"),
            *("--data-dir", str(site.directory)),
            *("--upstream-ca", str(site.certificates.origin_ca)),
            *("--log-level", "error"),
            *self._rules(mode, site),
        ]

    def ca_file(self, site: Site) -> Path:
        return site.directory / "fault-ca.crt"

    def _rules(self, mode: Mode, site: Site) -> list[str]:
        """Writes the rule file that the mode wants, and returns the option that names it."""
        if mode == "harm":
            wanted = rule_files.fault_that_waits()
        elif mode.endswith("-rules"):
            wanted = rule_files.rules_that_miss(head_only=mode.endswith("-head-rules"))
        else:
            return []
        return ["--config", str(rule_files.write(site.directory, f"{mode}.json", wanted))]


class Mitmproxy:
    """mitmdump with an add-on; its CA is the RSA one it makes itself."""

    name = "mitmproxy"
    python: Path

    def prepare(self, cache: Path) -> str:
        self.python = peer_python(cache, self.name)
        return peer_version(self.python, self.name)

    def command(self, mode: Mode, site: Site) -> list[str]:
        options = {
            "confdir": site.directory,
            "flow_detail": 0,
            "ssl_verify_upstream_trusted_ca": site.certificates.origin_ca,
        }
        addon = PEERS / "mitmproxy_stream.py"
        if mode == "inject":
            # As it is, mitmproxy would dial the origin before it knows that it needs no origin.
            options |= {"connection_strategy": "lazy", "upstream_cert": "false"}
            addon = PEERS / "mitmproxy_429.py"
        if mode == "blind":
            options["ignore_hosts"] = f":{site.source_port}$"
        sets = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
        address = ("--listen-host", "127.0.0.1", "--listen-port", str(site.port))
        program = str(self.python.with_name("mitmdump"))
        return [program, "--quiet", *address, "--scripts", str(addon), *sets]

    def ca_file(self, site: Site) -> Path:
        return site.directory / "mitmproxy-ca-cert.pem"


class ProxyPy:
    """proxy.py with a plugin, in one acceptor that does the work itself (its fastest way)."""

    name = "proxy.py"
    python: Path

    def prepare(self, cache: Path) -> str:
        self.python = peer_python(cache, self.name)
        return peer_version(self.python, self.name)

    def command(self, mode: Mode, site: Site) -> list[str]:
        ca = site.certificates.peer_ca
        words = [
            *(str(self.python), "-m", "proxy"),
            *("--hostname", "127.0.0.1", "--port", str(site.port)),
            *("--num-acceptors", "1", "--num-workers", "1", "--log-level", "ERROR"),
            *("--timeout", "600", "--open-file-limit", "8192", "--backlog", "1024"),
            *("--data-dir", str(site.directory)),
        ]
        if mode != "blind":
            words += ["--ca-cert-file", str(ca.certificate), "--ca-key-file", str(ca.key)]
            words += ["--ca-signing-key-file", str(site.certificates.peer_leaf_key)]
            words += ["--ca-cert-dir", str(site.directory / "leaves")]
            words += ["--ca-file", str(site.certificates.origin_ca)]
        if mode == "inject":
            words += ["--plugins", "tests.bench.peers.proxypy_429.TooManyRequests"]
        return words

    def ca_file(self, site: Site) -> Path:
        return site.certificates.peer_ca.certificate


def peer_python(cache: Path, requirement: str) -> Path:
    """The Python of a virtual environment that holds just this peer, made on first use.

    A marker file says that the installation went through, and of which Python it is: proxies are
    only comparable on the same one. If it does not fit, the environment is made anew.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    directory = cache / f"{requirement}-python{version}"
    python, marker = directory / "bin" / "python", directory / "installed"
    if not marker.exists() or marker.read_text() != sys.base_prefix:
        venv.create(directory, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", requirement]
        subprocess.run(install, check=True)
        marker.write_text(sys.base_prefix)
    return python


def peer_version(python: Path, name: str) -> str:
    """The installed version of a peer."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    answer = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    return answer.stdout.strip()


CONTESTANTS: dict[str, type[Contestant]] = {
    "faultinject": Faultinject,
    "mitmproxy": Mitmproxy,
    "proxy.py": ProxyPy,
}
