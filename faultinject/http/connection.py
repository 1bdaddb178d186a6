"""HTTP/1.1 over a Trio stream, in both roles; the only module that knows h11.

h11 checks and keeps the state of both directions. What goes out is written here from the
sender's own head and in its own framing, because h11 re-orders and re-cases some headers and
turns a close-delimited body into a chunked one; h11 is told all the same, so that a message
that breaks the protocol cannot leave.

A request and its answer that are each whole and plain (`faultinject.http.whole`) leave no state
behind, so h11 is spared them. As soon as one of the two turns out to be neither, h11 is told
what went before and takes over until the next pair: see `_engage`.

Knows nothing of rules, TLS or who the peer is, and has no clock: whoever waits sets the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

import h11
import trio

from faultinject.errors import ClientGoneError, ClientProtocolError, PeerError, UpstreamError
from faultinject.http import whole
from faultinject.http.message import (
    End,
    Head,
    Headers,
    Part,
    RequestHead,
    ResponseHead,
    without_headers,
)

READ_NUM_BYTES = 64 * 1024
"""As much as one read returns; a TLS record holds 16 KiB, a socket's buffer usually more."""

CONTINUE = ResponseHead(100, b"Continue", ())


class HttpConnection:
    """What both roles share: reading parts, writing parts, and the end of the connection.

    Cancellation: a cancelled `receive` loses nothing and may be called again; after a cancelled
    `send` the peer's view is unknown and the connection can only be closed.
    """

    _OUR_ROLE: type[h11.CLIENT] | type[h11.SERVER]

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        head_bytes: int,
        on_partial_read: Callable[[], None] | None = None,
    ) -> None:
        """Speak over a stream, which stays its owner's to close.

        ``head_bytes`` bounds a head. ``on_partial_read`` is called when a read has brought only
        a part of a message, before the next one waits.
        """
        self.stream = stream
        self.body_bytes_received = 0
        self.body_bytes_sent = 0
        self._h11 = h11.Connection(self._OUR_ROLE, max_incomplete_event_size=head_bytes)
        self._engaged = False  # whether h11 keeps the state of the pair in hand
        self._buffer = bytearray()  # what has arrived and was not read yet; h11's if it is engaged
        self._ready: list[Part] = []  # parts of a whole message that were not returned yet
        self._pair_is_over = False  # both messages were whole and plain, and are over
        self._on_partial_read = on_partial_read
        self._at_eof = False
        self._sending_chunks = False

    # Reading

    def buffered_parts(self) -> list[Part]:
        """Return the parts that have arrived and were not yet returned, without waiting.

        Ends after an `End`, so that the next message stays where it is. Raises the peer's
        `PeerError`.
        """
        parts: list[Part] = []
        while (part := self._next_part()) is not None:
            parts.append(part)
            if isinstance(part, End):
                break
        return parts

    def _next_part(self) -> Part | None:
        if self._ready:
            return self._ready.pop(0)
        if not self._engaged:
            if (part := self._whole_part()) is not None:
                return part
            if not self._engaged:
                return None
        return self._part_by_h11()

    def _whole_part(self) -> Part | None:
        """Return the first part of a whole, plain message, if that is what is due and is there.

        Engages h11 if something has arrived that it must judge.
        """
        raise NotImplementedError

    def _engage(self) -> None:
        """Leave the pair of messages in hand to h11, which is told what went before."""
        self._engaged = True
        self._tell_what_went_before()
        self._feed()

    def _tell_what_went_before(self) -> None:
        raise NotImplementedError

    def _feed(self) -> None:
        if self._buffer:
            self._h11.receive_data(bytes(self._buffer))
            self._buffer.clear()
        if self._at_eof:
            self._h11.receive_data(b"")

    def _part_by_h11(self) -> Part | None:
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise self._blame_peer(error) from error
        match event:
            case h11.NEED_DATA | h11.PAUSED | h11.ConnectionClosed():
                return None
            case h11.Data():
                self.body_bytes_received += len(event.data)
                return bytes(event.data)
            case h11.EndOfMessage():
                return End(_raw(event.headers))
            case _:
                return _head_of(cast("h11.Request | h11.Response", event))

    async def receive(self) -> list[Part]:
        """Return the next parts: all that one read brought, at least one.

        An empty list means that the peer has ended its side between two messages.
        """
        while not (parts := self.buffered_parts()):
            if self._at_eof:
                return []
            await self.read_more()
        return parts

    async def read_more(self) -> bool:
        """Wait for bytes from the peer and keep them; return whether there were any.

        Parts are not looked at, so this also watches a peer whose turn it is not.
        """
        if self._at_eof:
            return False
        if self._on_partial_read is not None and self._within_message():
            self._on_partial_read()
        try:
            data = await self.stream.receive_some(READ_NUM_BYTES)
        except trio.BrokenResourceError as error:
            raise self._gone(_reason(error)) from error
        self._at_eof = not data
        self._h11.receive_data(bytes(data))
        return not self._at_eof

    def _within_message(self) -> bool:
        return self._h11.their_state is h11.SEND_BODY or bool(self._h11.trailing_data[0])

    def _blame_peer(self, error: h11.RemoteProtocolError) -> PeerError:
        if self._at_eof:
            return self._gone("the connection ended within a message")
        return self._broke_protocol(str(error), error.error_status_hint)

    def _gone(self, reason: str) -> PeerError:
        raise NotImplementedError

    def _broke_protocol(self, reason: str, status: int) -> PeerError:
        raise NotImplementedError

    @property
    def unread_bytes(self) -> int:
        """How many bytes have arrived that belong to no returned part."""
        return len(self._buffer) + (len(self._h11.trailing_data[0]) if self._engaged else 0)

    @property
    def ended(self) -> bool:
        """Whether the peer has ended its side, and nothing of it is left to read."""
        return self._at_eof and not self.unread_bytes

    def take_unread(self) -> bytes:
        """Return those bytes, for whoever speaks another protocol from here on."""
        return self._h11.trailing_data[0] + self._buffer if self._engaged else bytes(self._buffer)

    # Writing

    async def send(self, *parts: Part) -> None:
        """Send parts of a message, together in one write.

        Raises the peer's `PeerError` if it is gone, and `h11.LocalProtocolError` (a
        defect of ours) if the parts are not a message.
        """
        if self._engaged or (data := self._written_whole(parts)) is None:
            if not self._engaged:
                self._engage()
            data = b"".join(self._encoded(parts))
        if data:
            await self.send_raw(data)

    def _written_whole(self, parts: tuple[Part, ...]) -> bytes | None:
        """Return the bytes of the parts if they are a whole, plain message that is due."""
        raise NotImplementedError

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are. Raises the peer's `PeerError` if it is gone."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise self._gone(_reason(error)) from error

    def _encoded(self, parts: Iterable[Part]) -> Iterable[bytes]:
        for part in parts:
            if isinstance(part, bytes):
                yield self._encoded_data(part)
            elif isinstance(part, End):
                # Trailers have a place behind chunks only (RFC 9112 section 7.1.2): an HTTP/1.0
                # client does without.
                self._h11.send(_end_event(part) if self._sending_chunks else _END)
                if self._sending_chunks:
                    yield _chunked_end(part.trailers)
            else:
                yield self._encoded_head(part)

    def _encoded_data(self, data: bytes) -> bytes:
        self._h11.send_with_data_passthrough(h11.Data(data=data))
        self.body_bytes_sent += len(data)
        if self._sending_chunks and data:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data

    def _encoded_head(self, head: Any) -> bytes:
        raise NotImplementedError

    # The end

    def next_cycle(self) -> bool:
        """Get ready for the next request, if both messages are over and another pair may follow.

        Returns whether it may.
        """
        if self._engaged:
            if not (self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE):
                return False
            self._h11.start_next_cycle()
            # What came too early is h11's already.
            self._engaged = self._at_eof or bool(self._h11.trailing_data[0])
        elif not self._pair_is_over:
            return False
        self._pair_is_over = False
        self.body_bytes_received = self.body_bytes_sent = 0
        return True

    @property
    def half_closeable(self) -> bool:
        """Whether the peer can end its sending and still read."""
        return isinstance(self.stream, trio.abc.HalfCloseableStream)


class ClientConnection(HttpConnection):
    """The connection to a client: it asks, we answer."""

    _OUR_ROLE = h11.SERVER
    _last = False
    """Whether no request may follow, whatever its headers say."""

    def _gone(self, reason: str) -> PeerError:
        return ClientGoneError(reason)

    def _broke_protocol(self, reason: str, status: int) -> PeerError:
        return ClientProtocolError(reason, status)

    def buffered_request(self) -> RequestHead | None:
        """Return the next request's head if it has arrived. Raises `ClientProtocolError`."""
        request = cast("RequestHead | None", self._next_part())
        if request is None:
            return None
        if not request.http_version.startswith(b"1."):
            version = request.http_version.decode()
            raise ClientProtocolError(f"HTTP/{version} is not spoken here, HTTP/1.1 is", 505)
        # Two framings in one message may be an attempt to hide a second request from whoever
        # reads the other one (RFC 9112 section 6.1): what follows is not looked at.
        self._last = request.chunked and request.has_header(b"content-length")
        return request

    async def receive_request(self) -> RequestHead | None:
        """Wait for the next request's head; None if the client ends its side before one begins.

        Raises `ClientGoneError`, `ClientProtocolError`.
        """
        while (request := self.buffered_request()) is None:
            if not await self.read_more() and self.ended:
                return None
        return request

    @property
    def waits_for_continue(self) -> bool:
        """Whether the client holds its body back until a 100 (RFC 9110 section 10.1.1)."""
        return bool(self._h11.they_are_waiting_for_100_continue)

    @property
    def request_ended(self) -> bool:
        """Whether the request was received to its end."""
        if not self._engaged:
            return self._request is not None
        return self._h11.their_state not in (h11.IDLE, h11.SEND_BODY)

    @property
    def response_started(self) -> bool:
        """Whether a response to the request in hand has begun, so that no other can."""
        if not self._engaged:
            return self._pair_is_over
        return self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    def next_cycle(self) -> bool:
        """Get ready for the next request; see the base class."""
        self._request = None
        return super().next_cycle()

    def _whole_part(self) -> Part | None:
        if self._request is not None:
            return None  # the next one has to wait for the answer
        if (message := whole.read_request(self._buffer)) is None:
            if self._buffer or self._at_eof:
                self._engage()
            return None
        self._request = bytes(self._buffer[: message.size])
        del self._buffer[: message.size]
        self.body_bytes_received = message.body_bytes
        head, *self._ready = message.parts
        return head

    def _tell_what_went_before(self) -> None:
        if self._request is None:
            return
        self._h11.receive_data(self._request)
        while self._h11.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass  # these parts have been returned

    def _written_whole(self, parts: tuple[Part, ...]) -> bytes | None:
        if self._request is None or self._ready or self._pair_is_over:
            return None
        data = whole.write_response(parts)
        if data is not None:
            self._pair_is_over = True
            self.body_bytes_sent = sum(len(part) for part in parts if isinstance(part, bytes))
        return data

    def _encoded_head(self, head: ResponseHead) -> bytes:
        http_1_0 = self._h11.their_http_version == b"1.0"
        if http_1_0 and head.interim and head.status != 101:
            return b""  # it would take it for the answer (RFC 9110 section 15.2)
        has_body = self._h11._request_method != b"HEAD" and head.status not in (204, 304)
        self._sending_chunks = head.chunked and has_body and not http_1_0
        self._h11.send(_response_event(head, has_body))
        if head.chunked and http_1_0:
            # It cannot read chunks (RFC 9112 section 6.1): the body ends with the connection.
            head = _unframed(head)
        return head.encode()


class UpstreamConnection(HttpConnection):
    """The connection to an upstream: we ask, it answers."""

    _OUR_ROLE = h11.CLIENT
    _request: tuple[Part, ...] = ()
    """A whole, plain request that waits for its answer."""

    def _gone(self, reason: str) -> PeerError:
        return UpstreamError("disconnected", reason)

    def _broke_protocol(self, reason: str, status: int) -> PeerError:
        return UpstreamError("protocol", f"the answer is not HTTP/1.1: {reason}")

    def _encoded_head(self, head: RequestHead) -> bytes:
        self._sending_chunks = head.chunked
        self._h11.send(_request_event(head))
        return head.encode()

    def next_cycle(self) -> bool:
        """Get ready for the next request; see the base class."""
        if not super().next_cycle():
            return False
        self._request = ()
        return True

    def _whole_part(self) -> Part | None:
        if not self._buffer and not self._at_eof:
            return None
        message = None if self._pair_is_over else whole.read_response(self._buffer)
        if message is None or not self._request:
            self._engage()
            return None
        self._buffer.clear()
        self._pair_is_over = True
        self.body_bytes_received = message.body_bytes
        head, *self._ready = message.parts
        return head

    def _tell_what_went_before(self) -> None:
        for _ in self._encoded(self._request):
            pass  # these bytes have been sent

    def _written_whole(self, parts: tuple[Part, ...]) -> bytes | None:
        if self._request:
            return None
        data = whole.write_request(parts)
        if data is not None:
            self._request = parts
            self.body_bytes_sent = sum(len(part) for part in parts if isinstance(part, bytes))
        return data

    @property
    def idle(self) -> bool:
        """Whether it may be asked for the next thing, as far as is known."""
        return self.alive and not self._request and self._h11.our_state is h11.IDLE

    @property
    def alive(self) -> bool:
        """Whether the upstream has neither ended the connection nor spoken out of turn."""
        return not self._at_eof and not self.unread_bytes

    async def wait_until_not_idle(self) -> None:
        """Return when the upstream ends an idle connection, or says anything on it."""
        try:
            await self.read_more()
        except UpstreamError:
            self._at_eof = True


# Between our values and h11's


def _raw(headers: h11._headers.Headers) -> Headers:
    return tuple(headers.raw_items())


def _head_of(event: h11.Request | h11.Response | h11.InformationalResponse) -> Head:
    headers = _raw(event.headers)
    if isinstance(event, h11.Request):
        return RequestHead(event.method, event.target, headers, event.http_version)
    return ResponseHead(event.status_code, event.reason, headers, event.http_version)


def _request_event(head: RequestHead) -> h11.Request:
    """Return a request as h11 will send it: 1.1, which needs a Host header."""
    headers = list(head.headers)
    if not head.has_header(b"host"):
        headers.append((b"host", b"-"))
    return h11.Request(method=head.method, target=head.target, headers=headers)


@lru_cache(maxsize=256)
def _response_event(head: ResponseHead, has_body: bool) -> h11.Response | h11.InformationalResponse:
    """Return a response as h11 will send it: 1.1, and closing if its body ends by closing.

    Cached because an injected answer is the same for as long as its Date is.
    """
    if head.interim:
        return h11.InformationalResponse(
            status_code=head.status, headers=list(head.headers), reason=head.reason
        )
    headers = list(head.headers)
    framed = head.chunked or head.has_header(b"content-length")
    if head.http_version < b"1.1" or (has_body and not framed):
        headers.append((b"connection", b"close"))
    return h11.Response(status_code=head.status, headers=headers, reason=head.reason)


_END = h11.EndOfMessage()


def _end_event(end: End) -> h11.EndOfMessage:
    return h11.EndOfMessage(headers=list(end.trailers)) if end.trailers else _END


def _chunked_end(trailers: Headers) -> bytes:
    """Return the last chunk and the trailer section (RFC 9112 section 7.1)."""
    return b"0\r\n" + b"".join(b"%s: %s\r\n" % item for item in trailers) + b"\r\n"


def _unframed(head: ResponseHead) -> ResponseHead:
    headers = without_headers(head.headers, b"transfer-encoding", b"connection")
    return ResponseHead(
        head.status, head.reason, (*headers, (b"Connection", b"close")), head.http_version
    )


def _reason(error: trio.BrokenResourceError) -> str:
    return str(error.__cause__ or error) or "the connection broke"
