"""Digests of what requests say, and how many are remembered."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.http.message import End
from faultinject.observed import Observed
from faultinject.proxy.request_digests import REMEMBERED, RequestDigests, mark_of, peeked
from faultinject.proxy.traffic_copy import TrafficCopy
from faultinject.rules import identity
from faultinject.rules.facts import Facts
from faultinject.seen import observed_of
from tests.unit.proxy.support import StoppedRun
from tests.unit.rules.support import request

MANY = REMEMBERED + 5
BOTH = "application/json, text/event-stream"
"""What a client of MCP accepts, and others may."""


def what_was_said(digests: RequestDigests, *, has_mark: bool = True, **given: Any) -> Observed:
    """Return what is seen of a request before it is answered."""
    facts = request(**given)
    head, mark = digests.head(facts), mark_of(facts.body or b"") if has_mark else None
    said = digests.content(head, mark, lambda: facts)
    return observed_of((head.part, said, (None,) * 9, (None,) * 6))


def test_heads_and_bodies_are_remembered_in_part() -> None:
    """However many there are; and what was forgotten is digested as before."""
    digests = RequestDigests(b"k")
    first = digests.head(request(x_api_key="0"))
    for number in range(MANY):
        said = what_was_said(digests, x_api_key=str(number), body={"model": str(number)})
        assert said.model == str(number)
    kept = (digests._heads, digests._remembered)
    assert [len(each) for each in kept] == [REMEMBERED] * 2
    assert len(digests._models) <= REMEMBERED + 1
    assert digests.head(request(x_api_key="0")) == first


def test_a_head_says_the_same_whatever_the_body_s_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a client's heads are looked at once, and each header of one that is equal never."""
    digests = RequestDigests(b"k")
    same = [digests.head(request(Content_Length=length)) for length in ("1", "2")]
    assert same[0] is same[1]
    monkeypatch.delattr(RequestDigests, "_find")
    assert digests.head(request(Content_Length="2")) is same[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "other.example"},
        {"port": 8443},
        {"method": "PUT"},
        {"target": "/v1/responses"},
        {"target": "/v1/messages?beta=true"},
        {"x_api_key": "b"},
        {"accept": BOTH},
    ],
)
def test_what_another_head_says_is_not_taken_for_its_own(changes: dict[str, Any]) -> None:
    """Nor is it once both are remembered; only the length of the body is no difference."""
    digests = RequestDigests(b"k")
    for changed in ({}, changes, {"Content_Length": "3"}, {"Content_Length": "3"} | changes) * 2:
        facts = request(**{"x_api_key": "a", **changed})
        assert digests.head(facts) == RequestDigests(b"k").head(facts)


def test_the_body_alone_tells_messages_of_mcp_from_other_requests() -> None:
    """Their heads may be equal, so that these do not decide whichever came first."""
    digests = RequestDigests(b"k")
    other, message = b'{"id": 1}', b'{"jsonrpc": "2.0", "method": "tools/call", "id": 1}'
    for body, name in ((other, "plain"), (message, "mcp"), (other, "plain"), (message, "mcp")):
        copy = TrafficCopy(StoppedRun(), 0.0)
        copy.received([body, End()])
        unread = request("/mcp", host="mcp.example", accept=BOTH)
        assert digests.head(unread, copy).provider.name == name
        assert unread.body == body


def test_each_api_s_header_with_a_key_is_a_credential() -> None:
    """So that two accounts that ask the same are two clients."""
    digests = RequestDigests(b"k")
    names = ("authorization", "x_api_key", "api_key", "x_goog_api_key", "ocp_apim_subscription_key")
    told = {digests.head(request(**{name: key})).credential for name in names for key in "ab"}
    assert len(told - {None}) == 2 * len(names)


def test_a_body_that_comes_again_has_its_digest() -> None:
    """It has another if a byte, the path, or a header for a feature differs, or the run's key."""
    digests = RequestDigests(b"k")

    def told(number: int, key: RequestDigests = digests, **headers: str) -> str | None:
        return what_was_said(key, body={"model": number}, **headers).body

    first = told(1)
    assert first == told(1) == told(1, RequestDigests(b"k"))
    others = [told(2), told(11), told(1, anthropic_beta="x"), told(1, RequestDigests(b"l"))]
    assert len({first, *others}) == 5


def test_the_same_body_is_read_anew_where_it_is_a_message_of_mcp() -> None:
    """Only a header of MCP's tells these two apart, and only in MCP the number is no content."""
    bodies = [{"jsonrpc": "2.0", "method": "tools/call", "id": number} for number in (1, 2)]
    digests, counts = RequestDigests(b"k"), []
    for headers in ({}, {"mcp_session_id": "s"}):
        given: dict[str, Any] = {"host": "mcp.example", "target": "/mcp", **headers}
        counts.append(len({what_was_said(digests, body=body, **given).request for body in bodies}))
    assert counts == [2, 1]


def test_a_body_of_which_no_digest_is_known() -> None:
    """It is not remembered."""
    digests = RequestDigests(b"k")
    said = what_was_said(digests, body={"model": "m"}, has_mark=False)
    assert (said.model, said.body) == ("m", None)
    assert not digests._remembered


def test_a_body_that_comes_again_is_not_read_again() -> None:
    """With the same head: all that depends on them is known."""
    digests = RequestDigests(b"k")
    facts = request(body={"model": "m"})
    head, mark = digests.head(facts), mark_of(facts.body or b"")
    first = digests.content(head, mark, lambda: facts)

    def read() -> Facts:
        raise AssertionError

    assert digests.content(head, mark, read) is first


def test_a_body_that_could_not_be_read() -> None:
    """Nothing is known but that it is the same; the next time it is tried again."""
    digests = RequestDigests(b"k")
    unread = request(body=None)
    said = digests.content(digests.head(unread), 5, lambda: unread)
    assert said == (None, False, None, 5, None, None, None, ())
    assert not digests._remembered


def test_the_result_of_a_tool_that_nobody_called() -> None:
    """Nothing is told of it."""
    message = {"role": "tool", "tool_call_id": "lost", "content": "x"}
    (told,) = what_was_said(RequestDigests(b"k"), body={"messages": [message]}).messages
    assert told.results == ()


@pytest.mark.parametrize(
    ("message", "other", "same"),
    [
        ({"role": "user", "content": "x"}, {"content": "x", "role": "user"}, True),
        (
            {"role": "user", "content": "x"},
            {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}},
            True,
        ),
        ({"role": "user", "content": "x"}, {"role": "user", "content": " x"}, False),
        ({"role": "user", "content": "x"}, {"role": "model", "content": "x"}, False),
        ({"role": "user", "content": "x"}, {"role": "user", "content": "x", "id": 1}, False),
        ({"role": "user", "content": "x"}, {"role": "user", "content": ["x"]}, False),
        ({"role": "user", "content": "x"}, {"role": 1, "content": "x"}, False),
        ({"role": "user", "content": [1]}, {"content": [1], "role": "user"}, True),
        ({"role": "user", "content": [1]}, {"role": "user", "content": [1.0]}, False),
    ],
)
def test_which_messages_are_the_same(
    message: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    """Those that are equal as JSON, but for `cache_control`."""
    digests = RequestDigests(b"k")
    one, two = (what_was_said(digests, body={"messages": [each]}) for each in (message, other))
    assert (one.prefix == two.prefix) is same
    assert (one.request == two.request) is same


@pytest.mark.parametrize(
    ("words", "finishes"),
    [
        ("Please continue.", True),
        ("RESUME from there!", True),
        ("You were interrupted.", True),
        ("It seems incomplete", True),
        ("(truncated)", True),
        ("It was cut off.", True),
        ("from where you left off", True),
        ("The connection broke off", True),
        ("It is broken off.", True),
        ("You stopped short.", True),
        ("Is it discontinued? Switch it off, in short.", False),
        ("Call it off; the list is broken, shortly", False),
        ("x" * 292 + " continue", False),  # behind what is searched
        ("x" * 291 + " continue", True),
    ],
)
def test_an_answer_that_the_model_is_asked_to_finish_has_no_text(
    words: str, finishes: bool
) -> None:
    """The user's words behind it say that; the user's own messages keep theirs."""
    said = [("user", "a"), ("assistant", "b"), ("user", words), ("assistant", "c")]
    body = {"messages": [{"role": role, "content": text} for role, text in said]}
    told = what_was_said(RequestDigests(b"k"), body=body).messages
    assert [each.text is None for each in told] == [False, finishes, False, False]


def test_what_is_kept_of_a_head_is_no_secret() -> None:
    """Neither its headers nor a key in its query; but all that a body is read with."""
    digests = RequestDigests(b"k")
    facts = request("/v1/m?key=secret&alt=sse&Key=s2", x_api_key="secret", content_encoding="gzip")
    head = digests.head(facts)
    assert head.bare.head.target == b"/v1/m?alt=sse"
    assert head.bare.head.headers == ((b"content-encoding", b"gzip"),)
    assert "secret" not in repr(head)


def test_messages_that_are_nested_too_deeply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their digests are not known. How deep that is differs between Pythons."""

    def too_deep(_: object) -> bytes:
        raise RecursionError

    monkeypatch.setattr(identity, "canonical", too_deep)
    body = {"model": "m", "messages": [{"role": "user", "content": ["x"]}]}
    said = what_was_said(RequestDigests(b"k"), body=body)
    assert (said.model, said.messages) == ("m", ())


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"model": "m", "stream": true}', ("m", True)),
        (b'{"stream" :false,"model":"m"}', ("m", False)),
        (b'{"model"\t:\n"m-\xc3\xa9"}', ("m-\u00e9", False)),
        (b'{"text": "\\"model\\": \\"no\\"", "model": "m"}', ("m", False)),
        (b"{}", None),
        (b'{"model": "a", "x": {"model": "b"}}', None),
        (b'{"x": "model", "y": "a"}', None),
        (b'{"model": 5, "y": "a"}', None),
        (b'{"model": "a\\u0041"}', None),
        (b'{"model": ""}', None),
        (b'{"model": "a', None),
        (b'{"model"', None),
        (b'{"model": "' + bytes(201).replace(b"\0", b"a") + b'"}', None),
        (b'{"model": "m", "stream": true, "x": {"stream": 1}}', None),
        (b'{"model": "m", "stream": 1}', None),
        (b'{"model": "m", "stream": "true"}', None),
        (b'{"model": true, "stream": true}', None),
    ],
)
def test_what_a_body_tells_that_is_not_parsed(body: bytes, told: object) -> None:
    """Nothing, if that is not sure."""
    assert peeked(body) == told
