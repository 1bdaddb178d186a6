"""The state of an HTTP/1.1 connection: bytes to parts and parts to bytes, in both roles.

h11 checks what comes in and keeps the state of both directions. What goes out is written here, from
the sender's own head and in its own framing, because h11 changes the order and case of some headers
and turns a close-delimited body into a chunked one. h11 gets it all the same, so that a message
that breaks the protocol cannot be sent.

A request and its answer that are both complete and plain (`faultinject.http.h1.plain`) leave no
state behind, so they do without h11. As soon as one of the two is not, h11 gets what went before
and handles the rest of the pair: then it is *engaged*.

This module does no I/O.
"""

from __future__ import annotations

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
    request_event,
    response_event,
    unframed,
)
from faultinject.http.h1.incoming import Incoming, MessageError
from faultinject.http.message import End, Part, RequestHead, ResponseHead, body_size

_OWES = (h11.SEND_BODY, h11.SWITCHED_PROTOCOL)
"""States of a side that has more to send, or may have."""


class Machine:
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
        self._ready: list[Part] = []  # parts of a complete message that were not returned yet
        self._pair_is_over = False  # both messages of a pair were complete and plain, and are over
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
        return self._first_part()

    def take_ready(self) -> list[Part]:
        """Return the parts that are left of a complete message; mostly none."""
        ready, self._ready = self._ready, []
        return ready

    def _first_part(self) -> Part | None:
        """Return the head of a new message. h11 is not engaged, and bytes or the end are there."""
        raise NotImplementedError

    def _take_whole(self, message: plain.PlainMessage) -> Part:
        del self._buffer[: message.size]
        self.body_bytes_received = message.body_bytes
        head, *self._ready = message.parts
        return head

    def _hand_to_h11(self) -> None:
        """Leave the current pair of messages to h11, which gets what went before."""
        self._engaged = True
        self._replay_to_h11()

    def _replay_to_h11(self) -> None:
        raise NotImplementedError

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
            return bool(self._buffer)
        return self._h11.their_state is h11.SEND_BODY or self.has_unread

    # To the peer

    def encode(self, *parts: Part) -> bytes:
        """Return the parts as bytes.

        Raises `h11.LocalProtocolError` (a defect of ours) if they are not allowed now.
        """
        if self._pair_is_over:
            raise h11.LocalProtocolError("both messages are over, and no next one has begun")
        if not self._engaged:
            if (data := self._written_whole(parts)) is not None:
                self.body_bytes_sent = body_size(parts)
                return data
            self._hand_to_h11()
        self.body_bytes_sent += body_size(parts)
        return b"".join(self._written_by_h11(parts))

    def _written_whole(self, parts: tuple[Part, ...]) -> bytes | None:
        """Return the bytes of the parts if they are a complete, plain message, allowed now."""
        raise NotImplementedError

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

    def _written_head(self, head: Any) -> bytes:
        raise NotImplementedError

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
        self._pair_is_over = False
        self._ready.clear()  # a body that nobody asked for
        self.body_bytes_received = self.body_bytes_sent = 0
        return True


class ServerMachine(Machine):
    """The server's side."""

    _OUR_ROLE = h11.SERVER
    _request: bytes | None = None
    """The bytes of a complete, plain request that waits for its answer."""
    _last = False
    """Whether no request may follow, whatever its headers say."""
    _line_skipped = False
    """Whether an empty line before the request was skipped. One is allowed."""

    @property
    def waits_for_continue(self) -> bool:
        """Whether the client holds its body back until a 100 (RFC 9110 section 10.1.1).

        A final answer in place of the 100 ends this: next comes the body, or the end.
        """
        return self._engaged and bool(self._h11.they_are_waiting_for_100_continue)

    @property
    def is_last_request(self) -> bool:
        """Whether the current request is the client's last, because it says so, or is HTTP/1.0."""
        return self._engaged and self._h11.their_state is h11.MUST_CLOSE

    @property
    def request_ended(self) -> bool:
        """Whether the request has been returned to its end."""
        if self._ready:
            return False
        if not self._engaged:
            return self._request is not None
        return self._h11.their_state not in (h11.IDLE, h11.SEND_BODY)

    @property
    def response_started(self) -> bool:
        """Whether a response to the current request has begun, so that no other can."""
        if not self._engaged:
            return self._pair_is_over
        return self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    def next_cycle(self) -> bool:
        """Get ready for the next request; see the base class."""
        if self._last or not super().next_cycle():
            return False
        self._request = None
        self._line_skipped = False
        return True

    def _first_part(self) -> Part | None:
        if self._request is not None:
            return None  # the next request waits until this one is answered
        if (message := plain.read_request(self._buffer, self._head_bytes)) is None:
            if self._buffer.startswith(b"\r") and not self._line_skipped:
                return self._without_empty_line()
            self._hand_to_h11()
            return self._part_by_h11()
        self._request = bytes(self._buffer[: message.size])
        return self._take_whole(message)

    def _without_empty_line(self) -> Part | None:
        """Return the head after an empty line, which some clients send after a body.

        A server should ignore at least one (RFC 9112 section 2.2).
        """
        if self._buffer == b"\r" and not self.at_eof:
            return None
        self._line_skipped = True
        if self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        return self.next_part()

    def _part_by_h11(self) -> Part | None:
        part = super()._part_by_h11()
        if isinstance(part, RequestHead):
            if not part.http_version.startswith(b"1."):
                version = part.http_version.decode()
                raise MessageError(f"HTTP/{version} is not supported, HTTP/1.1 is", 505)
            if part.http_version == b"1.0" and part.chunked:
                # An origin may not know chunks in HTTP/1.0, and read the body as the next request
                # (RFC 9112 section 6.1: its framing is faulty).
                raise MessageError("HTTP/1.0 has no Transfer-Encoding", 400)
            # Two framings in one message may be an attempt to smuggle a second request (RFC 9112
            # section 6.1), so what follows is not read.
            self._last = part.chunked and part.has_header(b"content-length")
        return part

    def _replay_to_h11(self) -> None:
        if self._request is None:
            return
        self._h11.receive_data(self._request)
        while self._h11.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass  # these parts have been returned
        self._incoming.end()

    def _written_whole(self, parts: tuple[Part, ...]) -> bytes | None:
        if self._request is None:
            return None
        if self._request.startswith(b"HEAD "):
            return None  # its answer has a length but no body
        data = plain.write_response(parts)
        self._pair_is_over = data is not None
        return data

    def _written_head(self, head: ResponseHead) -> bytes:
        http_1_0 = self._h11.their_http_version == b"1.0"
        if http_1_0 and head.interim and head.status != 101:
            return b""  # the client would take it for the answer (RFC 9110 section 15.2)
        has_body = self._h11._request_method != b"HEAD" and head.status not in (204, 304)
        self._sending_chunks = head.chunked and has_body and not http_1_0
        self._h11.send(response_event(head, has_body))
        # An HTTP/1.0 client cannot read chunks (RFC 9112 section 6.1).
        return (unframed(head) if head.chunked and http_1_0 else head).encode()


class ClientMachine(Machine):
    """The client's side."""

    _OUR_ROLE = h11.CLIENT

    _request: tuple[Part, ...] = ()
    """A complete, plain request that waits for its answer."""

    @property
    def idle(self) -> bool:
        """Whether a request may be sent, as far as is known."""
        fresh = not self._engaged and not self._request
        return fresh and not self.at_eof and not self.has_unread

    @property
    def cycle_ended(self) -> bool:
        """Whether no request is being sent: none has begun, or it was sent to its end."""
        return not self._engaged or self._h11.our_state not in _OWES

    def next_cycle(self) -> bool:
        """Get ready for the next request; see the base class."""
        if not super().next_cycle():
            return False
        self._request = ()
        return True

    def _first_part(self) -> Part | None:
        if self._request and not self._pair_is_over:
            message = plain.read_response(self._buffer, self._head_bytes)
            if message is not None:
                self._pair_is_over = True
                return self._take_whole(message)
        self._hand_to_h11()
        return self._part_by_h11()

    def _replay_to_h11(self) -> None:
        for _ in self._written_by_h11(self._request):
            pass  # these bytes have been sent

    def _written_whole(self, parts: tuple[Part, ...]) -> bytes | None:
        if self._request:
            return None
        data = plain.write_request(parts)
        if data is not None:
            self._request = parts
        return data

    def _written_head(self, head: RequestHead) -> bytes:
        self._sending_chunks = head.chunked
        self._h11.send(request_event(head))
        return head.encode()
