"""Which tool the fake API calls unasked: nothing that could harm."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.proxy.upstream.fake.agent_loop import tool_to_call


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


def test_tools_that_the_client_does_not_run() -> None:
    """Those of the API itself, and those that take no JSON, are passed over."""
    search = {"type": "web_search_20250305", "name": "search"}
    assert chosen(search, {"type": "custom", "name": "read"}, {"type": 5, "name": "read"}, 3) == []
    assert chosen({"type": "function", "name": 5}) == []


@pytest.mark.parametrize(
    "conversation",
    [
        {"messages": [{"role": "tool"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{}]}, {"role": "user"}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]},
        {"input": [{"type": "function_call"}]},
        {"input": [{"type": "local_shell_call_output"}, {"role": "user"}]},
    ],
)
def test_one_call_is_enough(conversation: dict[str, Any]) -> None:
    """A program whose call failed, or went unanswered, is not asked again and again."""
    assert chosen(anthropic("read"), **conversation) == []
    assert chosen(anthropic("read"), messages=[{"role": "user", "content": "read"}]) == ["read"]
