"""`faultinject.Proxy`, as a program uses it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import trio

import faultinject
from faultinject.errors import CheckError, SettingsError, StartError
from faultinject.testing.proxy_thread import ProxyThread
from tests.unit.testing.clients import ask, proxies


@pytest.fixture(scope="module")
def thread() -> Iterator[ProxyThread]:
    """Return a thread that the proxies of these tests share."""
    shared = ProxyThread()
    yield shared
    shared.stop()


def test_rules_that_come_later_go_on_counting(thread: ProxyThread) -> None:
    """A rule that is there keeps its count when another is added."""
    with faultinject.Proxy("respond 529 first=2", thread=thread) as proxy:
        assert ask(proxy) == 529
        proxy.rules({"name": "later", "fault": {"respond": 503}, "when": {"first": 1}})
        assert [ask(proxy), ask(proxy), ask(proxy)] == [529, 503, 200]
        assert proxy.unfired == []
    assert [each.status for each in proxy.exchanges] == [529, 529, 503, 200]
    assert proxy.exchanges[2].rule == "later"


def test_each_kind_of_rule_source(thread: ProxyThread, tmp_path: Path) -> None:
    """Text, a mapping, a file, rules that are read; one or several; and presets."""
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{name: of-file, fault: {respond: 501}, when: {first: 1}}]")
    read = faultinject.load_rules("respond 502 first=1")
    rules = ["respond 500 first=1", file, read]
    with faultinject.Proxy(rules, preset="overloaded@first=1", thread=thread) as proxy:
        # The preset is for the first attempt of each call: the one behind three failures is none.
        assert [ask(proxy) for _ in range(5)] == [500, 501, 502, 200, 529]
    assert proxy.unfired == []


def test_a_preset_for_streams_that_met_none_says_what_it_is_for(thread: ProxyThread) -> None:
    """Of others it is said that nothing matched."""
    with faultinject.Proxy("respond 500 path=/no", preset="stream-cut", thread=thread) as proxy:
        assert ask(proxy) == 200
        assert [each.partition(": ")[2] for each in proxy.unfired] == [
            "no request matched it",
            "no request matched it: it is for requests that ask for a stream",
        ]


def test_what_did_not_fire_by_chance_is_told_with_what_makes_it_surer(thread: ProxyThread) -> None:
    """Of a preset with a chance of its own a factor; nothing of a rule that counts."""
    rules = ["respond 529 probability=0.0001", "respond 529 nth=9"]
    presets = ["flaky@0.001", "overloaded@0.01%"]
    with faultinject.Proxy(rules, preset=presets, seed=1, thread=thread) as proxy:
        assert ask(proxy) == 200
        assert [each.partition(": ")[2] for each in proxy.unfired] == [
            f"requests reached it (1), and it did not fire{hint}"
            for hint in (
                "; use first=1 in place of its chance, or a higher one",
                "",
                "; use `flaky@16`, which makes its chance 96%",
                "; use `overloaded` without a percentage, or with a higher one",
            )
        ]


def test_what_did_not_happen_is_named(thread: ProxyThread) -> None:
    """Each rule by its text or name; what is optional is not."""
    with faultinject.Proxy("respond 529", optional=True, thread=thread) as proxy:
        proxy.check()
    cut = {"cut": True, "after": {"event": "no_such_event"}}
    rule = {"name": "cuts", "fault": {"stream": [cut]}}
    with faultinject.Proxy(rule, thread=thread) as proxy:
        assert ask(proxy, stream=True) == 200
        with pytest.raises(CheckError, match="rule 'cuts': it fired, but what it was to harm"):
            proxy.check()
    assert "not-reached" in proxy.timeline


def test_the_programs_calls(thread: ProxyThread) -> None:
    """Each with all its attempts, as far as they have come."""
    with faultinject.Proxy("respond 529 first=2", thread=thread) as proxy:
        assert proxy.calls == []
        ask(proxy)
        assert [(each.attempts, each.outcome) for each in proxy.calls] == [(1, "failed")]
        ask(proxy)
        ask(proxy)
        ask(proxy, model="other")
    first, second = proxy.calls
    assert (first.attempts, first.outcome, first.statuses) == (3, "succeeded", (529, 529, 200))
    assert (first.method, first.host, first.path) == ("POST", "api.anthropic.com", "/v1/messages")
    assert (first.model, second.model) == ("m", "other")
    assert len(first.gaps) == 2
    assert first.timeline.startswith("▶ 529 · ")


def test_what_is_to_be_said_of_the_program(thread: ProxyThread) -> None:
    """Findings at any time; those of severity error fail a check, others do not."""
    with faultinject.Proxy("respond 529 first=1", thread=thread) as proxy:
        ask(proxy)
        assert [each.id for each in proxy.findings] == ["not-retried"]
        proxy.check()
        ask(proxy)
        assert "not-retried" not in [each.id for each in proxy.findings]
    hasty = {"respond": {"status": 429, "headers": {"retry-after": "30"}}}
    with faultinject.Proxy({"fault": hasty, "when": {"first": 1}}, thread=thread) as proxy:
        ask(proxy)
        ask(proxy)
        assert "retry-after-ignored" in proxy.timeline
        with pytest.raises(CheckError, match=r"retry-after-ignored: .*▶ 429 · .* · 200"):
            proxy.check()


def test_what_one_run_is_judged_by_is_not_the_next_ones(thread: ProxyThread) -> None:
    """The same requests in another run are other calls."""
    for _ in range(2):
        with faultinject.Proxy("respond 529 first=1", thread=thread) as proxy:
            ask(proxy)
            assert [each.attempts for each in proxy.calls] == [1]


def test_a_mistake_changes_nothing(thread: ProxyThread) -> None:
    """What was in force stays so."""
    with faultinject.Proxy("respond 529 name=one", thread=thread) as proxy:
        with pytest.raises(SettingsError):
            proxy.rules("respond 999")
        with pytest.raises(SettingsError, match="name"):
            proxy.rules("respond 503 name=one")
        assert ask(proxy) == 529
        proxy.check()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"preset": "none"}, "none"),
        ({"preset": "overloaded@x"}, "preset: .x. is not a chance"),
        ({"proxy_port": 8080}, "proxy_port: that cannot be set here; what can is "),
        ({"prset": "overloaded"}, "prset: that cannot be set here; did you mean preset?"),
        ({"rules": "respond"}, "respond"),
        ({"rules": "respond 529 frist=1"}, "^rules: unknown key 'frist'; did you mean first"),
    ],
)
def test_what_cannot_be(settings: dict[str, object], words: str) -> None:
    """Nothing is started then."""
    before = proxies()
    with pytest.raises(SettingsError, match=words):
        faultinject.Proxy(**settings)  # type: ignore[arg-type]
    assert proxies() == before


def test_a_rule_that_cannot_fire_is_warned_of(thread: ProxyThread) -> None:
    """In the timeline, also if it came later; once."""
    with faultinject.Proxy("respond 529 host=one.example", thread=thread, optional=True) as proxy:
        assert proxy.timeline.count("one.example is not a target") == 1
        proxy.rules("respond 529 host=two.example", optional=True)
        assert proxy.timeline.count("is not a target") == 2


def test_a_seed_decides_the_draws(thread: ProxyThread) -> None:
    """The same number, the same failures."""

    def statuses(seed: int) -> list[int]:
        with faultinject.Proxy("respond 503 probability=0.5", seed=seed, thread=thread) as proxy:
            assert proxy.seed == seed
            return [ask(proxy) for _ in range(12)]

    assert statuses(1) == statuses(1) != statuses(2)


def test_the_environment_for_another_program(
    thread: ProxyThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of it; our own stays as it is."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "example.org,.anthropic.com")
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-user")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    before = dict(os.environ)
    with faultinject.Proxy(thread=thread) as proxy:
        env = proxy.env
        assert proxy.env == env
    assert dict(os.environ) == before
    assert env["HTTPS_PROXY"] == proxy.url
    assert env["PATH"] == os.environ["PATH"]
    assert "ALL_PROXY" not in env
    assert env["OPENAI_API_KEY"] == "of-the-user"
    assert "no-key" in env["ANTHROPIC_API_KEY"]
    assert env["NO_PROXY"].startswith("example.org,localhost")
    assert proxy.timeline.count("NO_PROXY: .anthropic.com is left out") == 1
    assert proxy.ca_cert.read_text() in Path(env["SSL_CERT_FILE"]).read_text()


def test_a_late_exchange_belongs_to_its_own_run(thread: ProxyThread) -> None:
    """It may end while the next run is open, which knows nothing of it."""
    arrived, may_answer = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        arrived.set()
        may_answer.wait(20)
        start_response("202 Accepted", [])
        return []

    with faultinject.Proxy(upstream=app, thread=thread) as first:
        late = threading.Thread(target=ask, args=(first,))
        late.start()
        assert arrived.wait(20)
    with faultinject.Proxy(thread=thread) as second:
        assert first.exchanges == []
        may_answer.set()
        late.join()
        assert second.exchanges == []
        assert [each.status for each in first.exchanges] == [202]


def test_connections_that_are_left_open_are_closed(thread: ProxyThread) -> None:
    """So that a client that is kept for several tests begins each with a new one."""
    client = HTTPConnection("127.0.0.1")
    with faultinject.Proxy(thread=thread, target_host=["api.anthropic.com"]) as first:
        client.port = int(first.url.rpartition(":")[2])
        client.request("GET", "/v1/models")
        client.getresponse().read()
    with faultinject.Proxy(thread=thread, target_host=["api.anthropic.com"]) as second:
        assert client.sock.recv(1) == b""
        client.close()
        client.request("GET", "/v1/models")
        client.getresponse().read()
        client.close()
        assert len(second.exchanges) == 1
    assert len(first.exchanges) == 1


def test_another_certificate_authority(thread: ProxyThread, tmp_path: Path) -> None:
    """One run may have its own; the next one has the thread's again."""
    with faultinject.Proxy(thread=thread, data_dir=tmp_path) as proxy:
        assert ask(proxy) == 200
        own, bundle = proxy.ca_cert, proxy.env["SSL_CERT_FILE"]
        assert own.read_text() in Path(bundle).read_text()
    assert own.parent == tmp_path
    with faultinject.Proxy(thread=thread) as proxy:
        assert ask(proxy) == 200
        assert proxy.ca_cert.parent != tmp_path
        assert own.read_text() not in Path(proxy.env["SSL_CERT_FILE"]).read_text()


def test_no_keys_for_the_targets_themselves(
    thread: ProxyThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is none would make them refuse."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with faultinject.Proxy(upstream="real", thread=thread) as proxy:
        assert "ANTHROPIC_API_KEY" not in proxy.variables


def test_a_base_url_in_the_environment_is_a_target(
    thread: ProxyThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway's, say: what is asked there may fail as well."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example")
    with faultinject.Proxy("respond 529", thread=thread) as proxy:
        assert ask(proxy, host="gateway.example") == 529


def test_before_it_is_started_there_is_nothing() -> None:
    """It says how to start it."""
    proxy = faultinject.Proxy()
    with pytest.raises(StartError, match="with"):
        proxy.url  # noqa: B018
    assert proxy.exchanges == []


def test_its_own_thread_ends_with_it() -> None:
    """And its files are gone."""
    before = proxies()
    with faultinject.Proxy("respond 529") as proxy:
        assert ask(proxy) == 529
        assert proxy.ca_cert.is_file()
    assert not proxy.ca_cert.exists()
    assert proxies() == before
    assert [each.status for each in proxy.exchanges] == [529]


def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither a thread nor files."""
    before = proxies()
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError), faultinject.Proxy(data_dir=tmp_path / "file"):
        pass
    assert proxies() == before


async def test_under_trio() -> None:
    """Its Trio is not ours."""
    async with faultinject.Proxy("respond 529 first=1") as proxy:
        assert await trio.to_thread.run_sync(ask, proxy) == 529
        assert [each.status for each in proxy.exchanges] == [529]


def test_under_asyncio() -> None:
    """The same words."""

    async def main() -> None:
        async with faultinject.Proxy("respond 529 first=1") as proxy:
            assert await asyncio.to_thread(ask, proxy) == 529
            assert [each.status for each in proxy.exchanges] == [529]

    asyncio.run(main())
