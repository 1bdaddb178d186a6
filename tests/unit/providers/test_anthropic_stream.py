"""Anthropic's streams: how they are written, and how they end early."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from faultinject.providers.anthropic.api import PROVIDER
from faultinject.providers.anthropic.messages import PING, padded
from faultinject.providers.anthropic.stream import STREAM
from faultinject.providers.framing import StreamEvent
from faultinject.providers.shape import ApiRequest, Usage
from tests.unit.providers.support import (
    MESSAGES,
    SCHEMA,
    documents_of,
    events_of,
    fields_of,
    passed,
    uniform,
)

TOOL = {"name": "weather", "input_schema": SCHEMA}


def minimal(seed: int = 1, **more: Any) -> list[bytes]:
    """Return the smallest stream for a request."""
    asked = ApiRequest("/v1/messages", {"model": "m", "messages": MESSAGES} | more)
    return STREAM.minimal(asked, fields_of(PROVIDER), uniform(seed))


def delta_types(*pieces: bytes) -> list[str]:
    """Return the types of a stream's deltas."""
    documents = documents_of(*pieces)
    return [one["delta"]["type"] for one in documents if one["type"] == "content_block_delta"]


# How they are written


def test_padding() -> None:
    """0 to 15 spaces before the last brace, and no others; every number of them occurs."""
    document = {"type": "message_stop"}
    paddings = set()
    draw = uniform()
    for _ in range(500):
        raw = padded(document, draw)
        found = re.fullmatch(rb'event: message_stop\ndata: {"type":"message_stop"( *)}\n\n', raw)
        assert found is not None
        paddings.add(len(found[1]))
    assert paddings == set(range(16))
    assert (
        padded(document, lambda: 0.0) == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


def test_pings() -> None:
    """They are the one event with a space after the colon, and without padding."""
    assert PING == b'event: ping\ndata: {"type": "ping"}\n\n'
    assert STREAM.ping == PING
    assert minimal()[2] == PING


@pytest.mark.parametrize("tools", [[], [TOOL]], ids=["text", "tool"])
def test_order(tools: list[Any]) -> None:
    """Names and types agree; blocks are numbered, opened and closed in turn."""
    pieces = minimal(tools=tools)
    events = events_of(*pieces)
    assert [event.json["type"] for event in events] == [event.name for event in events]
    opened: list[int] = []
    for event in events:
        match event.name:
            case "content_block_start":
                opened.append(event.json["index"])
            case "content_block_delta" | "content_block_stop":
                assert event.json["index"] == opened[-1]
    assert opened == list(range(1 + len(tools)))
    assert [event.name for event in events[-2:]] == ["message_delta", "message_stop"]


def test_a_call_of_a_tool() -> None:
    """Its input comes as fragments of JSON, the first of which is empty."""
    documents = documents_of(*minimal(tools=[TOOL]))
    deltas = [one["delta"] for one in documents if one["type"] == "content_block_delta"]
    fragments = [delta["partial_json"] for delta in deltas if "partial_json" in delta]
    assert fragments[0] == ""
    assert len(fragments) > 5
    assert json.loads("".join(fragments)) == {"city": "example", "days": 1}
    assert documents[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tools": []},
        {"tools": "x"},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [TOOL], "tool_choice": {"type": "none"}},
        {"tools": [TOOL], "messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
    ],
    ids=["none", "empty", "odd", "the API's own", "not wanted", "answered"],
)
def test_when_no_tool_is_called(more: dict[str, Any]) -> None:
    """It is a text then, whole as streamed."""
    assert set(delta_types(*minimal(**more))) == {"text_delta"}
    asked = ApiRequest("/v1/messages", {"messages": MESSAGES} | more)
    whole = json.loads(
        PROVIDER.shape_of(asked.path).minimal_response(asked, fields_of(PROVIDER), uniform())
    )
    assert [block["type"] for block in whole["content"]] == ["text"]
    assert whole["stop_reason"] == "end_turn"


def test_the_wanted_tool_is_called() -> None:
    """If the request says which."""
    tools = [TOOL, TOOL | {"name": "time"}]
    documents = documents_of(*minimal(tools=tools, tool_choice={"type": "tool", "name": "time"}))
    blocks = [one["content_block"] for one in documents if "content_block" in one]
    assert [block.get("name") for block in blocks] == [None, "time"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ({"name": "any"}, {"example": "an argument that no schema asked for"}),
        ({"type": "custom", "name": "any", "input_schema": SCHEMA}, {"city": "example", "days": 1}),
        ({"type": "bash_20250124", "name": "bash"}, {"command": "echo faultinject"}),
        ({"type": "computer_20251124", "name": "computer"}, {"action": "screenshot"}),
        (
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"command": "view", "path": "/faultinject/no-such-file"},
        ),
        (
            {"type": "memory_20250818", "name": "memory"},
            {"command": "view", "path": "/memories"},
        ),
    ],
    ids=lambda value: value.get("type") or value.get("name"),
)
def test_tools_that_the_client_runs(tool: dict[str, Any], arguments: dict[str, Any]) -> None:
    """They are called without a schema too, with more than one piece of JSON."""
    documents = documents_of(*minimal(tools=[{"type": "web_fetch_20250910"}, 3, tool]))
    blocks = [one["content_block"] for one in documents if "content_block" in one]
    assert [block.get("name") for block in blocks] == [None, tool["name"]]
    deltas = [one["delta"] for one in documents if one["type"] == "content_block_delta"]
    fragments = [delta["partial_json"] for delta in deltas if "partial_json" in delta]
    assert len(fragments) > 2
    assert json.loads("".join(fragments)) == arguments


# How they end early


def ended_after(pieces: list[bytes], count: int) -> list[Any]:
    """Return the events that end a stream after some of its own."""
    return documents_of(*passed(STREAM.progress(), *pieces[:count]).end_early(uniform()))


def test_an_early_end_within_a_block() -> None:
    """The block that is open is closed, and the reason and the tokens are told."""
    pieces = minimal(tools=[TOOL])
    within = max(n for n, piece in enumerate(pieces) if b"input_json_delta" in piece)
    stop, delta, end = ended_after(pieces, within)
    assert stop == {"type": "content_block_stop", "index": 1}
    assert delta["delta"] == {"stop_reason": "max_tokens", "stop_sequence": None}
    assert delta["usage"] == {"output_tokens": len(delta_types(*pieces[:within]))}
    assert end == {"type": "message_stop"}


@pytest.mark.parametrize("where", ["message_start", "content_block_stop"])
def test_an_early_end_between_blocks(where: str) -> None:
    """There is nothing to be closed."""
    pieces = minimal(tools=[TOOL])
    count = next(n for n, piece in enumerate(pieces) if f'"{where}"'.encode() in piece) + 1
    types = [document["type"] for document in ended_after(pieces, count)]
    assert types == ["message_delta", "message_stop"]


def test_an_early_end_after_the_reason() -> None:
    """A reason that was told cannot be changed."""
    assert [one["type"] for one in ended_after(minimal(), -1)] == ["message_stop"]


def test_errors_end_a_stream() -> None:
    """Nothing follows them."""
    progress = passed(STREAM.progress(), *minimal()[:5])
    progress.observe(StreamEvent(b"", "error", b"{}"))
    assert progress.end_early(uniform()) == []


# Tokens


def test_usage() -> None:
    """The input's tokens are told at the start, the output's at the start and at the end."""
    pieces = minimal()
    assert STREAM.progress().usage is None
    assert passed(STREAM.progress(), *pieces[:1]).usage == Usage(5, 1)
    assert passed(STREAM.progress(), *pieces).usage == Usage(5, 16)
    progress = STREAM.progress()
    progress.observe(StreamEvent(b"", "message_delta", b'{"usage":{"input_tokens":7}}'))
    assert progress.usage == Usage(7, None)
