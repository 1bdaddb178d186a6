"""The messages of requests, whatever the API."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.dialogue import turns_of

TEXT = [{"type": "text", "text": " one "}, {"type": "image"}, {"type": "text", "text": "two"}]


@pytest.mark.parametrize(
    ("document", "system", "turns"),
    [
        (None, "", []),
        ({"messages": "no list"}, "", [("user", "no list")]),
        ({"messages": 3}, "", []),
        ({"input": "hi", "previous_response_id": "resp_1"}, "", []),
        (
            {"system": " Be brief. ", "messages": [{"role": "user", "content": TEXT}]},
            "Be brief.",
            [("user", "one\ntwo")],
        ),
        (
            {
                "messages": [
                    {"role": "system", "content": "Be"},
                    {"role": "developer", "content": [{"type": "text", "text": "brief."}]},
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": None, "tool_calls": []},
                    {"role": "tool", "content": "42"},
                    "no message",
                ]
            },
            "Be\nbrief.",
            [("user", "hi"), ("assistant", ""), ("tool", "42")],
        ),
        (
            {
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [
                    {"role": "user", "parts": [{"text": "hi"}]},
                    {"role": "model", "parts": [{"text": "yes"}, {"functionCall": {}}]},
                    {"parts": [{"text": "go on"}]},
                ],
            },
            "Be brief.",
            [("user", "hi"), ("assistant", "yes"), ("user", "go on")],
        ),
        (
            {
                "instructions": "Be brief.",
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                    {"type": "reasoning", "summary": []},
                    {"type": "function_call", "name": "f", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "1", "output": "a"},
                    {"type": "function_call_output", "call_id": "2", "output": "b"},
                    {"role": "user", "content": "more"},
                    {"role": "user", "content": "still more"},
                ],
            },
            "Be brief.",
            [
                ("user", "hi"),
                ("assistant", ""),
                ("tool", ""),
                ("user", "more"),
                ("user", "still more"),
            ],
        ),
    ],
)
def test_turns(document: Any, system: str, turns: list[tuple[str, str]]) -> None:
    """Who says what, in order; the system prompt is apart."""
    found = turns_of(document)
    assert found[0] == system
    assert [(turn.role, turn.text) for turn in found[1]] == turns


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "input", "contents", "role", "content", "parts", "text"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_document_is_read(document: Any) -> None:
    """A stranger may send any."""
    system, turns = turns_of(document)
    assert system == system.strip()
    assert all(turn.role in ("user", "assistant", "tool") for turn in turns)
