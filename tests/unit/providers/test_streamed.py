"""The text of streams, whatever the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.framing import StreamEvent
from faultinject.providers.streamed import streamed_text


def text(*documents: Any) -> str:
    """Return the text of events with these JSON values."""
    return streamed_text(StreamEvent(b"", data=json.dumps(each).encode()) for each in documents)


THOUGHT = {"text": "x", "thought": True}


def block(index: int, kind: str, **said: str) -> dict[str, Any]:
    """Return a piece of a block of Anthropic's."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **said}}


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (
            [
                block(1, "text_delta", text=" a"),
                block(0, "thinking_delta", thinking="x"),
                block(2, "input_json_delta", partial_json="{"),
                block(1, "text_delta", text="b"),
                block(3, "text_delta", text="c "),
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            ],
            "ab\nc",
        ),
        (
            [
                {"type": "content-delta", "index": 0, "delta": {"message": {"content": each}}}
                for each in ({"text": "a"}, {"thinking": "x"}, {"text": "b"})
            ],
            "ab",
        ),
        ([{"contentBlockIndex": 0, "delta": {"text": each}} for each in "ab"], "ab"),
        (
            [
                {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
                {"choices": [{"delta": {"content": "a"}}, {"index": 1, "delta": {"content": "x"}}]},
                {"choices": [{"index": 1, "delta": {"content": "x"}}]},
                {"choices": [{"index": 0, "delta": {"content": "b", "reasoning": "x"}}]},
                {"choices": [{"index": 0, "text": "c"}]},
                {"choices": []},
            ],
            "abc",
        ),
        (
            [
                {"type": "response.output_text.delta", "output_index": 1, "delta": "a"},
                {"type": "response.output_text.delta", "output_index": 1, "delta": "b"},
                {"type": "response.output_text.delta", "delta": "first"},
                {"type": "response.reasoning_text.delta", "delta": "x"},
            ],
            "first\nab",
        ),
        (
            [{"candidates": [{"content": {"parts": [{"text": "a"}, THOUGHT, "odd"]}}]}],
            "a",
        ),
        ([{"message": {"content": "a"}, "done": False}, {"response": "b", "done": True}], "ab"),
        ([{"message": {"content": "x"}}, {"response": "x"}, 3, [], None], ""),
        ([{"candidates": [{"content": 1}]}, {"candidates": [{"content": {"parts": 1}}]}], ""),
    ],
)  # fmt: skip
def test_the_text_of_a_stream(documents: list[Any], said: str) -> None:
    """Each API writes it in another place; thoughts and what tools get are no text."""
    assert text(*documents) == said


def test_what_is_no_event_or_no_json() -> None:
    """It carries no text."""
    assert streamed_text([StreamEvent(b": x", is_event=False), StreamEvent(b"", data=b"{")]) == ""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "delta", "index", "type", "text", "choices", "content", "candidates", "parts",
                    "message", "done", "response", "contentBlockIndex", "output_index", "thought",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(VALUES, max_size=4))
def test_whatever_an_api_sends(documents: list[Any]) -> None:
    """It has a text, or none."""
    assert text(*documents) == text(*documents).strip()
