"""What the origin sees through the proxy is what it sees without it.

The proxy runs at probability 0. Raw heads, bodies, their times and the use of connections are
compared with those of the same requests asked directly.
"""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.interop.ways import Way, Ways, ask_both, ask_once, get, post
from tests.support.certificates import Certificates
from tests.support.llm_api import chunk
from tests.support.pages import LARGE_BODY

pytestmark = pytest.mark.interop

ONE_SECOND = 1.0

# -- what the origin sees ---------------------------------------------------------------------

ODD_REQUEST = (
    b"POST /digest?x=%2F&y=a+b&&z=~%7e;/../%C3%A9 HTTP/1.1\r\n"
    b"x-LAST: first\r\nhOsT: api.anthropic.com\r\nX-Api-Key: sk-1\r\nAuthorization: Bearer sk-2\r\n"
    b"accept: a\r\nAccept: b\r\nACCEPT: a\r\nContent-lENGTH: 3\r\nCookie: a=1\r\ncookie: b=2\r\n"
    b"X-Empty: \r\nx-latin: caf\xe9\r\nX-Inner: a  b\tc\r\nConnection: keep-alive, TE\r\n"
    b"TE: trailers\r\nX_Under.score~: ok\r\nAccept-Encoding: gzip;q=1.0, br\r\nzz: 1\r\n\r\nabc"
)
CHUNKED_REQUEST = (
    b"PUT /digest HTTP/1.1\r\nHost: api.anthropic.com\r\ntransfer-encoding: chunked\r\n"
    b"Trailer: X-Sum\r\n\r\n1\r\na\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n5\r\n0\r\n\r\n\r\n"
    b"0\r\nX-Sum: 12\r\nx-second: zwei\r\n\r\n"
)
REQUESTS = {
    "odd": ODD_REQUEST,
    "chunked": CHUNKED_REQUEST,
    "get": get("/empty?"),
    "get-with-body": get("/digest", b"Content-Length: 4") + b"body",
    "delete": get("/empty", method=b"DELETE"),
    "empty-post": post("/digest", b""),
    "unusual-method": get("/empty", method=b"PURGE-all"),
    "options": get("/empty", method=b"OPTIONS"),
    "no-user-agent": get("/empty", b"Accept: */*"),
    "long-header": get("/empty", b"X-Long: " + b"y" * 12_000),
    "many-headers": get("/empty", *(b"X-%d: %d" % (n, n) for n in range(90))),
    "expect": post("/digest", b"abc", b"Expect: 100-continue"),
    "upgrade-that-is-declined": get("/empty", b"Connection: Upgrade", b"Upgrade: websocket"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request_reaches_the_origin_as_it_was_sent(way: Way, name: str) -> None:
    """Head (order, case, blanks), body and trailers; not even a header is added."""
    ask_both(way, REQUESTS[name])
    direct, through = way.origin.received
    assert through.head == direct.head
    assert (through.body, through.trailers) == (direct.body, direct.trailers)


def test_request_that_ends_the_connection(way: Way) -> None:
    """A client that wants the connection closed gets its answer and the close."""
    request = get("/empty", b"Connection: close")
    with way.connected.open() as client:
        assert client.ask(way.client_head(request)).head.startswith(b"HTTP/1.1 200 OK")
        assert client.read_end() == (b"", "closed")
    with way.direct.open() as client:
        client.ask(way.direct_head(request))
    through, direct = way.origin.received
    assert through.head == direct.head


def test_request_body_is_not_gathered(way: Way) -> None:
    """The origin has the head and the first half of a body before the second half was sent."""
    request = way.client_head(post("/digest", b"a" * 1000 + b"b" * 1000))
    with way.connected.open() as client:
        client.send(request[:-1000])
        way.origin.wait_for_requests(1, ONE_SECOND)
        client.send(request[-1000:])
        answer = client.read_answer()
    assert json.loads(answer.body)["bytes"] == 2000


def test_expectation_is_the_origins_to_meet(way: Way) -> None:
    """The 100 comes from the origin, and the body is sent after it."""
    request = way.client_head(post("/digest", b"abc", b"Expect: 100-continue"))
    with way.connected.open() as client:
        client.send(request[:-3])
        assert client.wire.read_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(request[-3:])
        assert json.loads(client.read_answer().body)["bytes"] == 3


def test_expectation_that_is_refused(way: Way) -> None:
    """A final answer instead of the 100 arrives, and the body is not waited for."""
    request = way.client_head(
        get("/refuse-expectation", b"Content-Length: 3", b"Expect: 100-continue")
    )
    with way.connected.open() as client:
        answer = client.ask(request)
        assert answer.head.startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
        assert answer.interim == []
        assert client.read_end() == (b"", "closed")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_upload(way: Way, framing: str) -> None:
    """1 MB up, and the origin's digest of it."""
    body = LARGE_BODY[:1_000_000]
    if framing == "length":
        request = post("/digest", body)
    else:
        pieces = (body[at : at + 9_999] for at in range(0, len(body), 9_999))
        head = get("/digest", b"Transfer-Encoding: chunked", method=b"POST")
        request = head + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    answer = ask_once(way.connected, way.client_head(request))
    assert json.loads(answer.body)["sha256"] == hashlib.sha256(body).hexdigest()


# -- connections ------------------------------------------------------------------------------


def test_connection_lives_as_long(way: Way) -> None:
    """All requests of a client's connection come on one connection of the origin, in order."""
    with way.connected.open() as client:
        answers = [client.ask(way.client_head(get("/count"))).body.split() for _ in range(10)]
        answers.append(client.ask(way.client_head(post("/count", b"x" * 100))).body.split())
    first = int(answers[0][1])
    assert len({connection for connection, _ in answers}) == 1
    assert [int(number) for _, number in answers] == list(range(first, first + 11))


def test_pipelined_requests(way: Way) -> None:
    """Requests sent without waiting are answered in their order."""
    bodies = [b"", b"a", b"bb", b"ccc"]
    requests = b"".join(way.client_head(post("/digest", body)) for body in bodies)
    with way.connected.open() as client:
        client.send(requests)
        sizes = [json.loads(client.read_answer(b"POST").body)["bytes"] for _ in bodies]
    assert sizes == [0, 1, 2, 3]


def test_connections_at_once_are_apart(way: Way) -> None:
    """Clients that are there at the same time never share a connection of the origin."""
    with way.connected.open() as one, way.connected.open() as other:
        asked = way.client_head(get("/count"))
        used = [client.ask(asked).body.split()[0] for client in (one, other, one, other)]
    assert used[:2] == used[2:]
    assert used[0] != used[1]


def test_idle_connection_that_the_origin_ends(way: Way) -> None:
    """When the origin ends a client's idle connection, the client sees that at once."""
    with way.connected.open() as client:
        client.sock.settimeout(ONE_SECOND)
        assert client.ask(way.client_head(get("/close-idle"))).body == b"soon gone"
        assert client.read_end() == (b"", "closed")


def test_kept_connection_that_the_origin_ended(way: Way) -> None:
    """A connection that the origin ended while no client used it fails no later client."""
    for _ in range(3):
        assert ask_once(way.connected, way.client_head(get("/close-idle"))).body == b"soon gone"
        assert way.origin.received[-1].left.wait(ONE_SECOND)
        answer = ask_once(way.connected, way.client_head(post("/digest", b"abc")))
        assert answer.head.startswith(b"HTTP/1.1 200 OK")


def test_certificate_names_the_host(intercepted: Way) -> None:
    """The client verifies the name it asked for; the raw client would refuse another one."""
    with intercepted.connected.open() as client:
        assert client.certificate["subjectAltName"] == (("DNS", "api.anthropic.com"),)
        assert client.tls.selected_alpn_protocol() == "http/1.1"


def test_relayed_host_shows_its_own_certificate(ways: Ways, certificates: Certificates) -> None:
    """What is no target is not looked into: its certificate is the origin's."""
    with ways.by_name["relayed"].connected.open() as client:
        issuer = client.certificate["issuer"]
    assert "trustme" in str(issuer)


def test_events_of_an_invisible_run(intercepted: Way, ways: Ways) -> None:
    """The proxy's own account of an exchange agrees with what both sides saw."""
    before = len(ways.proxy.exchanges(path="/gzip"))
    answer = ask_once(intercepted.connected, get("/gzip?key=secret"))
    [event] = ways.proxy.exchanges(before + 1, path="/gzip")[before:]
    assert (event["outcome"], event["status"], event["rule"]) == ("forwarded", 200, None)
    assert (event["response_bytes"], event["request_bytes"]) == (len(answer.body), 0)
    assert not any("secret" in str(e) for e in ways.proxy.events)
