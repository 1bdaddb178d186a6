"""What the user chose, as one immutable value.

Knows nothing of where a choice came from (option, variable, file): `faultinject.config` reads
and checks those. Code that embeds the proxy builds a `Settings` directly.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from attrs import evolve, field, frozen

from faultinject.authority import ConnectTo, TargetPattern
from faultinject.http.message import RequestHead
from faultinject.limits import Limits

DEFAULT_TARGETS = (TargetPattern("api.anthropic.com"),)
CARRIER = RequestHead(b"HEAD", b"/", ())
"""The harmless request whose response carries an injected answer behind Fault; a Host is added."""


@frozen
class WrittenRules:
    """Rules as the user wrote them; they are read when the run starts."""

    value: object = field(hash=False)
    """One rule in a line of text, or the list of rules that a file has."""
    source: str = "--rule"
    """What messages call the place that they are from."""
    folder: Path | None = None
    """Where the files are that they name; None if they cannot name any."""


@frozen
class ChosenPreset:
    """A preset of rules (`faultinject.presets`)."""

    name: str
    factor: float = 1.0
    """What the chance of each of its rules is multiplied by; it is at most 1 all the same."""
    first: int | None = None
    """How many of the first attempts of each call its rules are for; None for all."""


Only = Literal["model", "api", "all"]
"""Which requests presets and the options are for: calls of a model, calls of the API, or all."""
TunnelMode = Literal["duplex", "reply"]
"""What a plugin's host does with the answer to a chunk: ``duplex`` sends it on in the direction
in which the chunk was travelling (as Fault does), ``reply`` gives it back to the chunk's sender."""


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
    rules: tuple[WrittenRules, ...] = ()
    """Rules, in the order in which they are asked."""
    preset: tuple[ChosenPreset, ...] = ()
    """Rules that come with faultinject, asked after ``rules``."""
    only: Only = "api"
    """Which requests presets and the four above ``rules`` are for; ``rules`` say it themselves."""
    short_form: bool | None = None
    """Whether the four above ``rules`` make a rule, asked last. None: only if there is no other."""
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
    allow_foreign_keys: bool = False
    """Whether a target of one vendor may get a key of another's form, in base-URL mode."""
    refuse_websocket: bool = False
    """Whether a target's clients that ask for a WebSocket are answered 426."""
    fake_upstream: bool = False
    """Whether targets are answered by the demo's API instead of the network."""
    fake_pace: float = 0.04
    """Seconds between two events of a stream of that API: 0.04 is as quick as a quick model."""
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


@frozen(kw_only=True)
class PluginSettings(Settings):
    """Everything that a run of the plugin is told; ``proxy_port`` is of no use to it."""

    port: int = 50051
    """The port of the registration on the client's side; 0 lets the system pick a free one."""
    upstream_port: int = 50052
    """The same on the upstream's side."""
    tunnel: TunnelMode = "duplex"
    carrier: RequestHead = CARRIER
    """What is asked of the upstream before an answer of our own, in ``duplex``."""
    carrier_header: tuple[tuple[str, str], ...] = ()
    """Headers that the carrier has."""
    http_forward: bool = False
    """Whether requests that come outside of tunnels are harmed too."""

    @property
    def whole_carrier(self) -> RequestHead:
        """The carrier with its headers."""
        headers = tuple((name.encode(), value.encode()) for name, value in self.carrier_header)
        return evolve(self.carrier, headers=(*self.carrier.headers, *headers))
