"""Which tool the fake API calls when a program offers some, so that an agent's loop runs.

The program really does what the call says. So a tool that nobody demands is called only if its name
shows that it just reads something, or if it is a shell, which gets a command that prints a word. If
there is no such tool, the response is a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faultinject.providers.documents import entries, member, requires_tool_call
from faultinject.providers.schema_values import needed, words_of
from faultinject.providers.shape import ApiRequest

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
"""How the types of calls and of their results end, in all of the APIs that name a type."""
_MEMBERS = frozenset({"toolUse", "toolResult", "functionCall", "functionResponse"})
"""The members that a call or its result is, in Converse and at Gemini."""

Document = dict[str, Any]


def with_harmless_tool(request: Document, shape: str = "") -> Document:
    """Return a request that offers the tool to call at most, by the name of what it speaks.

    A request that demands a call keeps its tools.
    """
    inner = request.get("request")
    if shape == "gemini" and isinstance(inner, dict):  # of Gemini CLI with a login
        request = request | {"request": with_harmless_tool(inner)}
    if requires_tool_call(ApiRequest("", request)):
        return request
    if shape != "converse":
        return request | {"tools": tool_to_call(request)}
    config = request.get("toolConfig")
    if not isinstance(config, dict):
        return request
    tools = tool_to_call(request | {"tools": config.get("tools")})
    return request | {"toolConfig": config | {"tools": tools}}


def tool_to_call(request: Document) -> list[Document]:
    """Return the tool to call though the request does not demand one: a list of none or one.

    It is empty if the conversation has a call already: the result of the first call ends the loop.
    The tool's schema is reduced to what a call requires.
    """
    if _has_called(request):
        return []
    offered = [tool for tool in _each(request.get("tools")) if _runs_at_client(tool)]
    for fits in (_only_reads, _is_shell):
        for tool in offered:
            if fits(tool):
                return [_reduced(tool)]
    return []


def _each(tools: Any) -> Iterator[Document]:
    """Yield each tool: Gemini has several functions in one."""
    for tool in entries(tools):
        functions = entries(tool.get("functionDeclarations"))
        yield from ({"functionDeclarations": [each]} for each in functions)
        if not functions:
            yield tool


def _has_called(request: Document) -> bool:
    return any(
        item.get("role") == "tool" or item.get("tool_calls") or _is_call(item)
        for key in ("messages", "input", "contents")
        for message in entries(request.get(key))
        for part in ("content", "parts")
        for item in (message, *entries(message.get(part)))
    )


def _is_call(item: Document) -> bool:
    kind = item.get("type")
    return (isinstance(kind, str) and kind.endswith(_CALLS)) or not _MEMBERS.isdisjoint(item)


def _runs_at_client(tool: Document) -> bool:
    """Return True if the client itself runs a tool, and takes JSON for it."""
    kind = tool.get("type")
    return (
        kind == "function"
        or not tool.keys().isdisjoint(("input_schema", *_WRAPPERS))
        or (isinstance(kind, str) and kind.startswith("bash_"))
    )


_WRAPPERS = ("function", "toolSpec", "functionDeclarations")
"""The members that hold a tool's name and schema, at the APIs that have one more object there."""
_SCHEMAS = ("input_schema", "parameters", "parametersJsonSchema")


def _described(tool: Document) -> Document:
    """Return the object that has a tool's name and schema."""
    found = next((tool[name] for name in _WRAPPERS if name in tool), tool)
    inner = next(iter(found), None) if isinstance(found, list) else found
    return inner if isinstance(inner, dict) else tool


def _name(tool: Document) -> str:
    name = _described(tool).get("name")
    return name if isinstance(name, str) else ""


def _schema(tool: Document) -> Any:
    inner = _described(tool)
    found = next((inner[name] for name in _SCHEMAS if inner.get(name)), None)
    return found or member(inner, "inputSchema", "json")


def _only_reads(tool: Document) -> bool:
    words = set(words_of(_name(tool)))
    return bool(words & _READ_WORDS) and not words & _ACTION_WORDS


def _is_shell(tool: Document) -> bool:
    schema = needed(_schema(tool))
    fields = member(schema, "properties")
    fits = not isinstance(fields, dict) or set(fields) <= _SHELL_FIELDS
    return _name(tool).lower() in _SHELLS and fits


def _reduced(tool: Document) -> Document:
    for name in _WRAPPERS:
        if name in tool:
            found = tool[name]
            is_list = isinstance(found, list)
            return tool | {name: [_needed(each) for each in found] if is_list else _needed(found)}
    return {**tool, **_needed(tool)}


def _needed(described: Any) -> Any:
    """Return an object with a tool's schema, which is reduced to what a call requires."""
    if not isinstance(described, dict):
        return described
    left = {name: needed(described[name]) for name in _SCHEMAS if name in described}
    if isinstance(described.get("inputSchema"), dict):
        left["inputSchema"] = {"json": needed(described["inputSchema"].get("json"))}
    return described | left
