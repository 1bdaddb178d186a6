"""Events of a run as a whole."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from faultinject.events.event import Event


@frozen(kw_only=True)
class RunStarted(Event):
    """The proxy or the plugin listens."""

    version: str
    host: str
    """The address to listen on, as given; 0.0.0.0 and :: stand for every one of the machine's."""
    targets: tuple[str, ...]
    error_probability: float
    status_code: int
    seed: int
    ca_cert: str | None
    """Path of the certificate that clients must trust; None if there is no certificate authority,
    so that the proxy is of use as base URL alone."""
    rules: tuple[str, ...] = ("options",)
    """The names (or ids) of the rules in force, in order; ``options`` is that of the options."""
    chances: dict[str, float] = field(factory=dict, hash=False)
    """The chance of each rule that does not fire whenever it may, but of that of the options;
    a ramp's greatest."""
    only: Literal["model", "api", "all"] = "api"
    """Which requests presets and the options are for."""
    unknown_apis: tuple[str, ...] = ()
    """Those hosts among the targets that are not known to be an API's: each request shows which
    API it is for; if it shows none, errors are generic."""
    told_apis: dict[str, str] = field(factory=dict, hash=False)
    """The API as which a target speaks, if the user told that (``=openai``), by the target."""
    first_attempts: dict[str, int] = field(factory=dict, hash=False)
    """For how many of the first attempts of each call a rule is, by its name; those for which all
    attempts are alike are not in it."""
    of_tunnels: tuple[str, ...] = ()
    """The names of the rules that are asked as a tunnel is opened, at the CONNECT or in the TLS
    handshake: clients with the proxy as base URL never meet them."""
    only_for: tuple[str, ...] = ()
    """The names of the rules that ``only`` is for: those of presets and of the options."""
    refuse_websocket: bool = False
    """Whether clients that ask a target for a WebSocket are answered 426."""
    presets: dict[str, str] = field(factory=dict, hash=False)
    """The preset that each rule of a preset is of, by the rule's name."""


@frozen(kw_only=True)
class RunStopped(Event):
    """It does not listen any more, and every session has ended."""

    reason: str
    rules: tuple[dict[str, str | int], ...] = ()
    """How often each rule (``rule``) was ``reached`` and ``fired``."""


@frozen(kw_only=True)
class ProxyStarted(RunStarted):
    """The proxy listens."""

    NAME = "proxy-started"

    url: str
    """What clients on this machine use as proxy or base URL."""
    port: int
    fake_upstream: bool


@frozen(kw_only=True)
class ProxyStopped(RunStopped):
    """The proxy does not listen any more."""

    NAME = "proxy-stopped"


@frozen(kw_only=True)
class ProxyDraining(Event):
    """The proxy was told to stop, and lets what is open finish before it does."""

    NAME = "proxy-draining"

    exchanges: int
    """How many requests are open."""
    sessions: int
    """How many clients' connections are not idle: those of the requests, and tunnels."""
    seconds: float
    """How long they may take at most."""


@frozen(kw_only=True)
class PluginStarted(RunStarted):
    """The plugin listens for Fault."""

    NAME = "plugin-started"

    client_url: str
    """Where Fault calls about the client's side of tunnels."""
    upstream_url: str
    """Where Fault calls about the upstream's side of tunnels."""
    tunnel: Literal["duplex", "reply"]
    command: str
    """How Fault is started so that it uses the plugin."""


@frozen(kw_only=True)
class PluginStopped(RunStopped):
    """The plugin does not listen any more."""

    NAME = "plugin-stopped"


@frozen(kw_only=True)
class Warned(Event):
    """Something the user should know that concerns no single session."""

    NAME = "warning"
    LEVEL = "warning"

    message: str


@frozen(kw_only=True)
class RuleUnfit(Event):
    """A rule means nothing for the API of a request that it matches, which passed it by.

    Told once of a rule and what is spoken.
    """

    NAME = "rule-unfit"
    LEVEL = "warning"

    rule: str
    """The rule's id."""
    host: str
    """The host that the request was for."""
    provider: str
    """The API."""
    shape: str
    """What is spoken at the request's path."""
    reason: str
    """Why the rule means nothing there, and what would."""


@frozen(kw_only=True)
class CommandEnded(Event):
    """The command that the run was started for is over."""

    NAME = "command-ended"

    code: int | None
    """Its exit code; None if a signal ended it."""
    signal: int | None
    """The signal that ended it."""
    program: str | None = None
    """The name of its program, without folder and arguments."""


@frozen(kw_only=True)
class EventsDropped(Event):
    """Events were dropped, because whoever takes the output was too slow or could not take it."""

    NAME = "events-dropped"
    LEVEL = "warning"

    count: int
    """How many since the last such event."""
