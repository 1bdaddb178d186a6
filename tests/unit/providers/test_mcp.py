"""What is peculiar to MCP: ids, results that are failures, and the end of a stream."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from faultinject.providers.framing import StreamEvent
from faultinject.providers.mcp import PROVIDER, json_rpc
from faultinject.providers.mcp.json_rpc import is_answer, without_number
from faultinject.providers.mcp.marks import id_of, resumable, resumed_id
from faultinject.providers.mcp.tool_server import called, progress
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


@pytest.mark.parametrize("number", [7, -1, 10**30, "7", "a-1", "7-x", "a\n\ndata: b", "\ud800é"])
def test_ids_of_events(number: int | str) -> None:
    """They say which request they are of, and are one line whatever its id is."""
    [event] = events_of(resumable(number))
    assert event.data == b""
    assert event.raw.count(b"\n") == 4
    assert resumed_id(event.raw.split(b"\n")[0].removeprefix(b"id: ")) == number


@pytest.mark.parametrize(
    "event_id",
    [
        b"x",
        b"\xb2-resumed",
        b"-resumed",
        b"[1]-resumed",
        b"null-resumed",
        b"[" * 10**5 + b"-resumed",
    ],
    ids=lambda event_id: event_id[:9],
)
def test_events_that_nobody_sent(event_id: bytes) -> None:
    """Their ids stand for no request."""
    assert resumed_id(event_id) is None


@pytest.mark.parametrize("value", [None, True, 1.5, math.nan, [], {"a": 1}])
def test_what_is_no_id(value: Any) -> None:
    """It is not repeated in an error: it may be of any depth."""
    assert id_of(CALL | {"id": value}) is None
    assert error(Failure(500), CALL | {"id": value})["id"] is None


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        (1, 2, "3"),
        (10**400, 1.5, "Error executing tool add: the sum is too large"),
        (10**4299 * 9, 10**4299 * 9, "Error executing tool add: the sum is too large"),
        ("1", 2, "Error executing tool add: a and b must be numbers"),
    ],
    ids=["small", "no float", "no text", "a text"],
)
def test_sums(a: Any, b: Any, text: str) -> None:
    """A sum that cannot be written is an error of the tool."""
    result = called("add", {"a": a, "b": b})["result"]
    assert (result["content"][0]["text"], result["isError"]) == (text, text != "3")


def test_progress_goes_by_a_token() -> None:
    """If it can be one."""
    for token, method in ((1, "progress"), ("a", "progress"), ([], "message"), (None, "message")):
        asked = ApiRequest("", CALL | {"params": {"_meta": {"progressToken": token}}})
        assert {each["method"] for each in progress(asked)} == {f"notifications/{method}"}


def test_what_differs_between_attempts() -> None:
    """The number and what is about the request itself."""
    message = CALL | {"params": {"a": 1, "_meta": {}}}
    assert without_number(message) == {
        "jsonrpc": "2.0", "method": "tools/call", "params": {"a": 1},
    }  # fmt: skip
    assert without_number(CALL | {"params": []})["params"] == []
    assert without_number([1]) == [1]
