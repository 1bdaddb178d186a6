"""What the user chose, as one immutable value.

Knows nothing of where a choice came from (option, variable, file): `faultinject.config` reads
and checks those. Code that embeds the proxy builds a `Settings` directly.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from attrs import field, frozen

from faultinject.authority import ConnectTo, TargetPattern
from faultinject.limits import Limits

DEFAULT_TARGETS = (TargetPattern("api.anthropic.com"),)


@frozen(kw_only=True)
class Settings:
    """Everything that a run of the proxy is told. Fields carry the names of the options."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    proxy_port: int = 8080
    """The TCP port to listen on; 0 lets the system pick a free one."""
    target_host: tuple[TargetPattern, ...] = DEFAULT_TARGETS
    """The hosts that are looked into; everything else is relayed untouched."""
    error_probability: float = 0.1
    """The chance, 0 to 1, that a request to a target is answered with the error."""
    status_code: int = 500
    """The status of the error, 200 to 599."""
    error_body: str | None = None
    """The body of the error; None stands for the API's own words."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that the error carries besides the computed ones."""
    ca_cert: Path | None = None
    """PEM certificate of the certificate authority to use; with ``ca_key`` or not at all."""
    ca_key: Path | None = None
    """PEM private key of that certificate authority."""
    data_dir: Path | None = None
    """Where our own certificate authority lives; None stands for the user's data directory."""
    seed: int = field(factory=lambda: int.from_bytes(os.urandom(4)))
    """Makes the draws of a run repeatable; drawn if not given."""
    connect_to: tuple[ConnectTo, ...] = ()
    """Where to really connect for an authority; the first that fits counts."""
    upstream_ca: Path | None = None
    """PEM certificates that upstreams may be verified with, besides the system's roots."""
    insecure_upstream: bool = False
    """Whether to accept any upstream certificate."""
    fake_upstream: bool = False
    """Whether targets are answered by the demo's API instead of the network."""
    marker: bool = True
    """Whether injected responses say so in ``x-faultinject``."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    summary: Path | None = None
    """File for the summary (JSON), written at exit."""
    ready_file: Path | None = None
    """File that says how to reach the proxy (JSON); there only while it listens."""
    limits: Limits = field(factory=Limits)
    """Bounds of everything that a stranger could make large. Not an option; for embedders."""
