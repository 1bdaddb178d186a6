"""Real clients through the real Fault: curl, httpx and the anthropic SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fault.setting import STATUS, Setting
from tests.interop.caller import Caller, Outcome, Route
from tests.interop.plain_callers import HttpxCaller
from tests.interop.sdk_callers import AnthropicCaller, AsyncAnthropicCaller
from tests.support.llm_api import TEXT
from tests.support.pages import LARGE_BODY
from tests.support.proxy import clean_environment

CALLERS: list[type[Caller]] = [HttpxCaller, AnthropicCaller, AsyncAnthropicCaller]
every_caller = pytest.mark.parametrize("kind", CALLERS, ids=lambda kind: kind.name)
MEGABYTE_PROMPT = "word " * 200_000
SDK_ATTEMPTS = 3


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy or CA variable of the machine reaches a client in this process."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name)


def point(
    monkeypatch: pytest.MonkeyPatch, kind: type[Caller], setting: Setting, retries: int | None
) -> Caller:
    """Make a caller; an SDK finds proxy and CA in the environment, as its users have it."""
    if kind.sdk:
        monkeypatch.setenv("HTTPS_PROXY", setting.fault.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(setting.plugin.ca_file))
    return kind(Route(setting.url(""), setting.fault.url, setting.plugin.ca_file, retries))


def is_injected(outcome: Outcome, kind: type[Caller]) -> bool:
    """Say which it was; each is one or the other."""
    if outcome.error is None:
        assert outcome.text == TEXT
        return False
    assert (outcome.error, outcome.status) == (kind.errors[STATUS], STATUS)
    assert outcome.marker == "options"
    assert outcome.body["error"]["type"] == "rate_limit_error"
    return True


@every_caller
def test_its_own_exception(
    kind: type[Caller], always: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its own attempts, plain and streamed, and with a prompt of a megabyte."""
    attempts = SDK_ATTEMPTS if kind.sdk else 1
    before = len(always.plugin.exchanges(outcome="injected"))
    with point(monkeypatch, kind, always, None) as caller:
        for options in ({}, {"stream": True}, {"prompt": MEGABYTE_PROMPT}):
            assert is_injected(caller.ask(**options), kind)
    always.plugin.exchanges(before + 3 * attempts, outcome="injected")
    assert always.origins.received() == []


@every_caller
def test_success(kind: type[Caller], never: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain and streamed, and with a prompt of a megabyte."""
    with point(monkeypatch, kind, never, 0) as caller:
        for options in ({}, {"stream": True}, {"prompt": MEGABYTE_PROMPT}, {}):
            assert not is_injected(caller.ask(**options), kind)
    assert [each.path for each in never.origins.received()] == ["/v1/messages"] * 4


@every_caller
def test_both_on_one_client(
    kind: type[Caller], sometimes: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mixed, plain and streamed."""
    with point(monkeypatch, kind, sometimes, 0) as caller:
        kinds = [is_injected(caller.ask(stream=bool(n % 2)), kind) for n in range(30)]
    assert set(kinds) == {True, False}
    assert len(sometimes.origins.received()) == kinds.count(False)


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(setting: Setting, *arguments: str) -> bytes:
    """Run curl through Fault; return what it prints."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "120", "--proxy", setting.fault.url,
         "--cacert", str(setting.plugin.ca_file), *arguments],
        capture_output=True, env=clean_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_curl
def test_curl_sees_both(sometimes: Setting) -> None:
    """On one connection."""
    urls = [word for n in range(20) for word in ("-o", os.devnull, sometimes.url(f"/count?{n}"))]
    codes = curl(sometimes, "--write-out", "%{http_code} %{num_connects}\n", *urls).split()
    assert set(codes[::2]) == {b"200", b"429"}
    assert sum(map(int, codes[1::2])) == 1


@needs_curl
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_curl_sends_a_megabyte(
    expect: str, always: Setting, never: Setting, tmp_path: Path
) -> None:
    """With and without waiting for a 100."""
    file = tmp_path / "body"
    file.write_bytes(os.urandom(1_000_000))
    options = ["--data-binary", f"@{file}", "--header", expect]
    answer = json.loads(curl(never, *options, never.url("/digest")))
    assert answer["bytes"] == 1_000_000
    code = curl(always, *options, "-o", os.devnull, "-w", "%{http_code}", always.url("/digest"))
    assert code == b"429"


@needs_curl
@pytest.mark.parametrize("options", [["--tls-max", "1.2"], ["--http1.1"], ["--http2"]])
def test_curl_receives_five_megabytes(options: list[str], never: Setting) -> None:
    """Whatever it prefers."""
    assert curl(never, *options, never.url("/large")) == LARGE_BODY
