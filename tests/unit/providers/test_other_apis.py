"""What is peculiar to Gemini, Bedrock and Ollama: wrapped bodies, answered calls, odd events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faultinject.providers.framing import StreamEvent, aws_event_stream
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM
from faultinject.providers.framing.ndjson import NdjsonDecoder
from faultinject.providers.known import may_be_mcp, provider_for
from faultinject.providers.shape import Failure
from tests.unit.providers.support import events_of, fields_of, uniform

BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"
GOOGLE = "generativelanguage.googleapis.com"


def whole(host: str, path: str, document: dict[str, Any]) -> Any:
    """Return the smallest response to a request."""
    provider = provider_for(host, path)
    request = provider.api_request(path, document, host)
    shape = provider.shape_of(path)
    return json.loads(shape.minimal_response(request, fields_of(provider, request), uniform()))


@pytest.mark.parametrize("endpoint", ["openapi", "1234567890"])
def test_vertex_has_paths_shaped_like_those_of_openai(endpoint: str) -> None:
    """At the endpoint of all models, and at those that users make."""
    path = f"/v1/projects/p/locations/l/endpoints/{endpoint}/chat/completions"
    provider = provider_for("us-east1-aiplatform.googleapis.com", path)
    assert (provider.name, provider.shape_of(path).name) == ("vertex", "chat")
    assert provider.kind("POST", path) == "model"


TOOL = {"name": "weather"}


@pytest.mark.parametrize(
    ("host", "path", "document"),
    [
        (
            BEDROCK,
            "/model/m/converse",
            {
                "toolConfig": {"tools": [{"toolSpec": TOOL}]},
                "messages": [{"content": [{"toolResult": {}}]}],
            },
        ),
        (
            GOOGLE,
            "/v1/models/m:generateContent",
            {
                "tools": [{"functionDeclarations": [TOOL]}],
                "contents": [{"parts": [{"functionResponse": {}}]}],
            },
        ),
        (
            "ollama.com",
            "/api/chat",
            {"tools": [{"function": TOOL}], "messages": [{"role": "tool"}]},
        ),
    ],
)
def test_a_call_that_was_answered_is_not_made_again(
    host: str, path: str, document: dict[str, Any]
) -> None:
    """So a client that works until no tool is called comes to an end."""
    assert "weather" not in json.dumps(whole(host, path, document))


def test_paths_beside_the_streams() -> None:
    """Counting, embedding, and what Gemini CLI wraps."""
    assert whole(BEDROCK, "/model/m/count-tokens", {"input": "two words"}) == {"inputTokens": 2}
    assert whole("ollama.com", "/api/embed", {})["embeddings"]
    assert whole("ollama.com", "/api/generate", {"prompt": "x"})["response"]
    wrapped = whole("cloudcode-pa.googleapis.com", "/v1internal:generateContent", {"request": {}})
    assert wrapped["response"]["candidates"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"type": "error"}),
        ("/v1/chat/completions", {"error": {"message": "no", "type": "api_error"}}),
        ("/api/chat", {"error": "no"}),
    ],
)
def test_ollama_words_its_errors_in_the_form_that_is_spoken(
    path: str, body: dict[str, Any]
) -> None:
    """Anthropic's, OpenAI's, or its own."""
    provider = provider_for("ollama.com", path)
    request = provider.api_request(path, {}, "ollama.com")
    failure = Failure(500, message="no")
    found = json.loads(provider.error_body(failure, fields_of(provider, request)))
    for name, value in body.items():
        known = value if not isinstance(value, dict) else value.items()
        assert found[name] == value or known <= found[name].items()


@pytest.mark.parametrize("path", ["converse-stream", "invoke-with-response-stream"])
def test_nothing_ends_a_stream_behind_its_error(path: str) -> None:
    """An exception is the last frame."""
    provider = provider_for(BEDROCK, f"/model/m/{path}")
    stream = provider.shape_of(f"/model/m/{path}").stream
    request = provider.api_request(f"/model/m/{path}", {}, BEDROCK)
    fields = fields_of(provider, request)
    progress = stream.progress()
    error = progress.error(Failure(503), fields, uniform())
    pieces = [*stream.minimal(request, fields, uniform())[:3], error]
    for event in events_of(*pieces, framing=AWS_EVENT_STREAM):
        progress.observe(event)
    assert progress.end_early(uniform()) == []


@pytest.mark.parametrize("inner", ["%%%", "\u00e9", 5, "e30="])
def test_a_chunk_without_a_models_event_passes(inner: object) -> None:
    """What is no base64, or no event, is none."""
    stream = provider_for(BEDROCK, "/model/m/invoke").shape_of("/model/m/invoke").stream
    data = json.dumps({"bytes": inner}).encode()
    progress = stream.progress()
    progress.observe(StreamEvent(b"", "chunk", data))
    assert not stream.is_terminator(StreamEvent(b"", "chunk", data))
    assert progress.end_early(uniform()) == []


def test_an_error_of_no_known_api_in_a_frame() -> None:
    """A problem, as an event called so."""
    provider = provider_for("api.example.com", "/x")
    streams = provider.shape_of("/x").streams
    for stream in streams:
        raw = stream.progress().error(Failure(503), fields_of(provider), uniform())
        [event] = events_of(raw, framing=stream.framing)
        assert event.json["status"] == 503
    frame = streams[-1].minimal(provider.api_request("/x", {}, "x"), fields_of(provider), uniform())
    assert aws_event_stream.payload_span(frame[0])


def test_nothing_comes_of_nothing() -> None:
    """Also when the lines were given up."""
    decoder = NdjsonDecoder(4)
    assert len(decoder.feed(b"12345678")) == 1
    assert decoder.feed(b"") == []


def test_cohere_beside_its_chat() -> None:
    """Vectors, ranks, a call that was answered, and its errors in OpenAI's form."""
    host = "api.cohere.com"
    assert len(whole(host, "/v2/embed", {"texts": ["a", "b"]})["embeddings"]["float"]) == 2
    assert whole(host, "/v2/embed", {})["texts"] == []
    assert [
        each["index"] for each in whole(host, "/v2/rerank", {"documents": [1, 2]})["results"]
    ] == [0, 1]
    asked = {"tools": [{"function": TOOL}], "messages": [{"role": "tool"}]}
    assert "tool_calls" not in whole(host, "/v2/chat", asked)["message"]
    path = "/compatibility/v1/chat/completions"
    provider = provider_for(host, path)
    raw = (
        provider.shape_of(path)
        .stream.progress()
        .error(Failure(503), fields_of(provider), uniform())
    )
    assert b"service unavailable" in raw


def test_a_long_path_may_be_mcps() -> None:
    """Too long to be remembered."""
    assert may_be_mcp("x", "/" * 300)
    assert not may_be_mcp("x", "/" + "y" * 300 + "/v1/messages")
