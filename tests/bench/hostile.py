"""What a stranger's input costs as it gets longer: ``python -m tests.bench.hostile``.

Prints the CPU time for an input, for one twice as long, and the ratio of the two. Where all is
well it is about 2; where time grows with the square of the length it is 4, and one request could
hold up all others. Each input is of the kind that once was, or could be, the worst for its reader.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable

from faultinject.faults.stream.edit import EditingEvents, drop
from faultinject.http.coding import content_codings, decoded
from faultinject.http.h1.roles import ClientMachine, ServerMachine
from faultinject.http.message import RequestHead, header_tokens
from faultinject.matchers import AnyOf, Glob, JsonPath, Present
from faultinject.providers.framing.sse import SseDecoder
from faultinject.providers.known import provider_for
from faultinject.providers.vendors import named_vendors, vendors_of_keys
from faultinject.proxy.sniff import OpeningReader
from faultinject.rules.facts import Facts

Work = Callable[[], object]
LIMIT = 32 * 1024 * 1024
ROUNDS = 3


def head(target: bytes = b"/", *headers: tuple[bytes, bytes]) -> RequestHead:
    """Return a head."""
    return RequestHead(b"POST", target, ((b"Host", b"x"), *headers))


def bytewise(data: bytes) -> Iterable[bytes]:
    """Return each byte alone."""
    return (data[at : at + 1] for at in range(len(data)))


def query_parameters(n: int) -> Work:
    """Many parameters of one name."""
    request = head(b"/?" + b"a&" * n)
    return lambda: Facts("x", 1, request).parameter("a")


def query_names(n: int) -> Work:
    """Many names."""
    request = head(b"/?" + b"&".join(b"%x=" % i for i in range(n)))
    return lambda: Facts("x", 1, request).parameter("a")


def query_escapes(n: int) -> Work:
    """One long value, all of it escaped."""
    request = head(b"/?a=" + b"%e4" * n)
    return lambda: Facts("x", 1, request).parameter("a")


def headers_of_a_name(n: int) -> Work:
    """Many headers of one name."""
    request = head(b"/", *((b"A", b"") for _ in range(n)))
    return lambda: Facts("x", 1, request).header(b"a")


def header_words(n: int) -> Work:
    """One header that is a long list."""
    request = head(b"/", (b"A", b"," * n))
    return lambda: header_tokens(request.headers, b"a")


def codings(n: int) -> Work:
    """A body with very many codings, as far as its header goes."""
    request = head(b"/", (b"Content-Encoding", b"gzip," * n))
    return lambda: content_codings(request.headers)


def keys_in_headers(n: int) -> Work:
    """Many keys of a vendor's form."""
    request = head(b"/", *((b"x-api-key", b"sk-ant-") for _ in range(n)))
    return lambda: (vendors_of_keys(request), named_vendors(request))


def keys_in_a_query(n: int) -> Work:
    """The same in the query."""
    request = head(b"/?" + b"key=AIza&" * n)
    return lambda: (vendors_of_keys(request), named_vendors(request))


def paths(n: int) -> Work:
    """A path that is nearly an API's, again and again."""
    path = "/v1/messages" * n + "x"
    return lambda: provider_for("x", path)


def glob(pattern: str) -> Callable[[int], Work]:
    """Return a text that nearly fits a pattern."""

    def work(n: int) -> Work:
        test, text = Glob(pattern), "a" * n
        return lambda: test.holds(text)

    return work


def json_paths(n: int) -> Work:
    """Lists of lists, of which a path wants every item."""
    document = {"messages": [{"content": [{"text": "x"}] * 10}] * n}
    path, test = JsonPath.parse("messages[*].content[*].text[*].x"), AnyOf((Present(),))
    return lambda: path.some(document, test)


def tools(n: int) -> Work:
    """Very many tools."""
    body = json.dumps({"tools": [{"function": {"name": "x"}}] * n}).encode()
    return lambda: Facts("x", 1, head(), body).tools


def nested(n: int) -> Work:
    """Brackets within brackets."""
    return lambda: Facts("x", 1, head(), b"[" * n).json


def hello(record_bytes: int) -> Callable[[int], Work]:
    """A ClientHello that drips, in records of a length."""

    def work(n: int) -> Work:
        message = b"\x01" + (2 * n).to_bytes(3) + bytes(n)
        pieces = [message[at : at + record_bytes] for at in range(0, len(message), record_bytes)]
        data = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)

        def read() -> None:
            reader = OpeningReader()
            for byte in bytewise(data):
                reader.feed(byte)

        return read

    return work


def serving(data: bytes) -> Work:
    """Read a request that drips, and ask each time whether there is something of it."""

    def read() -> None:
        machine = ServerMachine(LIMIT)
        for byte in bytewise(data):
            machine.receive_data(byte)
            while machine.next_part() is not None:
                pass
            assert machine.within_message or machine.request_ended

    return read


def dripping_head(n: int) -> Work:
    """A head that comes byte by byte."""
    return serving(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * n)


def dripping_fields(n: int) -> Work:
    """The same, with many short fields."""
    return serving(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A:\r\n" * n)


def dripping_chunks(n: int) -> Work:
    """A body in chunks of a byte, byte by byte."""
    start = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return serving(start + b"1\r\na\r\n" * n)


def small_chunks(n: int) -> Work:
    """An answer in chunks of a byte, all at once."""
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * n

    def read() -> None:
        machine = ClientMachine(LIMIT)
        machine.encode(RequestHead(b"GET", b"/", ((b"Host", b"x"),)))
        machine.receive_data(data)
        while machine.next_part() is not None:
            pass

    return read


def events(line: bytes, *, drips: bool = False) -> Callable[[int], Work]:
    """A stream of many lines of a kind."""

    def work(n: int) -> Work:
        data = line * n
        pieces = list(bytewise(data)) if drips else [data]

        def read() -> None:
            decoder = SseDecoder()
            for piece in pieces:
                decoder.feed(piece)
            decoder.end()

        return read

    return work


def edited_events(n: int) -> Work:
    """Events that are left out, as they drip."""
    pieces = list(bytewise(b"data: x\n\n" * n))

    def read() -> None:
        action = EditingEvents(drop, None, SseDecoder())
        for piece in pieces:
            list(action.step(piece, 0.0))

    return read


def members(n: int) -> Work:
    """A compressed body of very many parts."""
    body = gzip.compress(b"") * n

    def read() -> None:
        try:
            decoded(body, (b"gzip",), LIMIT)
        except ValueError:
            return

    return read


WORKS: dict[str, tuple[Callable[[int], Work], int]] = {
    "query: a parameter again and again": (query_parameters, 30_000),
    "query: many names": (query_names, 20_000),
    "query: escapes": (query_escapes, 20_000),
    "headers of one name": (headers_of_a_name, 10_000),
    "a header's words": (header_words, 60_000),
    "codings": (codings, 10_000),
    "keys in headers": (keys_in_headers, 5_000),
    "keys in a query": (keys_in_a_query, 5_000),
    "a path": (paths, 4_000),
    "glob *a*a*a*b": (glob("*a*a*a*b"), 60_000),
    "glob *a?a*[!a]*b": (glob("*a?a*[!a]*b"), 60_000),
    "JSON paths": (json_paths, 3_000),
    "tools": (tools, 20_000),
    "nested brackets": (nested, 1_000_000),
    "ClientHello, byte by byte": (hello(16_000), 16_000),
    "ClientHello, a byte a record": (hello(1), 3_000),
    "a head, byte by byte": (dripping_head, 30_000),
    "fields, byte by byte": (dripping_fields, 8_000),
    "chunks, byte by byte": (dripping_chunks, 8_000),
    "chunks of a byte": (small_chunks, 10_000),
    "SSE: LF": (events(b"\n"), 60_000),
    "SSE: lines in LF": (events(b"data: x\n"), 100_000),
    "SSE: lines in CR": (events(b"data: x\r"), 100_000),
    "SSE: LF and CR by turns": (events(b"x\ny\r"), 100_000),
    "SSE: CR, byte by byte": (events(b"x\r", drips=True), 100_000),
    "SSE: one line, byte by byte": (events(b"x", drips=True), 200_000),
    "SSE: edits, byte by byte": (edited_events, 8_000),
    "gzip members": (members, 20_000),
}


def seconds(work: Work) -> float:
    """Return the CPU time that some work takes at best."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    """Measure all, and print a line each."""
    print(f"{'input':36} {'n':>9} {'ms':>9} {'2n: ms':>9} {'ratio':>6}")
    for name, (make, n) in WORKS.items():
        one, two = seconds(make(n)), seconds(make(2 * n))
        ratio = two / one if one > 0.0005 else float("nan")
        print(f"{name:36} {n:9,} {one * 1000:9.1f} {two * 1000:9.1f} {ratio:6.1f}", flush=True)


if __name__ == "__main__":
    main()
