"""Shows values in error messages, and finds what was probably meant.

A value is shown on one line, shortened, as the user wrote it. Do not show what may be a secret,
such as the value of a header or a body.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

_MAX_CHARACTERS = 60


def one_line(text: str) -> str:
    """Return the text with every character escaped that could break or disguise a line."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 3] + "..."


def shown_text(text: str) -> str:
    """Return a text in quotes, for messages."""
    return f"'{_shortened(one_line(text))}'"


def shown_value(value: object) -> str:
    """Return a value of a configuration file as JSON, for messages."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return _shortened(one_line(text))


def nearest(word: str, words: Iterable[str], least: float = 0.6) -> str | None:
    """Return the most similar of ``words``, or None if none is similar.

    ``least`` is how similar it has to be, from 0 to 1.
    """
    if len(word) > _MAX_CHARACTERS:  # comparing costs the square of the length
        return None
    from difflib import get_close_matches  # late, for it is needed after a mistake alone

    return next(iter(get_close_matches(word, list(words), 1, least)), None)
