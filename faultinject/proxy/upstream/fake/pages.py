"""What the fake API answers besides models: which models there are, and embeddings.

Anthropic: https://docs.anthropic.com/en/api/models-list. OpenAI:
https://platform.openai.com/docs/api-reference/models and …/embeddings.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

from faultinject.providers.documents import compact, words

MODEL = "fake-model"
"""The one model in the list; any other name is as good."""
_SINCE = 1_735_689_600  # 2025-01-01
DIMENSIONS = 1536
MOST_DIMENSIONS = 3072
MOST_INPUTS = 2048
"""How many inputs OpenAI takes at once."""


def models(model: str, *, anthropic: bool) -> bytes:
    """Return a model by its name, or the list of all for no name."""
    described = _anthropic_model if anthropic else _openai_model
    if model:
        return compact(described(model))
    if anthropic:
        paging = {"has_more": False, "first_id": MODEL, "last_id": MODEL}
        return compact({"data": [described(MODEL)]} | paging)
    return compact({"object": "list", "data": [described(MODEL)]})


def _anthropic_model(name: str) -> dict[str, Any]:
    created = "2025-01-01T00:00:00Z"
    return {"type": "model", "id": name, "display_name": name, "created_at": created}


def _openai_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _SINCE, "owned_by": "faultinject"}


def embeddings(request: dict[str, Any], model: str) -> bytes:
    """Return a vector for each input: the same for the same input, and of length 1.

    All but one of its numbers are 0. Raises `ValueError` for a request that the API refuses.
    """
    inputs, count = _inputs(request.get("input")), request.get("dimensions", DIMENSIONS)
    if not isinstance(count, int) or not 1 <= count <= MOST_DIMENSIONS:
        raise ValueError(f"'dimensions' must be an integer of 1 to {MOST_DIMENSIONS}")
    vector = _as_base64 if request.get("encoding_format") == "base64" else _as_numbers
    parts = (
        b'{"object":"embedding","index":%d,"embedding":%b}'
        % (index, vector(_place(text, count), count))
        for index, text in enumerate(inputs)
    )
    tokens = sum(len(text) if isinstance(text, list) else words(text) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    rest = compact({"model": model, "usage": usage})[1:]
    return b'{"object":"list","data":[' + b",".join(parts) + b"]," + rest


def _inputs(given: Any) -> list[Any]:
    one = isinstance(given, str) or (isinstance(given, list) and _all(given, int))
    inputs = [given] if one and given else given
    if not isinstance(inputs, list) or not inputs or len(inputs) > MOST_INPUTS:
        raise ValueError(f"'input' must be 1 to {MOST_INPUTS} texts, or lists of tokens")
    if not all(isinstance(each, str) or _all(each, int) for each in inputs):
        raise ValueError("'input' must be a text or a list of tokens, or a list of these")
    return inputs


def _all(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _as_numbers(one_at: int, count: int) -> bytes:
    return b"[" + b",".join([b"0.0"] * one_at + [b"1.0"] + [b"0.0"] * (count - one_at - 1)) + b"]"


def _as_base64(one_at: int, count: int) -> bytes:
    numbers = bytes(4 * one_at) + struct.pack("<f", 1.0) + bytes(4 * (count - one_at - 1))
    return b'"' + base64.b64encode(numbers) + b'"'


def _place(text: Any, count: int) -> int:
    """Return which number of an input's vector is not 0."""
    return int.from_bytes(hashlib.blake2b(compact(text), digest_size=8).digest()) % count
