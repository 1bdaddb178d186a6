"""A small MCP server's answers: two tools that only calculate and repeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faultinject.providers.documents import member
from faultinject.providers.mcp.marks import id_of, is_id
from faultinject.providers.shape import ApiRequest

_NUMBER = {"type": "number"}
TOOLS = [
    {
        "name": "echo",
        "description": "Repeats a text.",
        "inputSchema": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
        },
    },
    {
        "name": "add",
        "description": "Adds two numbers.",
        "inputSchema": {
            "type": "object",
            "properties": {"a": _NUMBER, "b": _NUMBER},
            "required": ["a", "b"],
        },
    },
]
VERSION = "2025-06-18"
"""The version that is spoken with a client that asks for none."""
_STEPS = 9
_LONGEST = 10_000


def answer(request: ApiRequest) -> dict[str, Any]:
    """Return the answer to a request, with its id."""
    begun = {"jsonrpc": "2.0", "id": id_of(request.document)}
    parameters = request.get("params")
    match request.get("method"):
        case "initialize":
            asked = member(parameters, "protocolVersion")
            return begun | {
                "result": {
                    "protocolVersion": asked if isinstance(asked, str) else VERSION,
                    "capabilities": {"tools": {"listChanged": False}},
                    "serverInfo": {"name": "faultinject", "version": "1"},
                }
            }
        case "ping":
            return begun | {"result": {}}
        case "tools/list":
            return begun | {"result": {"tools": TOOLS}}
        case "tools/call":
            return begun | called(member(parameters, "name"), member(parameters, "arguments"))
    return begun | {"error": {"code": -32601, "message": "Method not found"}}


def called(name: Any, arguments: Any) -> dict[str, Any]:
    """Return what the call of a tool has as its result, or the error if there is no such tool."""
    match name:
        case "echo":
            return _said(str(member(arguments, "text"))[:_LONGEST])
        case "add":
            numbers = [member(arguments, each) for each in ("a", "b")]
            if not all(isinstance(each, int | float) for each in numbers):
                return _failed("a and b must be numbers")
            try:
                return _said(str(sum(numbers)))
            except (OverflowError, ValueError):  # of thousands of digits
                return _failed("the sum is too large")
    return {"error": {"code": -32602, "message": "Unknown tool"}}


def _failed(why: str) -> dict[str, Any]:
    return _said(f"Error executing tool add: {why}", is_error=True)


def _said(text: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"result": {"content": [{"type": "text", "text": text}], "isError": is_error}}


def progress(request: ApiRequest) -> Iterator[dict[str, Any]]:
    """Yield what a call of a tool tells while it works."""
    if request.get("method") != "tools/call":
        return
    token = member(request.get("params"), "_meta", "progressToken")
    for step in range(1, _STEPS + 1):
        if not is_id(token):
            said = {"level": "info", "data": f"step {step} of {_STEPS}"}
            yield {"jsonrpc": "2.0", "method": "notifications/message", "params": said}
        else:
            told = {"progressToken": token, "progress": step, "total": _STEPS}
            yield {"jsonrpc": "2.0", "method": "notifications/progress", "params": told}
