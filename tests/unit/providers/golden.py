"""The exact bytes of what providers send, as text files to be read and compared.

``python -m tests.unit.providers.golden`` writes them anew;
look at what changed before it is committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faultinject.http.message import Headers
from faultinject.providers import gateway
from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import ErrorPage, Provider
from faultinject.providers.shape import ApiRequest, Failure, Shape, StreamShape
from tests.unit.providers.support import MESSAGES, SCHEMA, fields_of, passed, uniform

FOLDER = Path(__file__).parent / "golden"
PATHS = {
    "anthropic": ["/v1/messages"],
    "openai": ["/v1/chat/completions", "/v1/responses"],
    "gemini": [
        "/v1/models/some-model:streamGenerateContent?alt=sse",
        "/v1/models/some-model:streamGenerateContent",
    ],
    "vertex": [
        "/v1/projects/p/locations/l/publishers/anthropic/models/some-model:streamRawPredict",
    ],
    "bedrock": [
        "/model/some-model/converse-stream",
        "/model/some-model/invoke-with-response-stream",
    ],
    "ollama": ["/api/chat", "/v1/chat/completions"],
    "azure": ["/openai/deployments/some-model/chat/completions", "/openai/v1/responses"],
    "groq": ["/openai/v1/chat/completions"],
    "mistral": ["/v1/chat/completions"],
    "deepseek": ["/chat/completions"],
    "xai": ["/v1/chat/completions", "/v1/responses"],
    "openrouter": ["/api/v1/chat/completions", "/api/v1/responses"],
    "cohere": ["/v2/chat"],
    "mcp": ["/mcp"],
    "plain": ["/orders"],
}
"""Where each provider has streams, with the query that chooses among their forms."""
_MODEL = "some-model"
_FUNCTION = {"name": "weather", "parameters": SCHEMA}
_GEMINI = {"contents": [{"role": "user", "parts": [{"text": "How is the weather?"}]}]}
_REQUESTS: dict[str, dict[str, Any]] = {
    "chat": {"messages": MESSAGES, "stream_options": {"include_usage": True}},
    "responses": {"input": MESSAGES},
    "gemini": _GEMINI,
    "mcp": {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": "add", "arguments": {"a": 1, "b": 2}},
    },
}
"""The body of a request, by what is spoken; else it has messages."""
_TOOLS: dict[str, Any] = {
    "messages": {"name": "weather", "input_schema": SCHEMA},
    "chat": {"type": "function", "function": _FUNCTION},
    "responses": {"type": "function", **_FUNCTION},
    "gemini": {"functionDeclarations": [_FUNCTION]},
    "ollama": {"type": "function", "function": _FUNCTION},
    "cohere": {"type": "function", "function": _FUNCTION},
    "converse": {"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}},
    "invoke": {"name": "weather", "input_schema": SCHEMA},
}
_OF_EDGE = {*gateway.PAGES, *gateway.PARTS}


def shown(data: bytes) -> str:
    """Return bytes so that each of them is seen: CR as ␍, an end without a line end as ␃.

    What is no text, a frame, is written as Python would write it.
    """
    if b"\0" in data:
        return f"{data!r}\n"
    text = data.decode().replace("\r", "␍")
    return text if text.endswith("\n") else text + "␃\n"


def asked_of(provider: Provider, path: str, *, tools: bool = False) -> ApiRequest:
    """Return a request."""
    shape = shape_at(provider, path).name
    document = {"model": _MODEL, **_REQUESTS.get(shape, {"messages": MESSAGES})}
    if tools and shape == "converse":
        document["toolConfig"] = {"tools": [_TOOLS[shape]]}
    elif tools:
        document["tools"] = [_TOOLS[shape]]
    host = provider.hosts[0] if provider.hosts else "api.example.com"
    path, _, query = path.partition("?")
    return provider.api_request(path, document, host, query)


def shape_at(provider: Provider, path: str) -> Shape:
    """Return what is spoken at a path with its query."""
    return provider.shape_of(path.partition("?")[0])


def stream_at(provider: Provider, path: str) -> StreamShape:
    """Return the form of stream that a path with its query asks for."""
    return shape_at(provider, path).requested_stream(asked_of(provider, path))


def heading(name: str) -> str:
    """Return a section's first line."""
    return f"---- {name} ".ljust(100, "-") + "\n"


def head(status: int, reason: str, headers: Headers) -> str:
    """Return the head of an answer, without what is added where it is sent."""
    lines = [f"{status} {reason}", *(f"{n.decode()}: {v.decode()}" for n, v in headers)]
    return "\n".join(lines) + "\n\n"


def page(provider: Provider, document: ErrorPage) -> str:
    """Return an answer of what stands in front of an API."""
    fields = fields_of(provider, asked_of(provider, "/v1/messages"))
    typed = ((b"Content-Type", document.content_type.encode()), *document.headers(fields))
    return head(document.status, document.reason, typed) + shown(document.body(fields))


def error(provider: Provider, failure: Failure) -> str:
    """Return an error of an API's own."""
    fields = fields_of(provider, asked_of(provider, PATHS[provider.name][0]))
    headers = provider.error_headers(failure, fields)
    typed = ((b"Content-Type", provider.error_content_type.encode()), *headers)
    reason = provider.reason_phrase(failure.status)
    return head(failure.status, reason, typed) + shown(provider.error_body(failure, fields))


def errors(provider: Provider) -> Iterator[str]:
    """Return all errors of a provider: by name, and what there is for each status."""
    for name, failure in provider.failures.items():
        yield heading(name) + error(provider, failure)
    for status in (400, 401, 402, 403, 404, 408, 409, 413, 418, 429, 500, 502, 503, 504, 529):
        fields = fields_of(provider, asked_of(provider, PATHS[provider.name][0]))
        yield heading(f"status {status}") + shown(provider.error_body(Failure(status), fields))
    for name in sorted(set(provider.pages) - _OF_EDGE):
        yield heading(f"page {name}") + page(provider, provider.pages[name])


def streams(provider: Provider, path: str) -> Iterator[str]:
    """Return the streams of a path, whole and harmed, and what comes without a stream."""
    spoken, shape = shape_at(provider, path), stream_at(provider, path)
    for tools in (False, True) if spoken.name in _TOOLS else (False,):
        asked = asked_of(provider, path, tools=tools)
        fields = fields_of(provider, asked)
        what = "a call of a tool" if tools else "a text"
        events = shape.minimal(asked, fields, uniform())
        yield heading(f"{what}, whole") + shown(spoken.minimal_response(asked, fields, uniform()))
        yield heading(f"{what}, stream") + "".join(shown(event) for event in events)
        within = (
            b"weather"
            if tools and spoken.name in ("gemini", "ollama")
            else b"exa"
            if tools
            else b" was"
        )
        places = [n for n, event in enumerate(events) if within in event]
        most = events[: max(places, default=len(events) // 2) + 1]  # in base64 it is not seen
        end = passed(shape.progress(), *most, framing=shape.framing).end_early(uniform())
        yield heading(f"{what}, early end, after {len(most)} events") + (
            shown(b"".join(end)) if end else "nothing\n"
        )
        for form in shape.error_forms if not tools else ():
            progress = passed(shape.progress(), *events[:4], framing=shape.framing)
            raw = progress.error(provider.failures["overloaded"], fields, uniform(), form)
            yield heading(f"error in the stream, form {form}, after 4 events") + shown(raw)
    yield heading("ping") + (shown(shape.ping) if shape.ping else "none\n")


def files() -> dict[str, str]:
    """Return the golden files: their names and what must be in them."""
    made = {f"{provider.name}-errors.txt": "".join(errors(provider)) for provider in PROVIDERS}
    for provider in PROVIDERS:
        for path in PATHS[provider.name]:
            shape, framing = shape_at(provider, path), stream_at(provider, path).framing
            prefix = (
                provider.name if shape.name == provider.name else f"{provider.name}-{shape.name}"
            )
            if framing is not shape.stream.framing:
                prefix += f"-{framing.name}"
            made[f"{prefix}-streams.txt"] = "".join(streams(provider, path))
    pages = (heading(name) + page(PROVIDERS[0], it) for name, it in gateway.PAGES.items())
    made["gateway-pages.txt"] = "".join(pages)
    return made


def write() -> None:
    """Write the files, and nothing else into their folder."""
    made = files()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    write()
