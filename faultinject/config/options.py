"""The table of the options.

The command line, the environment, the configuration file and the documentation are made from it.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from faultinject.config.kinds import Kind, RuleLines
from faultinject.config.values import (
    ASSIGNMENTS,
    BODY,
    CARRIER,
    DIRECTORY,
    FILE,
    FLAG,
    HEADERS,
    IDS,
    LISTENING_HOST,
    MAPPINGS,
    NEGATED_FLAG,
    PAUSE,
    PRESETS,
    PROBABILITY,
    REPORTS,
    TARGETS,
    TOOLS,
    WORD,
    choice,
    whole_number,
)

FAILS = "What fails"
HOSTS = "Which hosts"
COMMAND = "The command"
LISTENING = "Listening"
CERTIFICATES = "Certificates"
UPSTREAM = "Upstream"
OUTPUT = "Output"
JUDGING = "What the program does"
PLUGIN = "Behind Fault"
CONFIGURATION = "Configuration"

VARIABLE_PREFIX = "FAULTINJECT_"
"""The first part of each option's environment variable."""


@frozen(kw_only=True)
class Option:
    """One thing that the user can choose."""

    name: str
    """As on the command line, without the dashes."""
    kind: Kind
    group: str
    help: str
    default: str | None = None
    """The default as on the command line; None if the help describes what happens."""
    field: str | None = None
    """The field of `Settings`, if it is not ``key``; empty if the option is not a setting."""
    file_key: str | None = None
    """The key in a file, if it is not the name with underscores."""
    command_line_only: bool = False
    """Whether neither the environment nor a file can set it."""
    letter: str | None = None
    """The short form of a flag, as in ``-v``, without the dash."""
    bare: str | None = None
    """What is meant if it is given without a value; None if it needs one."""
    sought_as: tuple[str, ...] = ()
    """Names under which people look for it, where the command has no option of such a name."""

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name

    @property
    def key(self) -> str:
        """The option's key in a configuration file."""
        return self.file_key or self.parameter

    @property
    def parameter(self) -> str:
        """The option's name as an identifier."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str | None:
        """The option's environment variable, if it has one."""
        return None if self.command_line_only else VARIABLE_PREFIX + self.parameter.upper()

    @property
    def setting(self) -> str:
        """The field of `Settings` that the option sets; empty if none."""
        return self.key if self.field is None else self.field

    @property
    def in_file(self) -> bool:
        """Whether a configuration file may set it."""
        return bool(self.setting)


CONFIG = Option(
    name="config",
    sought_as=("rules", "rules-file", "file", "conf", "c"),
    kind=FILE,
    group=CONFIGURATION,
    field="",
    help="Read options and rules from this file (YAML, JSON or TOML); '-' is standard input.",
)
ERROR_PROBABILITY = Option(
    name="error-probability",
    sought_as=("rate", "error-rate", "failure-rate", "fail-rate", "chance", "percent"),
    kind=PROBABILITY,
    group=FAILS,
    default="0.1",
    help="The chance that a request to a target is answered with the error, as 0.1 or 10%.",
)
STATUS_CODE = Option(
    name="status-code",
    sought_as=("code", "error-code", "http-status"),
    kind=whole_number(200, 599, "200-599"),
    group=FAILS,
    default="500",
    help="The status of the error: 429 and 529 are what a busy API sends.",
)
ERROR_BODY = Option(
    name="error-body",
    kind=BODY,
    group=FAILS,
    help="The body of the error, instead of a document in Anthropic's form.",
)
HEADER = Option(
    name="header",
    kind=HEADERS,
    group=FAILS,
    file_key="headers",
    help="A header that the error carries, as in 'Retry-After: 1'. Replaces the file's header of"
    " that name.",
)
PRESET = Option(
    name="preset",
    sought_as=("fault", "faults", "failure", "failures", "scenario", "profile"),
    kind=PRESETS,
    group=FAILS,
    help="Inject a failure by its name ('faultinject presets' lists them). overloaded@0.3 makes"
    " three in ten requests fail, overloaded@first=2 the first two attempts of each call.",
)
RULE = Option(
    name="rule",
    sought_as=("rules", "fault", "faults", "delay", "latency"),
    kind=RuleLines("--rule", VARIABLE_PREFIX + "RULE", metavar="RULE"),
    group=FAILS,
    file_key="rules",
    help="Inject a failure by a rule, as in 'respond 529 first=2 per=attempt-group'. It goes before"
    " the file's rules and before presets.",
)
ONLY = Option(
    name="only",
    kind=choice("model", "api", "all"),
    group=FAILS,
    default="api",
    help="Which requests presets and the error are for: calls of a model, all calls of the API,"
    " or every request, also housekeeping (telemetry, settings, HEAD).",
)
SEED = Option(
    name="seed",
    kind=whole_number(0, 2**64 - 1, "NUMBER"),
    group=FAILS,
    help="Repeat the random choices of an earlier run. Without it a new seed is used, and printed"
    " at start.",
)
NO_MARKER = Option(
    name="no-marker",
    kind=NEGATED_FLAG,
    group=FAILS,
    default="false",
    field="marker",
    help="Leave out the header x-faultinject, which marks injected answers.",
)
TARGET_HOST = Option(
    name="target-host",
    sought_as=(
        "target",
        "targets",
        "upstream",
        "upstream-url",
        "upstream-host",
        "api",
        "api-url",
        "url",
        "base-url",
        "provider",
        "allow-hosts",
    ),
    kind=TARGETS,
    group=HOSTS,
    default="api.anthropic.com",
    help="A host whose requests may fail. *.example.com is every name below example.com. Without a"
    " port, any port. http://127.0.0.1:11434 is a server without TLS. localhost:8000=openai says"
    " which API a host of your own speaks. Connections to other hosts are relayed untouched.",
)
HOST = Option(
    name="host",
    sought_as=(
        "bind",
        "bind-address",
        "listen",
        "listen-host",
        "listen-address",
        "address",
        "addr",
        "interface",
        "proxy-host",
    ),
    kind=LISTENING_HOST,
    group=LISTENING,
    default="127.0.0.1",
    help="The address to listen on. Anyone who can reach it can use it.",
)
PROXY_PORT = Option(
    name="proxy-port",
    sought_as=("port", "listen-port", "p"),
    kind=whole_number(0, 65535, "PORT"),
    group=LISTENING,
    default="8080",
    help="The port to listen on; 0 picks a free one.",
)
READY_FILE = Option(
    name="ready-file",
    kind=FILE,
    group=LISTENING,
    help="Write how to reach the proxy or plugin to this file (JSON) once it listens, and remove"
    " the file at exit.",
)
CA_CERT = Option(
    name="ca-cert",
    sought_as=("cert", "certificate", "ca"),
    kind=FILE,
    group=CERTIFICATES,
    help="Certificate (PEM) of your own certificate authority; needs --ca-key. Without both,"
    " faultinject makes an authority on first use.",
)
CA_KEY = Option(
    name="ca-key",
    sought_as=("key", "private-key"),
    kind=FILE,
    group=CERTIFICATES,
    help="Private key (PEM) of that certificate authority.",
)
DATA_DIR = Option(
    name="data-dir",
    kind=DIRECTORY,
    group=CERTIFICATES,
    help="Where faultinject keeps its certificate authority, instead of your data directory.",
)
EXPORT_CA = Option(
    name="export-ca",
    kind=FILE,
    group=CERTIFICATES,
    field="",
    command_line_only=True,
    help="Write the authority's certificate (PEM) to this file ('-' is standard output) and exit.",
)
INSTALL_CA = Option(
    name="install-ca",
    kind=FLAG,
    group=CERTIFICATES,
    field="",
    command_line_only=True,
    help="Make this system trust the authority, and exit. First it prints what it will run.",
)
CONNECT_TO = Option(
    name="connect-to",
    sought_as=("upstream", "upstream-url", "upstream-host", "forward-to", "resolve"),
    kind=MAPPINGS,
    group=UPSTREAM,
    help="Connect to ADDRESS:PORT instead of HOST:PORT, as with curl. An empty HOST or PORT matches"
    " any, an empty ADDRESS or PORT is kept. Write IPv6 in brackets.",
)
UPSTREAM_CA = Option(
    name="upstream-ca",
    sought_as=("cacert", "ca-bundle", "ca-file"),
    kind=FILE,
    group=UPSTREAM,
    help="Certificates (PEM) to verify upstreams with, besides the system's.",
)
INSECURE_UPSTREAM = Option(
    name="insecure-upstream",
    sought_as=("insecure", "ssl-insecure", "k", "no-verify", "skip-verify"),
    kind=FLAG,
    group=UPSTREAM,
    default="false",
    help="Accept any certificate from an upstream.",
)
ALLOW_FOREIGN_KEYS = Option(
    name="allow-foreign-keys",
    kind=FLAG,
    group=UPSTREAM,
    default="false",
    help="When the proxy is the base URL, send a target also keys that look like another vendor's."
    " For targets that are gateways.",
)
REFUSE_WEBSOCKET = Option(
    name="refuse-websocket",
    kind=FLAG,
    group=UPSTREAM,
    default="false",
    help="Answer requests for a WebSocket to a target with 426, so that clients that can (Codex)"
    " use plain requests, which rules can match.",
)
FAKE_UPSTREAM = Option(
    name="fake-upstream",
    sought_as=("fake", "fake-api", "mock", "offline", "dry-run"),
    kind=FLAG,
    group=UPSTREAM,
    default="false",
    help="Send the targets' requests to a small fake API inside faultinject: no key, no network.",
)
FAKE_PACE = Option(
    name="fake-pace",
    kind=PAUSE,
    group=UPSTREAM,
    default="40ms",
    help="The time between two events of the fake API's streams, as 40ms or 1.5s (a bare number is"
    " seconds); 0 sends them at once. Needs --fake-upstream.",
)
LOG_LEVEL = Option(
    name="log-level",
    sought_as=("verbose", "verbosity", "v", "quiet", "q", "debug"),
    kind=choice("debug", "info", "warning", "error"),
    group=OUTPUT,
    default="info",
    help="Print events of this level and above.",
)
LOG_FORMAT = Option(
    name="log-format",
    sought_as=("json", "format"),
    kind=choice("text", "json"),
    group=OUTPUT,
    default="text",
    help="Print events as text, or as one JSON object per line.",
)
SUMMARY = Option(
    name="summary",
    kind=FILE,
    group=OUTPUT,
    help="Write the summary to this file (JSON) at exit.",
)

REPORT = Option(
    name="report",
    sought_as=("json", "html", "junit", "xml", "markdown", "output", "out", "o", "report-file"),
    kind=REPORTS,
    group=JUDGING,
    help="Write what the program did about failures to this file at exit; its ending says how:"
    " .json, .xml (JUnit), .md, .html.",
)
FAIL_ON_FINDINGS = Option(
    name="fail-on",
    sought_as=("strict", "exit-code"),
    kind=evolve(WORD, metavar="FINDINGS"),
    group=JUDGING,
    default="none",
    help="End with exit code 3 if there are such findings: error, warning (and errors), note (any),"
    " their ids with commas, or none. The default of 'faultinject run' is error.",
)
JUDGE_ONLY = Option(
    name="judge-only",
    kind=IDS,
    group=JUDGING,
    help="Look for these findings alone (and for nothing-tested, unless it is ignored).",
)
IGNORE = Option(
    name="ignore",
    kind=IDS,
    group=JUDGING,
    help="Do not look for these findings.",
)
THRESHOLD = Option(
    name="threshold",
    kind=ASSIGNMENTS,
    group=JUDGING,
    help="From where on something is a finding, as in hung_stream_seconds=30. The page of findings"
    " has the names.",
)
EFFECTS = Option(
    name="effects",
    kind=TOOLS,
    group=JUDGING,
    help="Tools that change something: to run one of them twice is an error, not a warning.",
)
JUDGING_OPTIONS = (REPORT, FAIL_ON_FINDINGS, JUDGE_ONLY, IGNORE, THRESHOLD, EFFECTS)
"""The options of all that judges what a program does."""

PROXY_OPTIONS = (
    ERROR_PROBABILITY,
    STATUS_CODE,
    ERROR_BODY,
    HEADER,
    PRESET,
    RULE,
    ONLY,
    SEED,
    NO_MARKER,
    TARGET_HOST,
    HOST,
    PROXY_PORT,
    READY_FILE,
    CA_CERT,
    CA_KEY,
    DATA_DIR,
    EXPORT_CA,
    INSTALL_CA,
    CONNECT_TO,
    UPSTREAM_CA,
    INSECURE_UPSTREAM,
    ALLOW_FOREIGN_KEYS,
    REFUSE_WEBSOCKET,
    FAKE_UPSTREAM,
    FAKE_PACE,
    LOG_LEVEL,
    LOG_FORMAT,
    SUMMARY,
    *JUDGING_OPTIONS,
    CONFIG,
)
"""The options of ``faultinject proxy``, in the order of its help."""

PORT = Option(
    name="port",
    sought_as=("proxy-port", "client-port", "listen-port", "p"),
    kind=whole_number(0, 65535, "PORT"),
    group=LISTENING,
    default="50051",
    help="The port that Fault calls for the client's side of tunnels; 0 picks a free one.",
)
UPSTREAM_PORT = Option(
    name="upstream-port",
    kind=whole_number(0, 65535, "PORT"),
    group=LISTENING,
    default="50052",
    help="The port that Fault calls for the upstream's side of tunnels; 0 picks a free one.",
)
TUNNEL = Option(
    name="tunnel",
    kind=choice("duplex", "reply"),
    group=PLUGIN,
    default="duplex",
    help="What the host does with the answer to a piece of a tunnel: Fault sends it on (duplex);"
    " another host may give it back to the sender (reply).",
)
CARRIER_REQUEST = Option(
    name="carrier",
    kind=CARRIER,
    group=PLUGIN,
    default="HEAD /",
    help="The harmless request to the upstream that each injected answer costs in a tunnel.",
)
CARRIER_HEADER = Option(
    name="carrier-header",
    kind=HEADERS,
    group=PLUGIN,
    help="A header of that request; Host is added if it is not given.",
)
HTTP_FORWARD = Option(
    name="http-forward",
    kind=FLAG,
    group=PLUGIN,
    default="false",
    help="Inject into plain HTTP and reverse mappings too, of which Fault shows whole requests.",
)

PLUGIN_OPTIONS = (
    ERROR_PROBABILITY,
    STATUS_CODE,
    ERROR_BODY,
    HEADER,
    PRESET,
    RULE,
    ONLY,
    SEED,
    NO_MARKER,
    TARGET_HOST,
    TUNNEL,
    CARRIER_REQUEST,
    CARRIER_HEADER,
    HTTP_FORWARD,
    HOST,
    PORT,
    UPSTREAM_PORT,
    READY_FILE,
    CA_CERT,
    CA_KEY,
    DATA_DIR,
    EXPORT_CA,
    INSTALL_CA,
    CONNECT_TO,
    UPSTREAM_CA,
    INSECURE_UPSTREAM,
    REFUSE_WEBSOCKET,
    LOG_LEVEL,
    LOG_FORMAT,
    SUMMARY,
    *JUDGING_OPTIONS,
    CONFIG,
)
"""The options of ``faultinject plugin``, in the order of its help."""

VERBOSE = Option(
    name="verbose",
    kind=FLAG,
    group=COMMAND,
    field="",
    command_line_only=True,
    letter="v",
    help="Print the proxy's lines to standard error too, among what the command prints.",
)
LOG_FILE = Option(
    name="log-file",
    kind=FILE,
    group=COMMAND,
    help="Write the proxy's lines to this file.",
)

_RUN_PORT = evolve(
    PROXY_PORT,
    default=None,
    command_line_only=True,
    help="The port to listen on. Without it, a free one; one of a file or a variable is for the"
    " proxy alone.",
)

VIA = Option(
    name="via",
    kind=choice("proxy", "base-url", "auto"),
    group=COMMAND,
    default="auto",
    help="How the command's clients are led to the proxy: by HTTPS_PROXY and its like, by a base"
    " URL for each target, or by the former, and the latter where it is needed: for local servers,"
    " and for a Node before 22.21 or 24.5.",
)
JAVA = Option(
    name="java",
    kind=FLAG,
    group=COMMAND,
    default="false",
    help="Set JAVA_TOOL_OPTIONS too, because there is a Java program in the command. Without it"
    " that is done if the command is java, mvn, gradle or the like.",
)
_OF_RUN = {PROXY_PORT: _RUN_PORT, FAIL_ON_FINDINGS: evolve(FAIL_ON_FINDINGS, default="error")}

_SHELLS = choice("sh", "fish", "powershell", "dotenv")
PRINT_ENV = Option(
    name="print-env",
    kind=_SHELLS,
    group=COMMAND,
    field="",
    command_line_only=True,
    bare="sh",
    help="Start nothing: print the variables for the clients of a proxy that is started with the"
    " same options, for a shell (sh is for bash and zsh too) or a .env file. sh if none is named.",
)
SHELL = Option(
    name="shell",
    kind=_SHELLS,
    group=COMMAND,
    field="",
    command_line_only=True,
    default="sh",
    help="Which shell the variables are for; dotenv is a .env file.",
)

RUN_OPTIONS = (
    VIA,
    JAVA,
    PRINT_ENV,
    VERBOSE,
    LOG_FILE,
    *(_OF_RUN.get(each, each) for each in PROXY_OPTIONS if each not in (EXPORT_CA, INSTALL_CA)),
)
"""The options of ``faultinject run``, in the order of its help."""

_ENV_READY_FILE = evolve(
    READY_FILE,
    help="The ready file of the running proxy. Without it the proxy is looked for at --host and"
    " --proxy-port.",
)
ENV_OPTIONS = (
    SHELL,
    VIA,
    JAVA,
    TARGET_HOST,
    HOST,
    PROXY_PORT,
    _ENV_READY_FILE,
    CA_CERT,
    CA_KEY,
    DATA_DIR,
    FAKE_UPSTREAM,
    CONFIG,
)
"""The options of ``faultinject env``, in the order of its help."""

LOG_OPTIONS = (*JUDGING_OPTIONS, CONFIG)
"""The options of ``faultinject report``, which judges a log."""

CA_OPTIONS = (CA_CERT, CA_KEY, DATA_DIR, CONFIG)
"""The options of ``faultinject ca``: they say which certificate authority is meant."""

SHORT_FORM = (ERROR_PROBABILITY, STATUS_CODE, ERROR_BODY, HEADER)
"""The options that together are a short form of one rule."""


def _each_once(options: Iterable[Option]) -> tuple[Option, ...]:
    """Return the options, of those of one name the first."""
    found: dict[str, Option] = {}
    for option in options:
        found.setdefault(option.name, option)
    return tuple(found.values())


ALL_OPTIONS = _each_once((*PROXY_OPTIONS, *PLUGIN_OPTIONS, *RUN_OPTIONS, *ENV_OPTIONS))
"""Every option once."""

FILE_OPTIONS = {option.key: option for option in ALL_OPTIONS if option.in_file}
"""The options that a configuration file may set, by key."""

VARIABLES = frozenset(option.variable for option in ALL_OPTIONS if option.variable)
"""Every environment variable that any command reads."""
