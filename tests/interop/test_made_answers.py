"""The answers that are made where no API is asked, as the SDKs read them. No proxy is involved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread
from typing import Any

import anthropic
import openai
import pytest
from attrs import define

from faultinject.providers.documents import TEXT
from faultinject.providers.known import provider_for
from faultinject.providers.shape import ApiRequest, Failure

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
MESSAGES: list[Any] = [{"role": "user", "content": "How is the weather?"}]
MESSAGE: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": MESSAGES}
TOOL: Any = {"name": "weather", "input_schema": SCHEMA}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
FUNCTION: Any = {"type": "function", "name": "weather", "parameters": SCHEMA}


@define
class Api:
    """Answers every request with what its provider makes."""

    url: str = ""
    failure: Failure | None = None
    events: int | None = None
    """After how many events a stream is ended early, or fails if there is a failure."""
    form: str = ""

    def answer(self, path: str, document: Any) -> tuple[int, str, bytes]:
        """Return status, type and body."""
        provider = provider_for("localhost", path)
        asked, uniform = ApiRequest(path, document), Random(1).random
        fields, spoken = provider.draw_fields(uniform, 1.7e9, asked), provider.shape_of(path)
        shape = spoken.stream
        if self.failure is not None and self.events is None:
            body = provider.error_body(self.failure, fields)
            return self.failure.status, provider.error_content_type, body
        if not asked.stream:
            return 200, "application/json", spoken.minimal_response(asked, fields, uniform)
        events = shape.minimal(asked, fields, uniform)
        if self.events is not None:
            events, progress = events[: self.events], shape.progress()
            for event in shape.framing.decoder().feed(b"".join(events)):
                progress.observe(event)
            failure = self.failure
            events += (
                progress.end_early(uniform)
                if failure is None
                else [progress.error(failure, fields, uniform, self.form)]
            )
        return 200, shape.content_type, b"".join(events)


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """Serve an API on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, kind, body = api.answer(self.path.partition("?")[0], document)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        api.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def api() -> Iterator[Api]:
    """The API."""
    with serving(Api()) as running:
        yield running


@pytest.fixture
def claude(api: Api) -> Iterator[anthropic.Anthropic]:
    """A client of Anthropic's SDK."""
    with anthropic.Anthropic(api_key="sk-test", base_url=api.url, max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(api: Api) -> Iterator[openai.OpenAI]:
    """A client of OpenAI's SDK."""
    with openai.OpenAI(api_key="sk-test", base_url=f"{api.url}/v1", max_retries=0) as client:
        yield client


def final_message(client: anthropic.Anthropic, *tools: Any) -> Any:
    """Return the message of a stream."""
    with client.messages.stream(**MESSAGE, tools=tools) as stream:
        return stream.get_final_message()


def test_messages(claude: anthropic.Anthropic) -> None:
    """Whole and streamed are the same text, and the same call of a tool."""
    whole = claude.messages.create(**MESSAGE, tools=[TOOL])
    for message in (whole, final_message(claude, TOOL)):
        assert [block.type for block in message.content] == ["text", "tool_use"]
        assert message.content[0].text == TEXT
        assert message.content[1].input == {"city": "example"}
        assert message.stop_reason == "tool_use"
    assert final_message(claude).stop_reason == "end_turn"
    assert claude.messages.count_tokens(model="m", messages=MESSAGES).input_tokens == 5


def test_messages_that_end_early(api: Api, claude: anthropic.Anthropic) -> None:
    """Wherever one ends, the SDK sees a message that ran out of tokens."""
    for api.events in range(1, 20):
        message = final_message(claude)
        assert message.stop_reason == "max_tokens"
        assert TEXT.startswith("".join(block.text for block in message.content))


def test_errors_in_messages(api: Api, claude: anthropic.Anthropic) -> None:
    """First of all or later, they are the SDK's exception, with the API's type."""
    api.failure = Failure(529)
    for api.events in (0, 6):
        with pytest.raises(anthropic.APIStatusError) as caught:
            final_message(claude)
        assert (caught.value.status_code, caught.value.type) == (200, "overloaded_error")


@pytest.mark.parametrize("name", provider_for("", "/v1/messages").failures)
def test_anthropic_failures(name: str, api: Api, claude: anthropic.Anthropic) -> None:
    """Each is an exception with the type that is in the document."""
    api.failure = provider_for("", "/v1/messages").failures[name]
    with pytest.raises(anthropic.APIStatusError) as caught:
        claude.messages.create(**MESSAGE)
    assert caught.value.status_code == api.failure.status
    assert str(caught.value.type) in str(caught.value.body)


def test_completions(gpt: openai.OpenAI) -> None:
    """Whole and streamed are the same text, or call."""
    create = gpt.chat.completions.create
    assert create(model="m", messages=MESSAGES).choices[0].message.content == TEXT
    for tools in ([], [CHAT_TOOL]):
        with gpt.chat.completions.stream(
            model="m", messages=MESSAGES, tools=tools, stream_options={"include_usage": True}
        ) as stream:
            final = stream.get_final_completion()
        assert final.usage is not None
        if not tools:
            assert final.choices[0].message.content == TEXT
            continue
        [call] = final.choices[0].message.tool_calls or []
        assert json.loads(call.function.arguments) == {"city": "example"}


def test_completions_that_end_early(api: Api, gpt: openai.OpenAI) -> None:
    """Wherever one ends, its reason is the length."""
    for api.events in range(1, 18):
        chunks = gpt.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"


def test_responses(gpt: openai.OpenAI) -> None:
    """Whole and streamed are the same text, or call."""
    assert gpt.responses.create(model="m", input="hi").output_text == TEXT
    with gpt.responses.stream(model="m", input="hi") as stream:
        assert stream.get_final_response().output_text == TEXT
    with gpt.responses.stream(model="m", input="hi", tools=[FUNCTION]) as stream:
        [item] = stream.get_final_response().output
    assert item.type == "function_call"
    assert json.loads(item.arguments) == {"city": "example"}


@pytest.mark.parametrize("tools", [[], [FUNCTION]], ids=["text", "call"])
def test_responses_that_end_early(tools: Any, api: Api, gpt: openai.OpenAI) -> None:
    """Wherever one ends, it is incomplete, and its events are numbered without a gap."""
    for api.events in range(1, 8):
        events = list(gpt.responses.create(model="m", input="hi", tools=tools, stream=True))
        last = events[-1]
        assert last.type == "response.incomplete"
        assert last.response.incomplete_details is not None
        assert last.response.incomplete_details.reason == "max_output_tokens"
        assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize(
    ("form", "raised"),
    [("", True), ("both", True), ("nested", True), ("flat", False), ("failed", False)],
)
def test_errors_in_responses(form: str, raised: bool, api: Api, gpt: openai.OpenAI) -> None:
    """The nested event is raised by the SDK, the others are events that it hands on."""
    api.failure, api.form, api.events = Failure(503), form, 4
    stream = gpt.responses.create(model="m", input="hi", stream=True)
    if raised:
        with pytest.raises(openai.APIError, match="overloaded") as caught:
            list(stream)
        assert caught.value.code == "server_is_overloaded"
        return
    assert list(stream)[-1].type in ("error", "response.failed")


@pytest.mark.parametrize("name", provider_for("", "/v1/responses").failures)
def test_openai_failures(name: str, api: Api, gpt: openai.OpenAI) -> None:
    """Each is an exception with the code that is in the document."""
    api.failure = provider_for("", "/v1/responses").failures[name]
    with pytest.raises(openai.APIStatusError) as caught:
        gpt.responses.create(model="m", input="hi")
    assert caught.value.status_code == api.failure.status
    assert isinstance(caught.value.body, dict)
    assert caught.value.code == caught.value.body["code"]
