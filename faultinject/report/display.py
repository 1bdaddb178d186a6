"""Makes text from the network safe for a terminal, and formats numbers for people."""

from __future__ import annotations


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def safe(text: str) -> str:
    """Return the text with everything that is not printable (or a plain space) escaped."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def brief(text: str, most_characters: int) -> str:
    """Return the text made safe; if it is too long, only its beginning and its end.

    It is cut before it is escaped, so that the work is bounded too.
    """
    if len(text) <= most_characters:
        return safe(text)
    end = most_characters // 3
    return safe(f"{text[: most_characters - end - 3]}...{text[-end:]}")


_EXACT_BYTES = 10_000
_BYTE_UNITS = ("kB", "MB", "GB")


def byte_count(number: int) -> str:
    """Return a number of bytes: exact if it is small, else in decimal units."""
    if number < _EXACT_BYTES:
        return f"{number} B"
    size, unit = number / 1000, 0
    while size >= 1000 and unit < len(_BYTE_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_BYTE_UNITS[unit]}"


def percent(probability: float) -> str:
    """Return a probability in per cent, with at most three digits."""
    return f"{probability * 100:.3g} %"


def times(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun; ``many`` is the plural if it is not ``one`` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
