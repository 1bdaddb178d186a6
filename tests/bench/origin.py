"""The origin: a small TLS server with an HTTP/1.1 API, and a plain TCP source of bytes.

Started as a program of its own, ``python -m tests.bench.origin CERTIFICATE KEY``; prints its two
ports as one line of JSON and serves until its standard input ends. Blocking sockets and a thread
a connection: the shortest way to be right and quick enough.

- ``POST /v1/messages``, or any other path, answers 200 with about 1 KB of JSON.
- ``POST`` with a query that ends in ``events=KIND`` answers with 50 events at once, in a framing.
- ``GET /events/COUNT/MICROSECONDS`` streams COUNT server-sent events, so many microseconds apart;
  each carries the moment it was sent (``time.monotonic_ns``, one clock for all processes).
- The TCP source sends as many bytes as the eight bytes (big-endian) that it is sent first say.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable

CHUNK_BYTES = 256 * 1024
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ANSWER_BODY = json.dumps({"type": "message", "role": "assistant", "text": "x" * 960}).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nrequest-id: req_bench\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(ANSWER_BODY), ANSWER_BODY)
)
EVENTS_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
STREAMED = 50
DELTA = json.dumps({"contentBlockIndex": 0, "delta": {"type": "text_delta", "text": "x" * 60}})


def aws_frame(kind: bytes, payload: bytes) -> bytes:
    """A message of AWS' event stream."""
    named = ((b":event-type", kind), (b":content-type", b"application/json"))
    headers = b"".join(
        b"%c%b\x07%b%b" % (len(name), name, len(value).to_bytes(2, "big"), value)
        for name, value in (*named, (b":message-type", b"event"))
    )
    lengths = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(
        4, "big"
    )
    message = lengths + zlib.crc32(lengths).to_bytes(4, "big") + headers + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


EVENTS = {
    b"sse": (b"text/event-stream", b"event: content_block_delta\ndata: %b\n\n" % DELTA.encode()),
    b"crlf": (b"text/event-stream", b"data: %b\r\n\r\n" % DELTA.encode()),
    b"ndjson": (b"application/x-ndjson", DELTA.encode() + b"\n"),
    b"aws": (
        b"application/vnd.amazon.eventstream",
        aws_frame(b"contentBlockDelta", DELTA.encode()),
    ),
}


def serve_http(connection: socket.socket) -> None:
    """Answer requests until the client goes."""
    buffer = b""
    while True:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if not (received := connection.recv(65536)):
                return
            buffer += received
        head, buffer = buffer[: end + 2], buffer[end + 4 :]
        length = LENGTH.search(head)
        missing_bytes = (int(length[1]) if length else 0) - len(buffer)
        while missing_bytes > 0:
            if not (received := connection.recv(65536)):
                return
            missing_bytes -= len(received)
        buffer = b"" if missing_bytes == 0 else buffer[missing_bytes:]
        answer(connection, head)


def answer(connection: socket.socket, head: bytes) -> None:
    """Send the response that the path asks for."""
    method, path, _ = head.split(b" ", 2)
    if method == b"HEAD":
        connection.sendall(ANSWER[: -len(ANSWER_BODY)])
        return
    if b"events=" in path:
        content_type, event = EVENTS[path.rpartition(b"=")[2]]
        connection.sendall(EVENTS_HEAD.replace(b"text/event-stream", content_type))
        for _ in range(STREAMED):
            connection.sendall(b"%x\r\n%b\r\n" % (len(event), event))
        connection.sendall(b"0\r\n\r\n")
        return
    if not path.startswith(b"/events/"):
        connection.sendall(ANSWER)
        return
    _, _, count, gap_microseconds = path.split(b"/")
    connection.sendall(EVENTS_HEAD)
    for _ in range(int(count)):
        time.sleep(int(gap_microseconds) / 1e6)
        event = b'event: delta\ndata: {"sent": %d}\n\n' % time.monotonic_ns()
        connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
    connection.sendall(b"0\r\n\r\n")


def serve_bytes(connection: socket.socket) -> None:
    """Send the number of bytes that was asked for."""
    left_bytes = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
    chunk = memoryview(bytes(CHUNK_BYTES))
    while left_bytes > 0:
        left_bytes -= connection.send(chunk[:left_bytes])


def listen(serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None) -> int:
    """Accept connections in the background; returns the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def one(connection: socket.socket) -> None:
        try:
            with tls.wrap_socket(connection, server_side=True) if tls else connection as stream:
                serve(stream)
        except OSError:
            pass  # The client went away: each run ends so, and starts so where a proxy only probes.

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main() -> None:
    """Serve until standard input ends, that is, until the benchmark is gone."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
    tls.set_alpn_protocols(["http/1.1"])
    ports = {"https": listen(serve_http, tls), "source": listen(serve_bytes, None)}
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
