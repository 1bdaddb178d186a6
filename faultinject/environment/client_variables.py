"""The environment variables that clients read: one table, for ``run`` and ``ca instructions``.

Which client reads which was measured, or is from its manual; see docs/run.md. Pure: it is handed
the user's environment, and returns what the command's is to be.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from attrs import define, field, frozen

from faultinject.authority import TargetPattern


class Holds(Enum):
    """What a variable is set to."""

    PROXY = auto()
    """The proxy's URL."""
    NOTHING = auto()
    """It is unset: it would lead clients past the proxy."""
    EXCEPTIONS = auto()
    """The hosts that are asked without the proxy."""
    BUNDLE = auto()
    """A file of all certificates that are to be trusted."""
    EXTRA = auto()
    """A file of certificates that are trusted beside the client's own."""
    FOLDER = auto()
    """Directories of certificates."""
    WGETRC = auto()
    """wget's settings."""
    ONE = auto()
    """``1``."""


@frozen(eq=False, repr=False)
class ClientVariable:
    """A variable, and who reads it."""

    name: str
    holds: Holds
    readers: str
    """The clients that read it, as ``ca instructions`` lists them; empty if it does not."""
    falls_back: str | None = None
    """The variable that such a client reads if this one is not set."""


VARIABLES = (
    ClientVariable("HTTPS_PROXY", Holds.PROXY, "Nearly all clients: the proxy for https://"),
    ClientVariable("https_proxy", Holds.PROXY, ""),
    ClientVariable("http_proxy", Holds.PROXY, "Nearly all clients: the proxy for http://"),
    ClientVariable("HTTP_PROXY", Holds.PROXY, ""),
    ClientVariable("grpc_proxy", Holds.PROXY, "gRPC: the proxy"),
    ClientVariable("ALL_PROXY", Holds.NOTHING, ""),
    ClientVariable("all_proxy", Holds.NOTHING, ""),
    ClientVariable("NO_PROXY", Holds.EXCEPTIONS, ""),
    ClientVariable("no_proxy", Holds.EXCEPTIONS, ""),
    ClientVariable(
        "SSL_CERT_FILE",
        Holds.BUNDLE,
        "Python: httpx, urllib, aiohttp (with trust_env=True), the SDKs; Go on Linux; OpenSSL; uv",
    ),
    ClientVariable("SSL_CERT_DIR", Holds.FOLDER, ""),
    ClientVariable("CURL_CA_BUNDLE", Holds.BUNDLE, "curl", falls_back="SSL_CERT_FILE"),
    ClientVariable(
        "REQUESTS_CA_BUNDLE", Holds.BUNDLE, "Python: requests", falls_back="CURL_CA_BUNDLE"
    ),
    ClientVariable("AWS_CA_BUNDLE", Holds.BUNDLE, "aws, boto3"),
    ClientVariable("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", Holds.BUNDLE, "gRPC"),
    ClientVariable("HTTPLIB2_CA_CERTS", Holds.BUNDLE, "Python: httplib2"),
    ClientVariable("NIX_SSL_CERT_FILE", Holds.BUNDLE, "Nix", falls_back="SSL_CERT_FILE"),
    ClientVariable("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", Holds.BUNDLE, "gcloud"),
    ClientVariable("DENO_CERT", Holds.BUNDLE, "Deno"),
    ClientVariable("CARGO_HTTP_CAINFO", Holds.BUNDLE, "Cargo", falls_back="SSL_CERT_FILE"),
    ClientVariable("GIT_SSL_CAINFO", Holds.BUNDLE, "Git"),
    ClientVariable("PIP_CERT", Holds.BUNDLE, "pip", falls_back="REQUESTS_CA_BUNDLE"),
    ClientVariable("npm_config_cafile", Holds.BUNDLE, "npm"),
    ClientVariable(
        "CODEX_CA_CERTIFICATE", Holds.BUNDLE, "Codex, before SSL_CERT_FILE", "SSL_CERT_FILE"
    ),
    ClientVariable("WGETRC", Holds.WGETRC, ""),
    ClientVariable("NODE_EXTRA_CA_CERTS", Holds.EXTRA, "Node, Bun: added to what they trust"),
    ClientVariable(
        "NODE_USE_ENV_PROXY",
        Holds.ONE,
        "Node from 24.5 or 22.21 (before, its fetch ignores HTTPS_PROXY: use the base URL)",
    ),
)
"""In the order in which they are shown. Of the variables for the proxy both cases are set: curl
reads ``http_proxy`` in small letters only, others read only capitals."""

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")

WITHOUT_PROXY = (
    "localhost",
    "127.0.0.1",
    "::1",
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "metadata.google.internal",
)
"""Hosts that are asked without the proxy: this machine, and the addresses at which a cloud tells
a machine its credentials, which answer the machine alone."""


class Roots(Protocol):
    """Makes the files of certificates."""

    def bundle(self, named: str | None) -> Path:
        """Return a file of what a file of the user's holds, or the system's, and our CA."""
        ...

    def addition(self, named: str | None) -> Path:
        """Return a file of what a file of the user's holds, if there is one, and our CA."""
        ...

    def folder(self, named: str | None) -> str:
        """Return the user's directories, or the system's, and one with our CA."""
        ...

    def wget_settings(self, named: str | None, roots: str | None) -> Path:
        """Return a file of what wget reads now, and the setting that makes it trust our CA."""
        ...


Changes = dict[str, str | None]
"""What is changed of an environment, by variable; None unsets it."""


def proxy_in(environment: Mapping[str, str], ours: str | None = None) -> str | None:
    """Return the first variable that names a proxy of the user's own, not ours, or None."""
    return next((name for name in _PROXIES if environment.get(name) not in (None, "", ours)), None)


@define(eq=False, repr=False)
class ClientEnvironment:
    """What a command's environment is to be, so that its clients use the proxy and trust it."""

    user: Mapping[str, str]
    """The user's environment."""
    proxy_url: str
    targets: Sequence[TargetPattern]
    roots: Roots
    uncovered: list[tuple[str, str]] = field(factory=list, init=False)
    """The entries of the user's NO_PROXY that were left out, each with the target it covers."""

    def changes(self) -> Changes:
        """Return what to change, in the table's order."""
        return {each.name: self._value(each) for each in VARIABLES}

    def _value(self, variable: ClientVariable) -> str | None:
        make: dict[Holds, Callable[[ClientVariable], str | None]] = {
            Holds.PROXY: lambda _: self.proxy_url,
            Holds.NOTHING: lambda _: None,
            Holds.EXCEPTIONS: lambda _: ",".join(self.exceptions()),
            Holds.BUNDLE: lambda v: str(self.roots.bundle(self._set_by_user(v))),
            Holds.EXTRA: lambda v: str(self.roots.addition(self._set_by_user(v))),
            Holds.FOLDER: lambda v: self.roots.folder(self.user.get(v.name) or None),
            Holds.WGETRC: lambda v: str(self._wget_settings(self.user.get(v.name) or None)),
            Holds.ONE: lambda _: "1",
        }
        return make[variable.holds](variable)

    def _wget_settings(self, named: str | None) -> str:
        return str(self.roots.wget_settings(named, self.user.get("SSL_CERT_FILE") or None))

    def _set_by_user(self, variable: ClientVariable) -> str | None:
        """Return the file that such a client would use now, if a variable names one."""
        name: str | None = variable.name
        while name is not None:
            if value := self.user.get(name):
                return value
            name = next((v.falls_back for v in VARIABLES if v.name == name), None)
        return None

    def exceptions(self) -> Iterator[str]:
        """Yield the entries of NO_PROXY: the user's and those of our own, but for targets'."""
        text = self.user.get("no_proxy") or self.user.get("NO_PROXY") or ""
        entries = [entry for part in text.split(",") if (entry := part.strip())]
        for entry in dict.fromkeys((*entries, *WITHOUT_PROXY)):
            target = next((each for each in self.targets if covers(entry, each)), None)
            if target is None:
                yield entry
            elif entry in entries and (entry, str(target)) not in self.uncovered:
                self.uncovered.append((entry, str(target)))


def covers(entry: str, target: TargetPattern) -> bool:
    """Return True if an entry of NO_PROXY takes (some of) a target past the proxy.

    Clients differ in what they read; what any of them reads counts: ``*``, a name and all names
    below it, with or without a dot or ``*.`` before it, a port, an address, a range of addresses.
    """
    if entry == "*":
        return True
    name, port = _split(entry.lower())
    if port and target.port and port != str(target.port):
        return False
    host = target.host.removeprefix("*").removeprefix(".")
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    name = name.removeprefix("*").removeprefix(".")
    below_entry = host == name or host.endswith("." + name)
    return below_entry or (not target.exact and (not host or name.endswith("." + host)))


def _split(entry: str) -> tuple[str, str]:
    """Split an entry into its host and its port, if it has one."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") > 1:
        return entry, ""
    host, _, port = entry.partition(":")
    return host, port
