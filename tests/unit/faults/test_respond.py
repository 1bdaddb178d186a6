"""The answer that is injected, whole."""

from __future__ import annotations

import json

import pytest

from faultinject.faults.respond import (
    InjectedResponse,
    Respond,
    content_type,
    injected_response,
)
from faultinject.http.message import End, Headers, ResponseHead, find_header

DATE = b"Tue, 01 Jul 2025 12:00:00 GMT"

# Status, the API's name for it, and the words of the message.
TABLE = [
    (400, "invalid_request_error", "Bad Request"),
    (401, "authentication_error", "Unauthorized"),
    (402, "billing_error", "Payment Required"),
    (403, "permission_error", "Forbidden"),
    (404, "not_found_error", "Not Found"),
    (409, "conflict_error", "Conflict"),
    (413, "request_too_large", "Request Entity Too Large"),
    (429, "rate_limit_error", "Too Many Requests"),
    (500, "api_error", "Internal Server Error"),
    (502, "api_error", "Bad Gateway"),
    (503, "api_error", "Service Unavailable"),
    (504, "timeout_error", "Gateway Timeout"),
    (529, "overloaded_error", "Overloaded"),
]


@pytest.mark.parametrize(("status", "error_type", "words"), TABLE)
def test_without_a_body_it_is_the_apis_own_error(status: int, error_type: str, words: str) -> None:
    """To the byte, with a length, a type, a date and the rule's name."""
    body = b'{"type":"error","error":{"type":"%b","message":"Simulated error: %b"}}' % (
        error_type.encode(),
        words.encode(),
    )
    assert injected_response(Respond(status), "options").parts(DATE) == (
        ResponseHead(
            status,
            words.encode(),
            (
                (b"Date", DATE),
                (b"Content-Type", b"application/json"),
                (b"Content-Length", b"%d" % len(body)),
                (b"X-Faultinject", b"options"),
            ),
        ),
        body,
        End(),
    )


def test_without_a_marker_nothing_says_who_answered() -> None:
    """No header of ours is in it."""
    response = injected_response(Respond(500), None)
    assert [name for name, _ in response.headers] == [b"Content-Type", b"Content-Length"]


def test_the_users_body_and_headers_are_taken_as_they_are() -> None:
    """Order, case and bytes; the length is of the bytes."""
    headers = ((b"retry-AFTER", b"7"), (b"X-A", b"1"), (b"X-A", b"2"))
    body = "später".encode()
    response = injected_response(Respond(503, body, headers), "r")
    assert response.body == body
    assert response.headers == (
        (b"Content-Type", b"text/plain; charset=utf-8"),
        *headers,
        (b"Content-Length", b"7"),
        (b"X-Faultinject", b"r"),
    )


def test_the_users_content_type_replaces_the_guess() -> None:
    """Whatever its case."""
    headers = ((b"content-TYPE", b"application/problem+json"),)
    response = injected_response(Respond(500, b"{}", headers), None)
    assert response.headers == (*headers, (b"Content-Length", b"2"))


def test_an_empty_body_has_a_length_and_no_type() -> None:
    """It is an answer all the same."""
    response = injected_response(Respond(500, b""), None)
    assert response.headers == ((b"Content-Length", b"0"),)
    head, *rest = response.parts(DATE)
    assert isinstance(head, ResponseHead)
    assert rest == [End()]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("body", [None, b"body"])
def test_statuses_that_have_no_body_get_none(status: int, body: bytes | None) -> None:
    """Nor a length (RFC 9110 sections 15.3.5 and 15.4.5)."""
    response = injected_response(Respond(status, body, ((b"ETag", b'"1"'),)), None)
    assert response.headers == ((b"ETag", b'"1"'),)
    assert response.parts(DATE)[1:] == (End(),)


def test_it_has_the_date_that_it_is_sent_at() -> None:
    """And does not say what becomes of the connection: HTTP/1.1 does."""
    head = injected_response(Respond(500), None).parts(DATE)[0]
    assert isinstance(head, ResponseHead)
    assert find_header(head.headers, b"connection") is None
    assert find_header(head.headers, b"date") == DATE


def test_parts_of_one_second_are_made_once() -> None:
    """The same value, so that what is cached by it is found again; another second's differs."""
    response = injected_response(Respond(500), None)
    assert response.parts(DATE) is response.parts(DATE)
    assert response.parts(b"another") != response.parts(DATE)


def test_the_body_is_not_shown_where_a_response_is_printed() -> None:
    """It may be long, and a secret of the user's."""
    empty: Headers = ()
    assert "secret" not in repr(InjectedResponse(500, b"", empty, b"secret"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"a": 1}', b"application/json"),
        (b" [1]\n", b"application/json"),
        (b'"text"', b"application/json"),
        (b"{'a': 1}", b"text/plain; charset=utf-8"),
        (b"{", b"text/plain; charset=utf-8"),
        (b"upstream connect error", b"text/plain; charset=utf-8"),
        (b"\xff\xfe\xfd", b"text/plain; charset=utf-8"),
        (b"[" * 100_000, b"text/plain; charset=utf-8"),
        (b"<html></html>", b"text/html; charset=utf-8"),
        (b"\n  <!DOCTYPE html>", b"text/html; charset=utf-8"),
    ],
)
def test_the_type_is_what_the_body_looks_like(body: bytes, kind: bytes) -> None:
    """JSON, HTML, or plain text."""
    assert content_type(body) == kind


def test_every_status_that_can_be_chosen_has_an_answer() -> None:
    """With words in its status line, and JSON where it has a body."""
    for status in range(200, 600):
        response = injected_response(Respond(status), "r")
        assert response.reason, status
        assert response.body == b"" or json.loads(response.body)["type"] == "error", status
