"""OpenAI's errors and headers: that their numbers agree."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from attrs import evolve

from faultinject.providers.openai import PROVIDER
from faultinject.providers.openai.headers import duration, exhausted
from faultinject.providers.shape import FAKE_MODEL, ApiRequest, Failure, Usage
from tests.unit.providers.support import MESSAGES, fields_of, uniform

FIELDS = fields_of(PROVIDER, ApiRequest("/v1/chat/completions", {"model": "gpt-4.1"}))


def error(failure: Failure) -> dict[str, Any]:
    """Return the error of a failure."""
    document = json.loads(PROVIDER.error_body(failure, FIELDS))
    assert list(document) == ["error"]
    assert list(document["error"])[:4] == ["message", "type", "param", "code"]
    inner: dict[str, Any] = document["error"]
    return inner


def test_documents_are_indented() -> None:
    """By two spaces, with a line end after the last brace."""
    lines = PROVIDER.error_body(Failure(500), FIELDS).split(b"\n")
    assert lines[:2] == [b"{", b'  "error": {']
    assert lines[-3:] == [b"  }", b"}", b""]


def test_own_types_have_no_code_of_others() -> None:
    """A code belongs to its type."""
    assert error(Failure(429, error_type="odd"))["code"] is None
    assert error(Failure(429, error_type="tokens"))["code"] == "rate_limit_exceeded"
    assert error(Failure(503, code="c", param="p")) == {
        "message": "Our servers are currently overloaded. Please try again later.",
        "type": "service_unavailable_error",
        "param": "p",
        "code": "c",
    }
    assert error(Failure(500, details={"more": 1}))["more"] == 1


def test_ids() -> None:
    """As captured."""
    headers = dict(PROVIDER.identity_headers(FIELDS, 200))
    assert re.fullmatch(rb"req_[0-9a-f]{32}", headers[b"x-request-id"])
    assert re.fullmatch(rb"org-[0-9A-Za-z]{24}", headers[b"openai-organization"])
    assert re.fullmatch(rb"[0-9a-f]{16}-SJC", headers[b"CF-RAY"])
    assert b"openai-organization" not in dict(PROVIDER.identity_headers(FIELDS, 401))


# Limits


def test_a_captured_refusal() -> None:
    """Without a time to wait, the refusal has the numbers of a captured one."""
    words = "Limit 30000, Used 18928, Requested 11159. Please try again in 174ms."
    refused = error(Failure(429))
    assert words in refused["message"]
    assert "gpt-4.1 in organization org-" in refused["message"]
    assert (refused["type"], refused["code"]) == ("tokens", "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("limit", "seconds", "words", "wait"),
    [
        ("requests", 432, "requests per day (RPD): Limit 200, Used 200, Requested 1", "7m12s"),
        ("requests", 1728, "requests per day (RPD): Limit 50, Used 50, Requested 1", "28m48s"),
        ("requests", 43.2, "requests per day (RPD): Limit 2000, Used 2000, Requested 1", "43.2s"),
        ("tokens", 2, "tokens per min (TPM): Limit 30000, Used 19841, Requested 11159", "2s"),
        (
            "tokens",
            300,
            "tokens per day (TPD): Limit 3213792, Used 3213792, Requested 11159",
            "5m0s",
        ),
    ],
)
def test_refusals(limit: str, seconds: float, words: str, wait: str) -> None:
    """The first three were captured; what is used is what makes the request wait so long."""
    failure = Failure(429, exhausted=limit, retry_after_seconds=seconds)
    refused = error(failure)
    assert f" on {words}. Please try again in {wait}. Visit" in refused["message"]
    assert refused["type"] == limit


@pytest.mark.parametrize("kind", ["tokens", "requests"])
@pytest.mark.parametrize("seconds", [0.001, 0.174, 1, 22, 23, 300, 3600, 80_000])
def test_numbers_agree(kind: str, seconds: float) -> None:
    """The headers are those of the message, and the wait is what is missing of the limit."""
    failure = Failure(429, exhausted=kind, retry_after_seconds=seconds)
    limit = exhausted(failure)
    headers = {name.decode(): value.decode() for name, value in
               PROVIDER.rate_limit_headers(failure, FIELDS)}  # fmt: skip
    assert headers[f"x-ratelimit-limit-{kind}"] == str(limit.limit)
    assert headers[f"x-ratelimit-remaining-{kind}"] == str(limit.limit - limit.used)
    assert limit.words in error(failure)["message"]
    assert 0 <= limit.used <= limit.limit
    missing = limit.used + limit.requested - limit.limit
    if kind == "tokens" or seconds >= 1:
        assert missing / limit.limit * limit.seconds == pytest.approx(seconds, rel=0.1, abs=0.01)
    other = {"tokens": "requests", "requests": "tokens"}[kind]
    assert int(headers[f"x-ratelimit-remaining-{other}"]) > 0


def test_a_request_alone() -> None:
    """One request of 500 a minute is given back after 120 ms, as in captures."""
    headers = dict(PROVIDER.rate_limit_headers(Failure(200), FIELDS))
    assert headers[b"x-ratelimit-remaining-requests"] == b"499"
    assert headers[b"x-ratelimit-reset-requests"] == b"120ms"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "0s"),
        (0.174, "174ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (10, "10s"),
        (100, "1m40s"),
        (360, "6m0s"),
        (1185.394, "19m45.394s"),
        (3600, "1h0m0s"),
        (86_400, "24h0m0s"),
        (86_461.05, "24h1m1.05s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """They are written as Go writes them."""
    assert duration(seconds) == text


def test_times_to_wait() -> None:
    """They come in seconds and in milliseconds."""
    assert PROVIDER.retry_headers(Failure(429)) == ()
    assert PROVIDER.retry_headers(Failure(429, retry_after_seconds=0.174)) == (
        (b"retry-after", b"1"),
        (b"retry-after-ms", b"174"),
    )


# Whole answers


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_usage(path: str) -> None:
    """Both ways to say it are read."""
    asked = ApiRequest(path, {"messages": MESSAGES, "input": MESSAGES})
    raw = PROVIDER.shape_of(asked.path).minimal_response(asked, FIELDS, uniform())
    assert PROVIDER.shape_of(asked.path).usage(json.loads(raw)) == Usage(5, 16)


def test_errors_for_a_request_that_names_no_model() -> None:
    """No model is made up."""
    unnamed = evolve(FIELDS, model=FAKE_MODEL)
    said = {404: "The model does not exist or", 429: "Rate limit reached for requests in"}
    for status, words in said.items():
        document = json.loads(PROVIDER.error_body(Failure(status), unnamed))
        assert document["error"]["message"].startswith(words)


def test_the_name_of_a_model_is_no_template() -> None:
    """Whatever a client writes there is said as it is."""
    odd = evolve(FIELDS, model="{organization_id} {wait} {model}")
    document = json.loads(PROVIDER.error_body(Failure(429), odd))
    assert "reached for {organization_id} {wait} {model} in" in document["error"]["message"]
