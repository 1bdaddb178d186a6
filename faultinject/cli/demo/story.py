"""Plays the demonstration and checks it: three requests, one of which fails.

The first request gets the injected error. Sent again, it gets the API's response. The third gets a
streamed response, word by word. Each is checked on both sides: what the client saw, and what the
proxy and the API report.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import trio
from attrs import define

from faultinject.cli.demo.client import ApiResponse, Client, Watcher, connected
from faultinject.cli.demo.screen import Screen, StatusView, StreamView
from faultinject.cli.demo.setup import API, PROBABILITY, TEXT, DemoSetup, open_setup
from faultinject.errors import FaultinjectError
from faultinject.events import ClientHelloRead, ExchangeEnded, HandshakeCompleted
from faultinject.http.headers import MARKER
from faultinject.report.display import byte_count, percent

LIMIT_SECONDS = 20.0
"""When to give up. The demonstration takes less than two, most of it for the stream's pace."""
FAILS = (True, False, False)
"""Which of the requests get the error."""
_PATH = "/v1/messages"
_QUESTION = {
    "model": "claude-demo",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "What do networks do all day?"}],
}
_PROXY_URL = "http://127.0.0.1:8080"


class DemoFailedError(FaultinjectError):
    """Something did not happen as the demonstration shows it; the message says what."""


async def run_demo(screen: Screen, status: int) -> None:
    """Play the demonstration and show it.

    Raises `DemoFailedError` if something goes wrong, `OutputClosedError` if nobody reads the
    output; either may come in exception groups.
    """
    with trio.move_on_after(LIMIT_SECONDS) as scope:
        with tempfile.TemporaryDirectory(prefix="faultinject-demo-") as folder:
            async with open_setup(Path(folder), status, FAILS) as setup:
                _show_start(screen, setup)
                ca_cert = setup.proxy.ca_cert
                async with connected(setup.proxy_address, ca_cert, API) as client:
                    await _Story(screen, setup, client).run()
    if scope.cancelled_caught:
        raise DemoFailedError(f"the demonstration did not end within {LIMIT_SECONDS:g} s")
    _show_next_steps(screen, status)


def _show_start(screen: Screen, setup: DemoSetup) -> None:
    screen.title("faultinject demo", "real HTTP, TLS and sockets; nothing leaves this machine")
    screen.parts(
        ("a client", "trusts our CA"),
        ("faultinject", str(setup.proxy_address)),
        (f"https://{API.host}", f"a fake API at {setup.api_address}"),
    )
    rate, status = percent(PROBABILITY), setup.settings.status_code
    screen.note(f"rule: {rate} of the requests get a {status} (seed {setup.settings.seed})")


def _show_next_steps(screen: Screen, status: int) -> None:
    screen.heading("What next")
    screen.note("Run the proxy. Requests to api.anthropic.com then fail in the same way:")
    screen.commands(f"faultinject proxy --status-code {status} --error-probability {PROBABILITY}")
    screen.note("Give your program the proxy as its base URL (this needs no certificate):")
    screen.commands(f"ANTHROPIC_BASE_URL={_PROXY_URL} python app.py")
    screen.note("Or as its proxy, and trust our CA (more ways: faultinject ca instructions):")
    screen.commands(
        f"export HTTPS_PROXY={_PROXY_URL}", "SSL_CERT_FILE=$(faultinject ca path) python app.py"
    )
    screen.note("No key, or no network? Add --fake-upstream to the proxy's command.")


@define(eq=False, repr=False)
class _Story:
    """The three requests, on one connection."""

    _screen: Screen
    _setup: DemoSetup
    _client: Client

    async def run(self) -> None:
        """Send the requests."""
        await self._request_fails()
        await self._retry_succeeds()
        await self._stream_comes_live()

    async def _request_fails(self) -> None:
        self._screen.step(1, "The client sends a request, and gets a failure")
        answer = await self._ask(_QUESTION, StatusView(self._screen))
        self._screen.body(answer.body.decode(errors="replace").partition("\n")[0])
        exchange = await self._show_inside()
        status = self._setup.settings.status_code
        _expect(answer.status == status, f"the first request got {answer.status}, not {status}")
        _expect(exchange.outcome == "injected", f"the first request was {exchange.outcome}")
        _expect(answer.header(MARKER.lower()) is not None, "the failure was not marked as injected")
        _expect(
            self._setup.api.request_count == 0, "the API was asked though the failure was injected"
        )

    async def _retry_succeeds(self) -> None:
        self._screen.step(2, "It tries again, and gets the API's response")
        answer = await self._ask(_QUESTION, StatusView(self._screen))
        text = _text_of(answer)
        self._screen.body(text)
        await self._check_forwarded("second", answer, text, asked=1)

    async def _stream_comes_live(self) -> None:
        self._screen.step(3, "It asks for a stream, and reads the words as they come")
        live = StreamView(self._screen)
        answer = await self._ask(_QUESTION | {"stream": True}, live)
        self._screen.live_end()
        await self._check_forwarded("third", answer, live.text, asked=2)
        _expect(live.reads > 1, "the stream came all at once")

    async def _ask(self, question: dict[str, Any], watcher: Watcher) -> ApiResponse:
        streamed = '   "stream": true' if "stream" in question else ""
        self._screen.request(f"POST https://{API.host}{_PATH}{streamed}")
        return await self._client.post(_PATH, question, watcher)

    async def _check_forwarded(
        self, which: str, answer: ApiResponse, text: str, asked: int
    ) -> None:
        exchange = await self._show_inside()
        _expect(answer.status == 200, f"the {which} request got {answer.status}, not 200")
        _expect(exchange.outcome == "forwarded", f"the {which} request was {exchange.outcome}")
        _expect(text == TEXT, f"the {which} request got another text than the API gave: {text!r}")
        times = self._setup.api.request_count
        _expect(times == asked, f"the API was asked {times} times by the {which} request")

    async def _show_inside(self) -> ExchangeEnded:
        """Show what the proxy reports; return how the exchange ended."""
        while True:
            event = await self._setup.events.next()
            match event:
                case ClientHelloRead():
                    words = f"{event.authority} is a target, so the proxy decrypts it"
                    self._screen.inside("CONNECT", words)
                case HandshakeCompleted():
                    words = f"{event.tls_version}, as {event.host}, signed by the proxy's own CA"
                    self._screen.inside("TLS", words)
                case ExchangeEnded():
                    self._show_exchange(event)
                    return event

    def _show_exchange(self, event: ExchangeEnded) -> None:
        if event.rule is not None:
            self._screen.inside("rule", "fires: the proxy answers, the API is not asked")
        else:
            self._screen.inside("rule", "does not fire: the API is asked, over TLS")
        words = f"{event.status}, {byte_count(event.response_bytes)} in {event.milliseconds:.1f} ms"
        if event.outcome == "forwarded":
            words += ", passed on unchanged"
        self._screen.inside(event.outcome, words)


def _text_of(answer: ApiResponse) -> str:
    """Return the text of a plain message, or the body if it is something else."""
    try:
        return str(json.loads(answer.body)["content"][0]["text"])
    except (ValueError, LookupError, TypeError):
        return answer.body.decode(errors="replace")


def _expect(condition: bool, problem: str) -> None:
    if not condition:
        raise DemoFailedError(f"the demonstration went wrong: {problem}")
