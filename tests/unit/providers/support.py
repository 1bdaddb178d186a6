"""What the tests of providers share: repeatable draws, and a stream read back."""

from __future__ import annotations

from random import Random
from typing import Any

from faultinject.providers.framing import Framing, StreamEvent
from faultinject.providers.framing.json_array import JSON_ARRAY
from faultinject.providers.framing.sse import SSE
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest, Fields, Progress, Uniform

NOW_SECONDS = 1754179200.25  # 2025-08-03T00:00:00.25Z
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
MESSAGES = [{"role": "user", "content": "How is the weather?"}]


def uniform(seed: int = 1) -> Uniform:
    """Return draws that are the same for the same seed."""
    return Random(seed).random


def fields_of(provider: Provider, asked: ApiRequest | None = None) -> Fields:
    """Return the fields of an answer."""
    return provider.draw_fields(uniform(), NOW_SECONDS, asked or ApiRequest("/"))


def events_of(*pieces: bytes, framing: Framing = SSE) -> list[StreamEvent]:
    """Return the events of a stream, each of which must be whole, without its comments."""
    decoder = framing.decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert decoder.pending == b""
    end_of_array = events and framing is JSON_ARRAY and not events[-1].is_event
    if end_of_array:
        assert events.pop().raw.strip() == b"]"
    said = [event for event in events if not event.raw.startswith(b": ")]
    assert all(event.is_event for event in said)
    return said


def documents_of(*pieces: bytes, framing: Framing = SSE) -> list[Any]:
    """Return the data of a stream's events, as JSON where it is."""
    return [event.json for event in events_of(*pieces, framing=framing)]


def passed(progress: Progress, *pieces: bytes, framing: Framing = SSE) -> Progress:
    """Let a stream pass."""
    for event in events_of(*pieces, framing=framing):
        progress.observe(event)
    return progress
