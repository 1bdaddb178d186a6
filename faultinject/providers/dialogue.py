"""The messages of a request to a model, whatever the API: who says what, and the system prompt.

For Anthropic's Messages, OpenAI's Chat Completions and Responses, and those that speak like them
(``messages`` or ``input``), and for Gemini (``contents``).
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

_SYSTEM = ("system", "developer")
_ROLES = {"assistant": "assistant", "model": "assistant", "tool": "tool", "function": "tool"}
_OF_ASSISTANT = ("function_call", "reasoning", "custom_tool_call")


@frozen
class Turn:
    """One message."""

    role: str
    """``user``, ``assistant`` or ``tool``."""
    text: str
    """All of its text together, without blanks at its ends; empty without text."""
    values: tuple[Any, ...]
    """The JSON values that it is of."""


def turns_of(document: Any) -> tuple[str, list[Turn]]:
    """Return the text of the system prompt (empty without one), and the messages in order.

    There are none if the request does not say them all: a Responses request that goes on from
    ``previous_response_id``, or an API that is not known.
    """
    if not isinstance(document, dict) or document.get("previous_response_id") is not None:
        return "", []
    given = next(
        (document[key] for key in ("messages", "contents", "input") if key in document), ()
    )
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    items = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    told = [document.get(key) for key in ("system", "instructions", "systemInstruction")]
    system = [*told, *(item for item in items if item.get("role") in _SYSTEM)]
    texts = [text for each in system if (text := _text(each))]
    turns = [_turn(item) for item in items if item.get("role") not in _SYSTEM]
    return "\n".join(texts), _joined(turns) if "input" in document else turns


def _turn(item: dict[str, Any]) -> Turn:
    kind = item.get("type")
    if kind in _OF_ASSISTANT:
        role = "assistant"
    elif isinstance(kind, str) and kind.endswith("_call_output"):
        role = "tool"
    else:
        said = item.get("role")
        role = _ROLES.get(said, "user") if isinstance(said, str) else "user"
    return Turn(role, _text(item), (item,))


def _joined(turns: list[Turn]) -> list[Turn]:
    """Return the turns of a Responses request: items of the assistant, or of tools, are one."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and turn.role == joined[-1].role != "user":
            last = joined.pop()
            text = f"{last.text}\n{turn.text}".strip()
            turn = Turn(turn.role, text, (*last.values, *turn.values))
        joined.append(turn)
    return joined


def _text(value: Any) -> str:
    """Return the text of a message or of a part of it."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "\n".join(text for each in value if (text := _part_text(each)))
    if isinstance(value, dict):
        return _text(next((value[key] for key in ("content", "parts") if key in value), None))
    return ""


def _part_text(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text.strip() if isinstance(text, str) else ""
