"""What rules may ask of a request."""

from __future__ import annotations

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.http.message import Headers, RequestHead
from faultinject.matchers import MISSING
from faultinject.providers.mcp import PROVIDER as MCP
from faultinject.providers.told import Apis
from faultinject.rules.facts import Facts, Way, tools_in


def facts(target: bytes, method: bytes = b"POST") -> Facts:
    return Facts("h", 443, RequestHead(method, target, ()))


def test_the_method_is_as_it_was_sent() -> None:
    """Methods have a case (RFC 9110 section 9.1)."""
    assert facts(b"/", b"pAtch").method == "pAtch"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v1/messages", "/v1/messages"),
        (b"/v1/messages?key=secret", "/v1/messages"),
        (b"/?a?b", "/"),
        (b"*", "*"),
        (b"/%2F/..//a;b", "/%2F/..//a;b"),
        (b"/\xff", "/\\xff"),
    ],
)
def test_the_path_is_as_it_was_sent_without_the_query(target: bytes, path: str) -> None:
    """Nothing is decoded or made shorter."""
    assert facts(target).path == path


@given(st.binary())
def test_any_target_has_a_path(target: bytes) -> None:
    """That can be printed."""
    facts(target).path.encode("ascii")


# -- the rest of the head -----------------------------------------------------------------------


def with_headers(*headers: tuple[bytes, bytes]) -> Facts:
    return Facts("api.openai.com", 443, RequestHead(b"POST", b"/x", headers))


def test_headers_have_no_case_and_may_come_twice() -> None:
    """Their values are in order; bytes that are no ASCII do not matter."""
    asked = with_headers((b"X-A", b"1"), (b"x-b", b"\xe9"), (b"x-a", b"2"))
    assert asked.headers == {b"x-a": (b"1", b"2"), b"x-b": (b"\xe9",)}
    assert (asked.header(b"x-a"), asked.header(b"x-b")) == (("1", "2"), ("\xe9",))
    assert asked.header(b"x-c") == ()


def test_the_client_is_what_it_calls_itself() -> None:
    """Or nothing."""
    assert with_headers((b"User-Agent", b"curl/8")).client == "curl/8"
    assert with_headers().client == ""


@pytest.mark.parametrize(
    ("text", "count"),
    [(b"0", 0), (b"12", 12), (b"", None), (b"-1", None), (b"x", None), (b"9" * 30, None)],
)
def test_the_sdks_say_how_often_they_tried(text: bytes, count: int | None) -> None:
    """In a header of theirs; nonsense in it is nothing."""
    asked = with_headers((b"X-Stainless-Retry-Count", text))
    assert asked.retry_count == count


def test_the_query_is_decoded() -> None:
    """A parameter may have no value, or several."""
    assert facts(b"/?a=1&b=%20&a=2&c").query == {"a": ("1", "2"), "b": (" ",), "c": ("",)}
    assert facts(b"/").query == {}


def test_a_parameter_has_its_values_in_order() -> None:
    """Or none."""
    assert facts(b"/?a=1&b=%20&a=2").parameter("a") == ("1", "2")
    assert facts(b"/?a=1").parameter("b") == facts(b"/").parameter("a") == ()


def test_the_api_is_known_by_path_and_host() -> None:
    """And any other is a plain one."""
    assert facts(b"/v1/messages?x").provider.name == "anthropic"
    assert with_headers().provider.name == "openai"
    assert facts(b"/").provider.name == "plain"


# -- the body -----------------------------------------------------------------------------------


def with_body(body: bytes | None) -> Facts:
    return Facts("h", 443, RequestHead(b"POST", b"/", ()), body)


def test_what_the_body_says() -> None:
    """As Anthropic's and OpenAI's APIs have it."""
    tools = (
        b'[{"name": "a"}, {"type": "function", "function": {"name": "b"}}, {"type": "c"}, 4, {}]'
    )
    asked = with_body(b'{"model": "m", "stream": true, "tools": %s}' % tools)
    assert (asked.model, asked.stream, asked.tools) == ("m", True, ("a", "b", "c", "", ""))
    assert asked.json["model"] == "m"
    declared = [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}, {"googleSearch": {}}]
    assert tools_in({"tools": declared}) == ("a", "b", "")
    assert tools_in({"toolConfig": {"tools": [{"toolSpec": {"name": "a"}}]}}) == ("a",)


@pytest.mark.parametrize("body", [None, b"", b"no JSON", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json(body: bytes | None) -> None:
    """Says nothing."""
    asked = with_body(body)
    assert (asked.json, asked.model, asked.stream, asked.tools) == (MISSING, None, False, ())


@given(
    st.binary()
    | st.builds(
        lambda value, left, right, encoding: (left + json.dumps(value) + right).encode(encoding),
        st.recursive(
            st.text() | st.integers() | st.floats() | st.booleans(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
        st.sampled_from(["", " ", "\n", "\ufeff", "x"]),
        st.sampled_from(["", "\r\n", "\t ", "\x0b", "\x00", "{}", "]"]),
        st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]),
    )
)
def test_json_is_what_the_standard_library_takes_for_it(body: bytes) -> None:
    """In whichever encoding; what is taken by a shorter way is the same."""
    try:
        expected = repr(json.loads(body))  # its text, for NaN is not itself
    except (ValueError, RecursionError):
        expected = repr(MISSING)
    assert repr(with_body(body).json) == expected


def test_a_body_may_be_added_later() -> None:
    """Asked before, there was none."""
    asked = with_body(None)
    assert asked.json is MISSING
    asked.body = b'{"model": "m"}'
    assert (asked.json, asked.model) == ({"model": "m"}, "m")
    assert asked.counted(1, "call").json is asked.json
    assert facts(b"/").with_body(b'{"model": "m"}').model == "m"


def test_tools_whose_names_are_no_text() -> None:
    """They go by their type; a value of brackets within brackets could not even be shown."""
    tools = b'[{"name": 5, "type": "t"}, {"type": {}}, {"name": ["n"], "function": {"name": "f"}}]'
    assert with_body(b'{"tools": %s}' % tools).tools == ("t", "", "f")
    for depth in range(900, 1000):
        nested = b"[" * depth + b"]" * depth
        assert with_body(b'{"tools": [{"name": %s}]}' % nested).tools in ((), ("",))


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"model": 1, "stream": 1, "tools": {}}'])
def test_json_of_another_kind(body: bytes) -> None:
    """Says nothing of what it does not have."""
    asked = with_body(body)
    assert asked.json is not MISSING
    assert (asked.model, asked.stream, asked.tools) == (None, False, ())


def test_what_was_asked_before_the_body_was_read_is_asked_anew() -> None:
    """The body may be added later; nothing that it tells is remembered from before."""
    asked = facts(b"/")
    assert (asked.json, asked.model) == (MISSING, None)
    asked.body = b'{"model": "m"}'
    assert (asked.json, asked.model) == ({"model": "m"}, "m")


def test_an_attempt_can_be_told() -> None:
    """By whoever counts; all else is as it was."""
    head, apis = RequestHead(b"POST", b"/", ()), Apis()
    asked = Facts("h", 444, head, b"{}", 3, 1.5, None, "", "/mended", Way("w", 1.0), apis)
    counted = asked.counted(2, "call")
    assert (counted.attempt, counted.call) == (2, "call")
    for field in attrs.fields(Facts):
        if field.init and field.name not in ("attempt", "call"):
            assert getattr(counted, field.name) is getattr(asked, field.name)


# -- what it is for -----------------------------------------------------------------------------

ORIGIN = (b"Origin", b"http://localhost:3000")
ASKS = (b"access-control-request-METHOD", b"POST")


@pytest.mark.parametrize(
    ("host", "method", "headers", "kind"),
    [
        ("api.anthropic.com", b"OPTIONS", (ORIGIN, ASKS), "preflight"),
        ("api.example.com", b"OPTIONS", (ORIGIN, ASKS), "preflight"),
        ("api.anthropic.com", b"OPTIONS", (ORIGIN,), "housekeeping"),
        ("api.example.com", b"OPTIONS", (ASKS,), "api"),
        ("api.anthropic.com", b"POST", (ORIGIN, ASKS), "api"),
        ("api.anthropic.com", b"CONNECT", (ORIGIN, ASKS), None),
    ],
)
def test_preflights(host: str, method: bytes, headers: Headers, kind: str | None) -> None:
    """They are told by their headers, whatever the host is."""
    assert Facts(host, 443, RequestHead(method, b"/v1/models", headers)).kind == kind


@pytest.mark.parametrize("host", ["api.openai.com", "api.example.com"])
@pytest.mark.parametrize(
    ("method", "upgrade", "kind"),
    [
        (b"GET", b"WebSocket", "websocket"),
        (b"GET", b"h2c, websocket", "websocket"),
        (b"GET", b"h2c", "api"),
        (b"POST", b"websocket", None),  # there is no such thing (RFC 6455 section 4.1)
    ],
)
def test_requests_for_a_websocket(host: str, method: bytes, upgrade: bytes, kind: str) -> None:
    """They are none for an answer, whatever the host and the path."""
    asks = Facts(host, 443, RequestHead(method, b"/v1/responses", ((b"Upgrade", upgrade),)))
    assert (asks.kind == "websocket") is (kind == "websocket")
    assert kind is None or asks.kind == kind


@pytest.mark.parametrize("method", [b"GET", b"DELETE"])
def test_a_request_without_a_message_is_mcp_s_by_a_header(method: bytes) -> None:
    """Many accept both kinds of content, which alone is not enough where no body tells."""
    accept = (b"Accept", b"application/json, text/event-stream")
    session = (b"Mcp-Session-Id", b"s")
    for headers, is_mcp in (((accept,), False), ((session,), True), ((accept, session), True)):
        asks = Facts("mcp.example", 443, RequestHead(method, b"/mcp", headers), b"")
        assert (asks.is_mcp, asks.provider is MCP) == (is_mcp, is_mcp)
