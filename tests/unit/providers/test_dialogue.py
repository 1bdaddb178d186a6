"""The messages of requests, whatever the API."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.dialogue import MOST_MESSAGES, turns_of

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


def tools(document: Any) -> tuple[list[tuple[str, str, Any]], list[tuple[str, Any]]]:
    """Return the tools that a document's messages call, and the results that they bring."""
    _, turns = turns_of(document)
    calls = [call for turn in turns for call in turn.tool_calls]
    results = [result for turn in turns for result in turn.tool_results]
    return [(call.id, call.tool, call.arguments) for call in calls], results


@pytest.mark.parametrize(
    ("document", "calls", "results"),
    [
        (
            {
                "messages": [
                    {"role": "assistant", "content": [
                        {"type": "text", "text": "x"},
                        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                        {"type": "tool_use", "id": 3, "name": "f", "input": {}},
                    ]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": "done"},
                        {"type": "tool_result", "content": "lost"},
                    ]},
                ]
            },
            [("t1", "f", {"a": 1})],
            [("t1", "done")],
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [
                        {"id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}},
                        {"id": "c2", "function": {"name": "g", "arguments": "{"}},
                        {"id": "c3"},
                    ]},
                    {"role": "tool", "tool_call_id": "c1", "content": "done"},
                ]
            },
            [("c1", "f", {"a": 1}), ("c2", "g", "{")],
            [("c1", "done")],
        ),
        (
            {
                "input": [
                    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                    {"type": "custom_tool_call", "call_id": "c2", "name": "g", "arguments": "["},
                    {"type": "function_call_output", "call_id": "c1", "output": "done"},
                    {"type": "custom_tool_call_output", "call_id": "c2", "output": "too"},
                ]
            },
            [("c1", "f", {}), ("c2", "g", "[")],
            [("c1", "done"), ("c2", "too")],
        ),
    ],
)  # fmt: skip
def test_tools(
    document: Any, calls: list[tuple[str, str, Any]], results: list[tuple[str, Any]]
) -> None:
    """What the model calls, and what comes of it."""
    assert tools(document) == (calls, results)


def test_many_items_of_one_turn() -> None:
    """They are one message."""
    many = MOST_MESSAGES // 3
    items = [{"type": "reasoning", "content": text} for text in ("a", "", "b")] * many
    _, [turn] = turns_of({"input": items})
    assert turn.role == "assistant"
    assert turn.text == "a\nb\n" * (many - 1) + "a\nb"
    assert turn.values == tuple(items)


def test_a_conversation_that_would_hold_up_others() -> None:
    """8 MiB may have millions of messages."""
    message = {"role": "user", "content": "hi"}
    assert len(turns_of({"messages": [message] * MOST_MESSAGES})[1]) == MOST_MESSAGES
    assert turns_of({"system": "x", "messages": [message] * (MOST_MESSAGES + 1)}) == ("", [])
