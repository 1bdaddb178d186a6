"""Certificates of the tests' origins, made by trustme for the run."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

ORIGIN_NAMES = ("api.anthropic.com", "api.openai.com", "other.example", "localhost", "127.0.0.1")


class Certificates:
    """A certificate authority of its own and one certificate for all of `ORIGIN_NAMES`."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self._leaf = self.authority.issue_cert(*ORIGIN_NAMES)

    def origin_context(self) -> ssl.SSLContext:
        """Return a context for an origin that speaks HTTP/1.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def write_authority(self, path: Path) -> Path:
        """Write the authority's certificate (PEM) for those who must trust it."""
        self.authority.cert_pem.write_to_path(path)
        return path
