"""Ids of any number."""

from __future__ import annotations

import re
import uuid

from faultinject.providers.documents import HEXADECIMAL, identifier
from faultinject.providers.documents import uuid as make_uuid


def test_identifiers() -> None:
    """They have their prefix, length and letters; the same number gives the same one."""
    found = {identifier("req_011C", number / 7, 20) for number in range(200)}
    assert len(found) == 200
    assert all(re.fullmatch(r"req_011C[1-9A-HJ-NP-Za-km-z]{20}", one) for one in found)
    assert identifier("a", 0.25, 80) == identifier("a", 0.25, 80)
    assert re.fullmatch("[0-9a-f]{32}", identifier("", 0.5, 32, HEXADECIMAL))
    # The prefix is drawn from too: two kinds of id of one number do not look alike.
    assert identifier("a", 1, 9)[1:] != identifier("b", 1, 9)[1:]


def test_uuids() -> None:
    """They are of version 4."""
    made = [make_uuid(number) for number in range(50)]
    assert len(set(made)) == 50
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)
