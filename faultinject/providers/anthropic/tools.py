"""The tools that a request to Anthropic offers, and which of them a made answer calls.

https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview. Knows nothing of messages
and streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faultinject.providers.documents import ToolCall, entries, member, tool_call
from faultinject.providers.provider import Asked

_PATH = {"type": "string"}
_RUN_BY_THE_CLIENT: dict[str, Any] = {
    "bash": {"properties": {"command": {"type": "string"}}},
    "text_editor": {"properties": {"command": {"enum": ["view"]}, "path": _PATH}},
    "computer": {"properties": {"action": {"enum": ["screenshot"]}}},
    "memory": {"properties": {"command": {"enum": ["view"]}, "path": {"enum": ["/memories"]}}},
}
"""Tools that the API defines and the client runs, by their type without its date.

A request gives no schema for them; of what they can do this is what only looks."""


def called(asked: Asked) -> ToolCall | None:
    """Return a call of the first tool that the client runs.

    None if there is none, if it may not be called, or if the last message answers a call: a
    client that works until no tool is called comes to an end.
    """
    choice = asked.get("tool_choice")
    if member(choice, "type") == "none" or _answers(asked):
        return None
    return tool_call(_own(asked), wanted=member(choice, "name"))


def _answers(asked: Asked) -> bool:
    return any(
        part.get("type") == "tool_result"
        for message in entries(asked.get("messages"))[-1:]
        for part in entries(message.get("content"))
    )


def _own(asked: Asked) -> Iterator[tuple[Any, Any]]:
    """Yield names and schemas of all tools but those that the API runs itself (web search, say)."""
    for tool in entries(asked.get("tools")):
        kind = tool.get("type") or "custom"
        family = kind.rpartition("_")[0] if isinstance(kind, str) else ""
        if "input_schema" in tool or kind == "custom":
            yield tool.get("name"), tool.get("input_schema")
        elif family in _RUN_BY_THE_CLIENT:
            yield tool.get("name"), _RUN_BY_THE_CLIENT[family]
