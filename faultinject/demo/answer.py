"""What the fake API answers, as values: a whole body, or events that come one by one.

The documents are those of `faultinject.providers`. Knows nothing of how they are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from faultinject.providers.anthropic import PROVIDER as ANTHROPIC
from faultinject.providers.anthropic import messages
from faultinject.providers.documents import demands_call
from faultinject.providers.openai import PROVIDER as OPENAI
from faultinject.providers.openai import chat, responses
from faultinject.providers.provider import Asked, Failure, Fields, Provider, Uniform


@frozen
class Whole:
    """A JSON document, sent at once."""

    body: bytes
    status: int = 200


@frozen
class Streamed:
    """Server-sent events, each a chunk of its own, with time between them."""

    events: tuple[bytes, ...]


Answer = Whole | Streamed


@frozen
class Page:
    """A path that is served: whose it is, and how it answers a request with a text."""

    provider: Provider
    whole: Callable[[Asked, Fields, Uniform, str], bytes]
    streamed: Callable[[Asked, Fields, Uniform, str], list[bytes]]

    def answer(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> Answer:
        """Answer a request with a text, whole or as a stream.

        No tool is called unless the request demands it: a program would do what the call says.
        """
        asked = Asked("", request)
        if not demands_call(asked):
            asked = Asked("", {key: value for key, value in request.items() if key != "tools"})
        if asked.stream:
            return Streamed(tuple(self.streamed(asked, fields, uniform, text)))
        return Whole(self.whole(asked, fields, uniform, text))

    def error(self, status: int, message: str, fields: Fields) -> Whole:
        """Return an error document in the words of whose page it is."""
        failure = Failure(status, message=message)
        return Whole(self.provider.error_body(failure, fields), status)


PAGES = {
    b"/v1/messages": Page(ANTHROPIC, messages.minimal_response, messages.minimal_stream),
    b"/v1/chat/completions": Page(OPENAI, chat.minimal_response, chat.minimal_stream),
    b"/v1/responses": Page(OPENAI, responses.minimal_response, responses.minimal_stream),
}
NO_PAGE = PAGES[b"/v1/messages"]
"""Whose errors are for what is not served at all."""


def too_large(fields: Fields) -> Whole:
    """Return what the edge in front of Anthropic's API says, in a shape of its own."""
    page = ANTHROPIC.pages["too-large"]
    return Whole(page.body(fields), page.status)
