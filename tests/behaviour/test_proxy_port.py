"""What clients may ask of the proxy's own port."""

from __future__ import annotations

import pytest

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.events import ExchangeEnded, RelayEnded, Warned
from faultinject.proxy.upstream.dial import Origin
from tests.support.bench import TARGET, answers, echoes, get, ok, open_bench, post
from tests.support.peer import Peer

API = Authority(TARGET, 443)


async def shows_head(upstream: Peer) -> None:
    """Answer each request with its own head."""
    while request := await upstream.read_message():
        await upstream.send(ok(request.head))


async def test_a_connection_mixes_injected_and_forwarded_answers(autojump_clock):
    """Each request of a keep-alive connection is decided on its own."""
    async with open_bench() as bench:
        client = await bench.tls()
        seen = []
        for probability in (1, 0, 1, 0, 0, 1):
            bench.inject(probability)
            seen.append((await client.ask(get("/v1/messages"))).status)
        assert seen == [429, 200, 429, 200, 200, 429]
        told = [{200: "forwarded", 429: "injected"}[status] for status in seen]
        assert bench.outcomes == told
        assert [exchange.exchange for exchange in bench.of(ExchangeEnded)] == [1, 2, 3, 4, 5, 6]
        assert bench.dialer.dialled == [Origin(API, API)]


# Absolute-form requests


async def test_an_absolute_http_request_goes_to_its_origin(autojump_clock):
    """The origin gets the path alone, its own Host, and nothing that was meant for a proxy."""
    async with open_bench(upstream=shows_head) as bench:
        client = bench.connect()
        answer = await client.ask(
            b"GET http://other.example:8000/a?b=c HTTP/1.1\r\nHost: wrong\r\n"
            b"Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nX-Own: 1\r\n\r\n"
        )
        assert answer.body == b"GET /a?b=c HTTP/1.1\r\nHost: other.example:8000\r\nX-Own: 1\r\n\r\n"
        other = Authority("other.example", 8000)
        assert bench.dialer.dialled == [Origin(other, other, tls=False)]
        exchange = await bench.exchange()
        assert (exchange.target, exchange.path, exchange.scheme) == ("other.example", "/a", "http")


async def test_an_absolute_https_request_is_asked_over_tls(autojump_clock):
    """A proxy is asked for https URLs by clients that leave TLS to it."""
    async with open_bench(upstream=shows_head) as bench:
        client = bench.connect()
        answer = await client.ask(b"GET https://api.example.com HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.body == b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
        assert bench.dialer.dialled == [Origin(API, API)]
        assert (await bench.exchange()).scheme == "https"


async def test_only_targets_are_injected(autojump_clock):
    """One client connection may ask for targets and others by turns."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        for host, status in (("other.example", 200), (TARGET, 429), ("other.example", 200)):
            request = b"GET http://%b/ HTTP/1.1\r\nHost: x\r\n\r\n" % host.encode()
            assert (await client.ask(request)).status == status


async def test_a_url_with_a_user_is_refused_where_the_proxy_is_asked(autojump_clock):
    """In a tunnel it is the origin's to judge; nothing of it is told."""
    request = b"GET http://user:secret@api.example.com/a HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
    async with open_bench(upstream=shows_head) as bench:
        answer = await bench.connect().ask(request)
        assert answer.status == 400
        assert "has a user" in answer.json()["error"]["message"]
        client = await bench.tls()
        assert (await client.ask(request)).body == request
        assert "secret" not in repr(bench.events)


@pytest.mark.parametrize(
    "target", [b"ftp://x/", b"http://", b"http://a b/", b"http://x:0/", b"x:1"]
)
async def test_what_is_no_url_is_refused(autojump_clock, target):
    """The answer is our own 400 and says what is wrong."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        answer = await client.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert answer.status == 400
        assert answer.header(b"x-faultinject-error") == b"request"
        assert answer.header(b"x-faultinject") is None
        assert answer.header(b"connection") == b"close"
        assert await client.rest() == b""
        assert bench.outcomes == ["refused"]


# Base-URL mode


async def test_a_request_as_to_an_origin_goes_to_the_only_single_target(autojump_clock):
    """Its Host is rewritten, and TLS is used, so that clients need no certificate of ours."""
    targets = ("*.example.net", "api.example.com:8443")
    async with open_bench(upstream=shows_head, targets=targets) as bench:
        client = bench.connect()
        answer = await client.ask(get("/v1/messages?beta=true", "127.0.0.1:8080", b"X: y"))
        assert answer.body == (
            b"GET /v1/messages?beta=true HTTP/1.1\r\nHost: api.example.com:8443\r\nX: y\r\n\r\n"
        )
        origin = Authority(TARGET, 8443)
        assert bench.dialer.dialled == [Origin(origin, origin)]
        assert (await bench.exchange()).target == "api.example.com:8443"


async def test_base_url_mode_injects_and_keeps_the_connection(autojump_clock):
    """The rules see such requests as the target's."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        assert (await client.ask(post("/v1/messages", b"{}", host="127.0.0.1"))).status == 429
        bench.inject(0)
        answer = await client.ask(post("/v1/messages", b"{}", host="127.0.0.1"))
        assert answer.body == b"POST /v1/messages HTTP/1.1 2"


async def test_options_of_everything_goes_to_the_target_too(autojump_clock):
    """``*`` is what OPTIONS may ask for (RFC 9112 section 3.2.4)."""
    async with open_bench() as bench:
        answer = await bench.connect().ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.body == b"OPTIONS * HTTP/1.1 0"
        assert (await bench.exchange()).path == "*"


async def test_without_a_single_target_there_is_no_base_url_mode(autojump_clock):
    """The answer says what would be right, even while the client is sending a body."""
    async with open_bench(targets=("*.example.com",)) as bench:
        client = bench.connect()
        answer = await client.ask(post("/v1/messages", b"x" * 100_000))
        assert answer.status == 400
        assert "--target-host" in answer.json()["error"]["message"]
        assert await client.rest() == b""
        assert (await bench.exchange()).path == "/v1/messages"


async def test_each_request_goes_to_the_target_that_it_is_for(autojump_clock):
    """One connection may ask for several; what the path does not say is refused."""
    targets = ("api.anthropic.com", "api.openai.com")
    async with open_bench(upstream=shows_head, targets=targets) as bench:
        client = bench.connect()
        hosts = []
        for path in ("/v1/messages", "/v1/chat/completions", "/v1/messages"):
            answer = await client.ask(get(path, "127.0.0.1"))
            hosts.append(answer.body.split(b"\r\n")[1])
        assert hosts == [
            b"Host: api.anthropic.com", b"Host: api.openai.com", b"Host: api.anthropic.com"
        ]  # fmt: skip
        answer = await client.ask(get("/", "127.0.0.1"))
        assert answer.line == b"HTTP/1.1 421 Misdirected Request"
        assert "port of its own" in answer.json()["error"]["message"]
        assert await client.rest() == b""
        last = bench.of(ExchangeEnded)[-1]
        assert (last.outcome, last.status, last.host) == ("refused", 421, "")
        assert "which target" in last.error
        assert len(bench.dialer.dialled) == 2


async def test_a_key_to_the_wrong_vendor_is_refused(autojump_clock):
    """Before anything is dialled, and without a word of the key."""
    key = b"Authorization: Bearer sk-ant-secret"
    async with open_bench(targets=("api.openai.com",)) as bench:
        client = bench.connect()
        answer = await client.ask(post("/v1/chat/completions", b"x" * 100_000, key))
        assert answer.status == 421
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.path) == ("refused", "/v1/chat/completions")
        assert "Anthropic's form" in exchange.error
        assert "secret" not in f"{answer}{bench.events}"
        assert bench.dialer.dialled == []


async def test_foreign_keys_pass_if_they_are_allowed(autojump_clock):
    """And wherever the client itself names the host."""
    key = b"x-api-key: sk-ant-1"
    async with open_bench(targets=("api.openai.com",), allow_foreign_keys=True) as bench:
        assert (await bench.connect().ask(get("/v1/models", "x", key))).status == 200
    async with open_bench(targets=("api.openai.com",)) as bench:
        absolute = get("https://api.openai.com/v1/models", "x", key)
        assert (await bench.connect().ask(absolute)).status == 200


async def test_a_path_without_v1_is_asked_with_it(autojump_clock):
    """The upstream and the rules see the API's path, the event both, and a warning says so once."""
    async with open_bench(upstream=shows_head, targets=("api.anthropic.com",)) as bench:
        bench.rules(
            {"match": {"path": "/v1/messages"}, "when": {"first": 1}, "fault": {"respond": 529}}
        )
        client = bench.connect()
        assert (await client.ask(post("/messages", b"{}"))).status == 529
        for sent in ("/messages?beta=true", "/messages", "/v1/v1/messages", "/v1/messages"):
            line = (await client.ask(post(sent, b"{}"))).body.partition(b"\r\n")[0]
            query = sent.partition("?")[1:]
            assert line == f"POST /v1/messages{''.join(query)} HTTP/1.1".encode()
        told = [(event.path, event.path_mended_from) for event in bench.of(ExchangeEnded)]
        assert told == [
            *3 * [("/v1/messages", "/messages")],
            ("/v1/messages", "/v1/v1/messages"),
            ("/v1/messages", None),
        ]
        lacking, doubled = [event.message for event in bench.of(Warned)]
        assert "for /messages, which it has not: its base URL lacks /v1. " in lacking
        assert "for /v1/v1/messages, which it has not: its base URL has /v1 too often. " in doubled
        assert doubled.endswith("It is asked for /v1/messages instead, and so are others like it")


async def test_the_path_of_a_proxied_request_is_left_alone(autojump_clock):
    """The client knows whom it asks."""
    async with open_bench(upstream=shows_head, targets=("api.anthropic.com",)) as bench:
        answer = await bench.connect().ask(get("https://api.anthropic.com/messages"))
        assert answer.body.startswith(b"GET /messages HTTP/1.1")
        assert (await bench.exchange()).path_mended_from is None


# CONNECT


async def test_connect_ignores_connection_close(autojump_clock):
    """Some clients send ``Connection: close`` with CONNECT; the tunnel is up all the same."""
    async with open_bench(upstream=echoes) as bench:
        client = bench.connect()
        head = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await client.ask(head)).status == 200
        assert (await client.ask(get("/one"))).body == b"GET /one HTTP/1.1 0"
        assert (await client.ask(get("/two"))).body == b"GET /two HTTP/1.1 0"


async def test_connect_by_http_1_0(autojump_clock):
    """HTTP/1.0 knew no CONNECT, but clients send it."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(b"CONNECT api.example.com:443 HTTP/1.0\r\n\r\n")
        assert await client.read_until(b"\r\n\r\n") == (
            b"HTTP/1.1 200 Connection established\r\n\r\n"
        )
        assert (await client.ask(get("/"))).status == 200


@pytest.mark.parametrize(
    "target", [b"api.example.com", b"api.example.com:0", b"api.example.com:99999", b":443", b"/",
               b"http://api.example.com:443/", b"[::1:443", b"a..b:443", b"a%0d:443", b"*:443",
               b"\"x:1", b"secret@api.example.com:443", b"/v1/models?key=secret",
               b"x;secret:443", b"x#secret"],
)  # fmt: skip
async def test_connect_to_nonsense_is_refused(autojump_clock, target):
    """Our own 400, an event, and the end of the connection."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        answer = await client.ask(b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert answer.status == 400
        assert answer.header(b"x-faultinject-error") == b"request"
        assert await client.rest() == b""
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.method, exchange.status) == ("refused", "CONNECT", 400)
        assert "secret" not in f"{exchange}{answer}"
        assert bench.dialer.dialled == []


async def test_connect_to_nonsense_with_a_broken_body_is_refused(autojump_clock):
    """What follows the head is not looked at."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(
            b"CONNECT x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"
        )
        assert (await client.answer()).status == 400
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (UpstreamError("dns", "cannot look up other.example"), 502),
        (UpstreamError("timeout", "other.example did not take it", status=504), 504),
    ],
)
async def test_connect_to_a_host_that_cannot_be_reached(autojump_clock, failure, status):
    """A tunnel that is not looked into is dialled before it is confirmed."""
    async with open_bench() as bench:
        bench.dialer.failure = failure
        client = bench.connect()
        answer = await client.ask(b"CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.status == status
        assert answer.header(b"x-faultinject-error") == failure.kind.encode()
        assert answer.json()["error"]["message"] == str(failure)
        assert await client.rest() == b""
        [relay] = bench.of(RelayEnded)
        assert (relay.reason, relay.error) == ("not a target", str(failure))
        assert not relay.opened


@pytest.mark.parametrize("authority", [b"nonsense", b"other.example:443"])
async def test_a_client_that_leaves_before_its_refusal(autojump_clock, authority):
    """There is nobody to tell."""
    async with open_bench() as bench:
        bench.dialer.failure = UpstreamError("dns", "no such name")
        client = bench.connect()
        client.stream.deafen()
        await client.send(b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % authority)
        assert (await bench.ended()).reason == "the client's connection was over"


async def test_a_client_that_leaves_before_its_tunnel_is_up(autojump_clock):
    """The upstream that was dialled for it is closed, and nothing failed."""
    async with open_bench(upstream=answers()) as bench:
        client = bench.connect()
        await client.send(b"CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        client.stream.deafen()
        await bench.ended()


async def test_connect_twice(autojump_clock):
    """Within a tunnel there is no other: 405."""
    async with open_bench() as bench:
        client = await bench.tunnel()
        answer = await client.ask(b"CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.status == 405
        assert await client.rest() == b""
        assert bench.outcomes == ["refused"]


async def test_connect_within_tls(autojump_clock):
    """Nor is there one within the tunnel's TLS."""
    async with open_bench() as bench:
        client = await bench.tls()
        answer = await client.ask(b"CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.status == 405
        assert await client.rest() == b""


async def test_without_an_authority_a_tunnel_to_a_target_is_refused(autojump_clock):
    """At once, with what to do instead; other tunnels and base-URL mode work."""
    async with open_bench(probability=1) as bench:
        bench.runtime.cannot_intercept = "there is no home"
        client = bench.connect()
        answer = await client.ask(b"CONNECT %b:443 HTTP/1.1\r\nHost: x\r\n\r\n" % TARGET.encode())
        assert answer.status == 501
        assert b"use this proxy as base URL, or start it with --data-dir" in answer.body
        assert await client.rest() == b""
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.method) == ("refused", "CONNECT")
        assert (exchange.target, exchange.port) == (TARGET, 443)
        assert (await bench.connect().ask(get("/v1/messages", "127.0.0.1"))).status == 429
        await bench.tunnel("other.example:443")


async def test_connect_after_other_requests(autojump_clock):
    """A connection may be used for requests first and become a tunnel then."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        assert (await client.ask(get("/v1/models"))).status == 429
        connect = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"
        assert (await client.ask(connect)).status == 200
        assert (await client.ask(get("/v1/models"))).status == 429


async def test_what_is_sent_right_behind_connect_belongs_to_the_tunnel(autojump_clock):
    """A client in a hurry does not wait for the 200."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n" + get("/now"))
        assert (await client.answer(method=b"CONNECT")).status == 200
        assert (await client.answer()).body == b"GET /now HTTP/1.1 0"


@pytest.mark.parametrize("target", [b"/v1/messages", b"http://api.example.com/"])
@pytest.mark.parametrize(
    "host", [b"a b", b"user:secret@api.example.com", b"a/b", b"a:port", b"a,b", b"a." * 200]
)
async def test_a_host_value_that_is_no_host(autojump_clock, target, host):
    """RFC 9112 section 3.2: 400; and what may be a password is not repeated."""
    async with open_bench() as bench:
        answer = await bench.connect().ask(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host))
        assert answer.status == 400
        assert b"names no host" in answer.body
        assert b"secret" not in answer.body
        assert (await bench.exchange()).outcome == "refused"


@pytest.mark.parametrize("host", [b"", b"other.example", b"[::1]:80", b"localhost:08080"])
async def test_a_host_value_that_is_one(autojump_clock, host):
    """Whatever it names: the request goes to the target."""
    async with open_bench() as bench:
        answer = await bench.connect().ask(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
        assert answer.status == 200


async def test_in_a_tunnel_a_host_value_is_the_origins_to_judge(autojump_clock):
    """It is passed on as it is."""
    async with open_bench() as bench:
        client = await bench.tls()
        assert (await client.ask(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")).status == 200
