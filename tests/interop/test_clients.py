"""Real clients against `faultinject proxy`: their own exceptions, their retries, then success."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.interop.caller import Caller, Route
from tests.interop.node_caller import NodeCaller
from tests.interop.plain_callers import PLAIN_CALLERS
from tests.interop.sdk_callers import SDK_CALLERS
from tests.interop.seeds import RULE_ID, failing_first
from tests.support.llm_api import TEXT
from tests.support.origin import Origin
from tests.support.proxy import ProxyRun, clean_environment, proxy_options

pytestmark = pytest.mark.interop

SDKS = [*SDK_CALLERS, NodeCaller]
EVERYONE = [*PLAIN_CALLERS, *SDKS]
SDK_ATTEMPTS = 3
"""Two retries are the default of the SDKs of both vendors."""
MEGABYTE_PROMPT = "word " * 200_000
LARGE_TIMES = 10
SHORT_PAUSES = "retry-after-ms: 10"
"""What the SDKs wait for instead of their own pauses, which other tests measure."""

ERROR_TYPES = {429: "rate_limit_error", 529: "overloaded_error"}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy or CA variable of the machine reaches a client in this process."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name)


def point(monkeypatch: pytest.MonkeyPatch, kind: type[Caller], route: Route) -> Caller:
    """Make a caller; an SDK finds proxy and CA in the environment, as its users have it."""
    if kind.sdk and route.proxy_url:
        monkeypatch.setenv("HTTPS_PROXY", route.proxy_url)
    if kind.sdk and route.ca_file:
        monkeypatch.setenv("SSL_CERT_FILE", str(route.ca_file))
    return kind(route)


def routed(kind: type[Caller], proxy: ProxyRun, mode: str, max_retries: int | None = None) -> Route:
    """Return how a client is pointed at a proxy."""
    if mode == "base-url":
        return Route(proxy.url, max_retries=max_retries)
    return Route(f"https://{kind.host}", proxy.url, proxy.ca_file, max_retries)


def modes(kinds: list[type[Caller]], *base_url: type[Caller]) -> list[object]:
    """Return the parameters (kind, mode): all as a proxy, some by base URL too."""
    pairs = [(kind, "proxy") for kind in kinds] + [(kind, "base-url") for kind in base_url]
    return [pytest.param(kind, mode, id=f"{kind.name}-{mode}") for kind, mode in pairs]


@pytest.mark.parametrize("kind", EVERYONE, ids=lambda kind: kind.name)
def test_baseline(
    kind: type[Caller], origin: Origin, origin_ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a proxy each client gets the origin's answers, plain and streamed."""
    route = Route(f"https://127.0.0.1:{origin.port}", None, origin_ca)
    with point(monkeypatch, kind, route) as caller:
        assert [caller.ask().text, caller.ask(stream=True).text] == [TEXT, TEXT]
    assert [request.path for request in origin.received] == [kind.path] * 2


@pytest.mark.parametrize("status", [429, 529])
@pytest.mark.parametrize(("kind", "mode"), modes(EVERYONE, *SDKS))
def test_fault_then_success(
    kind: type[Caller],
    mode: str,
    status: int,
    origin: Origin,
    origin_ca: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each client raises its own exception after its own attempts; then the same one succeeds."""
    attempts = SDK_ATTEMPTS if kind.sdk else 1
    options = [*proxy_options(origin.port, origin_ca, kind.host), "--status-code", str(status)]
    options += ["--header", SHORT_PAUSES, *failing_first(2 * attempts, 2)]
    with ProxyRun(tmp_path, *options) as proxy:
        with point(monkeypatch, kind, routed(kind, proxy, mode)) as caller:
            failed = [caller.ask(), caller.ask(stream=True)]
            assert [outcome.error for outcome in failed] == [kind.errors[status]] * 2
            injected = proxy.exchanges(2 * attempts, outcome="injected", status=status)
            assert origin.received == []
            assert [caller.ask().text, caller.ask(stream=True).text] == [TEXT, TEXT]
        plain, streamed = proxy.exchanges(2 * attempts + 2)[2 * attempts :]
    for outcome in failed:
        assert (outcome.status, outcome.marker) == (status, RULE_ID)
        assert outcome.body["type"] == "error"
        assert outcome.body["error"]["type"] == ERROR_TYPES[status]
    assert {e["rule"] for e in injected} == {RULE_ID}
    assert [e["path"] for e in injected] == [kind.path] * 2 * attempts
    assert (plain["outcome"], plain["status"], plain["path"]) == ("forwarded", 200, kind.path)
    assert (streamed["status"], streamed["path"]) == (200, kind.path)
    assert streamed["outcome"] in kind.stream_outcomes
    assert [request.path for request in origin.received] == [kind.path] * 2


@pytest.mark.parametrize("preset", ["overload-storm", "overloaded@first=2"])
@pytest.mark.parametrize("kind", SDK_CALLERS)
def test_a_program_that_tries_again_by_itself(
    kind: type[Caller],
    preset: str,
    origin: Origin,
    origin_ca: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It gets past at its third request, as the SDK's own retries do, which count theirs."""
    options = [*proxy_options(origin.port, origin_ca, kind.host), "--preset", preset]
    with ProxyRun(tmp_path, *options) as proxy:
        with point(monkeypatch, kind, routed(kind, proxy, "base-url", max_retries=0)) as caller:
            for _ in range(2):
                seen = [caller.ask() for _ in range(3)]
                assert [outcome.error is None for outcome in seen] == [False, False, True]
        with point(monkeypatch, kind, routed(kind, proxy, "base-url")) as caller:
            assert [caller.ask().text, caller.ask().text] == [TEXT, TEXT]
        outcomes = [e["outcome"] for e in proxy.exchanges(12)]
    assert outcomes == ["injected", "injected", "forwarded"] * 4


@pytest.fixture(scope="module")
def failing_proxy(
    shared_origin: Origin, origin_ca: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxyRun]:
    """A proxy that fails every request."""
    hosts = ("api.anthropic.com", "api.openai.com")
    options = proxy_options(shared_origin.port, origin_ca, *hosts)
    options += ["--error-probability", "1", "--status-code", "529"]
    with ProxyRun(tmp_path_factory.mktemp("failing"), *options) as proxy:
        yield proxy


@pytest.mark.parametrize(("kind", "mode"), modes(EVERYONE, *SDKS))
def test_large_prompt(
    kind: type[Caller],
    mode: str,
    origin: Origin,
    failing_proxy: ProxyRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A prompt of 1 MB gets its injected answer every time."""
    before = len(failing_proxy.exchanges())
    route = routed(kind, failing_proxy, mode, max_retries=0)
    with point(monkeypatch, kind, route) as caller:
        outcomes = [caller.ask(prompt=MEGABYTE_PROMPT) for _ in range(LARGE_TIMES)]
    assert {(o.error, o.status) for o in outcomes} == {(kind.errors[529], 529)}
    exchanges = failing_proxy.exchanges(before + LARGE_TIMES)[before:]
    assert [e["outcome"] for e in exchanges] == ["injected"] * LARGE_TIMES
    assert min(e["request_bytes"] for e in exchanges) >= len(MEGABYTE_PROMPT)
    assert origin.received == []


@pytest.mark.parametrize("kind", [SDK_CALLERS[0], SDK_CALLERS[2]], ids=lambda kind: kind.name)
def test_sdk_retries_on_one_connection(
    kind: type[Caller], failing_proxy: ProxyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python SDK's attempts share a connection, with its own back-off or more between them."""
    before = len(failing_proxy.exchanges())
    with point(monkeypatch, kind, routed(kind, failing_proxy, "proxy")) as caller:
        assert caller.ask().error == kind.errors[529]
    exchanges = failing_proxy.exchanges(before + SDK_ATTEMPTS)[before:]
    assert len({e["session"] for e in exchanges}) == 1
    assert [e["exchange"] for e in exchanges] == [1, 2, 3]
    first, second, third = (datetime.fromisoformat(e["time"]) for e in exchanges)
    # 0.5 s and 1 s, less up to a quarter; a busy machine makes them longer
    assert (second - first).total_seconds() > 0.35
    assert (third - second).total_seconds() > 0.7


# -- curl -----------------------------------------------------------------------------------------

MESSAGE = '{"model":"m","max_tokens":16,"messages":[{"role":"user","content":"hi"}]}'
STREAM = MESSAGE[:-1] + ',"stream":true}'
CURL_URL = "https://api.anthropic.com/v1/messages"


def curl(*transfers: list[str], proxy: ProxyRun) -> list[str]:
    """Run curl once for several transfers and return what it printed for each."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    mark = "\n-- %{http_code} %{num_connects} %header{x-faultinject}\n"
    shared = ["-sS", "--proxy", proxy.url, "--cacert", str(proxy.ca_file), "-w", mark]
    command = ["curl", "--max-time", "120"]
    for number, transfer in enumerate(transfers):
        command += [*(["--next"] if number else []), *shared, *transfer]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("status", [429, 529])
def test_curl(status: int, origin: Origin, origin_ca: Path, tmp_path: Path) -> None:
    """curl gets the error, then the real answers, all on the connection that it opened first."""
    host = "api.anthropic.com"
    options = [*proxy_options(origin.port, origin_ca, host), "--status-code", str(status)]
    options += failing_first(1, 2)
    with ProxyRun(tmp_path, *options) as proxy:
        asked = [["-d", body, CURL_URL] for body in (MESSAGE, MESSAGE, STREAM)]
        lines = curl(*asked, proxy=proxy)
        rule = proxy.exchanges(3)[0]["rule"]
    assert f'"type":"{ERROR_TYPES[status]}"' in lines[0]
    # The first transfer connects twice by curl's counting: to the proxy and through it.
    marks = [line for line in lines if line.startswith("-- ")]
    assert [mark.split()[1] for mark in marks] == [str(status), "200", "200"]
    assert [mark.split()[2] for mark in marks[1:]] == ["0", "0"]
    assert marks[0].split()[3] == rule == RULE_ID
    assert TEXT in lines[2]
    assert 'data: {"type":"message_stop"}' in lines
    assert len({request.connection for request in origin.received}) == 1


def test_curl_large_prompt(origin: Origin, failing_proxy: ProxyRun, tmp_path: Path) -> None:
    """curl's 1 MB upload, which waits for a 100, gets its injected answer every time."""
    body = tmp_path / "body"
    body.write_text(MEGABYTE_PROMPT)
    asked = ["--http1.1", "-H", "Expect: 100-continue", "--data-binary", f"@{body}", CURL_URL]
    before = len(failing_proxy.exchanges())
    lines = curl(*[asked] * LARGE_TIMES, proxy=failing_proxy)
    marks = [line.split()[1] for line in lines if line.startswith("-- ")]
    assert marks == ["529"] * LARGE_TIMES
    exchanges = failing_proxy.exchanges(before + LARGE_TIMES)[before:]
    assert {e["request_bytes"] for e in exchanges} == {len(MEGABYTE_PROMPT)}
    assert origin.received == []
