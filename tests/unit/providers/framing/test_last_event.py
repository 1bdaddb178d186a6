"""The last event of a stream is found however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.framing.sse import SseDecoder, StreamTail

LINES = st.sampled_from([b"data: [DONE]", b"event: message_stop", b"data: {}", b": ping", b"", b""])


def last_of(*pieces: bytes) -> bytes | None:
    """Return what is known of the last event of a stream."""
    tail = StreamTail()
    for piece in pieces:
        tail.observe(piece)
    return tail.last


@pytest.mark.parametrize(
    ("pieces", "last"),
    [
        ([b"data: 1\n\n", b"data: 2\n\n"], b"data: 2\n\n"),
        ([b"data: 1\n\ndata: 2\n\n"], b"data: 2\n\n"),
        ([b"data: 1\r\n\r\ndata: 2\r\n\r\n"], b"data: 2\n\n"),
        ([b"data: 1\r\n\r", b"\n"], b"data: 1\n\n"),
        ([b"data: 1\n", b"\n"], b"data: 1\n\n"),
        ([b"da", b"ta: 1", b"\n\n"], b"data: 1\n\n"),
        ([b"event: a\n", b"data: 1\n\n", b"\n"], b"event: a\ndata: 1\n\n"),
        ([b"data: 1\n\n", b"data: 2\n"], None),
        ([b"data: 1\n\n", b"d"], None),
        ([b"data: 1\n\nevent: a\ndata: " + b"x" * 9_000, b"x" * 9_000], None),
    ],
)
def test_the_last_event(pieces: list[bytes], last: bytes | None) -> None:
    """With its lines; None while its blank line has not come."""
    assert last_of(*pieces) == last


def test_of_a_long_event_the_beginning_is_kept() -> None:
    """Its name is there, however much follows."""
    last = last_of(b"data: 1\n\nevent: a\ndata: " + b"x" * 900, b"x" * 900, b"x" * 900 + b"\n\n")
    assert last is not None
    assert len(last) == 1026
    assert last.startswith(b"event: a\ndata: xxx")


@given(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"]), st.data())
def test_any_cut_gives_the_same(lines: list[bytes], line_end: bytes, data: st.DataObject) -> None:
    """And that is what a decoder of the whole stream finds last."""
    stream = b"".join(line + line_end for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    last = last_of(*pieces)
    decoder = SseDecoder()
    blocks = [each for each in decoder.feed(stream) if each.raw.strip()]
    if decoder.pending:
        assert last is None
    elif blocks:
        [found] = [each for each in SseDecoder().feed(last or b"") if each.raw.strip()]
        assert (found.name, found.data) == (blocks[-1].name, blocks[-1].data)
