"""Parts of JSON documents and streams that several APIs share, and ids that look like theirs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from attrs import asdict, frozen

from faultinject.providers.framing.sse import encode
from faultinject.providers.schema_values import arguments_for
from faultinject.providers.shape import ApiRequest, Failure, Fields, Usage

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HEXADECIMAL = "0123456789abcdef"


def identifier(prefix: str, number: float, characters: int, alphabet: str = BASE58) -> str:
    """Return a prefix and characters (80 at most) that depend only on it and the number."""
    digest = int.from_bytes(blake2b(f"{prefix}{number}".encode()).digest())
    drawn = []
    for _ in range(characters):
        digest, digit = divmod(digest, len(alphabet))
        drawn.append(alphabet[digit])
    return prefix + "".join(drawn)


def uuid(number: float) -> str:
    """Return a UUID of version 4 (RFC 9562 section 5.4)."""
    text = identifier("", number, 32, HEXADECIMAL)
    text = f"{text[:12]}4{text[13:16]}{'89ab'[int(text[16], 16) % 4]}{text[17:]}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


TEXT = "This answer was made by faultinject — no model was asked, and nothing left this machine."
"""The text of a synthetic answer. Its dash has three bytes, so a stream can be cut within it."""
_MOST_FRAGMENTS = 1000
"""Most pieces of a call's arguments in a stream. A stranger decides how long they are, and each
piece is an event that takes work and time."""


def compact(document: Any) -> bytes:
    """Return a document as JSON without spaces, its text as UTF-8."""
    return _encoded(lambda ascii_only: json.dumps(
        document, separators=(",", ":"), ensure_ascii=ascii_only))  # fmt: skip


def indented(document: Any) -> bytes:
    """Return a document as JSON with an indent of two spaces and a line end after it."""
    return _encoded(lambda ascii_only: json.dumps(
        document, indent=2, ensure_ascii=ascii_only) + "\n")  # fmt: skip


def _encoded(dump: Callable[[bool], str]) -> bytes:
    try:
        return dump(False).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which is allowed in JSON but not in UTF-8
        return dump(True).encode()


def event(document: Any, name: str | None = None) -> bytes:
    """Return a document as one server-sent event."""
    return encode(name, compact(document))


def filled(text: str, fields: Fields, **more: object) -> str:
    """Return a text with the names of fields in braces replaced; other braces stay.

    Beside the fields there is ``{next_month}``, the date of its first day.
    """
    values = asdict(fields, recurse=False) | {"next_month": _next_month(fields.now_seconds)} | more
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), text)


def _next_month(unix_seconds: float) -> str:
    now = datetime.fromtimestamp(unix_seconds, UTC)
    year, month = divmod(now.year * 12 + now.month, 12)
    return f"{year:04}-{month + 1:02}-01"


def message_of(failure: Failure, fields: Fields, default: str) -> str:
    """Return the failure's message, or else the default, filled in."""
    return filled(default if failure.message is None else failure.message, fields)


def pieces(text: str) -> list[str]:
    """Split a text as a model's stream does: into words, each with the space before it."""
    return re.findall(r"\s*\S+", text)


def words(value: Any) -> int:
    """Count the words in all texts of a JSON value, as an estimate of tokens."""
    count, rest = 0, [value]
    while rest:  # not recursive, because a stranger decides how deep the value is
        match rest.pop():
            case str() as text:
                count += len(text.split())
            case list() as items:
                rest.extend(items)
            case dict() as fields:
                rest.extend(fields.values())
    return count


# Tools


@frozen(eq=False, repr=False)
class ToolCall:
    """A tool call of a synthetic answer."""

    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as JSON."""
        return compact(self.arguments).decode()

    @property
    def fragments(self) -> list[str]:
        """The arguments' JSON in pieces of a few characters, as in a stream."""
        text = self.json
        size = max(4, math.ceil(len(text) / _MOST_FRAGMENTS))
        return [text[at : at + size] for at in range(0, len(text), size)]


def tool_call(tools: Iterable[tuple[Any, Any]], wanted: Any = None) -> ToolCall | None:
    """Return a call of the wanted tool, or else of the first with a name; None if none has one.

    ``tools`` are names and the JSON schemas of their arguments.
    """
    named = [(name, schema) for name, schema in tools if isinstance(name, str)]
    chosen = [tool for tool in named if tool[0] == wanted] or named
    return ToolCall(chosen[0][0], arguments_for(chosen[0][1])) if chosen else None


def requires_tool_call(request: ApiRequest) -> bool:
    """Return True if a request's ``tool_choice`` allows only a tool call as the answer.

    Anthropic writes ``{"type": "any"}`` and ``{"type": "tool", "name": …}``, OpenAI ``"required"``
    and ``{"type": "function", …}``, Cohere ``"REQUIRED"``. Converse and Gemini say it in their
    ``toolConfig``.
    """
    choice, config = request.get("tool_choice"), request.get("toolConfig")
    word = choice if isinstance(choice, str) else member(choice, "type")
    chosen = member(config, "toolChoice")
    return (
        word in ("any", "tool", "required", "function", "REQUIRED")
        or (isinstance(chosen, dict) and not chosen.keys().isdisjoint(("any", "tool")))
        or member(config, "functionCallingConfig", "mode") == "ANY"
    )


def entries(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; nothing if the value is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def member(value: Any, *path: str) -> Any:
    """Return the value at a path of keys in a JSON value; None if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def read_usage(
    usage: Any, input_name: str = "input_tokens", output_name: str = "output_tokens"
) -> Usage | None:
    """Read the tokens of an answer by their names; None if it has neither."""
    values = [member(usage, name) for name in (input_name, output_name)]
    tokens = [value if type(value) is int else None for value in values]  # True is an `int` too
    return None if tokens == [None, None] else Usage(*tokens)
