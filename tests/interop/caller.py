"""Real HTTP clients behind one small face: ask an LLM's API, see what the client makes of it.

Each is opened for a `Route` and then asked any number of times on the same client object. Knows
nothing of faults, nor of any one client; it only says how an answer is reported.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Coroutine
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, ClassVar, Self

from attrs import define, frozen

TIMEOUT_SECONDS = 60.0


@frozen
class Route:
    """How a client is pointed somewhere."""

    base_url: str
    proxy_url: str | None = None
    ca_file: Path | None = None
    """What the client trusts, alone; None where there is no TLS."""
    max_retries: int | None = None
    """For SDKs; None stands for their default."""


@define
class Outcome:
    """What a client made of an answer."""

    text: str | None = None
    """The model's words; None if it was an error."""
    error: str | None = None
    """The name of the exception."""
    status: int | None = None
    marker: str | None = None
    """The error's `x-faultinject` header."""
    body: Any = None
    """The error's JSON."""


class Caller:
    """A client, open for a route. Subclasses make the client in `_open` and use it in `_ask`."""

    name: ClassVar[str]
    host: ClassVar[str] = "api.anthropic.com"
    path: ClassVar[str] = "/v1/messages"
    sdk: ClassVar[bool] = False
    stream_outcomes: ClassVar[frozenset[str]] = frozenset({"forwarded"})
    """What the proxy may say of a streamed success."""
    errors: ClassVar[dict[int, str]]
    """The exception for 429 and for 529."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *exc_details: object) -> None:
        self.stack.close()

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        """Ask, and return what came of it."""
        raise NotImplementedError

    def _open(self) -> None:
        raise NotImplementedError

    def _url(self) -> str:
        return self.route.base_url + self.path

    def _tls(self) -> ssl.SSLContext | bool:
        ca_file = self.route.ca_file
        return ssl.create_default_context(cafile=str(ca_file)) if ca_file else True


class AsyncCaller(Caller):
    """A client of an event loop; the loop runs while the client is asked."""

    def _open(self) -> None:
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.async_stack = AsyncExitStack()
        self.stack.callback(lambda: self.runner.run(self.async_stack.aclose()))
        self.runner.run(self._open_client())

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        return self.runner.run(self._ask(stream, prompt))

    async def _open_client(self) -> None:
        raise NotImplementedError

    def _ask(self, stream: bool, prompt: str) -> Coroutine[Any, Any, Outcome]:
        raise NotImplementedError


def request_json(prompt: str, *, stream: bool) -> dict[str, Any]:
    """Return a request for any of the APIs."""
    messages = [{"role": "user", "content": prompt}]
    return {"model": "m", "max_tokens": 16, "messages": messages, "stream": stream}


def message_text(body: bytes, content_type: str) -> str:
    """Return the words of a message, plain or as a whole event stream."""
    if not content_type.startswith("text/event-stream"):
        return str(json.loads(body)["content"][0]["text"])
    lines = body.decode().split("\n")
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert events[-1] == {"type": "message_stop"}
    return "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")


def failed(error: Exception, status: int, headers: Any, body: bytes | str) -> Outcome:
    name = f"{type(error).__module__.split('.')[0]}.{type(error).__name__}"
    return Outcome(None, name, status, headers.get("x-faultinject"), json.loads(body))
