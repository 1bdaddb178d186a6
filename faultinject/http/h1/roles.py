"""The two sides of an HTTP/1.1 connection: the one that is asked, and the one that asks.

What they share is in `faultinject.http.h1.machine`.
"""

from __future__ import annotations

from typing import cast

import h11

from faultinject.http.h1 import plain
from faultinject.http.h1.h11_events import END, request_event, response_event, unframed
from faultinject.http.h1.incoming import MessageError
from faultinject.http.h1.machine import Machine
from faultinject.http.message import Part, RequestHead, ResponseHead

_OWES = (h11.SEND_BODY, h11.SWITCHED_PROTOCOL)
"""States of a side that has more to send, or may have."""


class ServerMachine(Machine):
    """The server's side."""

    _OUR_ROLE = h11.SERVER
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
            return self._method is not None and not self._to_come
        return self._h11.their_state not in (h11.IDLE, h11.SEND_BODY)

    @property
    def response_started(self) -> bool:
        """Whether a response to the current request has begun, so that no other can."""
        if not self._engaged:
            return self._pair_is_over or self._sending
        return self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    def next_cycle(self) -> bool:
        """Get ready for the next request; see the base class."""
        if self._last or not super().next_cycle():
            return False
        self._line_skipped = False
        return True

    def _first_part(self) -> Part | None:
        if self._method is not None:
            return None  # the next request waits until this one is answered
        if (message := plain.read_request(self._buffer, self._head_bytes)) is None:
            if self._buffer.startswith(b"\r") and not self._line_skipped:
                return self._without_empty_line()
            self._hand_to_h11()
            return self._part_by_h11()
        self._method = message.head.method
        return self._begin(message)

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

    def _tell_h11(self, method: bytes) -> None:
        length = b"Content-Length: %d\r\n" % self._to_come if self._to_come else b""
        self._h11.receive_data(b"%b / HTTP/1.1\r\nHost: -\r\n%b\r\n" % (method, length))
        while self._h11.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass  # these parts have been returned
        if self._to_come:
            self._incoming.go_on()
        else:
            self._incoming.end()

    def _plain_head(self, head: Part) -> tuple[bytes, int | None] | None:
        if self._method in (None, b"HEAD"):  # an answer to HEAD has a length and no body
            return None
        return None if self._to_come else plain.write_response(head)

    def _written_plain(self, parts: tuple[Part, ...]) -> bytes | None:
        data = super()._written_plain(parts)
        self._pair_is_over = data is not None and not self._sending
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

    @property
    def idle(self) -> bool:
        """Whether a request may be sent, as far as is known."""
        fresh = not self._engaged and self._method is None
        return fresh and not self.at_eof and not self.has_unread

    @property
    def cycle_ended(self) -> bool:
        """Whether no request is being sent: none has begun, or it was sent to its end."""
        return self._h11.our_state not in _OWES if self._engaged else not self._sending

    def _first_part(self) -> Part | None:
        if self._pair_is_over:
            return None  # nobody has asked for what follows
        if self._method is not None and not self._sending:
            message = plain.read_response(self._buffer, self._head_bytes)
            if message is not None:
                return self._begin(message)
        self._hand_to_h11()
        return self._part_by_h11()

    def _end_plain(self) -> None:
        super()._end_plain()
        self._pair_is_over = True

    def _tell_h11(self, method: bytes) -> None:
        headers = [(b"Host", b"-"), (b"Content-Length", b"%d" % (self._to_send or 0))]
        self._h11.send(h11.Request(method=method, target=b"/", headers=headers))
        if not self._sending:
            self._h11.send(END)

    def _written_plain(self, parts: tuple[Part, ...]) -> bytes | None:
        data = super()._written_plain(parts)
        if data is not None and self._method is None:
            self._method = cast("RequestHead", parts[0]).method
        return data

    def _plain_head(self, head: Part) -> tuple[bytes, int | None] | None:
        return plain.write_request(head) if self._method is None else None

    def _written_head(self, head: RequestHead) -> bytes:
        self._sending_chunks = head.chunked
        self._h11.send(request_event(head))
        return head.encode()
