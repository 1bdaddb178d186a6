"""Which tool the fake API calls unasked: nothing that could harm."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.proxy.upstream.fake.agent_loop import tool_to_call, with_harmless_tool


def anthropic(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": schema}


def chosen(*tools: Any, **request: Any) -> list[Any]:
    return [tool["name"] for tool in tool_to_call({"tools": list(tools), **request})]


@pytest.mark.parametrize(
    "name",
    ["Read", "read_file", "Glob", "grep", "LS", "list_directory", "getWeather", "search_x",
     "mcp__files__get_info"],
)  # fmt: skip
def test_what_looks_is_called(name: str) -> None:
    """By any spelling."""
    assert chosen(anthropic("Other"), anthropic(name)) == [name]


@pytest.mark.parametrize(
    "name",
    ["Write", "Edit", "delete_file", "get_or_create", "buy", "find_and_replace", "WebFetch",
     "listAndDelete", "Task", "f", "", "send_status", "update_plan", "apply_patch"],
)  # fmt: skip
def test_what_acts_or_says_nothing_is_not_called(name: str) -> None:
    """Whatever else its name says."""
    assert chosen(anthropic(name)) == []


def test_a_shell_is_the_last_resort() -> None:
    """And called only if a call needs nothing but its command."""
    command = {"command": {"type": "string"}, "sandbox": {"type": "string"}}
    bash = anthropic("Bash", properties=command, required=["command"])
    assert chosen(bash, anthropic("Read")) == ["Read"]
    assert chosen(bash) == ["Bash"]
    assert chosen({"type": "bash_20250124", "name": "bash"}) == ["bash"]
    assert chosen(anthropic("Bash", properties=command, required=["command", "sandbox"])) == []
    assert chosen(anthropic("run_code", properties=command)) == []


def test_only_what_a_call_needs_is_left_of_the_schema() -> None:
    """What can be left out may do what nobody knows."""
    schema = {"properties": {"path": {}, "depth": {}}, "required": ["path"]}
    left = {"properties": {"path": {}}, "required": ["path"]}
    [tool] = tool_to_call({"tools": [anthropic("read", **schema)]})
    assert tool == anthropic("read", **left)
    nested = {
        "type": "function",
        "function": {"name": "read", "parameters": schema, "strict": True},
    }
    [tool] = tool_to_call({"tools": [nested]})
    assert tool["function"] == {"name": "read", "parameters": left, "strict": True}
    for key in ("parameters", "parametersJsonSchema"):
        several = [{"name": "write", key: schema}, {"name": "read", key: schema}, 5]
        [tool] = tool_to_call({"tools": [{"functionDeclarations": several}]})
        assert tool == {"functionDeclarations": [{"name": "read", key: left}]}
    spec = {"name": "read", "inputSchema": {"json": schema}}
    [tool] = tool_to_call({"tools": [{"cachePoint": {"type": "default"}}, {"toolSpec": spec}]})
    assert tool == {"toolSpec": {"name": "read", "inputSchema": {"json": left}}}


def test_tools_that_the_client_does_not_run() -> None:
    """Those of the API itself, and those that take no JSON, are passed over."""
    search = {"type": "web_search_20250305", "name": "search"}
    assert chosen(search, {"type": "custom", "name": "read"}, {"type": 5, "name": "read"}, 3) == []
    assert chosen({"type": "function", "name": 5}) == []


def test_tools_of_odd_forms() -> None:
    """They are passed over, or called by the name that they have."""
    for odd in ("x", ["x"], [], 5, None, {"function": {}}):
        assert tool_to_call({"tools": [{"type": "function", "function": odd}]}) == []
        assert chosen({"function": odd, "toolSpec": odd, "name": "read"}) in (["read"], [])
    assert tool_to_call({"tools": [{"functionDeclarations": "read"}, "read", None]}) == []


@pytest.mark.parametrize(
    "conversation",
    [
        {"messages": [{"role": "tool"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{}]}, {"role": "user"}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]},
        {"input": [{"type": "function_call"}]},
        {"input": [{"type": "local_shell_call_output"}, {"role": "user"}]},
        {"contents": [{"role": "model", "parts": [{"functionCall": {}}]}]},
        {"contents": [{"role": "user", "parts": [{"functionResponse": {}}]}]},
        {"messages": [{"role": "assistant", "content": [{"toolUse": {}}]}]},
        {"messages": [{"role": "user", "content": [{"toolResult": {}}]}]},
    ],
)
def test_one_call_is_enough(conversation: dict[str, Any]) -> None:
    """A program whose call failed, or went unanswered, is not asked again and again."""
    assert chosen(anthropic("read"), **conversation) == []
    assert chosen(anthropic("read"), messages=[{"role": "user", "content": "read"}]) == ["read"]


READS, ACTS = {"name": "read"}, {"name": "delete"}


@pytest.mark.parametrize(
    ("shape", "offers", "left"),
    [
        ("chat", {"tools": [ACTS]}, {"tools": []}),
        ("chat", {}, {"tools": []}),
        ("gemini", {"tools": [{"functionDeclarations": [ACTS, READS]}]},
         {"tools": [{"functionDeclarations": [READS]}]}),
        ("gemini", {"request": {"tools": [{"functionDeclarations": [ACTS]}]}},
         {"request": {"tools": []}, "tools": []}),
        ("converse", {"toolConfig": {"tools": [{"toolSpec": ACTS}, {"toolSpec": READS}]}},
         {"toolConfig": {"tools": [{"toolSpec": READS}]}}),
        ("converse", {"toolConfig": "odd"}, {"toolConfig": "odd"}),
    ],
)  # fmt: skip
def test_where_each_api_has_its_tools(shape: str, offers: Any, left: Any) -> None:
    """What acts is gone, wherever it was offered."""
    assert with_harmless_tool(offers, shape) == left


@pytest.mark.parametrize(
    ("shape", "request_"),
    [
        ("converse", {"toolConfig": {"tools": [{"toolSpec": ACTS}], "toolChoice": {"any": {}}}}),
        ("converse", {"toolConfig": {"toolChoice": {"tool": {"name": "delete"}}}}),
        ("gemini", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}, "tools": [ACTS]}),
        ("cohere", {"tools": [{"function": ACTS}], "tool_choice": "REQUIRED"}),
    ],
)
def test_a_call_that_is_demanded(shape: str, request_: Any) -> None:
    """Each API says it in its own way, and then all tools are left."""
    assert with_harmless_tool(request_, shape) == request_
