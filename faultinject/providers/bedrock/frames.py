"""What the streams of Amazon Bedrock share: how an event and an error are a frame."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from faultinject.providers.bedrock.errors import message, type_of
from faultinject.providers.documents import compact
from faultinject.providers.framing.aws_event_stream import encode
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform, model_in_body

_MODEL = re.compile(r".*/model/([^/]+)/[^/]+", re.DOTALL)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
FORMS = ("exception", "error")
CONTENT_TYPE = "application/vnd.amazon.eventstream"
_LONGEST_NAME = 1000


def model(request: ApiRequest) -> str | None:
    """Return the model's id or ARN, which the path names."""
    found = _MODEL.fullmatch(request.path)
    return unquote(found[1]) if found else model_in_body(request)


def is_streamed(request: ApiRequest) -> bool:
    """Return True if the path asks for a stream: the body does not say it."""
    return request.path.endswith("-stream")


def frame(name: str, document: Any) -> bytes:
    """Return an event."""
    headers = ((":event-type", name), *_JSON, (":message-type", "event"))
    return encode(headers, compact(document))


_JSON = ((":content-type", "application/json"),)


def padding(uniform: Uniform) -> dict[str, str]:
    """Return the member ``p`` that events have, letters of a random number. Not verified."""
    return {"p": _LETTERS[: 1 + int(uniform() * len(_LETTERS))]}


def error_frame(failure: Failure, fields: Fields, form: str) -> bytes:
    """Return an error within a stream.

    ``exception`` is one that the API's model names; ``error`` has a code and a message alone.
    """
    name = type_of(failure)[:_LONGEST_NAME]
    if form == "error":
        text = message(failure, fields)[:_LONGEST_NAME]
        headers = ((":message-type", "error"), (":error-code", name), (":error-message", text))
        return encode(headers, b"")
    first = name[:1].lower() + name[1:]
    headers = ((":exception-type", first), *_JSON, (":message-type", "exception"))
    return encode(headers, compact({"message": message(failure, fields)}))
