"""What the user chose, as one immutable value, with the bounds of what strangers can make large.

`faultinject.config` reads choices from options, variables and files. Code that embeds the proxy
builds a `Settings` directly.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from attrs import evolve, field, frozen

from faultinject.authority import ConnectTo, TargetPattern
from faultinject.errors import SettingsError
from faultinject.http.message import RequestHead
from faultinject.settings import field_checks as check


@frozen(kw_only=True)
class Limits:
    """Bounds in bytes, seconds and numbers. Each default is meant to be met by no honest peer."""

    head_bytes: int = 256 * 1024
    """Longest request or response head, trailers, and line of a chunk. Servers allow less (Node
    16 KiB, nginx 32), but it is for the origin to say so."""
    head_seconds: float = 30.0
    """Longest time from the first byte of a head, of trailers or of a chunk's line to its end, and
    for CONNECT."""
    handshake_seconds: float = 10.0
    """Longest time for a client's ClientHello, and then for the rest of the TLS handshake."""
    client_hello_bytes: int = 32 * 1024
    """Longest ClientHello. Post-quantum ones have some 2 KiB."""
    silent_tunnel_seconds: float = 0.5
    """How long a new tunnel to a target may be silent until the upstream is asked to speak first
    (as SMTP or SSH servers do)."""
    idle_seconds: float = 3600.0
    """How long a client connection or a relay may be without a byte in either direction."""
    idle_tunnel_seconds: float = 900.0
    """How long a tunnel behind Fault may wait for its next request, or be relayed without a byte:
    Fault does not always tell that one is over. Origins end idle connections earlier."""
    body_idle_seconds: float = 60.0
    """Longest pause within a request body that is read to be thrown away."""
    drained_body_bytes: int = 32 * 1024 * 1024
    """Largest request body that is read to its end before an injected answer. The Messages API
    itself takes 32 MB; after a longer one the connection is closed with the answer."""
    dial_seconds: float = 20.0
    """Longest time to reach an upstream: name look-up, TCP and TLS together."""
    send_seconds: float = 300.0
    """How long a client may leave an answer of our own unread until it is given up. One that is
    passed on may wait as long as anything else, ``idle_seconds``: a debugger stops its reader."""
    upstream_connections: int = 8
    """Largest number of upstream connections that one client connection keeps, one an origin; the
    one that was not used for the longest goes first."""
    early_bytes: int = 64 * 1024
    """Most bytes held that a client sent before their turn (pipelined requests)."""
    sessions: int = 10_000
    """Largest number of client connections at once."""
    leaves: int = 1_000
    """Largest number of leaf certificates kept ready, the least recently used goes first."""
    drain_seconds: float = 5.0
    """How long open exchanges may go on after the first Ctrl-C or SIGTERM."""
    queued_events: int = 10_000
    """Most events that wait for a slow terminal or file; further ones are dropped and counted."""


DEFAULT_TARGETS = (TargetPattern("api.anthropic.com"),)
CARRIER = RequestHead(b"HEAD", b"/", ())
"""The harmless request whose response carries an injected answer behind Fault; a Host is added."""


@frozen
class WrittenRules:
    """Rules as the user wrote them; they are read when the run starts."""

    value: object = field(hash=False)
    """One rule in a line of text, the list of rules that a file has, or a tuple of rules that are
    read (`faultinject.load_rules`)."""
    source: str = "--rule"
    """What messages call the place that they are from."""
    folder: Path | None = None
    """Where the files are that they name; None if they cannot name any."""


@frozen
class ChosenPreset:
    """A preset of rules (`faultinject.config.presets`)."""

    name: str
    factor: float = 1.0
    """What the chance of each of its rules is multiplied by; it is at most 1 all the same."""
    first: int | None = None
    """How many of the first attempts of each call its rules are for; None for all."""


@runtime_checkable
class ReadRules(Protocol):
    """Rules that are read: a `faultinject.RuleSet`, which this room need not know."""

    @property
    def rules(self) -> tuple[object, ...]:
        """The rules, in order."""
        ...


def _as_rules(value: ReadRules | Iterable[WrittenRules | str]) -> tuple[WrittenRules, ...]:
    if isinstance(value, ReadRules):
        return (WrittenRules(value.rules, "rules"),)
    return check.listed("rules", value, WrittenRules, lambda text: WrittenRules(text, "rules"))


def _as_presets(value: Iterable[ChosenPreset | str]) -> tuple[ChosenPreset, ...]:
    return check.listed("preset", value, ChosenPreset, ChosenPreset)


Only = Literal["model", "api", "all"]
"""Which requests presets and the options are for: calls of a model, calls of the API, or all."""
TunnelMode = Literal["duplex", "reply"]
"""What a plugin's host does with the answer to a chunk: ``duplex`` sends it on in the direction
in which the chunk was travelling (as Fault does), ``reply`` gives it back to the chunk's sender."""


@frozen(kw_only=True)
class Settings:
    """Everything that a run of the proxy is told. Fields carry the names of the options.

    Hosts, mappings, rules and presets may be given in text, as the options take them (a preset by
    its name alone), and paths, too. Raises `SettingsError` for a value that cannot be right; what
    only a look at a file or into a rule can tell is raised by `faultinject.serve`.
    """

    host: str = field(default="127.0.0.1", validator=check.host)
    """The address to listen on."""
    proxy_port: int = field(default=8080, validator=check.port)
    """The TCP port to listen on; 0 lets the system pick a free one."""
    target_host: tuple[TargetPattern, ...] = field(
        default=DEFAULT_TARGETS, converter=check.as_targets
    )
    """The hosts that are looked into; everything else is relayed untouched."""
    error_probability: float = field(default=0.1, validator=check.number(0, 1))
    """The chance, 0 to 1, that a request to a target is answered with the error."""
    status_code: int = field(default=500, validator=check.whole_number(200, 599))
    """The status of the error, 200 to 599."""
    error_body: str | None = field(default=None, validator=check.body)
    """The body of the error; None stands for the API's own words."""
    headers: tuple[tuple[str, str], ...] = field(
        default=(), converter=check.as_headers, validator=check.headers
    )
    """Headers that the error carries besides the computed ones."""
    rules: tuple[WrittenRules, ...] = field(default=(), converter=_as_rules)
    """Rules, in the order in which they are asked."""
    preset: tuple[ChosenPreset, ...] = field(default=(), converter=_as_presets)
    """Rules that come with faultinject, asked after ``rules``."""
    only: Only = field(default="api", validator=check.one_of("model", "api", "all"))
    """Which requests presets and the four above ``rules`` are for; ``rules`` say it themselves."""
    short_form: bool | None = field(default=None, validator=check.flag_or_none)
    """Whether the four above ``rules`` make a rule, asked last. None: only if there is no other."""
    ca_cert: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """PEM certificate of the certificate authority to use; with ``ca_key`` or not at all."""
    ca_key: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """PEM private key of that certificate authority."""
    data_dir: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """Where our own certificate authority lives; None stands for the user's data directory."""
    seed: int = field(
        factory=lambda: int.from_bytes(os.urandom(4)), validator=check.whole_number(0, 2**64 - 1)
    )
    """Makes the draws of a run repeatable; drawn if not given."""
    connect_to: tuple[ConnectTo, ...] = field(default=(), converter=check.as_mappings)
    """Where to really connect for an authority; the first that fits counts."""
    upstream_ca: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """PEM certificates that upstreams may be verified with, besides the system's roots."""
    insecure_upstream: bool = field(default=False, validator=check.flag)
    """Whether to accept any upstream certificate."""
    allow_foreign_keys: bool = field(default=False, validator=check.flag)
    """Whether a target of one vendor may get a key of another's form, in base-URL mode."""
    refuse_websocket: bool = field(default=False, validator=check.flag)
    """Whether a target's clients that ask for a WebSocket are answered 426."""
    fake_upstream: bool = field(default=False, validator=check.flag)
    """Whether targets are answered by the demo's API instead of the network."""
    fake_pace: float = field(default=0.04, validator=check.number(0, 3600))
    """Seconds between two events of a stream of that API: 0.04 is as quick as a quick model."""
    marker: bool = field(default=True, validator=check.flag)
    """Whether injected responses say so in ``x-faultinject``."""
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", validator=check.one_of("debug", "info", "warning", "error")
    )
    log_format: Literal["text", "json"] = field(
        default="text", validator=check.one_of("text", "json")
    )
    summary: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """File for the summary (JSON), written at exit."""
    ready_file: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """File that says how to reach the proxy (JSON); there only while it listens."""
    limits: Limits = field(factory=Limits, validator=check.is_a(Limits, "a Limits"))
    """Bounds of everything that a stranger could make large. Not an option; for embedders."""
    gives_memory_back: bool = field(default=False, validator=check.flag)
    """Whether the memory that a surge of clients left goes back to the system: by a run of the
    garbage collector and malloc_trim(3), which are the whole process's. Not an option: the program
    itself does so, and as a library it is asked first."""

    def __attrs_post_init__(self) -> None:
        if (self.ca_cert is None) is not (self.ca_key is None):
            raise SettingsError("ca_cert and ca_key: one is given without the other; give both")


@frozen(kw_only=True)
class PluginSettings(Settings):
    """Everything that a run of the plugin is told; ``proxy_port`` is of no use to it."""

    port: int = field(default=50051, validator=check.port)
    """The port of the registration on the client's side; 0 lets the system pick a free one."""
    upstream_port: int = field(default=50052, validator=check.port)
    """The same on the upstream's side."""
    tunnel: TunnelMode = field(default="duplex", validator=check.one_of("duplex", "reply"))
    carrier: RequestHead = field(
        default=CARRIER, validator=check.is_a(RequestHead, "a RequestHead")
    )
    """What is asked of the upstream before an answer of our own, in ``duplex``."""
    carrier_header: tuple[tuple[str, str], ...] = field(
        default=(), converter=check.as_headers, validator=check.headers
    )
    """Headers that the carrier has."""
    http_forward: bool = field(default=False, validator=check.flag)
    """Whether requests that come outside of tunnels are harmed too."""

    @property
    def whole_carrier(self) -> RequestHead:
        """The carrier with its headers."""
        headers = tuple((name.encode(), value.encode()) for name, value in self.carrier_header)
        return evolve(self.carrier, headers=(*self.carrier.headers, *headers))


@frozen(kw_only=True)
class RunSettings(Settings):
    """Everything that a run of a command is told."""

    log_file: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """File for the proxy's lines."""
