"""What answers for the targets in a test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import faultinject
from faultinject.errors import SettingsError, StartError
from faultinject.testing.own_upstream import server_at, serving
from faultinject.testing.proxy_thread import ProxyThread
from tests.unit.testing.clients import ask


@pytest.fixture(scope="module")
def thread() -> Iterator[ProxyThread]:
    """Return a thread that the proxies of these tests share."""
    shared = ProxyThread()
    yield shared
    shared.stop()


async def asgi_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer 203 to all but the lifespan, which it does not know."""
    if scope["type"] != "http":
        raise NotImplementedError
    import asyncio

    await asyncio.sleep(0)  # as most apps it wants asyncio
    await send({"type": "http.response.start", "status": 203, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer 202 with the body's length."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return [b"%d" % len(body)]


@pytest.mark.parametrize(("app", "status"), [(asgi_app, 203), (wsgi_app, 202)])
def test_an_app_answers_what_no_rule_does(
    thread: ProxyThread, app: Callable[..., Any], status: int
) -> None:
    """From the first request to the last; then it is stopped."""
    with faultinject.Proxy("respond 529 first=1", upstream=app, thread=thread) as proxy:
        assert [ask(proxy), ask(proxy)] == [529, status]
        assert [each.outcome for each in proxy.exchanges] == ["injected", "forwarded"]


def test_a_server_at_a_url(thread: ProxyThread) -> None:
    """All targets lead to it, whatever their names."""
    with (
        serving(wsgi_app) as server,
        faultinject.Proxy(upstream=f"http://{server.authority}/", thread=thread) as proxy,
    ):
        assert ask(proxy, host="api.openai.com") == 202
        assert ask(proxy) == 202


def test_other_hosts_are_asked_themselves(thread: ProxyThread) -> None:
    """The server answers for the targets alone."""

    def other(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("204 No Content", [])
        return []

    with (
        serving(other) as server,
        faultinject.Proxy(upstream=wsgi_app, thread=thread) as proxy,
    ):
        assert server is not None
        client = HTTPConnection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
        client.request("GET", f"http://{server.authority}/")
        assert client.getresponse().status == 204
        client.close()


def test_another_upstream_is_said_before_the_first_request(thread: ProxyThread) -> None:
    """An app that a fixture makes, say; the URL of the proxy stays."""
    with faultinject.Proxy("respond 529 first=1", thread=thread) as proxy:
        url = proxy.url
        proxy.upstream(wsgi_app)
        proxy.upstream(asgi_app)
        with pytest.raises(SettingsError, match="neither"):
            proxy.upstream("nonsense")  # then all stays as it is
        assert proxy.url == url
        assert [ask(proxy), ask(proxy)] == [529, 203]
        with pytest.raises(SettingsError, match="before the first"):
            proxy.upstream("fake")
    before = faultinject.Proxy(thread=thread)
    before.upstream(wsgi_app)
    with before as proxy:
        assert ask(proxy) == 202


def test_the_targets_themselves(thread: ProxyThread) -> None:
    """What they answer is asked of the network: here of a port at which nobody listens."""
    elsewhere = ["api.anthropic.com:443:127.0.0.1:1"]
    with faultinject.Proxy(upstream="real", connect_to=elsewhere, thread=thread) as proxy:
        assert ask(proxy) == 502
    assert proxy.exchanges[0].error is not None


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://localhost", "localhost:80"),
        ("https://gateway.example", "gateway.example:443"),
        ("http://[::1]:4000", "[::1]:4000"),
    ],
)
def test_urls(url: str, server: str) -> None:
    """With the port of their scheme if they have none."""
    found = server_at(url)
    assert (str(found.authority), found.tls) == (server, url.startswith("https"))


@pytest.mark.parametrize(
    "url",
    [
        *("", "fakes", "localhost:80", "ftp://h", "http://", "http://h:x", "http://h:99999"),
        *("http://a b", "http://[::1", "http://h/v1", "http://h?q", "http://h#f", "http://me@h"),
    ],
)
def test_what_is_no_servers_url(url: str) -> None:
    """It says what would be one; a user's name is not repeated."""
    with pytest.raises(SettingsError, match="nor the URL of a server") as caught:
        serving(url)
    assert "me" not in str(caught.value).split()[1]


@given(st.text() | st.from_regex(r"https?://[^/]{0,20}/?", fullmatch=True))
def test_any_text_is_a_servers_url_or_is_refused(text: str) -> None:
    """With one kind of error."""
    try:
        server = server_at(text)
    except SettingsError:
        return
    assert server_at(f"{'https' if server.tls else 'http'}://{server.authority}") == server


@pytest.mark.parametrize("app", [int, lambda: None, object(), lambda one: one])
def test_what_is_no_app(app: Any) -> None:
    """It says what an app is called with."""
    with pytest.raises(SettingsError, match="neither an ASGI app"), serving(app):
        pass


def test_an_app_that_does_not_start() -> None:
    """Its start fails, and it is said so."""

    async def broken(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(StartError, match="the app's start"), serving(broken):
        pass


def test_an_app_with_a_lifespan() -> None:
    """It is started and ended once."""
    told = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            told.append(kind)
            await send({"type": f"{kind}.complete"})

    with serving(app) as server:
        assert server is not None
        assert told == ["lifespan.startup"]
    assert told == ["lifespan.startup", "lifespan.shutdown"]


def test_without_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.delitem(sys.modules, "faultinject.testing.asgi_server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SettingsError, match="pip install 'faultinject"), serving(asgi_app):
        pass
