"""Events as values."""

from __future__ import annotations

import pytest

from faultinject.providers.framing import StreamEvent


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"type":"ping"}', {"type": "ping"}),
        ('"é"'.encode(), "é"),
        (b"[DONE]", None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 200_000, None),
        (b"1" * 10_000, None),
    ],
    ids=["object", "text", "no JSON", "empty", "no UTF-8", "deep", "a number beyond reading"],
)
def test_data_as_json(data: bytes, value: object) -> None:
    """What is JSON is read; what is not is None and no error."""
    assert StreamEvent(b"", None, data).json == value


def test_json_is_read_once() -> None:
    """The second use costs nothing."""
    event = StreamEvent(b"", None, b"{}")
    assert event.json is event.json
