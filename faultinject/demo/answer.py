"""What the fake API answers, as values: a whole body, or events that come one by one.

Knows nothing of any API's documents, and nothing of how they are sent.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any

from attrs import frozen

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


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


def compact(document: Any) -> str:
    """Return a document as JSON without spaces, as APIs send it."""
    return json.dumps(document, separators=(",", ":"))


def event(data: str, name: str | None = None) -> bytes:
    """Return one server-sent event (https://html.spec.whatwg.org/#server-sent-events)."""
    first = "" if name is None else f"event: {name}\n"
    return f"{first}data: {data}\n\n".encode()


def pieces(text: str) -> list[str]:
    """Cut a text as a model's stream does: into words, each with the space before it."""
    return re.findall(r"\s*\S+", text)


def words(value: Any) -> int:
    """Count the words in all texts of a JSON value: near enough to tokens for a fake."""
    count, rest = 0, [value]
    while rest:  # a stack, for a stranger decides how deep the value is
        match rest.pop():
            case str() as text:
                count += len(text.split())
            case list() as items:
                rest.extend(items)
            case dict() as fields:
                rest.extend(fields.values())
    return count


def identifier(prefix: str, number: int, characters: int) -> str:
    """Return an id that looks like the API's own: the same for the same number."""
    digest = int.from_bytes(blake2b(f"{prefix}{number}".encode()).digest())
    drawn = []
    for _ in range(characters):
        digest, digit = divmod(digest, len(_BASE58))
        drawn.append(_BASE58[digit])
    return prefix + "".join(drawn)


def model_of(request: dict[str, Any]) -> str:
    """Return the model that a request names."""
    model = request.get("model")
    return model if isinstance(model, str) else "fake-model"
