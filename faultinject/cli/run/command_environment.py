"""The whole environment of a command: what leads its clients to the proxy and makes them trust it.

Used by ``run``, which starts the command with it, and by ``run --print-env`` and ``env``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from faultinject.authority import TargetPattern
from faultinject.cli.run.routes import Route
from faultinject.environment.bundles import Bundles
from faultinject.environment.client_variables import Changes, ClientEnvironment
from faultinject.environment.java_options import is_java, java_options
from faultinject.environment.vendor_variables import base_urls, dummy_keys
from faultinject.errors import StartError
from faultinject.files import read_plain_file
from faultinject.tls.certificate_authority import default_data_dir

_MOST_BYTES = 1024 * 1024


@frozen(eq=False, repr=False)
class Address:
    """Where a proxy is."""

    url: str
    ca_cert: Path | None
    base_urls: Mapping[TargetPattern, str] = field(factory=dict)


@frozen(eq=False, repr=False)
class EnvironmentMaker:
    """Makes environments for the clients of a proxy."""

    route: Route
    user: Mapping[str, str]
    """The user's environment."""
    warn: Callable[[str], None]
    java: bool = False
    """Whether there is a Java program among the clients."""

    def changes(self, address: Address) -> Changes:
        """Return what to change of the user's environment; None unsets a variable.

        Raises `StartError` if the proxy has no certificate authority and needs one, or the files
        cannot be written.
        """
        settings = self.route.settings
        changes: Changes = {}
        if self.route.proxy:
            changes |= self._proxy_changes(address)
        urls = {
            target: url
            for target, url in address.base_urls.items()
            if target in self.route.base_url_targets
        }
        changes |= base_urls(self.user, urls, fake=settings.fake_upstream)
        if settings.fake_upstream:
            changes |= dummy_keys(self.user, settings.target_host)
        return changes

    def _proxy_changes(self, address: Address) -> Changes:
        if address.ca_cert is None:
            raise StartError(
                "there is no certificate authority that clients could trust: name a directory for"
                " it with --data-dir, or use --via base-url, which needs none"
            )
        ca_pem = read_plain_file(address.ca_cert, _MOST_BYTES)
        data_dir = self.route.settings.data_dir or default_data_dir()
        bundles = Bundles(data_dir, ca_pem, self.warn)
        clients = ClientEnvironment(self.user, address.url, self.route.seen_by_proxy, bundles)
        changes = clients.changes()
        for entry, target in clients.uncovered:
            self.warn(f"NO_PROXY: {entry} is left out for the command, because it covers {target}")
        if self.java:
            store = bundles.trust_store(self.user.get("SSL_CERT_FILE") or None)
            words = java_options(address.url, clients.exceptions(), store)
            changes["JAVA_TOOL_OPTIONS"] = " ".join(
                [*filter(None, [self.user.get("JAVA_TOOL_OPTIONS")]), *words]
            )
        return changes


def has_java(command: Sequence[str]) -> bool:
    """Return True if a command is Java's, or a tool that is known to start it."""
    return bool(command) and is_java(command[0])
