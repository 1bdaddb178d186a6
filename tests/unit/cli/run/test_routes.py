"""How a command's clients are led to the proxy."""

import pytest

from faultinject.cli.run import routes
from faultinject.cli.run.routes import heeds_proxy, is_node, old_node, route_of
from faultinject.errors import SettingsError
from faultinject.settings import RunSettings


def routed(user=None, *, node_version=None, url=None, warnings=None, **options):
    """Return the route of a run."""
    settings = RunSettings(seed=1, **options)
    warnings = [] if warnings is None else warnings
    return route_of(settings, user or {}, warnings.append, lambda _: node_version, url)


def names(targets):
    """Return the targets in words."""
    return [str(target) for target in targets]


def test_by_the_proxys_variables():
    """That is enough for most."""
    route = routed()
    assert route.proxy
    assert route.base_url_targets == ()
    assert not route.settings.port_per_target


def test_a_node_whose_fetch_heeds_no_proxy():
    """Gets base URLs too; unless the user says that the proxy's variables do."""
    route = routed(node_version="v20.1.0")
    assert route.old_node == "v20.1.0"
    assert route.proxy
    assert names(route.base_url_targets) == ["api.anthropic.com"]
    assert route.settings.port_per_target
    led = routed(node_version="v20.1.0", via="proxy")
    assert (led.base_url_targets, led.old_node) == ((), None)


def test_local_servers_are_led_to_by_base_url():
    """Some clients ask for this machine without any proxy."""
    hosts = ("api.anthropic.com", "http://127.0.0.1:11434")
    route = routed(target_host=hosts)
    assert names(route.base_url_targets) == ["http://127.0.0.1:11434"]
    assert names(route.seen_by_proxy) == list(hosts)


def test_by_base_urls_alone():
    """Targets that no variable leads to are named."""
    warnings = []
    route = routed(
        via="base-url", target_host=("api.openai.com", "*.example.com"), warnings=warnings
    )
    assert not route.proxy
    assert names(route.base_url_targets) == ["api.openai.com"]
    [warning] = warnings
    assert warning.startswith("*.example.com: no variable tells clients its base URL")


def test_a_base_url_of_the_users_becomes_a_target():
    """And its host must not be asked without the proxy."""
    route = routed({"ANTHROPIC_BASE_URL": "https://gateway.example/anthropic"})
    assert names(route.settings.target_host) == ["api.anthropic.com", "gateway.example"]
    assert names(route.seen_by_proxy) == ["api.anthropic.com", "gateway.example"]


def test_a_local_base_url_of_the_users():
    """Its variable leads there, so that other servers of this machine are left alone."""
    route = routed({"OPENAI_BASE_URL": "http://localhost:4000/v1"})
    assert names(route.settings.target_host) == ["api.anthropic.com", "http://localhost:4000"]
    assert names(route.base_url_targets) == ["http://localhost:4000"]
    assert names(route.seen_by_proxy) == ["api.anthropic.com"]


def test_a_proxy_of_the_users_own_is_not_passed_by():
    """It says which variable, without its value, in which there may be a password."""
    with pytest.raises(SettingsError, match="HTTPS_PROXY names a proxy of yours") as caught:
        routed({"HTTPS_PROXY": "http://me:secret@proxy.example:3128"})
    assert "secret" not in str(caught.value)


def test_variables_that_name_us_already_do_not_count():
    """Whoever asks twice for them gets them twice."""
    ours = "http://127.0.0.1:8080"
    route = routed({"HTTPS_PROXY": ours, "ANTHROPIC_BASE_URL": ours}, url=ours)
    assert names(route.settings.target_host) == ["api.anthropic.com"]


@pytest.mark.parametrize("version", ["v22.21.0", "v22.22.1", "v24.5.0", "v24.10.0", "v25.0.0", "?"])
def test_a_node_that_heeds_its_environments_proxy(version):
    """What is no version is taken for one."""
    assert heeds_proxy(version)


@pytest.mark.parametrize("version", ["v18.0.0", "v20.20.2", "v22.20.9", "v23.11.0", "v24.4.1"])
def test_a_node_that_does_not(version):
    """Its fetch would go past the proxy."""
    assert not heeds_proxy(version)


def node(folder, script):
    """Put something called node into a folder."""
    folder.mkdir()
    file = folder / "node"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(folder)


def test_any_node_on_the_path_counts(tmp_path):
    """The command may start either. Each is asked once."""
    new = node(tmp_path / "new", "echo v25.1.0")
    asked = tmp_path / "asked"
    old = node(tmp_path / "old", f"echo >>{asked}; echo v20.1.0")
    (tmp_path / "link").symlink_to(old)
    assert old_node({"PATH": new}) is None
    assert old_node({"PATH": f"{new}:{tmp_path}/none"}) is None
    assert old_node({"PATH": f"{new}:{old}"}) == "v20.1.0"
    counted = len(asked.read_text())
    old_node({"PATH": f"{new}:{old}:{tmp_path}/link"})
    assert len(asked.read_text()) == counted + 1


def test_a_node_that_does_not_answer(tmp_path, monkeypatch):
    """It is not waited for."""
    monkeypatch.setattr(routes, "_VERSION_SECONDS", 0.1)
    slow = node(tmp_path / "slow", "exec sleep 30")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "node").write_bytes(b"\0")
    (broken / "node").chmod(0o755)
    assert old_node({"PATH": f"{slow}:{broken}"}) is None


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("node", "\x7fELF", True),
        ("npm", "#!/usr/bin/env node\n", True),
        ("tool", "#!/opt/node/bin/node --enable-source-maps\n", True),
        ("python", "\x7fELF", False),
        ("tool", "#!/bin/sh\nexec node\n", False),
        ("tool", "#! /usr/bin/env -S node --no-warnings\n", True),
        ("tool", "#!/usr/bin/env nodeenv\n", False),
        ("tool", "#!/opt/node/bin/python\n", False),
        ("empty", "", False),
    ],
)
def test_commands_that_node_runs(tmp_path, name, text, is_one):
    """Node itself, and scripts whose first line names it."""
    program = tmp_path / name
    program.write_text(text)
    program.chmod(0o755)
    assert is_node(name, {"PATH": str(tmp_path)}) is is_one
    assert is_node(str(program), {}) is is_one
    assert not is_node("no-such-command", {"PATH": str(tmp_path)})


def test_a_command_that_cannot_be_read(tmp_path, monkeypatch):
    """It may run all the same."""
    monkeypatch.setattr(routes.shutil, "which", lambda *_, **__: str(tmp_path / "gone"))
    assert not is_node("gone", {})
