"""What holds for every provider, and which one a request is for."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.http.message import ResponseHead, find_header
from faultinject.providers import known
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.sse import SSE
from faultinject.providers.gateway import PARTS
from faultinject.providers.known import PROVIDERS, kind_of, provider_for, provider_named
from faultinject.providers.provider import LONGEST_PATH, REMEMBERED, Provider
from faultinject.providers.shape import ApiRequest, Failure, Usage, framing_of
from tests.support.examples import examples
from tests.unit.providers.golden import PATHS, asked_of, stream_at
from tests.unit.providers.support import NOW_SECONDS, events_of, fields_of, passed, uniform

WITHOUT_LIMITS = {"bedrock", "deepseek", "gemini", "ollama", "vertex"}
"""They tell of limits and waits in the error document, or not at all."""
ALWAYS_WITH_LIMITS = {"azure", "groq"}
"""They tell of limits in each answer."""
ONLY_WAITS = {"mcp"}
"""They tell of waits in a header, but have no limits."""
WITHOUT_TYPES = {"cohere", "mcp", "ollama"}
"""Their errors have no type."""
ENDED_TWICE = {"cohere"}
"""What ends a message is followed by one more event."""
SSE_TYPE = ((b"Content-Type", b"text/event-stream"),)
every_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)
SHAPES = [(p, path) for p in PROVIDERS for path in PATHS[p.name]]
every_shape = pytest.mark.parametrize(
    ("provider", "path"), SHAPES, ids=[f"{p.name}-{path}" for p, path in SHAPES]
)
OF_A_KIND = {type(stream_at(p, path).progress()): (p, path) for p, path in reversed(SHAPES)}
"""A provider and a path for each class that follows streams, which several share."""


def minimal(provider: Provider, path: str) -> list[bytes]:
    """Return the smallest stream for a request."""
    asked = asked_of(provider, path)
    return stream_at(provider, path).minimal(asked, fields_of(provider, asked), uniform())


# Which one


@pytest.mark.parametrize(
    ("host", "path", "name"),
    [
        ("api.anthropic.com", "/v1/messages", "anthropic"),
        ("api.anthropic.com", "/v1/messages/count_tokens", "anthropic"),
        ("api.anthropic.com", "/v1/models", "anthropic"),
        ("api.anthropic.com", "/v1/chat/completions", "openai"),
        ("gateway.example.com", "/anthropic/v1/messages", "anthropic"),
        ("api.openai.com", "/v1/chat/completions", "openai"),
        ("api.openai.com", "/v1/responses", "openai"),
        ("api.openai.com", "/v1/responses/resp_1/cancel", "openai"),
        ("api.openai.com", "/v1/models", "openai"),
        ("chatgpt.com", "/backend-api/codex/responses", "openai"),
        ("x.example.com", "/backend-api/codex/responses", "openai"),
        ("api.githubcopilot.com", "/responses", "openai"),
        ("api.example.com", "/responses", "plain"),
        ("openrouter.ai", "/api/v1/chat/completions", "openrouter"),
        ("openrouter.ai", "/api/v1/messages", "openrouter"),
        ("openrouter.ai", "/api/v1/models", "openrouter"),
        ("x.openai.azure.com", "/openai/deployments/d/chat/completions", "azure"),
        ("x.services.ai.azure.com", "/anthropic/v1/messages", "azure"),
        ("api-management.example.com", "/a/openai/deployments/d/chat/completions", "azure"),
        ("api.openai.com", "/v1/threads/t/messages", "openai"),
        ("api.groq.com", "/openai/v1/chat/completions", "groq"),
        ("codestral.mistral.ai", "/v1/fim/completions", "mistral"),
        ("api.deepseek.com", "/chat/completions", "deepseek"),
        ("api.deepseek.com", "/anthropic/v1/messages", "deepseek"),
        ("us-east-1.api.x.ai", "/v1/messages", "xai"),
        ("api.cohere.com", "/v2/chat", "cohere"),
        ("api.cohere.com", "/compatibility/v1/chat/completions", "cohere"),
        ("api.cohere.ai", "/v1/models", "cohere"),
        ("gateway.example.com", "/x/v2/rerank", "cohere"),
        ("forms.example.com", "/forms/1/responses", "plain"),
        ("api.example.com", "/orders", "plain"),
        ("api.example.com", "/v1/messages\n", "plain"),
        ("api.example.com", "", "plain"),
    ],
)
def test_recognition(host: str, path: str, name: str) -> None:
    """The path decides, then the host; what nobody knows is plain."""
    provider = provider_for(host, path)
    assert provider.name == name


A, OPENAI, X = "api.anthropic.com", "api.openai.com", "api.example.com"


@pytest.mark.parametrize(
    ("host", "request_line", "kind"),
    [
        (A, "POST /v1/messages", "model"),
        (A, "POST /v1/complete", "model"),
        (A, "GET /v1/messages", "api"),
        (A, "POST /v1/messages/count_tokens", "api"),
        (A, "POST /v1/messages/batches", "api"),
        (A, "GET /v1/models", "api"),
        (A, "POST /v1/files", "api"),
        (A, "GET /v1/api/x", "api"),
        (A, "GET /api", "api"),
        (A, "GET /api/claude_code/settings", "housekeeping"),
        (A, "POST /api/event_logging/v2/batch", "housekeeping"),
        (A, "POST /api/eval/sdk-1", "housekeeping"),
        (A, "GET /mcp-registry/v0/servers", "housekeeping"),
        (A, "GET /", "housekeeping"),
        (A, "POST /", "api"),
        (A, "HEAD /v1/messages", "housekeeping"),
        (A, "OPTIONS *", "housekeeping"),
        (A, "POST /v1/chat/completions", "model"),
        ("openrouter.ai", "POST /api/v1/messages", "model"),
        ("openrouter.ai", "POST /api/v1/messages/count_tokens", "api"),
        ("openrouter.ai", "GET /api/v1/models", "api"),
        (OPENAI, "POST /v1/responses", "model"),
        (OPENAI, "POST /v1/responses/compact", "model"),
        (OPENAI, "POST /v1/responses/resp_1/cancel", "api"),
        (OPENAI, "GET /v1/responses", "api"),
        (OPENAI, "POST /v1/completions", "model"),
        (OPENAI, "POST /v1/embeddings", "api"),
        (OPENAI, "POST /v1/traces/ingest", "housekeeping"),
        ("chatgpt.com", "POST /backend-api/codex/responses", "model"),
        ("chatgpt.com", "GET /backend-api/codex/models", "housekeeping"),
        ("api.githubcopilot.com", "POST /responses", "model"),
        ("api.githubcopilot.com", "GET /models", "api"),
        ("x.openai.azure.com", "POST /openai/deployments/d/chat/completions", "model"),
        (X, "GET /", "api"),
        (X, "HEAD /", "api"),
        (X, "OPTIONS /x", "api"),
        (X, "POST /api/event_logging/batch", "api"),
        (X, "POST /v1/traces/ingest", "api"),
    ],
)
def test_what_a_request_is_for(host: str, request_line: str, kind: str) -> None:
    """Housekeeping is named; on the host of an API that is not known, nothing is."""
    method, path = request_line.split(" ")
    assert provider_for(host, path).kind(method, path) == kind
    assert kind_of(host, method, path) == kind
    assert kind_of(host, method, path) == kind  # as remembered


def test_what_is_remembered_of_kinds_is_bounded() -> None:
    """A stranger chooses paths and methods, how many and how long."""
    for number in range(1000):
        assert kind_of(A, "POST", f"/{number}/v1/messages") == "model"
    before = known._remembered_kind.cache_info()
    assert before.currsize <= 256
    assert kind_of(A, "POST", "/" + "x" * 300 + "/v1/messages") == "model"
    assert kind_of(A, "X" * 300, "/v1/messages") == "api"
    assert known._remembered_kind.cache_info() == before


def test_hosts_may_be_patterns() -> None:
    """A star stands for any text."""
    provider = evolve(PROVIDERS[0], hosts=("*.example.com", "x-*.example.org"))
    assert provider.has_host("a.b.example.com")
    assert provider.has_host("x-1.example.org")
    assert not provider.has_host("example.com")
    assert not PROVIDERS[-1].has_host("")


def test_names() -> None:
    """Each is found by its name."""
    assert [provider_named(provider.name) for provider in PROVIDERS] == list(PROVIDERS)
    assert provider_named("other") is None


# What an answer is


@pytest.mark.parametrize(
    ("status", "content_type", "stream"),
    [
        (200, b"text/event-stream; charset=utf-8", True),
        (200, b"Text/Event-Stream", True),
        (200, b"text/event-stream ;x", True),
        (200, b"application/json", False),
        (200, b"text/event-streams", False),
        (529, b"text/event-stream", False),
        (200, None, False),
    ],
)
def test_streams_are_known_by_their_head(
    status: int, content_type: bytes | None, stream: bool
) -> None:
    """A 200 of the type of event streams is one; its shape is that of the path."""
    kind = (content_type or b"").lower()
    headers = () if content_type is None else ((b"CONTENT-type", content_type),)
    head = ResponseHead(status, b"", headers)
    assert (framing_of(head) is SSE) == (b"event-stream" in kind and b"streams" not in kind)
    if content_type == b"application/json":
        return  # a stream's own type at some APIs
    for provider, path in SHAPES:
        shape, asked = provider.shape_of(path), asked_of(provider, path)
        as_events = shape.stream_of(ResponseHead(200, b"", SSE_TYPE), asked)  # Ollama has none
        assert shape.stream_of(head, asked) is (as_events if stream else None), path


@every_provider
def test_streams_of_other_paths_are_plain(provider: Provider) -> None:
    """Points can be counted in any stream."""
    assert provider.shape_of("/v1/files").name == ("mcp" if provider.name == "mcp" else "plain")


@pytest.mark.parametrize("document", [None, [], "text", {"model": 5, "stream": 1}])
def test_a_request_that_says_nothing(document: object) -> None:
    """There are a model's name and an answer for it all the same."""
    asked = ApiRequest("/", document)
    assert asked.model == "fake-model"
    assert not asked.stream
    for provider in PROVIDERS:
        for path in PATHS[provider.name]:
            given = evolve(asked, path=path)
            fields = fields_of(provider, given)
            assert json.loads(provider.shape_of(path).minimal_response(given, fields, uniform()))
            assert provider.shape_of(path).stream.minimal(given, fields, uniform())


def test_a_models_name_of_any_length() -> None:
    """One that is too long is not repeated: a stream may have it in each event."""
    assert ApiRequest("/", {"model": "m" * 1000}).model == "m" * 1000
    assert ApiRequest("/", {"model": "m" * 1001}).model == "fake-model"


def test_a_request_that_says_something() -> None:
    """It names its model and wants a stream."""
    asked = ApiRequest("/", {"model": "m", "stream": True})
    assert (asked.model, asked.stream) == ("m", True)


# Errors


@every_provider
def test_every_status_has_a_document(provider: Provider) -> None:
    """It is JSON, it says something, and nothing in it was left to be filled in."""
    for status in (*range(400, 600), 302):
        body = provider.error_body(Failure(status), fields_of(provider))
        assert json.loads(body), status
        assert provider.error_type(status), status
        assert not re.search(rb"[^\\]\{\w+\}", body), status
        assert provider.reason_phrase(status), status


@every_provider
def test_own_words(provider: Provider) -> None:
    """A message and a type are taken as given, with the fields that they name filled in."""
    failure = Failure(503, error_type="odd", message="id {request_id}, {unknown} {é}")
    fields = fields_of(provider)
    body = provider.error_body(failure, fields).decode()
    assert f"id {fields.request_id}, {{unknown}} {{é}}" in body
    types = b"odd" in body.encode() + b"".join(
        dict(provider.error_headers(failure, fields)).values()
    )
    assert types == (provider.name not in WITHOUT_TYPES)


@every_provider
def test_headers(provider: Provider) -> None:
    """Errors have the id; limits and the time to wait come if they are told."""
    fields = fields_of(provider)
    headers = provider.error_headers(Failure(500), fields)
    assert find_header(headers, b"retry-after") is None
    always = [name for name, _ in headers if b"ratelimit" in name.lower()]
    assert bool(always) == (provider.name in ALWAYS_WITH_LIMITS)
    lower = tuple((name.lower(), value) for name, value in headers)
    if provider.request_id_header is not None:
        assert find_header(lower, provider.request_id_header) == fields.request_id.encode()
    limited = Failure(429, exhausted="requests", retry_after_seconds=1.2)
    headers = provider.error_headers(limited, fields)
    told = [name for name, _ in headers if re.search(rb"ratelimit|call-limit", name.lower())]
    if provider.name in WITHOUT_LIMITS:
        assert not told
        assert find_header(headers, b"retry-after") is None
    else:
        assert find_header(headers, b"retry-after") == b"2"
        assert bool(told) == (provider.name not in ONLY_WAITS)


@pytest.mark.parametrize("name", sorted(ALWAYS_WITH_LIMITS))
def test_without_an_account_there_are_no_limits(name: str) -> None:
    """They are told with each status but that for a key that is not valid."""
    [provider] = [each for each in PROVIDERS if each.name == name]
    fields = fields_of(provider)
    for status in (400, 401, 404, 429, 503):
        headers = provider.error_headers(Failure(status), fields)
        told = any(key.startswith(b"x-ratelimit-remaining") for key, _ in headers)
        assert told == (status != 401)
        assert not told or (b"x-ratelimit-remaining-requests", b"0") not in headers


@every_provider
def test_limits_that_are_not_exhausted(provider: Provider) -> None:
    """Answers that are no errors have something left of every limit."""
    headers = provider.rate_limit_headers(Failure(200), fields_of(provider))
    remaining = [value for name, value in headers if b"remaining" in name.lower()] or [
        re.findall(rb"r=(\d+)", value)[0] for name, value in headers if name == b"RateLimit"
    ]
    assert bool(remaining) == (provider.name not in WITHOUT_LIMITS | ONLY_WAITS)
    assert all(int(value) > 0 for value in remaining)


@every_provider
def test_any_time_to_wait(provider: Provider) -> None:
    """However long a client is to wait, there is an answer, and lines are lines."""
    for seconds, exhausted in product(
        (0.0, 0.001, 59.9, 3600, 10**6, 10**15), ("requests", "tokens", "input-tokens", "other")
    ):
        failure = Failure(429, exhausted=exhausted, retry_after_seconds=seconds)
        fields = fields_of(provider)
        assert json.loads(provider.error_body(failure, fields)), (seconds, exhausted)
        for name, value in provider.error_headers(failure, fields):
            assert re.fullmatch(rb"[A-Za-z-]+", name), (seconds, exhausted)
            assert re.fullmatch(rb"[ -~]+", value), (seconds, exhausted)


@every_provider
def test_fields_take_the_same_draws(provider: Provider) -> None:
    """What is drawn after them does not depend on the request."""
    counts = set()
    for document in (None, {"model": "m", "stream": True, "tools": [{}]}):
        drawn = 0

        def count() -> float:
            nonlocal drawn
            drawn += 1
            return 0.5

        provider.draw_fields(count, NOW_SECONDS, ApiRequest("/", document))
        counts.add(drawn)
    assert len(counts) == 1


# Streams


@every_shape
def test_a_stream_has_one_end(provider: Provider, path: str) -> None:
    """Each piece is one event, and the last of all is known by its shape."""
    shape, pieces = stream_at(provider, path), minimal(provider, path)
    events = events_of(*pieces, framing=shape.framing)
    assert len(events) == sum(not piece.startswith(b": ") for piece in pieces)
    ends = [shape.is_terminator(event) for event in events]
    assert sum(ends[:-1]) == (provider.name in ENDED_TWICE)
    assert ends[-1] == (provider.name != "plain")
    assert len(pieces) > 8


@every_shape
def test_nothing_ends_what_has_not_begun_or_has_ended(provider: Provider, path: str) -> None:
    """Before the first event and after the last there is no message to end."""
    shape, pieces = stream_at(provider, path), minimal(provider, path)
    assert shape.progress().end_early(uniform()) == []
    assert passed(shape.progress(), *pieces, framing=shape.framing).end_early(uniform()) == []


@every_shape
def test_an_early_end_is_an_end(provider: Provider, path: str) -> None:
    """Wherever a stream is ended early, its last event is the shape's end."""
    shape, pieces = stream_at(provider, path), minimal(provider, path)
    begun = 2 if pieces[0].startswith(b": ") or b'"choices":[]' in pieces[0] else 1
    for count in range(begun, len(pieces) - (provider.name in ENDED_TWICE)):
        end = passed(shape.progress(), *pieces[:count], framing=shape.framing).end_early(uniform())
        if provider.name in ("mcp", "plain"):
            assert end == []
            continue
        assert shape.is_terminator(events_of(*end, framing=shape.framing)[-1])
        ended = passed(shape.progress(), *pieces[:count], *end, framing=shape.framing)
        assert ended.end_early(uniform()) == []


@every_shape
def test_errors_in_streams_are_whole_events(provider: Provider, path: str) -> None:
    """At any place, in every form: one, or two that say the same. The usual form is the first."""
    shape, pieces = stream_at(provider, path), minimal(provider, path)
    fields = evolve(fields_of(provider), request_id="req_of_the_head")
    failure = provider.failures["overloaded"]
    for count in (0, 1, 5):
        for form in set(shape.error_forms) - {"raw", "resumable"}:
            progress = passed(shape.progress(), *pieces[:count], framing=shape.framing)
            events = events_of(
                progress.error(failure, fields, uniform(), form), framing=shape.framing
            )
            said = [event for event in events if event.data != b"[DONE]"]
            assert len(said) == (2 if form == "both" else 1)
            assert all(
                re.search(rb"[Ee]rror|exception|insufficient|content_filter", event.raw)
                for event in said
            )
        usual = passed(shape.progress(), *pieces[:count], framing=shape.framing)
        assert usual.error(failure, fields, uniform()) == usual.error(
            failure, fields, uniform(), shape.error_forms[0]
        )


AN_ERROR = rb"error|exception|insufficient_system_resource|content_filter"
ODD_NAMES = [None, "message_start", "content_block_start", "message_delta", "response.created"]
ODD_DATA = [
    b"", b"[DONE", b"[]", b"5", b"{}", b"null", b'{"type":5}', b'{"type":"response.created"}',
    b'{"type":"response.output_item.added","output_index":0,"item":5}',
    b'{"type":"response.completed","response":5}', b'{"choices":[5,{}],"usage":[]}',
    b'{"message":5,"usage":5,"index":"x"}', b'{"type":"message_start","message":{"usage":{}}}',
]  # fmt: skip


@every_shape
def test_odd_events_pass(provider: Provider, path: str) -> None:
    """What an origin sends against all rules breaks nothing, and can be ended or harmed."""
    for data in ODD_DATA:
        progress = stream_at(provider, path).progress()
        for name in ODD_NAMES:
            progress.observe(StreamEvent(b"", name, data))
        progress.end_early(uniform())
        progress.error(Failure(500), fields_of(provider), uniform())
        assert progress.usage is None or progress.usage.output_tokens is None, data


WORDS = st.sampled_from(
    ["type", "index", "output_index", "content_index", "item", "part", "delta", "choices", "usage",
     "message", "response", "error", "finish_reason", "sequence_number", "input_tokens", "id",
     "content_block_start", "message_start", "message_delta", "message_stop", "response.created",
     "response.output_item.added", "response.output_item.done", "response.content_part.added",
     "response.output_text.delta", "response.completed", "function_call"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.integers(-1, 3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("provider", "path"), OF_A_KIND.values(), ids=[each.__name__ for each in OF_A_KIND]
)
@examples(40)
@given(events=st.lists(st.tuples(st.none() | WORDS, VALUES), max_size=6))
def test_any_event_passes(
    provider: Provider, path: str, events: list[tuple[str | None, Any]]
) -> None:
    """No origin's events break what follows them; what is added is whole events."""
    shape, progress = stream_at(provider, path), stream_at(provider, path).progress()
    for name, document in events:
        progress.observe(StreamEvent(b"", name, json.dumps(document).encode()))
    for form in set(shape.error_forms) - {"raw"}:
        events_of(
            progress.error(Failure(), fields_of(provider), uniform(), form), framing=shape.framing
        )
    end = progress.end_early(uniform())
    assert len(events_of(*end, framing=shape.framing)) == len(end)
    assert progress.usage is None or isinstance(progress.usage, Usage)


@every_provider
def test_usage_of_whole_answers(provider: Provider) -> None:
    """The tokens are read from an answer that has them."""
    for shape in provider.shapes:
        for document in ({}, None, {"usage": {"input_tokens": "x"}}):
            assert shape.usage(document) is None


# Pages


@every_provider
def test_pages(provider: Provider) -> None:
    """Every page has its bytes, says where they are known from, and has no id of the API's."""
    assert set(PARTS) < set(provider.pages)
    for name, page in provider.pages.items():
        fields = fields_of(provider)
        assert page.name == name
        assert page.body(fields)
        assert "verified" in page.evidence or "captured" in page.evidence
        names = {key.lower() for key, _ in page.headers(fields)}
        assert not names & {b"content-length", b"content-type", b"date", provider.request_id_header}
        assert fields.request_id.encode() not in page.body(fields)


@pytest.mark.parametrize(
    ("path", "status", "kind", "unknown"),
    [
        ("/v1/messages", 200, "Application/X-NDJSON; x=y", "application/x-ndjson"),
        (
            "/v1/messages",
            200,
            "application/vnd.amazon.eventstream",
            "application/vnd.amazon.eventstream",
        ),
        ("/v1/messages", 200, "text/event-stream", None),
        ("/v1/messages", 200, "application/json", None),
        ("/v1/messages", 429, "application/x-ndjson", None),
        ("/orders", 200, "application/x-ndjson", None),
        ("/orders", 200, "application/json-seq", "application/json-seq"),
    ],
)
def test_streams_of_forms_that_are_not_known(
    path: str, status: int, kind: str, unknown: str | None
) -> None:
    """They are told by their media type."""
    provider = provider_for("api.example.com", path)
    shape, asked = provider.shape_of(path), provider.api_request(path, {}, "api.example.com")
    head = ResponseHead(status, b"", ((b"Content-Type", kind.encode()),))
    assert shape.unknown_stream(head, asked) == unknown
    assert shape.unknown_stream(ResponseHead(200, b"", ()), asked) is None


def test_paths_are_remembered_in_part() -> None:
    """However many a client sends, and however long they are."""
    provider = provider_for("api.anthropic.com", "/v1/messages")
    for number in range(2 * REMEMBERED):
        path = f"/{number}"
        assert provider.shape_of(path) is provider.shape_of(path) is provider.shapes[-1]
        assert len(provider._shape_at) <= REMEMBERED
    long = "/v1/messages/" + "x" * LONGEST_PATH
    provider.shape_of(long)
    assert long not in provider._shape_at
