"""What the user chose, as one immutable value, with the limits on what strangers can make large.

`faultinject.config` reads the settings from options, variables and files. A program that embeds the
proxy builds a `Settings` itself.
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
from faultinject.reading.source import Locate, nowhere
from faultinject.settings import field_checks as check


@frozen(kw_only=True)
class Limits:
    """Limits in bytes, seconds and numbers. No honest peer should meet one of the defaults."""

    head_bytes: int = 256 * 1024
    """Longest head of a request or response, trailers, and line of a chunk. Servers allow less
    (Node 16 KiB, nginx 32), but the origin should be the one to refuse."""
    head_seconds: float = 30.0
    """Longest time from the first byte of a head, of trailers or of a chunk's line to its end, and
    for CONNECT."""
    handshake_seconds: float = 10.0
    """Longest time for a client's ClientHello, and then for the rest of the TLS handshake."""
    client_hello_bytes: int = 32 * 1024
    """Longest ClientHello. One with post-quantum keys has about 2 KiB."""
    silent_tunnel_seconds: float = 0.5
    """How long the client of a new tunnel to a target may be silent. Then the upstream is given the
    chance to speak first, as SMTP and SSH servers do."""
    idle_seconds: float = 3600.0
    """How long a client connection or a relay may have no byte in either direction."""
    idle_tunnel_seconds: float = 900.0
    """How long a tunnel behind Fault may wait for its next request, or be relayed without a byte.
    Fault does not always say that a tunnel is over. Origins end idle connections earlier."""
    body_idle_seconds: float = 60.0
    """Longest pause within a request body that is read and thrown away."""
    drained_body_bytes: int = 32 * 1024 * 1024
    """Largest request body that is read to its end before an injected answer. The Messages API
    itself takes 32 MB. After a larger body the answer closes the connection."""
    dial_seconds: float = 20.0
    """Longest time to reach an upstream: name look-up, TCP and TLS together."""
    send_seconds: float = 300.0
    """How long a client may leave an answer of our own unread. An answer of the API may wait for
    ``idle_seconds``, because a debugger stops the program that reads it."""
    upstream_connections: int = 8
    """Most upstream connections that one client connection keeps, one per origin. The one that was
    unused for the longest goes first."""
    early_bytes: int = 64 * 1024
    """Most bytes that are held of what a client sent too early (pipelined requests)."""
    sessions: int = 10_000
    """Largest number of client connections at once."""
    leaves: int = 1_000
    """Most leaf certificates that are kept. The least recently used goes first."""
    drain_seconds: float = 5.0
    """How long open exchanges may go on after the first Ctrl-C or SIGTERM."""
    queued_events: int = 10_000
    """Most events that wait for a slow terminal or file. More are dropped and counted."""


REPORT_ENDINGS = (".json", ".xml", ".md", ".html")
"""What reports can be: for programs, for CI (JUnit), for a page of Markdown, for a browser."""
DEFAULT_TARGETS = (TargetPattern("api.anthropic.com"),)
CARRIER = RequestHead(b"HEAD", b"/", ())
"""The harmless request whose response carries an injected answer behind Fault; a Host is added."""


@frozen
class WrittenRules:
    """Rules as the user wrote them; they are read when the run starts."""

    value: object = field(hash=False)
    """A line of text with one rule, the list of rules of a file, or a tuple of rules that have been
    read (`faultinject.load_rules`)."""
    source: str = "--rule"
    """Where the rules are from, for messages."""
    folder: Path | None = None
    """The folder of the files that the rules name; None if they cannot name any."""
    locate: Locate = field(default=nowhere, eq=False, repr=False)
    """Says in which line of a file a part of the rules is, for messages."""


@frozen
class ChosenPreset:
    """A preset of rules (`faultinject.config.presets`)."""

    name: str
    factor: float = 1.0
    """The factor for the chance of each of its rules. The product counts as at most 1."""
    first: int | None = None
    """Its rules apply to this number of first attempts of each call; None for all attempts."""


@runtime_checkable
class ReadRules(Protocol):
    """Rules that have been read: a `faultinject.RuleSet`, which is on a higher floor."""

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
"""What a plugin's host does with the answer to a chunk: ``duplex`` sends it on in the chunk's
direction (as Fault does), ``reply`` gives it back to the chunk's sender."""
Via = Literal["proxy", "base-url", "auto"]
"""How a command's clients are led to the proxy: by its variables, by base URLs, or as needed."""


@frozen(kw_only=True)
class Settings:
    """The settings of the proxy. The fields have the names of the options.

    Hosts, mappings, rules, presets and paths may be given as text, as the options take them (a
    preset by its name only). Raises `SettingsError` for a value that cannot be right. Mistakes in
    files and in rules are raised by `faultinject.serve`.
    """

    host: str = field(default="127.0.0.1", validator=check.host)
    """The address to listen on."""
    proxy_port: int = field(default=8080, validator=check.port)
    """The TCP port to listen on; 0 lets the system pick a free one."""
    target_host: tuple[TargetPattern, ...] = field(
        default=DEFAULT_TARGETS, converter=check.as_targets
    )
    """The hosts whose connections are intercepted. All others are relayed untouched."""
    error_probability: float = field(default=0.1, validator=check.number(0, 1))
    """The chance, 0 to 1, that a request to a target is answered with the error."""
    status_code: int = field(default=500, validator=check.whole_number(200, 599))
    """The status of the error, 200 to 599."""
    error_body: str | None = field(default=None, validator=check.body)
    """The body of the error; None for an error in the API's own form."""
    headers: tuple[tuple[str, str], ...] = field(
        default=(), converter=check.as_headers, validator=check.headers
    )
    """Headers of the error, besides those that the proxy sets."""
    rules: tuple[WrittenRules, ...] = field(default=(), converter=_as_rules)
    """Rules, in the order in which they are asked."""
    preset: tuple[ChosenPreset, ...] = field(default=(), converter=_as_presets)
    """Presets, whose rules are asked after ``rules``."""
    only: Only = field(default="api", validator=check.one_of("model", "api", "all"))
    """The requests that presets and the four fields above ``rules`` apply to. ``rules`` have a
    match of their own."""
    short_form: bool | None = field(default=None, validator=check.flag_or_none)
    """Whether the four fields above ``rules`` make a rule, which is asked last. None: only if there
    is no other rule."""
    ca_cert: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """PEM certificate of the certificate authority to use; with ``ca_key`` or not at all."""
    ca_key: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """PEM private key of that certificate authority."""
    data_dir: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """The directory of our own certificate authority; None for the user's data directory."""
    seed: int = field(
        factory=lambda: int.from_bytes(os.urandom(4)), validator=check.whole_number(0, 2**64 - 1)
    )
    """Makes the draws of a run repeatable; random by default."""
    connect_to: tuple[ConnectTo, ...] = field(default=(), converter=check.as_mappings)
    """Where to connect in place of an authority. The first that matches is used."""
    upstream_ca: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """PEM certificates to verify upstreams with, besides the system's roots."""
    insecure_upstream: bool = field(default=False, validator=check.flag)
    """Whether to accept any upstream certificate."""
    allow_foreign_keys: bool = field(default=False, validator=check.flag)
    """Whether base-URL requests may send a target a key that looks like another vendor's."""
    refuse_websocket: bool = field(default=False, validator=check.flag)
    """Whether requests to a target for a WebSocket are answered with 426."""
    fake_upstream: bool = field(default=False, validator=check.flag)
    """Whether a fake API answers in place of the targets, without a network."""
    fake_pace: float = field(default=0.04, validator=check.number(0, 3600))
    """Seconds between two events of a stream of the fake API. 0.04 is the pace of a fast model."""
    marker: bool = field(default=True, validator=check.flag)
    """Whether injected responses have the header ``x-faultinject``."""
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", validator=check.one_of("debug", "info", "warning", "error")
    )
    log_format: Literal["text", "json"] = field(
        default="text", validator=check.one_of("text", "json")
    )
    summary: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """File for the summary (JSON), written at exit."""
    report: tuple[Path, ...] = field(default=(), converter=check.as_reports)
    """Files for what the program did, written at exit; their endings are of `REPORT_ENDINGS`."""
    fail_on: str = field(default="none", validator=check.text)
    """Which findings make the program's run fail: ``error``, ``warning``, ids, or ``none``."""
    judge_only: tuple[str, ...] = field(default=(), converter=check.as_judge_only)
    """The ids of the findings that are looked for; without one, all."""
    ignore: tuple[str, ...] = field(default=(), converter=check.as_ignore)
    """The ids of findings that are not looked for."""
    threshold: tuple[tuple[str, str], ...] = field(
        default=(), converter=check.as_headers, validator=check.headers
    )
    """From where on something is a finding: names and numbers, in text."""
    effects: tuple[str, ...] = field(default=(), converter=check.as_effects)
    """Tools that change something."""
    ready_file: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """File that says how to reach the proxy (JSON). It exists only while the proxy listens."""
    limits: Limits = field(factory=Limits, validator=check.is_a(Limits, "a Limits"))
    """Limits on everything that a stranger could make large. Not an option."""
    port_per_target: bool = field(default=False, validator=check.flag)
    """Whether each target that is one host has a free port of its own too, at which the proxy is
    its base URL. Not an option; ``faultinject run`` sets it."""
    gives_memory_back: bool = field(default=False, validator=check.flag)
    """Whether memory goes back to the system after a surge of clients, by a run of the garbage
    collector and malloc_trim(3). Both act on the whole process, so it is off for programs that
    embed the proxy. Not an option: the command line always does it."""
    observes_late: bool = field(default=False, validator=check.flag)
    """Whether `ExchangeEnded.observed` is found out only when it is asked for, which costs an
    exchange less. It must be asked for in the thread of the run then, and ``model`` and ``stream``
    are not told of a request that went well while nothing had failed. Not an option: the command
    line does it, unless events are written as JSON or at debug."""

    def __attrs_post_init__(self) -> None:
        if (self.ca_cert is None) is not (self.ca_key is None):
            raise SettingsError("ca_cert and ca_key: one is given without the other; give both")


@frozen(kw_only=True)
class PluginSettings(Settings):
    """The settings of the plugin, which ignores ``proxy_port``."""

    port: int = field(default=50051, validator=check.port)
    """The port of the registration on the client's side; 0 lets the system pick a free one."""
    upstream_port: int = field(default=50052, validator=check.port)
    """The same on the upstream's side."""
    tunnel: TunnelMode = field(default="duplex", validator=check.one_of("duplex", "reply"))
    carrier: RequestHead = field(
        default=CARRIER, validator=check.is_a(RequestHead, "a RequestHead")
    )
    """The request that is sent to the upstream before an answer of our own, in ``duplex``."""
    carrier_header: tuple[tuple[str, str], ...] = field(
        default=(), converter=check.as_headers, validator=check.headers
    )
    """The headers of the carrier."""
    http_forward: bool = field(default=False, validator=check.flag)
    """Whether rules apply to requests outside of tunnels too."""

    @property
    def whole_carrier(self) -> RequestHead:
        """The carrier with its headers."""
        headers = tuple((name.encode(), value.encode()) for name, value in self.carrier_header)
        return evolve(self.carrier, headers=(*self.carrier.headers, *headers))


@frozen(kw_only=True)
class RunSettings(Settings):
    """Everything that a run of a command is told."""

    fail_on: str = field(default="error", validator=check.text)
    """As in `Settings`, with another default."""
    log_file: Path | None = field(default=None, converter=check.as_path, validator=check.path)
    """File for the proxy's lines."""
    via: Via = field(default="auto", validator=check.one_of("proxy", "base-url", "auto"))
    """How the command's clients are led to the proxy."""
    java: bool = field(default=False, validator=check.flag)
    """Whether there is a Java program in the command."""
