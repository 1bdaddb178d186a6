"""An upstream that streams an API's events, a second apart, and the request that asks for them."""

from __future__ import annotations

import json
from typing import Any

import trio

from tests.support.bench import Script, post
from tests.support.llm_api import chunk, message_events
from tests.support.peer import Peer

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"request-id: req_origin\r\nTransfer-Encoding: chunked\r\n\r\n"
)
EVENTS = message_events()
ZERO = b"0\r\n\r\n"
ASK = post("/v1/messages", json.dumps({"model": "m", "stream": True}).encode())
GAP_SECONDS = 1.0
NO_BODY = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"
"""The answer to HEAD, with which the plugin behind Fault asks for a turn."""


def streams(*events: bytes, head: bytes = HEAD, gap_seconds: float = GAP_SECONDS) -> Script:
    """Return a script that answers each request by a stream of these events, or the usual ones."""

    async def script(upstream: Peer) -> None:
        while request := await upstream.read_message():
            if request.line.startswith(b"HEAD"):
                await upstream.send(NO_BODY)
                continue
            await upstream.send(head)
            for event in events or EVENTS:
                await trio.sleep(gap_seconds)
                await upstream.send(chunk(event))
            await upstream.send(ZERO)

    return script


async def at_once(upstream: Peer) -> None:
    """Stream all the events in one piece."""
    while request := await upstream.read_message():
        if request.line.startswith(b"HEAD"):
            await upstream.send(NO_BODY)
        else:
            await upstream.send(HEAD + b"".join(map(chunk, EVENTS)) + ZERO)


def rule(**fault: Any) -> dict[str, Any]:
    """Return a rule that harms each request."""
    return {"name": "harm", "fault": fault}
