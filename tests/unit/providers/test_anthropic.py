"""The words of Anthropic's API."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from attrs import evolve

from faultinject.providers.anthropic.api import PROVIDER
from faultinject.providers.anthropic.errors import error_body, error_type, reason_phrase
from faultinject.providers.anthropic.stream import STREAM
from faultinject.providers.shape import FAKE_MODEL, ApiRequest, Failure, Usage
from tests.unit.providers.support import MESSAGES, documents_of, fields_of, uniform

ASKED = ApiRequest("/v1/messages", {"model": "some-model", "messages": MESSAGES})
FIELDS = fields_of(PROVIDER, ASKED)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (405, "invalid_request_error"),
        (418, "invalid_request_error"),
        (499, "invalid_request_error"),
        (501, "api_error"),
        (599, "api_error"),
        (302, "api_error"),
        (200, "api_error"),
    ],
)
def test_a_status_without_a_name_has_that_of_its_class(status: int, name: str) -> None:
    """The client's fault or the API's."""
    assert error_type(status) == name


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "OK"),
        (413, "Request Entity Too Large"),
        (429, "Too Many Requests"),
        (529, "Overloaded"),
        (599, "Error"),
        (420, "Error"),
    ],
)
def test_a_status_has_words(status: int, words: str) -> None:
    """The registered ones, the API's own, or a plain "Error"."""
    assert reason_phrase(status) == words


def test_the_document_is_compact_json() -> None:
    """As the API sends it."""
    body = error_body(529)
    assert json.loads(body) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Simulated error: Overloaded"},
    }
    assert b'": ' not in body


# In the API's own words


def body(failure: Failure) -> dict[str, Any]:
    """Return the document of a failure."""
    document: dict[str, Any] = json.loads(PROVIDER.error_body(failure, FIELDS))
    return document


def test_the_bytes_of_a_captured_529() -> None:
    """75 bytes, and the id that is in the header too."""
    raw = PROVIDER.error_body(Failure(529), FIELDS)
    request_id = b',"request_id":"%s"' % FIELDS.request_id.encode()
    captured = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    assert len(captured) == 75
    assert raw == captured[:-1] + request_id + b"}"
    assert re.fullmatch(r"req_011C[1-9A-HJ-NP-Za-km-z]{20}", FIELDS.request_id)


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("input-tokens", "200,000 input tokens per minute"),
        ("output-tokens", "80,000 output tokens per minute"),
        ("requests", "4,000 requests per minute"),
        ("tokens", "280,000 tokens per minute"),
    ],
)
def test_an_exhausted_limit_is_named(family: str, words: str) -> None:
    """The message says which limit and how much, as the headers do."""
    failure = Failure(429, exhausted=family, retry_after_seconds=16)
    message = body(failure)["error"]["message"]
    assert f"({FIELDS.organization_id}) of {words}." in message
    headers = dict(PROVIDER.rate_limit_headers(failure, FIELDS))
    name = f"anthropic-ratelimit-{family}"
    assert headers[f"{name}-remaining".encode()] == b"0"
    assert headers[f"{name}-reset".encode()] == b"2025-08-03T00:00:16Z"
    assert f"{int(headers[f'{name}-limit'.encode()]):,} " in words + " "


def test_limits_agree() -> None:
    """The tokens are those of input and output together; a whole limit is reset now."""
    headers = dict(PROVIDER.rate_limit_headers(Failure(429, exhausted="output-tokens"), FIELDS))
    told = {
        name.decode().removeprefix("anthropic-ratelimit-"): value.decode()
        for name, value in headers.items()
    }
    for what in ("limit", "remaining"):
        parts = [int(told[f"{kind}-tokens-{what}"]) for kind in ("input", "output")]
        assert sum(parts) == int(told[f"tokens-{what}"])
    assert told["requests-remaining"] == told["requests-limit"]
    assert told["requests-reset"] == "2025-08-03T00:00:00Z"
    assert told["output-tokens-reset"] == told["tokens-reset"] == "2025-08-03T00:00:16Z"
    all_tokens = dict(PROVIDER.rate_limit_headers(Failure(429, exhausted="tokens"), FIELDS))
    assert all_tokens[b"anthropic-ratelimit-input-tokens-remaining"] == b"0"


@pytest.mark.parametrize("status", [429, 529])
def test_clients_are_told_to_try_again(status: int) -> None:
    """By the header that was captured with these two statuses, and no other."""
    assert (b"x-should-retry", b"true") in PROVIDER.error_headers(Failure(status), FIELDS)
    assert PROVIDER.retry_headers(Failure(500)) == ()
    assert PROVIDER.retry_headers(Failure(500, retry_after_seconds=0.2)) == (
        (b"retry-after", b"1"),
    )


def test_the_account_is_known_by_its_key() -> None:
    """Without a valid key there is none; errors have two headers more than other answers."""
    ids = {b"anthropic-organization-id", b"anthropic-workspace-id"}
    names = {
        status: {name for name, _ in PROVIDER.identity_headers(FIELDS, status)}
        for status in (200, 400, 401)
    }
    assert ids <= names[200]
    assert not ids & names[401]
    assert names[400] - names[200] == {b"Content-Security-Policy", b"server-timing"}


def test_details() -> None:
    """They are the last member of the error; in a stream they are the first, and null."""
    capped = PROVIDER.failures["spend-cap"]
    assert list(body(capped)["error"]) == ["type", "message", "details"]
    assert PROVIDER.retry_headers(capped) == ((b"x-should-retry", b"true"),)
    for failure, details in [(capped, capped.details), (Failure(529), None)]:
        progress = STREAM.progress()
        [document] = documents_of(progress.error(failure, FIELDS, uniform()))
        assert list(document["error"]) == ["details", "type", "message"]
        assert document["error"]["details"] == details
        assert document["request_id"] == FIELDS.request_id


def test_what_the_edge_says() -> None:
    """It has neither a type of the document nor an id."""
    page = PROVIDER.pages["too-large"]
    assert page.body(FIELDS) == (
        b'{"error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}'
    )
    assert {name for name, _ in page.headers(FIELDS)} == {b"Server", b"CF-RAY"}


def test_usage() -> None:
    """A whole message says its tokens."""
    raw = PROVIDER.shape_of(ASKED.path).minimal_response(ASKED, FIELDS, uniform())
    assert PROVIDER.shape_of(ASKED.path).usage(json.loads(raw)) == Usage(5, 16)


def test_counting_of_tokens() -> None:
    """A request to count gets a number and no message."""
    counting = evolve(ASKED, path="/v1/messages/count_tokens")
    assert (
        PROVIDER.shape_of(counting.path).minimal_response(counting, FIELDS, uniform())
        == b'{"input_tokens":5}'
    )


def test_a_model_that_is_not_named_is_not_found() -> None:
    """No model is made up."""
    document = json.loads(PROVIDER.error_body(Failure(404), evolve(FIELDS, model=FAKE_MODEL)))
    assert document["error"]["message"] == "The requested resource could not be found."
