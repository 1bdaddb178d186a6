"""Loading the bridge, on Pythons that have trio-asyncio and on those that do not."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from faultinject.errors import StartError


def test_without_trio_asyncio(monkeypatch):
    """One line that says which Pythons have it."""
    monkeypatch.delitem(sys.modules, "faultinject.plugin.bridge.grpc_server", raising=False)
    monkeypatch.setitem(sys.modules, "trio_asyncio", None)
    with pytest.raises(StartError) as caught:
        importlib.import_module("faultinject.plugin.bridge.grpc_server")
    message = str(caught.value)
    assert message.startswith("the plugin needs trio-asyncio, which cannot be loaded on this ")
    assert message.endswith("; Python 3.11 to 3.13 can")
    assert "\n" not in message


def load(*modules: str) -> str:
    """Load modules in a fresh Python to which every warning is an error; return what it printed."""
    lines = "".join(f"import {module}\n" for module in modules)
    code = lines + "import sys\nprint('asyncio' in sys.modules, 'trio_asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    return done.stdout.decode().strip() or done.stderr.decode().splitlines()[-1]


def test_with_trio_asyncio():
    """No warning comes out, though 3.12 and 3.13 have one."""
    loaded = load("faultinject.plugin.bridge.grpc_server")
    if sys.version_info < (3, 14):
        assert loaded == "True True"
    else:
        assert loaded == "True True" or "StartError: the plugin needs trio-asyncio" in loaded


def test_the_rest_of_the_plugin_loads_without():
    """Until the front is opened."""
    assert load("faultinject.plugin.serving").endswith(" False")
