"""What the APIs share that are shaped like OpenAI's: their usual words by status, and their shapes.

Each has words, headers and failures of its own; some also speak Responses, and Anthropic's
Messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field, frozen

from faultinject.http.message import Headers, standard_phrase
from faultinject.providers import gateway, generic
from faultinject.providers.anthropic import errors as anthropic_errors
from faultinject.providers.anthropic import messages
from faultinject.providers.anthropic import stream as anthropic_stream
from faultinject.providers.anthropic.api import message_usage
from faultinject.providers.anthropic.stream import MessagesProgress
from faultinject.providers.documents import message_of
from faultinject.providers.openai import chat, responses
from faultinject.providers.openai import usage as openai_usage
from faultinject.providers.provider import (
    EXAMPLE_FUNCTION,
    EXAMPLE_MESSAGES,
    EXAMPLE_SCHEMA,
    NOTHING,
    TRANSIENT,
    ErrorPage,
    Example,
    Provider,
)
from faultinject.providers.shape import (
    FAKE_MODEL,
    ApiRequest,
    Failure,
    Fields,
    Shape,
    StreamShape,
    Uniform,
)


@frozen(eq=False, repr=False)
class UsualError:
    """The usual error of a status."""

    message: str
    error_type: str | None = None
    code: str | None = None
    without_model: str = ""
    """The message for a request without a model, if it differs."""


@frozen(eq=False, repr=False)
class Vocabulary:
    """The usual errors of an API."""

    by_status: Mapping[int, UsualError]
    client: UsualError
    """For the other statuses below 500; the message is the status's phrase."""
    server: UsualError
    """For the others from 500 on."""

    def of(self, status: int) -> UsualError:
        """Return the usual error of a status."""
        rest = self.client if status < 500 else self.server
        return self.by_status.get(status) or evolve(rest, message=standard_phrase(status))

    def error_type(self, status: int) -> str:
        """Return the type of the usual error of a status."""
        return self.of(status).error_type or ""

    def message(self, failure: Failure, fields: Fields) -> str:
        """Return a failure's own message or the usual one, filled in."""
        usual = self.of(failure.status)
        default = (fields.model == FAKE_MODEL and usual.without_model) or usual.message
        return message_of(failure, fields, default)

    def error(self, failure: Failure, fields: Fields) -> UsualError:
        """Return an error. A failure with a type of its own does not get the code of another."""
        usual = self.of(failure.status)
        own = failure.error_type not in (None, usual.error_type)
        return UsualError(
            self.message(failure, fields),
            failure.error_type or usual.error_type,
            failure.code or (None if own else usual.code),
        )


def spoken(fields: Fields) -> str:
    """Return the name of what is spoken at the request's path; empty if it is unknown."""
    asked = fields.request
    return asked.shape.name if asked is not None and asked.shape is not None else ""


_ANTHROPICS = {408: "timeout_error", 503: "overloaded_error"}
"""Types of statuses that others have and Anthropic's API does not use in this sense."""


def in_anthropics_terms(failure: Failure) -> Failure:
    """Return a failure with a type of Anthropic's: its own if it is one, or that of its status."""
    own = failure.error_type if failure.error_type in anthropic_errors.TYPES else None
    return evolve(failure, error_type=own or _ANTHROPICS.get(failure.status))


def as_anthropic(vocabulary: Vocabulary, failure: Failure, fields: Fields) -> bytes:
    """Return an error document of Anthropic's form, with an API's own message."""
    worded = evolve(in_anthropics_terms(failure), message=vocabulary.message(failure, fields))
    return anthropic_errors.failure_body(worded, fields)


# Shapes


def chat_shape(
    stream: StreamShape = chat.STREAM,
    minimal_response: Callable[[ApiRequest, Fields, Uniform], bytes] = chat.minimal_response,
    paths: str = r".*/completions",
) -> Shape:
    """Return the shape of Chat Completions."""
    return Shape("chat", re.compile(paths), minimal_response, (stream,), openai_usage)


def responses_shape(error_of: chat.ErrorOf, forms: tuple[str, ...] = responses.FORMS) -> Shape:
    """Return the shape of Responses."""
    return Shape(
        "responses",
        re.compile(r".*/responses"),
        responses.minimal_response,
        (responses.stream(error_of, forms),),
        openai_usage,
    )


@define(eq=False, repr=False)
class _MessagesElsewhere(MessagesProgress):
    """Follows a stream of Messages of another API, whose failures have statuses of its own."""

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return Anthropic's error as it comes in a stream."""
        return MessagesProgress.error(self, in_anthropics_terms(failure), fields, uniform, form)


MESSAGES = Shape(
    "messages",
    re.compile(r".*/v1/messages"),
    messages.minimal_response,
    (evolve(anthropic_stream.STREAM, progress=_MessagesElsewhere),),
    message_usage,
)
"""Anthropic's Messages; an error in a stream has Anthropic's words."""
OTHER = evolve(generic.SHAPE, minimal_response=chat.minimal_response, usage=openai_usage)

MODEL_CALLS = re.compile(
    r".*/(?:(?:chat/|fim/|agents/)?completions|responses(?:/compact)?|v1/messages)"
)
RETRIED = TRANSIENT | {409}
"""Statuses below 500 that the SDKs made by Stainless try again."""


@frozen(kw_only=True)
class OpenAiShaped(Provider):
    """An API that is shaped like OpenAI's. What has a default is so with most of them."""

    draw_fields: Callable[[Uniform, float, ApiRequest], Fields] = field(
        default=generic.draw_fields, repr=False
    )
    retry_headers: Callable[[Failure], Headers] = field(default=generic.retry_headers, repr=False)
    pages: Mapping[str, ErrorPage] = field(default=gateway.CLOUDFLARE, repr=False)
    transient: frozenset[int] = RETRIED
    model_calls: re.Pattern[str] | None = MODEL_CALLS
    housekeeping: re.Pattern[str] | None = NOTHING


CHAT_EXAMPLE: Mapping[str, Any] = {
    "messages": EXAMPLE_MESSAGES,
    "tools": [{"type": "function", "function": EXAMPLE_FUNCTION}],
}
RESPONSES_EXAMPLE: Mapping[str, Any] = {
    "input": EXAMPLE_MESSAGES,
    "tools": [{"type": "function", **EXAMPLE_FUNCTION}],
}
MESSAGES_EXAMPLE: Mapping[str, Any] = {
    "messages": EXAMPLE_MESSAGES,
    "tools": [{"name": "weather", "input_schema": EXAMPLE_SCHEMA}],
}


def examples(
    chat_path: str, responses_path: str | None = None, messages_path: str | None = None
) -> tuple[Example, ...]:
    """Return a request to each of an API's paths."""
    given = (
        (chat_path, CHAT_EXAMPLE),
        (responses_path, RESPONSES_EXAMPLE),
        (messages_path, MESSAGES_EXAMPLE),
    )
    return tuple(Example(path, document) for path, document in given if path is not None)
