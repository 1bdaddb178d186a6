"""The messages of a request to a model, whatever the API: who says what, and the system prompt.

For Anthropic's Messages, OpenAI's Chat Completions and Responses, and those that speak like them
(``messages`` or ``input``), and for Gemini (``contents``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from attrs import define, frozen

_SYSTEM = ("system", "developer")
_MESSAGES_KEYS = ("messages", "contents", "input")
_SYSTEM_KEYS = ("system", "instructions", "systemInstruction")
_PLAIN_KEYS = frozenset({"role", "content"})
_ROLES = {"assistant": "assistant", "model": "assistant", "tool": "tool", "function": "tool"}
_OF_ASSISTANT = ("function_call", "reasoning", "custom_tool_call")

MOST_MESSAGES = 20_000
"""A conversation of more is not looked at: nothing else is done meanwhile, a tenth of a second for
so many. Agents have hundreds."""


@frozen(eq=False, repr=False)
class CalledTool:
    """A tool that the model calls."""

    id: str
    tool: str
    """The tool's name."""
    arguments: Any
    """A JSON value."""


@define(eq=False, repr=False)
class Turn:
    """One message. Nobody changes it; not frozen, since to make such a one takes longer."""

    role: str
    """``user``, ``assistant`` or ``tool``."""
    text: str
    """All of its text together, without blanks at its ends; empty without text."""
    values: tuple[Any, ...]
    """The JSON values that it is of."""
    tool_calls: tuple[CalledTool, ...] = ()
    """The tools that the model calls in it."""
    tool_results: tuple[tuple[str, Any], ...] = ()
    """The results that it brings, each with the id of its call."""


def turns_of(document: Any) -> tuple[str, list[Turn]]:
    """Return the text of the system prompt (empty without one), and the messages in order.

    There are none if the request does not say them all: a Responses request that goes on from
    ``previous_response_id``, or an API that is not known; nor of more than `MOST_MESSAGES`.
    """
    if not isinstance(document, dict) or document.get("previous_response_id") is not None:
        return "", []
    given: Any = ()
    for key in _MESSAGES_KEYS:
        if key in document:
            given = document[key]
            break
    if isinstance(given, list) and len(given) > MOST_MESSAGES:
        return "", []
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    system = [document[key] for key in _SYSTEM_KEYS if key in document]
    turns = []
    for item in given if isinstance(given, list) else ():
        if isinstance(item, dict):
            if item.get("role") in _SYSTEM:
                system.append(item)
            else:
                turns.append(_turn(item))
    texts = [text for each in system if (text := _text(each))]
    return "\n".join(texts), _joined(turns) if "input" in document else turns


def _turn(item: dict[str, Any]) -> Turn:
    content = item.get("content")
    if isinstance(content, str) and item.keys() == _PLAIN_KEYS and item["role"] != "tool":
        said = item["role"]  # as most are
        role = _ROLES.get(said, "user") if isinstance(said, str) else "user"
        return Turn(role, content.strip(), (item,))
    kind = item.get("type")
    if kind in _OF_ASSISTANT:
        role = "assistant"
    elif isinstance(kind, str) and kind.endswith("_call_output"):
        role = "tool"
    else:
        said = item.get("role")
        role = _ROLES.get(said, "user") if isinstance(said, str) else "user"
    return Turn(role, _text(item), (item,), tuple(_calls(item)), tuple(_results(item)))


def _joined(turns: list[Turn]) -> list[Turn]:
    """Return the turns of a Responses request: items of the assistant, or of tools, are one."""
    groups: list[list[Turn]] = []
    for turn in turns:
        if groups and turn.role == groups[-1][0].role != "user":
            groups[-1].append(turn)
        else:
            groups.append([turn])
    return [group[0] if len(group) == 1 else _as_one(group) for group in groups]


def _as_one(turns: list[Turn]) -> Turn:
    return Turn(
        turns[0].role,
        "\n".join([each.text for each in turns if each.text]),
        tuple([value for each in turns for value in each.values]),
        tuple([call for each in turns for call in each.tool_calls]),
        tuple([result for each in turns for result in each.tool_results]),
    )


def _calls(item: dict[str, Any]) -> Iterator[CalledTool]:
    """Return the tools called in a message: Anthropic's, Chat's, and an item of Responses."""
    if item.get("type") in ("function_call", "custom_tool_call"):
        yield from _call(item.get("call_id"), item.get("name"), item.get("arguments"))
    for part in _objects(item.get("content")):
        if part.get("type") == "tool_use":
            yield from _call(part.get("id"), part.get("name"), part.get("input"))
    for each in _objects(item.get("tool_calls")):
        function = each.get("function")
        if isinstance(function, dict):
            yield from _call(each.get("id"), function.get("name"), function.get("arguments"))


def _call(call_id: Any, tool: Any, arguments: Any) -> Iterator[CalledTool]:
    if not isinstance(call_id, str) or not isinstance(tool, str):
        return
    if isinstance(arguments, str):  # OpenAI's are JSON within JSON
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
    yield CalledTool(call_id, tool, arguments)


def _results(item: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return the results of tools in a message, each with the id of its call."""
    kind = item.get("type")
    found = [(item.get("tool_call_id"), item.get("content"))] if item.get("role") == "tool" else []
    if isinstance(kind, str) and kind.endswith("_call_output"):
        found.append((item.get("call_id"), item.get("output")))
    parts = [part for part in _objects(item.get("content")) if part.get("type") == "tool_result"]
    found += [(part.get("tool_use_id"), part.get("content")) for part in parts]
    return ((call_id, result) for call_id, result in found if isinstance(call_id, str))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


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
