"""Ids that look like an API's own, spelt from a number.

Knows nothing of where the number comes from; the same number gives the same id.
"""

from __future__ import annotations

from hashlib import blake2b

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HEXADECIMAL = "0123456789abcdef"


def identifier(prefix: str, number: float, characters: int, alphabet: str = BASE58) -> str:
    """Return a prefix and as many characters (80 at most) that belong to it and the number."""
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
