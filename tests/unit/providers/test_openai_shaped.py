"""What is peculiar to the APIs that are shaped like OpenAI's: their words, ids and odd streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faultinject.http.message import find_header
from faultinject.providers.known import provider_for
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest, Failure
from tests.unit.providers.support import documents_of, fields_of, passed, uniform

AZURE = "x.openai.azure.com"
DEPLOYMENT = "/openai/deployments/d/chat/completions"


def asked_at(host: str, path: str, query: str = "", **document: Any) -> tuple[Provider, ApiRequest]:
    """Return the provider of a place, and a request to it."""
    provider = provider_for(host, path)
    return provider, provider.api_request(path, document, host, query)


def error_at(host: str, path: str, failure: Failure, query: str = "") -> Any:
    """Return the error document that a request gets."""
    provider, request = asked_at(host, path, query)
    return json.loads(provider.error_body(failure, fields_of(provider, request)))


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("openrouter.ai", "/api/v1/messages"),
        ("x.services.ai.azure.com", "/anthropic/v1/messages"),
    ],
)
def test_errors_at_anthropics_path_have_its_form(host: str, path: str) -> None:
    """Whoever answers there."""
    error = error_at(host, path, Failure(503, error_type="odd"))
    assert error["type"] == "error"
    assert error["error"]["type"] == "overloaded_error"
    own = error_at(host, path, Failure(503, error_type="api_error"))
    assert own["error"]["type"] == "api_error"
    provider, request = asked_at(host, path)
    progress = provider.shape_of(path).stream.progress()
    raw = progress.error(provider.failures["overloaded"], fields_of(provider, request), uniform())
    [said] = documents_of(raw)
    assert said["error"]["type"] == "overloaded_error"
    assert said["error"]["message"] == "Overloaded"
    assert error_at(host, path, Failure(408))["error"]["type"] == "timeout_error"
    assert error_at(host, path, Failure(429))["error"]["type"] == "rate_limit_error"


# Azure


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("api-version=2024-06-01", "2024-06-01"),
        ("api-version=%0d%0a", "2024-10-21"),
        ("", "2024-10-21"),
    ],
)
def test_azure_names_the_version_that_was_asked_for(query: str, version: str) -> None:
    """And how long to wait, in whole seconds; for a limit that is not told, nothing."""
    failure = Failure(429, exhausted="requests", retry_after_seconds=1.2)
    message = error_at(AZURE, DEPLOYMENT, failure, query)["error"]["message"]
    assert f"version {version} have exceeded call rate limit" in message
    assert "after 2 seconds" in message
    provider, _ = asked_at(AZURE, DEPLOYMENT)
    fields = provider.draw_fields(uniform(), 0.0, ApiRequest("/"))
    assert b"version 2024-10-21" in provider.error_body(Failure(429), fields)


@pytest.mark.parametrize(
    ("path", "name"), [(DEPLOYMENT, b"d"), ("/openai/v1/x", None), ("/deployments/%0d/x", None)]
)
def test_azure_names_the_deployment(path: str, name: bytes | None) -> None:
    """In a header, if the path has one whose name is a word; and it is the model."""
    provider, request = asked_at(AZURE, path)
    headers = provider.identity_headers(fields_of(provider, request), 503)
    assert find_header(headers, b"x-ms-deployment-name") == name
    assert request.named_model == (None if name is None else name.decode())
    unknown = provider.draw_fields(uniform(), 0.0, request)
    assert provider.identity_headers(unknown, 401)


# OpenRouter


def test_openrouters_failure_in_a_200() -> None:
    """An error document in place of choices; its code is a status all the same."""
    provider, request = asked_at("openrouter.ai", "/api/v1/chat/completions")
    failure = provider.failures["provider-error-200"]
    body = json.loads(provider.error_body(failure, fields_of(provider, request)))
    assert (failure.status, body["error"]["code"]) == (200, 502)
    named = provider.error_body(Failure(502, code="E1"), fields_of(provider, request))
    assert b'"provider_code":"E1"' in named


def test_a_chunk_with_an_error_before_any_other() -> None:
    """It has the id of the head."""
    provider, request = asked_at("openrouter.ai", "/api/v1/chat/completions")
    fields = fields_of(provider, request)
    progress = provider.shape_of(request.path).stream.progress()
    chunk, done = documents_of(progress.error(Failure(529), fields, uniform()))
    assert (chunk["id"], done) == (fields.request_id, None)
    assert (
        passed(progress, progress.error(Failure(529), fields, uniform())).end_early(uniform()) == []
    )


# Groq


def test_groqs_limits_agree() -> None:
    """A short wait is for a minute's tokens, a long one for a day's, and requests are a day's."""
    provider, request = asked_at("api.groq.com", "/openai/v1/chat/completions", model="m")
    fields = fields_of(provider, request)
    for wait, exhausted, said, left in [
        (2, "tokens", "tokens per minute (TPM)", ()),
        (600, "tokens", "tokens per day (TPD)", ()),
        (600, "requests", "requests per day (RPD)", (b"x-ratelimit-remaining-requests", b"0")),
    ]:
        failure = Failure(429, exhausted=exhausted, retry_after_seconds=wait)
        message = json.loads(provider.error_body(failure, fields))["error"]["message"]
        assert said in message
        assert f"try again in {'10m0s' if wait > 60 else '2s'}" in message
        headers = provider.rate_limit_headers(failure, fields)
        assert not left or left in headers
        assert find_header(headers, b"x-ratelimit-limit-requests") != b"500"
    own = Failure(429, error_type="odd", param="p", code="c")
    assert json.loads(provider.error_body(own, fields))["error"] | {"type": "odd", "param": "p"}


# Mistral


def test_mistrals_documents() -> None:
    """A 401 is the gateway's unless it has words of its own; a 422 has a message in parts."""
    at = ("api.mistral.ai", "/v1/chat/completions")
    assert error_at(*at, Failure(401)) == {"detail": "Unauthorized"}
    assert error_at(*at, Failure(401, message="no"))["message"] == "no"
    assert error_at(*at, Failure(422))["message"]["detail"][0]["type"] == "missing"
    assert error_at(*at, Failure(422, message="no"))["message"] == "no"


# DeepSeek, xAI


@pytest.mark.parametrize(
    ("host", "path"),
    [("api.deepseek.com", "/anthropic/v1/messages"), ("api.x.ai", "/v1/messages")],
)
def test_their_errors_at_anthropics_path(host: str, path: str) -> None:
    """Anthropic's form, with words of their own."""
    error = error_at(host, path, Failure(503))
    assert (error["type"], error["error"]["type"]) == ("error", "overloaded_error")
    assert "ervice" in error["error"]["message"] or "capacity" in error["error"]["message"]


def test_xais_error_in_responses_has_a_code() -> None:
    """Its document has two texts; a stream of Responses has them as members of an error."""
    provider, request = asked_at("api.x.ai", "/v1/responses")
    progress = provider.shape_of(request.path).stream.progress()
    raw = progress.error(Failure(503), fields_of(provider, request), uniform(), "flat")
    [error] = documents_of(raw)
    assert error["code"] == "The service is currently unavailable"
    assert error["message"] == "The model is currently at capacity. Please try again later."


def test_an_answer_of_deepseek_that_was_waited_for() -> None:
    """Empty lines come before a document, and a comment before a stream."""
    provider, request = asked_at("api.deepseek.com", "/chat/completions")
    shape, fields = provider.shape_of(request.path), fields_of(provider, request)
    document = shape.minimal_response(request, fields, uniform())
    assert document.startswith(b"\n\n{")
    assert json.loads(document)["object"] == "chat.completion"
    assert shape.stream.minimal(request, fields, uniform())[0] == b": keep-alive\n\n"
