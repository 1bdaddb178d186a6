"""What is told of a run's start and end, whatever way clients come in by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import faultinject
from faultinject.authority import TargetPattern
from faultinject.errors import DataDirectoryError, SettingsError
from faultinject.events import Event, PluginStopped, ProxyStopped, RuleUnfit, Warned
from faultinject.faults.place import Stage
from faultinject.http.message import RequestHead
from faultinject.proxy import runtime as runtimes
from faultinject.proxy.runtime import MOST_HOSTS, Runtime, dialer_of
from faultinject.proxy.startup import Run, Running, ignore_event
from faultinject.rules import RuleSet
from faultinject.rules.checks import Capabilities
from faultinject.rules.facts import Facts
from faultinject.settings import Settings, WrittenRules
from faultinject.tls.certificate_authority import NoAuthority
from tests.support.authorities import AuthorityFiles
from tests.support.sample_events import sample

ANYTHING = Capabilities("the door")


def run_of(folder: Path, **settings: object) -> tuple[Run, list[Event]]:
    """Return a run that listens nowhere, and what it tells."""
    events: list[Event] = []
    chosen = Settings(data_dir=folder, seed=5, **settings)  # type: ignore[arg-type]
    return Run.of(chosen, capabilities=ANYTHING, listener=events.append), events


def test_start_warnings_and_end_in_this_order(tmp_path: Path) -> None:
    """With the rules' totals at the end."""
    rules = (WrittenRules("respond 503 name=first"), WrittenRules("respond 500 name=second"))
    run, events = run_of(tmp_path, rules=rules)
    with run.announced(sample(ProxyStopped), ProxyStopped):
        run.counters.count("first")
    started, warned, stopped = events
    assert started == sample(ProxyStopped)
    assert isinstance(warned, Warned)
    assert warned.message.startswith("--rule: rule: it is never reached: ")
    assert isinstance(stopped, ProxyStopped)
    assert [rule["reached"] for rule in stopped.rules] == [1, 0]


def test_rules_are_replaced_as_a_whole(tmp_path: Path) -> None:
    """With what the new ones bring to warn of; whoever decides by them is told, if there is one."""
    run, events = run_of(tmp_path, rules=("respond 503 name=first",))
    more = ("respond 503 name=first", "respond 500 name=second")
    run.replace_rules(Settings(rules=more))
    assert run.rule_set.ids == ("first", "second")
    [warned] = events
    assert isinstance(warned, Warned)
    told: list[RuleSet] = []
    run.on_rules = told.append
    run.replace_rules(Settings(rules=more))
    assert told == [run.rule_set]
    with pytest.raises(SettingsError):
        run.replace_rules(Settings(rules=("respond 999",)))
    assert run.rule_set.ids == ("first", "second")
    assert len(events) == 1


def test_a_key_log_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no obstacle, and the user hears of it."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    run, events = run_of(tmp_path)
    with run.announced(sample(ProxyStopped), ProxyStopped):
        pass
    assert [e.message.partition("=")[0] for e in events if isinstance(e, Warned)] == [
        "SSLKEYLOGFILE"
    ]


def test_an_authority_that_may_not_sign_for_a_target(tmp_path: Path) -> None:
    """Its clients would refuse what it signs; other targets may be well."""
    constraints = x509.NameConstraints([x509.DNSName("corp.example")], None)
    certificate, key = AuthorityFiles(more=(constraints,)).write(tmp_path)
    targets = tuple(map(TargetPattern.parse, ["a.example", "b.corp.example", "*.c.example"]))
    settings = Settings(ca_cert=certificate, ca_key=key, target_host=targets)
    [warning] = Run.of(settings, ignore_event)._warnings()
    assert warning.startswith(f"{certificate}: its name constraints leave out a.example: ")


@pytest.mark.parametrize("drained", [False, True])
def test_why_it_ended(tmp_path: Path, drained: bool) -> None:
    """By its own way of ending, or cut short; the end is told all the same."""
    run, events = run_of(tmp_path)
    running = Running(ca_cert=run.authority.certificate_path, draining=run.draining)
    if drained:
        running.drain()
    with pytest.raises(KeyError), run.announced(sample(PluginStopped), PluginStopped):
        raise KeyError
    stopped = events[-1]
    assert isinstance(stopped, PluginStopped)
    assert stopped.reason == ("told to stop" if drained else "cancelled")


def test_what_every_start_says(tmp_path: Path) -> None:
    """The settings in short, and which rules there are."""
    run, _ = run_of(tmp_path, error_probability=0.5)
    fields = run.start_fields()
    assert (fields["version"], fields["seed"]) == (faultinject.__version__, 5)
    assert (fields["rules"], fields["error_probability"]) == (("options",), 0.5)
    assert fields["ca_cert"] == str(run.authority.certificate_path)


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    """Nothing is told of a run that does not begin."""
    with pytest.raises(SettingsError):
        run_of(tmp_path, rules=(WrittenRules("respond 999"),))


def test_hosts_whose_api_is_not_known(tmp_path: Path) -> None:
    """They are named at the start, patterns are not."""
    names = ("api.anthropic.com", "api.vendor.example", "*.example.com", "api.openai.com:443")
    run, _ = run_of(tmp_path, target_host=tuple(map(TargetPattern.parse, names)))
    assert run.start_fields()["unknown_apis"] == ("api.vendor.example",)


# Without a certificate authority


@pytest.fixture
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it so that the user has no data directory."""

    def path(*_args: object, **_more: object) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr("platformdirs.user_data_path", path)


@pytest.mark.usefixtures("_no_home")
def test_a_run_without_a_place_for_an_authority() -> None:
    """As base URL it is of use; what is not, and what to do, is said in a line."""
    run = Run.of(Settings(), ignore_event, is_base_url=True)
    assert isinstance(run.authority, NoAuthority)
    assert run.start_fields()["ca_cert"] is None
    [warning] = run._warnings()
    assert warning.startswith("TLS cannot be intercepted, so that CONNECT to a target is refused;")
    assert "no home" in warning
    assert "--data-dir" in warning
    with pytest.raises(SettingsError, match="no home"):
        run.authority.mint("api.anthropic.com")


@pytest.mark.usefixtures("_no_home")
@pytest.mark.parametrize(
    ("is_base_url", "target"), [(False, "api.anthropic.com"), (True, "*.example.com")]
)
def test_a_run_that_is_of_no_use_without_an_authority(is_base_url: bool, target: str) -> None:
    """Behind Fault all is TLS, and a base URL stands for no pattern."""
    settings = Settings(target_host=(TargetPattern.parse(target),))
    with pytest.raises(DataDirectoryError, match="--data-dir"):
        Run.of(settings, ignore_event, is_base_url=is_base_url)


def test_a_data_directory_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own may be lacking, one that was named may not."""
    taken = tmp_path / "taken"
    taken.write_text("")
    monkeypatch.setattr(
        "faultinject.tls.certificate_authority.default_data_dir", lambda: taken / "data"
    )
    run = Run.of(Settings(), ignore_event, is_base_url=True)
    assert isinstance(run.authority, NoAuthority)
    assert run.authority.reason.startswith(f"{taken / 'data'}: the certificate authority cannot be")
    with pytest.raises(DataDirectoryError):
        Run.of(Settings(data_dir=taken / "data"), ignore_event, is_base_url=True)


def test_an_authority_that_was_named_and_is_not_there(tmp_path: Path) -> None:
    """It is an error, whatever way clients come."""
    missing = tmp_path / "missing.pem"
    with pytest.raises(SettingsError, match=r"missing\.pem: there is no such file"):
        Run.of(Settings(ca_cert=missing, ca_key=missing), ignore_event, is_base_url=True)


def runtime_of(run: Run, tell: list[Event]) -> Runtime:
    """Return what the sessions of a run would share; it listens and dials nowhere."""
    nothing: Any = None
    return Runtime(
        limits=run.settings.limits,
        targets=run.settings.target_host,
        rule_set=run.rule_set,
        counters=run.counters,
        leaves=nothing,
        dialer=nothing,
        dial=nothing,
        listener=tell.append,
    )


@pytest.mark.parametrize("level", ["debug", "info"])
def test_that_exchanges_begin_is_told_at_debug(tmp_path: Path, level: str) -> None:
    """Only then somebody wants it."""
    run, _ = run_of(tmp_path, log_level=level)
    dialer = dialer_of(run.settings, lambda _: False)
    assert runtimes.runtime_of(run, dialer).tells_starts is (level == "debug")


def test_a_rule_that_means_nothing_for_an_api_is_warned_of_once(tmp_path: Path) -> None:
    """With what would; the request passes."""
    rule = "respond failure=spend-cap name=cap"
    run, events = run_of(tmp_path, rules=(rule,), target_host=("api.example.com",))
    runtime = runtime_of(run, events)
    for _ in range(2):
        facts = Facts("api.example.com", 443, RequestHead(b"POST", b"/orders", ()), b"{}")
        assert runtime.decide(run.rule_set, facts, Stage.ANSWER).rule_id is None
    [told] = [event for event in events if isinstance(event, RuleUnfit)]
    assert (told.rule, told.host, told.provider) == ("cap", "api.example.com", "plain")
    assert told.reason.startswith("plain has no failure spend-cap;")


def test_targets_are_remembered_for_so_many_hosts(tmp_path: Path) -> None:
    """Then all are forgotten, and found again."""
    run, events = run_of(tmp_path, target_host=("*.example.com",))
    runtime = runtime_of(run, events)
    for number in range(MOST_HOSTS + 1):
        assert runtime.target_of(f"{number}.example.com", 443) is not None
    assert len(runtime._known_targets) == 1
    assert runtime.target_of("other.example.org", 443) is None
