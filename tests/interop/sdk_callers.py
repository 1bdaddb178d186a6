"""The Python SDKs as callers: anthropic and openai, each with its own exceptions and retries."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import anthropic
import openai

from tests.interop.caller import (
    TIMEOUT_SECONDS,
    AsyncCaller,
    Caller,
    Outcome,
    failed,
    request_json,
)


class _SdkCaller(Caller):
    """An SDK, pointed as its users do it: by its base URL, or by the proxy's and CA's variables."""

    sdk = True

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"api_key": "sk-test", "timeout": TIMEOUT_SECONDS}
        if self.route.max_retries is not None:
            options["max_retries"] = self.route.max_retries
        return options | {"base_url": self.route.base_url}


class AnthropicCaller(_SdkCaller):
    name = "anthropic"
    errors: ClassVar = {429: "anthropic.RateLimitError", 529: "anthropic.OverloadedError"}

    def _open(self) -> None:
        self.client = self.stack.enter_context(anthropic.Anthropic(**self._options()))

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        request = request_json(prompt, stream=False)
        del request["stream"]
        try:
            if not stream:
                return _message_outcome(self.client.messages.create(**request))
            with self.client.messages.stream(**request) as events:
                return _message_outcome(events.get_final_message())
        except anthropic.APIStatusError as error:
            return failed(error, error.status_code, error.response.headers, json.dumps(error.body))


class AsyncAnthropicCaller(AsyncCaller, _SdkCaller):
    name = "anthropic-async"
    errors = AnthropicCaller.errors

    async def _open_client(self) -> None:
        client = anthropic.AsyncAnthropic(**self._options())
        self.client = await self.async_stack.enter_async_context(client)

    async def _ask(self, stream: bool, prompt: str) -> Outcome:
        request = request_json(prompt, stream=False)
        del request["stream"]
        try:
            if not stream:
                return _message_outcome(await self.client.messages.create(**request))
            async with self.client.messages.stream(**request) as events:
                return _message_outcome(await events.get_final_message())
        except anthropic.APIStatusError as error:
            return failed(error, error.status_code, error.response.headers, json.dumps(error.body))


def _message_outcome(message: anthropic.types.Message) -> Outcome:
    assert message.stop_reason == "end_turn"
    return Outcome("".join(block.text for block in message.content if block.type == "text"))


class _OpenAICaller(_SdkCaller):
    host = "api.openai.com"
    errors: ClassVar = {429: "openai.RateLimitError", 529: "openai.InternalServerError"}

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"base_url": self.route.base_url + "/v1"}

    def _open(self) -> None:
        self.client = self.stack.enter_context(openai.OpenAI(**self._options()))

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        try:
            return Outcome(self._text(prompt, stream))
        except openai.APIStatusError as error:
            return failed(error, error.status_code, error.response.headers, error.response.content)

    def _text(self, prompt: str, stream: bool) -> str:
        raise NotImplementedError


class ChatCompletionsCaller(_OpenAICaller):
    name = "openai"
    path = "/v1/chat/completions"
    # The SDK closes the connection at [DONE], often before the last chunk, which is empty.
    stream_outcomes = frozenset({"forwarded", "client-gone"})

    def _text(self, prompt: str, stream: bool) -> str:
        create = self.client.chat.completions.create
        answer = create(**request_json(prompt, stream=stream))
        if not stream:
            return str(answer.choices[0].message.content)
        with answer:
            choices = [chunk.choices[0] for chunk in answer]
        assert choices[-1].finish_reason == "stop"
        return "".join(choice.delta.content or "" for choice in choices)


class ResponsesCaller(_OpenAICaller):
    name = "openai-responses"
    path = "/v1/responses"

    def _text(self, prompt: str, stream: bool) -> str:
        if not stream:
            return str(self.client.responses.create(model="m", input=prompt).output_text)
        with self.client.responses.stream(model="m", input=prompt) as events:
            return str(events.get_final_response().output_text)


SDK_CALLERS: list[type[Caller]] = [
    AnthropicCaller, AsyncAnthropicCaller, ChatCompletionsCaller, ResponsesCaller,
]  # fmt: skip
