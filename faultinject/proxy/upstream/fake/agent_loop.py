"""Which tool the fake API calls when a program offers some, so that an agent's loop runs.

The program really does what the call says. So a tool that nobody demands is called only if its name
shows that it just reads something, or if it is a shell, which gets a command that prints a word. If
there is no such tool, the response is a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faultinject.providers.documents import entries, member
from faultinject.providers.tool_arguments import needed, words_of

_READ_WORDS = frozenset(
    {"calculate", "calculator", "count", "date", "describe", "echo", "example", "find",
     "get", "glob", "grep", "info", "list", "lookup", "look", "ls", "multiply", "ping",
     "query", "read", "search", "show", "status", "sum", "temperature", "time", "version",
     "view", "weather"}
)  # fmt: skip
_ACTION_WORDS = frozenset(
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
_SHELL_FIELDS = frozenset({"command", "cmd", "description", "explanation"})
"""The parameters that a shell may require, so that the command alone decides what it does."""
_CALLS = ("_call", "_call_output", "tool_use", "tool_result")
"""How the types of calls and of their results end, in all of the APIs."""


def tool_to_call(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tool to call though the request does not demand one: a list of none or one.

    It is empty if the conversation has a call already: the result of the first call ends the loop.
    The tool's schema is reduced to what a call requires.
    """
    if _has_called(request):
        return []
    offered = [tool for tool in entries(request.get("tools")) if _runs_at_client(tool)]
    for fits in (_only_reads, _is_shell):
        for tool in offered:
            if fits(tool):
                return [_reduced(tool)]
    return []


def _has_called(request: dict[str, Any]) -> bool:
    return any(
        item.get("role") == "tool" or item.get("tool_calls") or _is_call(item)
        for key in ("messages", "input")
        for message in entries(request.get(key))
        for item in (message, *entries(message.get("content")))
    )


def _is_call(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind.endswith(_CALLS)


def _runs_at_client(tool: dict[str, Any]) -> bool:
    """Return True if the client itself runs a tool, and takes JSON for it."""
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


def _only_reads(tool: dict[str, Any]) -> bool:
    words = set(words_of(_name(tool)))
    return bool(words & _READ_WORDS) and not words & _ACTION_WORDS


def _is_shell(tool: dict[str, Any]) -> bool:
    schema = needed(_schema(tool))
    fields = member(schema, "properties")
    fits = not isinstance(fields, dict) or set(fields) <= _SHELL_FIELDS
    return _name(tool).lower() in _SHELLS and fits


def _reduced(tool: dict[str, Any]) -> dict[str, Any]:
    return dict(_reduced_items(tool))


def _reduced_items(tool: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in tool.items():
        if key in ("input_schema", "parameters"):
            yield key, needed(value)
        elif key == "function" and isinstance(value, dict):
            yield key, dict(_reduced_items(value))
        else:
            yield key, value
