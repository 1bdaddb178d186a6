"""What is peculiar to MCP: ids, results that are failures, and the end of a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faultinject.providers.framing import StreamEvent
from faultinject.providers.mcp import PROVIDER, json_rpc
from faultinject.providers.mcp.json_rpc import is_answer, resumable, resumed_id, without_number
from faultinject.providers.shape import ApiRequest, Failure
from tests.unit.providers.support import events_of, fields_of

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}


def error(failure: Failure, document: Any = None) -> Any:
    """Return an error document as JSON."""
    fields = fields_of(PROVIDER, ApiRequest("/mcp", document))
    return json.loads(PROVIDER.error_body(failure, fields))


@pytest.mark.parametrize(
    ("failure", "document", "number", "code"),
    [
        (Failure(500), CALL, 7, -32603),
        (Failure(429), CALL, 7, -32000),
        (Failure(200), CALL, 7, -32603),
        (Failure(404), CALL, None, -32001),
        (Failure(500, code="-7"), CALL | {"id": "x"}, "x", -7),
        (Failure(500, code="word"), None, None, -32603),
        (PROVIDER.failures["tool-error"], CALL | {"method": "ping"}, 7, -32603),
    ],
)
def test_errors(failure: Failure, document: Any, number: object, code: int) -> None:
    """They have the id of the request, unless they are about the session."""
    found = error(failure, document)
    assert (found["id"], found["error"]["code"]) == (number, code)


def test_details_are_data() -> None:
    """JSON-RPC has a place for them."""
    assert error(Failure(500, details={"a": 1}))["error"]["data"] == {"a": 1}


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_is_asked_for(status: int) -> None:
    """In OAuth's words."""
    assert "error_description" in error(Failure(status))
    [(name, value)] = json_rpc.retry_headers(Failure(status))
    assert (name, value[:7]) == (b"WWW-Authenticate", b"Bearer ")


@pytest.mark.parametrize(
    ("data", "is_last"),
    [
        ({"jsonrpc": "2.0", "id": 1, "result": {"method": "x"}}, True),
        ({"jsonrpc": "2.0", "id": 1, "error": {}}, True),
        ({"jsonrpc": "2.0", "method": "x", "params": {"result": 1}}, False),
        ({"jsonrpc": "2.0", "id": 1, "method": "ask", "params": {}}, False),
        ([], False),
    ],
)
def test_what_ends_a_stream(data: Any, is_last: bool) -> None:
    """An answer does; also if only its beginning was kept."""
    whole = json.dumps(data, separators=(",", ":")).encode()
    assert is_answer(StreamEvent(b"", "message", whole)) is is_last
    assert is_answer(StreamEvent(b"", "message", whole[:-1])) is is_last


@pytest.mark.parametrize("number", [7, "a-1", "7-x"])
def test_ids_of_events(number: object) -> None:
    """They say which request they are of."""
    [event] = events_of(resumable(number))
    assert event.data == b""
    text = event.raw.split(b"\n")[0].removeprefix(b"id: ").decode()
    assert resumed_id(text) == number
    assert resumed_id("x") is None


def test_what_differs_between_attempts() -> None:
    """The number and what is about the request itself."""
    message = CALL | {"params": {"a": 1, "_meta": {}}}
    assert without_number(message) == {
        "jsonrpc": "2.0", "method": "tools/call", "params": {"a": 1},
    }  # fmt: skip
    assert without_number(CALL | {"params": []})["params"] == []
    assert without_number([1]) == [1]
