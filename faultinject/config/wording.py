"""How values are shown in error messages: on one line, short, as the user wrote them.

Knows nothing of what the values mean. Who must not show a value (a header's, a body) does not
call this.
"""

from __future__ import annotations

import json

_MAX_CHARACTERS = 60


def one_line(text: str) -> str:
    """Return the text with everything escaped that could break or disguise a line."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 3] + "..."


def shown_text(text: str) -> str:
    """Return text in quotes, for messages."""
    return f"'{_shortened(one_line(text))}'"


def shown_value(value: object) -> str:
    """Return a value of a configuration file as JSON spells it, for messages."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return _shortened(one_line(text))
