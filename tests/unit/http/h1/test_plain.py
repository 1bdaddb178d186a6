"""Whole messages: that what is hostile costs no more than it is long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from faultinject.http.h1.plain import PlainMessage, read_request, read_response

BLANKS = b"A:" + b" " * 60_000 + b"\x01\r\n\r\n"


@pytest.mark.parametrize(
    ("read", "start"),
    [(read_request, b"GET / HTTP/1.1\r\nHost: a\r\n"), (read_response, b"HTTP/1.1 200 OK\r\n")],
)
def test_a_field_of_blanks_is_read_once(
    read: Callable[[bytes, int], PlainMessage | None], start: bytes
) -> None:
    """What spoils a field at its end does not make each of its blanks a new beginning."""
    began = time.process_time()
    assert read(start + BLANKS, 100_000) is None
    assert time.process_time() - began < 1  # it would be several
