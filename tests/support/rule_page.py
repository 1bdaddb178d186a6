"""The rules of docs/rules.md, each block of them run by itself against the fake API, in memory."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, field, frozen

from faultinject.config.rules import read_rules
from faultinject.config.yaml import yaml_value
from faultinject.proxy.upstream.fake.fake_api import FakeApi
from faultinject.reading.source import Source
from faultinject.rules import RuleSet
from tests.support.bench import Bench, open_bench, trusting_context
from tests.support.peer import Cut, Message, Peer

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
ANTHROPIC, OPENAI = "api.anthropic.com", "api.openai.com"
MESSAGES, COMPLETIONS = "/v1/messages", "/v1/chat/completions"
GAP_SECONDS = 0.1
"""Between two events of the fake API's streams."""
FILE = b"hello from a file\n"
"""What every file has that a rule names."""


def blocks() -> list[list[dict[str, Any]]]:
    """Return the rules of each YAML example of the page."""
    texts = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [_rules(yaml_value(text)) for text in texts]


def _rules(document: Any) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = document["rules"]
    return rules


@frozen
class Seen:
    """What a client got for one request."""

    status: int | None
    """None if no answer came."""
    body: bytes = b""
    message: Message | None = None
    end: str = "whole"
    """Or ``cut`` (FIN within the answer) or ``reset``."""
    seconds: float = 0.0

    @property
    def events(self) -> list[tuple[str, str]]:
        """The names and data of a stream's events."""
        return re.findall(r"^event: (.*)\ndata: (.*)\n\n", self.body.decode(), re.MULTILINE)

    @property
    def names(self) -> list[str]:
        """The names alone."""
        return [name for name, _ in self.events]

    @property
    def pieces(self) -> int:
        """How many chunks the body came in."""
        assert self.message is not None
        return self.message.raw_body.count(b"\r\n") // 2 - 1

    def header(self, name: bytes) -> str | None:
        """Return a header by its lower-case name."""
        value = None if self.message is None else self.message.header(name)
        return None if value is None else value.decode()


@define(eq=False)
class Caller:
    """A program that asks one host; it connects again if its connection is gone."""

    bench: Bench
    api: FakeApi
    """What is asked in the end."""
    host: str = ANTHROPIC
    _client: Peer | None = None
    connections: int = field(default=0, init=False)

    async def ask(
        self, path: str = MESSAGES, *headers: str, method: str = "POST", **document: Any
    ) -> Seen:
        """Ask once; what is given by name is the document."""
        if self._client is None:
            self.connections += 1
            self._client = await self.bench.tls(f"{self.host}:443", self.host)
        began = trio.current_time()
        seen = await self._asked(self._client, self._request(path, headers, method, document))
        passed = trio.current_time() - began
        if seen.message is None or seen.header(b"connection") == "close":
            await self._client.cut()
            self._client = None
        return Seen(seen.status, seen.body, seen.message, seen.end, passed)

    async def statuses(self, count: int, **document: Any) -> list[int | None]:
        """Ask several times."""
        return [(await self.ask(**document)).status for _ in range(count)]

    def _request(
        self, path: str, headers: tuple[str, ...], method: str, document: dict[str, Any]
    ) -> bytes:
        asked = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]} | document
        body = json.dumps(asked).encode() if method == "POST" else b""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *headers]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    async def _asked(self, client: Peer, request: bytes) -> Seen:
        try:
            message = await client.ask(request)
        except (Cut, trio.BrokenResourceError):
            return Seen(None, end=_end(client))
        return Seen(message.status, message.body, message)

    async def stream_to_its_end(self, **document: Any) -> Seen:
        """Ask for a stream on a connection of its own, and keep what comes however it ends."""
        client = await self.bench.tls(f"{self.host}:443", self.host)
        began = trio.current_time()
        await client.send(self._request(MESSAGES, (), "POST", {"stream": True, **document}))
        data, end = b"", "whole"
        while not data.endswith(b"0\r\n\r\n"):
            try:
                data += await client.receive()
            except trio.BrokenResourceError:
                end = _end(client)
                break
        await client.cut()
        head, _, raw = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        return Seen(status, _unchunked(raw), None, end, trio.current_time() - began)


def _end(client: Peer) -> str:
    """Tell a FIN from an RST, below TLS."""
    assert isinstance(client.stream, trio.SSLStream)
    return "reset" if client.stream.transport_stream.was_reset else "cut"


def _unchunked(raw: bytes) -> bytes:
    body, at = b"", 0
    while (line := raw.find(b"\r\n", at)) >= 0 and (size := int(raw[at:line], 16)):
        body, at = body + raw[line + 2 : line + 2 + size], line + 4 + size
    return body


@asynccontextmanager
async def example(name: str, seed: int = 1) -> AsyncIterator[Caller]:
    """Run the block of rules in which one of this name is, and yield a program that asks."""
    [rules] = [block for block in blocks() if name in [rule["name"] for rule in block]]
    read = read_rules(rules, Source("docs/rules.md", lambda _: FILE)).rules
    api = FakeApi(gap_seconds=GAP_SECONDS)

    async def serve(upstream: Peer) -> None:
        await api.serve(upstream.stream)

    async with open_bench(upstream=serve, targets=(ANTHROPIC, OPENAI)) as bench:
        bench.runtime.rule_set = RuleSet(read, seed)
        yield Caller(bench, api)


__all__ = [
    "ANTHROPIC", "COMPLETIONS", "FILE", "MESSAGES", "OPENAI", "PAGE", "Caller", "Seen", "blocks",
    "example", "trusting_context",
]  # fmt: skip
