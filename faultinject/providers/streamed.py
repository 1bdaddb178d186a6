"""The text of an answer that came as a stream, whatever the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from faultinject.providers.documents import member
from faultinject.providers.framing import StreamEvent


def streamed_text(events: Iterable[StreamEvent]) -> str:
    """Return the text that a stream's events carry, without blanks at its ends.

    The text of the answer only: not what the model thinks, and not what it sends to tools. The
    texts of several blocks are joined as `faultinject.providers.dialogue` joins those of a message.
    """
    blocks: dict[int, list[str]] = {}
    for event in events:
        if event.is_event:
            for block, text in _pieces(event.json):
                blocks.setdefault(block, []).append(text)
    texts = ["".join(blocks[block]).strip() for block in sorted(blocks)]
    return "\n".join(text for text in texts if text)


def _pieces(document: Any) -> Iterable[tuple[int, str]]:
    """Return the pieces of text in one event, each with the number of its block."""
    if not isinstance(document, dict):
        return []
    found = _of_anthropic(document), _of_responses(document), _of_choice(document)
    pieces = [*found, *_of_candidate(document), _of_message(document)]
    return [(block, text) for block, text in pieces if isinstance(text, str)]


def _of_anthropic(document: dict[str, Any]) -> tuple[int, Any]:
    """Also Bedrock's Converse (``contentBlockIndex``, a delta with no type) and Cohere's chat."""
    delta = document.get("delta")
    if document.get("type") == "content-delta":
        delta = member(delta, "message", "content")
    index = document.get("index", document.get("contentBlockIndex"))
    if not isinstance(delta, dict) or not isinstance(index, int):
        return 0, None
    said = delta.get("type", "text_delta")
    return index, delta.get("text") if said == "text_delta" else None


def _of_responses(document: dict[str, Any]) -> tuple[int, Any]:
    if document.get("type") != "response.output_text.delta":
        return 0, None
    index = document.get("output_index")
    return index if isinstance(index, int) else 0, document.get("delta")


def _of_choice(document: dict[str, Any]) -> tuple[int, Any]:
    """Chat Completions, and the older Completions."""
    choice = _first(document.get("choices"))
    if choice.get("index", 0) != 0:
        return 0, None
    delta = choice.get("delta")
    return 0, delta.get("content") if isinstance(delta, dict) else choice.get("text")


def _of_candidate(document: dict[str, Any]) -> list[tuple[int, Any]]:
    """Gemini."""
    content = _first(document.get("candidates")).get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    found = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [(0, part.get("text")) for part in found if not part.get("thought")]


def _of_message(document: dict[str, Any]) -> tuple[int, Any]:
    """Ollama."""
    message = document.get("message")
    if isinstance(message, dict) and "done" in document:
        return 0, message.get("content")
    return 0, document.get("response") if "done" in document else None


def _first(value: Any) -> dict[str, Any]:
    found = value[0] if isinstance(value, list) and value else None
    return found if isinstance(found, dict) else {}
