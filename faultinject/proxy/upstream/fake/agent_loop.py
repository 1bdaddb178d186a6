"""Which tool the fake API calls when a program offers some: so that an agent's loop is played.

A program does what the call says. So a tool is called unasked only if its name says that it looks
at something and nothing else, or if it is a shell, which is given a command that prints a word. Of
other tools nothing is known, and a text is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faultinject.providers.documents import entries, member
from faultinject.providers.tool_arguments import needed, words_of

_LOOKS = frozenset(
    {"calculate", "calculator", "count", "date", "describe", "echo", "example", "find",
     "get", "glob", "grep", "info", "list", "lookup", "look", "ls", "multiply", "ping",
     "query", "read", "search", "show", "status", "sum", "temperature", "time", "version",
     "view", "weather"}
)  # fmt: skip
_ACTS = frozenset(
    {"act", "action", "add", "agent", "apply", "approve", "archive", "assign", "ban",
     "block", "book", "browser", "build", "buy", "call", "cancel", "charge", "clean",
     "clear", "click", "close", "commit", "computer", "copy", "create", "delete", "deploy",
     "disable", "download", "drop", "edit", "email", "enable", "exec", "execute", "export",
     "fetch", "fix", "flush", "format", "generate", "grant", "import", "insert", "install",
     "invite", "kill", "launch", "lock", "login", "make", "mark", "merge", "message",
     "migrate", "modify", "move", "notify", "open", "order", "patch", "pay", "play", "post",
     "publish", "purchase", "purge", "push", "put", "refund", "remove", "rename", "replace",
     "reset", "restart", "restore", "revoke", "rm", "rotate", "run", "save", "schedule",
     "send", "set", "shell", "sign", "spawn", "start", "stop", "submit", "subscribe",
     "sync", "task", "terminal", "toggle", "transfer", "type", "unlock", "update", "upload",
     "web", "wipe", "write"}
)  # fmt: skip
_SHELLS = frozenset(
    {"bash", "shell", "local_shell", "exec_command", "run_shell_command", "run_command",
     "execute_command", "terminal", "run_terminal_cmd", "run_in_terminal"}
)  # fmt: skip
_OF_SHELLS = frozenset({"command", "cmd", "description", "explanation"})
"""What a shell's call may need, so that nothing but the command decides what it does."""
_CALLS = ("_call", "_call_output", "tool_use", "tool_result")
"""How the types of calls and of their results end, in any of the APIs."""


def offer_to_call(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tool of a request that is called though nobody demands it; none, or one.

    None if the conversation has a call already: the result of the first ends the loop. The tool's
    schema is cut down to what a call needs.
    """
    if _has_called(request):
        return []
    offered = [tool for tool in entries(request.get("tools")) if _is_clients(tool)]
    for fits in (_looks, _is_shell):
        for tool in offered:
            if fits(tool):
                return [_with_needed(tool)]
    return []


def _has_called(request: dict[str, Any]) -> bool:
    return any(
        said.get("role") == "tool" or said.get("tool_calls") or _is_call(said)
        for key in ("messages", "input")
        for message in entries(request.get(key))
        for said in (message, *entries(message.get("content")))
    )


def _is_call(said: dict[str, Any]) -> bool:
    kind = said.get("type")
    return isinstance(kind, str) and kind.endswith(_CALLS)


def _is_clients(tool: dict[str, Any]) -> bool:
    """Whether the client itself runs a tool, and takes JSON for it."""
    kind = tool.get("type")
    return (
        kind == "function"
        or "input_schema" in tool
        or (isinstance(kind, str) and kind.startswith("bash_"))
    )


def _name(tool: dict[str, Any]) -> str:
    name = member(tool, "function", "name") or tool.get("name")
    return name if isinstance(name, str) else ""


def _schema(tool: dict[str, Any]) -> Any:
    return (
        tool.get("input_schema") or tool.get("parameters") or member(tool, "function", "parameters")
    )


def _looks(tool: dict[str, Any]) -> bool:
    words = set(words_of(_name(tool)))
    return bool(words & _LOOKS) and not words & _ACTS


def _is_shell(tool: dict[str, Any]) -> bool:
    schema = needed(_schema(tool))
    wants = member(schema, "properties")
    fits = not isinstance(wants, dict) or set(wants) <= _OF_SHELLS
    return _name(tool).lower() in _SHELLS and fits


def _with_needed(tool: dict[str, Any]) -> dict[str, Any]:
    return dict(_cut_down(tool))


def _cut_down(tool: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in tool.items():
        if key in ("input_schema", "parameters"):
            yield key, needed(value)
        elif key == "function" and isinstance(value, dict):
            yield key, dict(_cut_down(value))
        else:
            yield key, value
