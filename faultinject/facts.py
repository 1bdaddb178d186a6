"""What rules may ask of a request.

Knows nothing of streams and rules; it reads the head it is given, and the body if there is one,
once, when asked.
"""

from __future__ import annotations

import json
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from attrs import evolve, field, frozen

from faultinject.http.message import RequestHead
from faultinject.missing import MISSING
from faultinject.providers import provider_for

if TYPE_CHECKING:
    from faultinject.providers.provider import Provider

RETRY_COUNT = "x-stainless-retry-count"
"""Header in which the SDKs that Stainless makes (Anthropic's and OpenAI's, among others) say how
often they have tried before: 0 at first."""


@frozen
class Facts:
    """One request as rules see it."""

    host: str
    """The upstream's name or address, normal (see `faultinject.authority.normal_host`)."""
    port: int
    head: RequestHead
    body: bytes | None = field(default=None, repr=False)
    """The whole body; empty if the request has none, None if it was not read."""
    connection: int = 0
    """The number of the client connection."""
    attempt: int | None = None
    """Which attempt of its call this is, from 1; None if nobody counted."""
    call: str = ""
    """Which call it is an attempt of; empty if nobody counted."""

    def counted(self, attempt: int, call: str) -> Facts:
        """Return the facts with the number of the attempt, and of which call it is one."""
        return evolve(self, attempt=attempt, call=call)

    # From the head

    @property
    def method(self) -> str:
        """The request's method, as sent."""
        return self.head.method.decode("ascii")

    @cached_property
    def path(self) -> str:
        """The path of the request's target, without its query."""
        return self.head.target.partition(b"?")[0].decode("ascii", "backslashreplace")

    @cached_property
    def provider(self) -> Provider:
        """The API that the request is for."""
        return provider_for(self.host, self.path)

    @cached_property
    def query(self) -> dict[str, tuple[str, ...]]:
        """The parameters of the target's query, decoded; each with its values in order."""
        text = self.head.target.partition(b"?")[2].decode("ascii", "backslashreplace")
        found: dict[str, tuple[str, ...]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            found[name] = (*found.get(name, ()), value)
        return found

    @cached_property
    def headers(self) -> dict[str, tuple[str, ...]]:
        """The headers by lower-case name; each with its values in order."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.head.headers:
            key, text = name.lower().decode("latin-1"), value.decode("latin-1")
            found[key] = (*found[key], text) if key in found else (text,)
        return found

    @property
    def client(self) -> str:
        """What the client calls itself (User-Agent); empty if it does not."""
        return self.headers.get("user-agent", ("",))[0]

    @cached_property
    def retry_count(self) -> int | None:
        """How often the client says that it has tried before; None if it does not say."""
        text = self.headers.get(RETRY_COUNT, ("",))[0]
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    # From the body

    @cached_property
    def json(self) -> Any:
        """The body as a JSON value; `MISSING` if it is not JSON, or was not read."""
        if not self.body:
            return MISSING
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # the latter for brackets nested by the thousand
            return MISSING

    @cached_property
    def model(self) -> str | None:
        """The model that the body names."""
        model = self._member("model")
        return model if isinstance(model, str) else None

    @cached_property
    def stream(self) -> bool:
        """Whether the body asks for the answer as a stream."""
        return self._member("stream") is True

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that the body offers; one that has no name goes by its type."""
        tools = self._member("tools")
        return tuple(_tool_name(tool) for tool in tools) if isinstance(tools, list) else ()

    @cached_property
    def fingerprint(self) -> str | None:
        """What is the same for all attempts of a call; None if the body was not read."""
        if self.body is None:
            return None
        digest = blake2b(digest_size=16)
        for piece in (self.head.method, self.host.encode(), self.head.target, self.body):
            digest.update(len(piece).to_bytes(8))
            digest.update(piece)
        return digest.hexdigest()

    def _member(self, key: str) -> Any:
        return self.json.get(key) if isinstance(self.json, dict) else None


def _tool_name(tool: Any) -> str:
    """Return a tool's name, where Anthropic, OpenAI's Responses, or its Chat Completions has it."""
    if not isinstance(tool, dict):
        return ""
    function = tool.get("function")
    inner = function.get("name") if isinstance(function, dict) else None
    return str(tool.get("name") or inner or tool.get("type") or "")
