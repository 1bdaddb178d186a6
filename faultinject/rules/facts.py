"""What rules may ask about a request.

Every request has facts, whatever the rules are, so they are cheap to make. They are not frozen,
though nothing in them changes, except that a body may be added later. The body is parsed once, when
a rule asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from attrs import define, field, frozen

from faultinject.events import Kind
from faultinject.http.cors import is_preflight
from faultinject.http.headers import asks_for_websocket
from faultinject.http.message import RequestHead
from faultinject.matchers import MISSING
from faultinject.providers.mcp import PROVIDER as MCP
from faultinject.providers.mcp import kind_of_message
from faultinject.providers.mcp.marks import has_header, is_hinted, is_message, is_told_by_body
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest
from faultinject.providers.told import KNOWN, Apis

USER_AGENT = b"user-agent"
RETRY_COUNT = b"x-stainless-retry-count"
"""Header of the SDKs that Stainless makes (Anthropic's and OpenAI's, among others): how often they
have tried before, 0 at first."""

PARAMETERS = 1_000
"""How many parameters of a query are read."""
T = TypeVar("T", str, bytes)

_UNREAD: Any = object()
_JSON = json.JSONDecoder()


@frozen(eq=False, repr=False)
class Way:
    """A client connection through a tunnel, by which its client comes to a host."""

    digest: str
    """Digest of the client and the host: the same for each connection between them."""
    began_seconds: float
    """When the tunnel was asked for, on the clock of the run."""
    is_fresh: bool = True
    """Whether no request has come by it."""


@define(eq=False)
class Facts:
    """One request as rules see it."""

    # Without cached properties, which have each attribute of the class looked up in Python.

    host: str
    """The upstream's name or address, normalised (see `faultinject.authority.normal_host`)."""
    port: int
    head: RequestHead
    body: bytes | None = field(default=None, repr=False)
    """The whole body; empty if the request has none, None if it was not read."""
    connection: int = 0
    """The number of the client connection."""
    began_seconds: float | None = None
    """When the request began, on the clock of the run; None for just now."""
    attempt: int | None = None
    """Which attempt of its call this is, from 1; None if it is unknown, or no rule asks."""
    call: str = ""
    """The id of its call; empty if `attempt` is None."""
    path_mended_from: str | None = None
    """The path as the client sent it, if it was corrected to the API's."""
    way: Way | None = None
    """The tunnel that it came by; None if it came by none."""
    apis: Apis = field(default=KNOWN, repr=False)
    """Which API is at which host."""

    _headers: dict[bytes, tuple[bytes, ...]] | None = field(default=None, init=False, repr=False)
    _json: Any = field(default=_UNREAD, init=False, repr=False)
    _path: str | None = field(default=None, init=False, repr=False)
    _api_request: ApiRequest | None = field(default=None, init=False, repr=False)
    _kind: Any = field(default=_UNREAD, init=False, repr=False)
    _provider: Provider | None = field(default=None, init=False, repr=False)
    _is_hinted: bool | None = field(default=None, init=False, repr=False)
    _query: dict[str, tuple[str, ...]] | None = field(default=None, init=False, repr=False)

    def counted(self, attempt: int, call: str) -> Facts:
        """Return a copy with the number of the attempt and the id of its call."""
        facts = Facts(
            self.host,
            self.port,
            self.head,
            self.body,
            self.connection,
            self.began_seconds,
            attempt,
            call,
            self.path_mended_from,
            self.way,
            self.apis,
        )
        facts._headers, facts._json, facts._kind = self._headers, self._json, self._kind
        facts._is_hinted = self._is_hinted
        return facts

    def with_body(self, body: bytes | None) -> Facts:
        """Return facts of the same head with a body; what the head has told is not asked again."""
        facts = Facts(self.host, self.port, self.head, body, apis=self.apis)
        facts._path, facts._provider, facts._is_hinted = self._path, self._provider, self._is_hinted
        return facts

    # From the head

    @property
    def method(self) -> str:
        """The request's method, as sent."""
        return self.head.method.decode("ascii")

    @property
    def path(self) -> str:
        """The path of the request's target, without its query."""
        if self._path is None:
            self._path = self.head.target.partition(b"?")[0].decode("ascii", "backslashreplace")
        return self._path

    @property
    def provider(self) -> Provider:
        """The API that the request is for."""
        if self._provider is not None:
            return self._provider
        found = self.apis.provider_for(self.host, self.port, self.path)
        if self.is_hinted_mcp:
            if self.body is None and is_told_by_body(self.head):
                return found  # as far as the head tells
            if self._is_mcp():
                found = MCP
        self._provider = found
        return found

    @property
    def is_hinted_mcp(self) -> bool:
        """Whether the head has what requests to MCP servers have, and no other API has the path."""
        if self._is_hinted is None:
            open_to_it = self.apis.may_be_mcp(self.host, self.port, self.path)
            self._is_hinted = open_to_it and is_hinted(self.head)
        return self._is_hinted

    @property
    def needs_body_for_api(self) -> bool:
        """Whether only the body, which was not read yet, can tell which API it is for."""
        return self.body is None and self.is_hinted_mcp and is_told_by_body(self.head)

    @property
    def is_mcp(self) -> bool:
        """Whether the request is for an MCP server, as far as that is known."""
        return self.is_hinted_mcp and self.provider is MCP

    def _is_mcp(self) -> bool:
        if not is_told_by_body(self.head):
            return has_header(self.head)
        return is_message(self.json)

    @property
    def kind(self) -> Kind | None:
        """What the request is for; None for a CONNECT, where that is not known yet."""
        if self._kind is not _UNREAD:
            known: Kind | None = self._kind
            return known
        found = self._found_kind()
        if not self.needs_body_for_api:  # else the body may tell another
            self._kind = found
        return found

    def _found_kind(self) -> Kind | None:
        if self.head.method == b"CONNECT":
            return None
        if is_preflight(self.head):
            return "preflight"
        if self.head.method == b"GET" and asks_for_websocket(self.head):
            return "websocket"
        if self.is_mcp:
            return kind_of_message(self.method, self.api_request)
        return self.apis.kind_of(self.host, self.port, self.method, self.path)

    @property
    def query(self) -> dict[str, tuple[str, ...]]:
        """The parameters of the target's query, decoded; each with its values in order.

        The first `PARAMETERS` only: to decode more would hold up other requests.
        """
        if self._query is None:
            self._query = self._parsed_query()
        return self._query

    def _parsed_query(self) -> dict[str, tuple[str, ...]]:
        items = self.head.target.partition(b"?")[2].split(b"&", PARAMETERS)[:PARAMETERS]
        text = b"&".join(items).decode("ascii", "backslashreplace")
        return _grouped(parse_qsl(text, keep_blank_values=True))

    def parameter(self, name: str) -> tuple[str, ...]:
        """Return the values of a parameter of the query, in order."""
        return self.query.get(name, ()) if b"?" in self.head.target else ()

    @property
    def headers(self) -> dict[bytes, tuple[bytes, ...]]:
        """The headers by lower-case name; each with its values in order."""
        if self._headers is None:
            found: dict[bytes, tuple[bytes, ...]] = {}
            for name, value in self.head.headers:
                key = name.lower()
                found[key] = (*found[key], value) if key in found else (value,)
            self._headers = found
        return self._headers

    def header(self, name: bytes) -> tuple[str, ...]:
        """Return the values of a header of that (lower-case) name, in order, as text."""
        return tuple([value.decode("latin-1") for value in self.headers.get(name, ())])

    @property
    def client(self) -> str:
        """The client's User-Agent; empty if it sent none."""
        return (self.header(USER_AGENT) or ("",))[0]

    @property
    def retry_count(self) -> int | None:
        """How often the client has tried before, by its own count; None if it sends none."""
        text = self.headers.get(RETRY_COUNT, (b"",))[0]
        return int(text) if text.isdigit() and len(text) < 10 else None

    # From the body

    @property
    def json(self) -> Any:
        """The body as a JSON value; `MISSING` if it is not JSON, or was not read."""
        if self._json is _UNREAD:
            if self.body is None:
                return MISSING
            self._json = parsed_json(self.body)
        return self._json

    @property
    def api_request(self) -> ApiRequest:
        """What a response to the request depends on; its body is JSON, or counts as none."""
        if self._api_request is not None:
            return self._api_request
        query = self.head.target.partition(b"?")[2].decode("ascii", "backslashreplace")
        api_request = self.provider.api_request(self.path, self.json, self.host, query)
        if self.body is not None:  # else it may yet be added
            self._api_request = api_request
        return api_request

    @property
    def model(self) -> str | None:
        """The model that the request names, if any."""
        return self.api_request.named_model

    @property
    def stream(self) -> bool:
        """Whether the request asks for a streamed response."""
        return self.api_request.stream

    @property
    def shape(self) -> str:
        """The name of what is spoken at the request's path."""
        return self.provider.shape_of(self.path).name

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that the body offers; one that has no name goes by its type."""
        return tools_in(self.json)


def _grouped(pairs: Iterable[tuple[T, T]]) -> dict[T, tuple[T, ...]]:
    """Return the values of each name, in order."""
    found: dict[T, list[T]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def parsed_json(body: bytes) -> Any:
    """Return a body as a JSON value; `MISSING` if it is not JSON."""
    try:
        # Nearly all send plain UTF-8. `json.loads` takes more encodings, and twice as long.
        text = body.decode()
        value, end = _JSON.raw_decode(text)
        if end == len(text) or not text[end:].strip(" \t\n\r"):
            return value
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # the latter for brackets nested by the thousand
        return MISSING


def tools_in(document: Any) -> tuple[str, ...]:
    """Return the names of the tools that a body offers; one without a name goes by its type."""
    tools = document.get("tools") if isinstance(document, dict) else None
    if tools is None and isinstance(document, dict):  # Amazon's Converse
        config = document.get("toolConfig")
        tools = config.get("tools") if isinstance(config, dict) else None
    if not isinstance(tools, list):
        return ()
    return tuple(name for tool in tools for name in _tool_names(tool))


def _tool_names(tool: Any) -> list[str]:
    """Return the names in one entry: Gemini declares several functions in each."""
    functions = tool.get("functionDeclarations") if isinstance(tool, dict) else None
    return (
        [_tool_name(each) for each in functions]
        if isinstance(functions, list)
        else [_tool_name(tool)]
    )


def _tool_name(tool: Any) -> str:
    """Return a tool's name, from where each API puts it."""
    if not isinstance(tool, dict):
        return ""
    nested = [tool.get(key) for key in ("function", "toolSpec")]
    inner = [each.get("name") for each in nested if isinstance(each, dict)]
    names = (tool.get("name"), *inner, tool.get("type"))
    return next((name for name in names if name and isinstance(name, str)), "")
