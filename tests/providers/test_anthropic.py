"""The words of Anthropic's API."""

from __future__ import annotations

import json

import pytest

from faultinject.providers.anthropic import error_body, error_type, reason_phrase


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
