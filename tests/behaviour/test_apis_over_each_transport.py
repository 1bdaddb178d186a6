"""Each API and framing fails alike, whatever way its bytes come: docs/fault.md has the table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import trio
from attrs import frozen

from faultinject.providers.known import PROVIDERS, provider_named
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest, StreamShape
from tests.behaviour.test_over_each_transport import check_goes_on, seen
from tests.support.bench import post
from tests.support.llm_api import chunk
from tests.support.peer import Peer
from tests.support.stream_api import NO_BODY, ZERO, rule
from tests.support.transports import Transport
from tests.unit.providers.golden import PATHS, asked_of
from tests.unit.providers.support import fields_of, uniform

PAGE = (Path(__file__).parents[2] / "docs" / "fault.md").read_text("utf-8")
MCP = b"Accept: application/json, text/event-stream"
PASSED = 2
"""How many events pass before a stream fails."""


@frozen
class Spoken:
    """One form of stream."""

    provider: Provider
    path: str
    """With its query."""

    @property
    def request(self) -> ApiRequest:
        """A request for such a stream."""
        return asked_of(self.provider, self.path)

    @property
    def stream(self) -> StreamShape:
        """The form of the stream."""
        asked = self.request
        return self.provider.shape_of(asked.path).requested_stream(asked)

    @property
    def events(self) -> list[bytes]:
        """The smallest stream."""
        return self.stream.minimal(self.request, fields_of(self.provider, self.request), uniform())

    @property
    def sent(self) -> bytes:
        """The request, as bytes."""
        document = {"stream": True, **self.request.document}
        return post(self.path, json.dumps(document).encode(), MCP)


SPOKEN = {
    f"{provider.name} {path}": Spoken(provider, path)
    for provider in PROVIDERS
    for path in PATHS[provider.name]
    if provider.name in ("gemini", "bedrock", "ollama", "cohere", "mcp")
    and path != "/v1/chat/completions"
}


def test_the_table_names_them() -> None:
    """Each row of the table is of an API here."""
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \|", PAGE, flags=re.MULTILINE)
    assert {(one.provider.name, one.stream.framing.name) for one in SPOKEN.values()} <= set(rows)
    for name, _ in rows:
        assert provider_named(name)


@pytest.mark.parametrize("name", SPOKEN)
async def test_each_api(name: str, transport: Transport, clock: trio.abc.Clock) -> None:
    """An injected answer, an error within a stream, and half an event."""
    one = SPOKEN[name]

    async def api(upstream: Peer) -> None:
        while request := await upstream.read_message():
            if request.line.startswith(b"HEAD"):
                await upstream.send(NO_BODY)
                continue
            if not request.body:
                await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            kind = one.stream.content_type.encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind
            await upstream.send(head + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
            await upstream.send(b"".join([chunk(event) for event in one.events]) + ZERO)

    async with transport.open(api, rule(respond={"failure": "overloaded"})) as here:
        answer = await here.client.ask(one.sent)
        assert answer.status == one.provider.failures["overloaded"].status
        assert answer.body.startswith((b"{", b"["))
        await check_goes_on(here)
    events = one.events
    error = {"after": {"count": PASSED}, "error": {"failure": "overloaded"}}
    async with transport.open(api, rule(stream=error)) as here:
        said, _ = await seen(here.client, one.sent)
        assert _unchunked(said).startswith(b"".join(events[:PASSED]))
        rest = _unchunked(said).removeprefix(b"".join(events[:PASSED]))
        assert rest
        assert rest not in b"".join(events)
    half = {"after": {"count": PASSED}, "half_event": True}
    async with transport.open(api, rule(stream=half)) as here:
        said, _ = await seen(here.client, one.sent)
        cut = events[PASSED][: len(events[PASSED]) // 2]
        assert _unchunked(said) == b"".join(events[:PASSED]) + cut


def _unchunked(said: bytes) -> bytes:
    body, raw = b"", said.partition(b"\r\n\r\n")[2]
    while (size := int(raw.partition(b"\r\n")[0] or b"0", 16)) > 0:
        start = raw.index(b"\r\n") + 2
        body, raw = body + raw[start : start + size], raw[start + size + 2 :]
    return body


async def test_wrong_checksums(transport: Transport, clock: trio.abc.Clock) -> None:
    """A frame passes with a byte that is another."""
    one = SPOKEN["bedrock /model/some-model/converse-stream"]

    async def api(upstream: Peer) -> None:
        while request := await upstream.read_message():
            if request.line.startswith(b"HEAD") or not request.body:
                await upstream.send(NO_BODY)
                continue
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
            await upstream.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            await upstream.send(b"".join([chunk(event) for event in one.events]) + ZERO)

    fault = {"after": {"count": PASSED}, "wrong_checksum": True}
    async with transport.open(api, rule(stream=fault)) as here:
        said, _ = await seen(here.client, one.sent)
        whole, got = b"".join(one.events), _unchunked(said)
        changed = [at for at, (a, b) in enumerate(zip(whole, got, strict=True)) if a != b]
        assert changed == [len(b"".join(one.events[: PASSED + 1])) - 1]
