"""Faults by rule through the real Fault: what was before them is out, and what is behind comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.setting import HOST, Origins, Setting, opened_setting

STALL_SECONDS = 2.0
WHERE = "after.event=content_block_start"
RULES = (
    f"stall {STALL_SECONDS:g}s {WHERE} match.header.x-want=stall",
    f"cut {WHERE} match.header.x-want=cut",
    f"delay {STALL_SECONDS:g}s match.header.x-want=delay",
    "cut after.count=5 upstream=skipped match.header.x-want=made",
)
BODY = json.dumps({"model": "m", "max_tokens": 9, "messages": [], "stream": True}).encode()


def ask_for(want: str) -> bytes:
    """Return a request for a stream that a rule harms."""
    head = b"POST /v1/messages HTTP/1.1\r\nHost: %b\r\nX-Want: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (HOST.encode(), want.encode(), len(BODY)) + BODY


@pytest.fixture(scope="module")
def ruled(
    fault: Path, origins: Origins, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setting]:
    """The plugin goes by the rules."""
    options = [word for rule in RULES for word in ("--rule", rule)]
    with opened_setting(fault, tmp_path_factory.mktemp("rules"), origins, 0.0, *options) as opened:
        yield opened


@pytest.mark.parametrize("way", ["CONNECT", "raw TCP"])
def test_a_stall_and_a_delay(ruled: Setting, way: str) -> None:
    """On one connection, with a request that passes behind each."""
    with ruled.connected(way).open() as client:
        plain = client.ask(ask_for("nothing"))
        assert plain.end == "complete"
        for want in ("stall", "nothing", "delay", "nothing"):
            answer = client.ask(ask_for(want))
            assert (answer.end, answer.body) == ("complete", plain.body)
            if want == "stall":
                before = answer.time_of(answer.body.index(b"content_block_start"))
                behind = answer.time_of(answer.body.index(b"message_stop"))
                assert behind - before > 0.9 * STALL_SECONDS


@pytest.mark.parametrize("way", ["CONNECT", "raw TCP"])
def test_a_cut(ruled: Setting, way: str) -> None:
    """The events before it, and the end."""
    with ruled.connected(way).open() as client:
        answer = client.ask(ask_for("cut"))
    assert answer.end == "cut"
    assert b"content_block_start" in answer.body
    assert b"message_stop" not in answer.body


def test_a_made_stream(ruled: Setting, origins: Origins) -> None:
    """The API is asked for nothing but the carrier, so a program needs no key."""
    origins.clear()
    with ruled.connected().open() as client:
        answer = client.ask(ask_for("made"))
    assert answer.end == "cut"
    assert answer.body.count(b"data: ") == 5
    assert origins.received() == []
