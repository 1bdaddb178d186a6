"""The state of an HTTP/1.1 connection: bytes to parts and parts to bytes.

h11 checks what comes in and keeps the state of both directions. What goes out is written here, from
the sender's own head and in its own framing, because h11 changes the order and case of some headers
and turns a close-delimited body into a chunked one. h11 gets it all the same, so that a message
that breaks the protocol cannot be sent.

A request and its answer whose heads are plain (`faultinject.http.h1.plain`) do without h11: their
bodies are counted here. As soon as one of the two is not plain, or the answer comes before the
request's end, h11 gets to know how far the request is and handles the rest of the pair: then it is
*engaged*.

This module does no I/O.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, cast

import h11

from faultinject.http.h1 import plain
from faultinject.http.h1.h11_events import (
    END,
    chunk,
    end_event,
    head_of,
    last_chunk,
    raw,
    reason_of,
)
from faultinject.http.h1.incoming import Incoming, MessageError, cut
from faultinject.http.message import End, Part, RequestHead, ResponseHead, body_size

_END = End()


class Machine(ABC):
    """The state of a connection, in either role."""

    _OUR_ROLE: type[h11.CLIENT] | type[h11.SERVER]

    def __init__(self, head_bytes: int) -> None:
        """Start before the first request; ``head_bytes`` limits a head."""
        self.body_bytes_received = 0
        self.body_bytes_sent = 0
        self.at_eof = False
        """Whether the peer has ended its side."""
        self._head_bytes = head_bytes
        self._engaged = False
        self._buffer = bytearray()  # bytes that have arrived and were not read
        self._failure: MessageError | None = None
        self._ready: list[Part] = []  # parts that have been read and were not returned yet
        # Of a pair of plain messages, as long as h11 is not engaged:
        self._method: bytes | None = None  # the request's; None before there is one
        self._to_come = 0  # bytes of the peer's body
        self._to_send: int | None = 0  # bytes of our body; None if it goes out in chunks
        self._sending = False  # our message has begun and not ended
        self._pair_is_over = False
        self._sending_chunks = False

    @cached_property
    def _h11(self) -> h11.Connection:
        """Made when first needed. An idle tunnel, or one with plain messages only, has none."""
        return h11.Connection(self._OUR_ROLE, max_incomplete_event_size=self._head_bytes)

    @cached_property
    def _incoming(self) -> Incoming:
        """Passes to h11 what has arrived."""
        of_requests = self._OUR_ROLE is h11.SERVER
        return Incoming(self._buffer, self._head_bytes, of_requests=of_requests)

    @property
    def _asks_for_head(self) -> bool:
        return self._OUR_ROLE is h11.CLIENT and self._h11._request_method == b"HEAD"

    # From the peer

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes that have arrived. Empty data mean that the peer has ended its side."""
        self.at_eof = not data
        self._buffer += data

    def next_part(self) -> Part | None:
        """Return the next part if it has arrived. Raises `MessageError`."""
        if self._ready:
            return self._ready.pop(0)
        if self._engaged:
            return self._part_by_h11()
        if not self._buffer and not self.at_eof:
            return None
        return self._piece() if self._to_come else self._first_part()

    def take_ready(self) -> list[Part]:
        """Return the parts that were read after the part that was returned last."""
        ready, self._ready = self._ready, []
        return ready

    @abstractmethod
    def _first_part(self) -> Part | None:
        """Return the head of a new message. h11 is not engaged, and bytes or the end are there."""

    def _begin(self, message: plain.PlainHead[RequestHead] | plain.PlainHead[ResponseHead]) -> Part:
        """Take a plain head out of the buffer, and return it."""
        del self._buffer[: message.size]
        self._to_come = message.body_bytes
        if not self._to_come:
            self._end_plain()
        return message.head

    def _piece(self) -> bytes:
        """Return what has come of a plain body."""
        if not self._buffer:
            raise MessageError("it ended within its body")
        piece = cut(self._buffer, min(self._to_come, len(self._buffer)))
        self._to_come -= len(piece)
        self.body_bytes_received += len(piece)
        if not self._to_come:
            self._end_plain()
        return piece

    def _end_plain(self) -> None:
        """Note that a plain message of the peer's has been read to its end."""
        self._ready.append(_END)

    def _hand_to_h11(self) -> None:
        """Leave the current pair of messages to h11, which gets to know how far the request is."""
        self._engaged = True
        if self._method is not None:
            self._tell_h11(self._method)
        self._to_come = 0

    @abstractmethod
    def _tell_h11(self, method: bytes) -> None:
        """Have h11 know of a plain request of that method as far as it has come.

        So that it counts as well as we do, it gets one that has the rest as its length.
        """

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self._failure is not None:
            raise self._failure
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA and self._incoming.feed(
                self._h11.receive_data, at_eof=self.at_eof
            ):
                pass
        except h11.RemoteProtocolError as error:
            reason = reason_of(error, of_request=self._OUR_ROLE is h11.SERVER)
            raise MessageError(reason, error.error_status_hint) from error
        except MessageError as error:
            self._failure = error  # what follows must not be read as a new message
            raise
        return event

    def _part_by_h11(self) -> Part | None:
        if pieces := self._incoming.chunks():
            self.body_bytes_received += body_size(pieces)
            self._ready.extend(pieces[1:])
            return pieces[0]
        match event := self._next_event():
            case h11.NEED_DATA | h11.PAUSED | h11.ConnectionClosed():
                return None
            case h11.Data():
                self.body_bytes_received += len(event.data)
                return bytes(event.data)
            case h11.EndOfMessage():
                self._incoming.end()
                return End(self._incoming.as_written(raw(event.headers)))
            case _:
                head = head_of(cast("h11.Request | h11.Response", event))
                return self._incoming.begin(head, bodyless=self._asks_for_head)

    @property
    def unread(self) -> bytes:
        """The bytes that have arrived and belong to no returned part."""
        early = self._h11.trailing_data[0] if self._engaged else b""
        return bytes(early) + self._buffer

    @property
    def has_unread(self) -> bool:
        """Whether there are `unread` bytes. It must be fast, for heads that drip."""
        # Without `trailing_data`, which copies all of it.
        return bool(self._buffer) or (self._engaged and len(self._h11._receive_buffer) > 0)

    @property
    def within_line(self) -> bool:
        """Whether a part of an answer's head, of a chunk's line or of trailers has arrived."""
        return self._engaged and self._incoming.within_line

    @property
    def within_message(self) -> bool:
        """Whether a message has begun to arrive, as far as is known, and has not ended."""
        if not self._engaged:
            return bool(self._buffer) or self._to_come > 0
        return self._h11.their_state is h11.SEND_BODY or self.has_unread

    # To the peer

    def encode(self, *parts: Part) -> bytes:
        """Return the parts as bytes.

        Raises `h11.LocalProtocolError` (a defect of ours) if they are not allowed now.
        """
        if self._pair_is_over:
            raise h11.LocalProtocolError("both messages are over, and no next one has begun")
        if not self._engaged:
            if (data := self._written_plain(parts)) is not None:
                self.body_bytes_sent += body_size(parts)
                return data
            self._hand_to_h11()
        self.body_bytes_sent += body_size(parts)
        return b"".join(self._written_by_h11(parts))

    def _written_plain(self, parts: tuple[Part, ...]) -> bytes | None:
        """Return the bytes of the parts if they are of a plain message that is due."""
        if self._sending:
            if (data := self._with_body([], self._to_send, parts)) is None:
                raise h11.LocalProtocolError("the body is not as long as its head says")
            return data
        if not parts or (begun := self._plain_head(parts[0])) is None:
            return None
        head, length = begun
        return self._with_body([head], length, parts[1:])

    @abstractmethod
    def _plain_head(self, head: Part) -> tuple[bytes, int | None] | None:
        """Return the bytes of a plain head that is due, and its body's length (None: chunks)."""

    def _with_body(
        self, pieces: list[bytes], left: int | None, parts: tuple[Part, ...]
    ) -> bytes | None:
        """Return what goes out, if the parts are of a body of which so many bytes are left.

        With ``left`` None it goes out in chunks.
        """
        end = parts[-1] if parts else None
        for part in parts[:-1] if isinstance(end, End) else parts:
            if not isinstance(part, bytes):
                return None
            if left is None and part:
                pieces.append(chunk(part))
            elif left is not None:
                pieces.append(part)
                left -= len(part)
        if left is None and isinstance(end, End):
            end_event(end)  # h11 looks at the trailers
            pieces.append(last_chunk(end.trailers))
        elif left is not None and (left < 0 or (left and isinstance(end, End))):
            return None
        self._to_send, self._sending = left, not isinstance(end, End)
        return b"".join(pieces)

    def _written_by_h11(self, parts: tuple[Part, ...]) -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, bytes):
                self._h11.send_with_data_passthrough(h11.Data(data=part))
                yield chunk(part) if self._sending_chunks and part else part
            elif isinstance(part, End):
                # Trailers can only follow chunks (RFC 9112 section 7.1.2).
                self._h11.send(end_event(part) if self._sending_chunks else END)
                if self._sending_chunks:
                    yield last_chunk(part.trailers)
            else:
                yield self._written_head(part)

    @abstractmethod
    def _written_head(self, head: Any) -> bytes:
        """Return a plain message's head as bytes."""

    # The end

    def next_cycle(self) -> bool:
        """Prepare for the next pair; return False if none may follow.

        It may follow if both messages are over and neither side wants to close.
        """
        if self._ready:
            return False
        if self._engaged:
            if not (self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE):
                return False
            # Between two pairs nothing of it is needed, except bytes that came early.
            self._buffer = bytearray(self.unread)
            self._engaged = False
            del self._h11
            self.__dict__.pop("_incoming", None)
        elif not self._pair_is_over:
            return False
        self._pair_is_over = self._sending = False
        self._method = None
        self._to_come = 0
        self._ready.clear()  # a body that nobody asked for
        self.body_bytes_received = self.body_bytes_sent = 0
        return True
