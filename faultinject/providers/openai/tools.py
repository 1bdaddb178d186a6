"""The tools that a request to OpenAI offers.

Chat Completions and Responses write the same facts differently; this reads both.
"""

from __future__ import annotations

from faultinject.providers.documents import ToolCall, entries, member, tool_call
from faultinject.providers.provider import Asked


def called(asked: Asked) -> ToolCall | None:
    """Return a call of the first function of the client's own.

    None if there is none, if it may not be called, or if the last message answers a call: a
    client that works until no tool is called comes to an end.
    """
    choice = asked.get("tool_choice")
    if choice == "none" or _answers(asked):
        return None
    functions = [tool for tool in entries(asked.get("tools")) if tool.get("type") == "function"]
    nested = (member(tool, "function") or tool for tool in functions)
    own = ((member(tool, "name"), member(tool, "parameters")) for tool in nested)
    return tool_call(own, wanted=member(choice, "function", "name") or member(choice, "name"))


def _answers(asked: Asked) -> bool:
    said = [*entries(asked.get("messages")), *entries(asked.get("input"))][-1:]
    return any(
        one.get("role") == "tool" or one.get("type") == "function_call_output" for one in said
    )
