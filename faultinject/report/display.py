r"""Text that came from the network, made fit for a terminal.

Control characters could move the cursor, forge lines or set the terminal's title; directional
marks could turn a host's name around. All of them are shown as Python writes them (``\x1b``,
``\u202e``). Knows nothing of events.
"""

from __future__ import annotations


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def safe(text: str) -> str:
    """Return the text with everything that is not printable (or a plain space) escaped."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def brief(text: str, most_characters: int) -> str:
    """Return the text made safe; if it is too long, its beginning and its end.

    It is cut before it is escaped, so that the work is bounded too.
    """
    if len(text) <= most_characters:
        return safe(text)
    end = most_characters // 3
    return safe(f"{text[: most_characters - end - 3]}...{text[-end:]}")
