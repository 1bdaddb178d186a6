"""faultinject: a proxy that answers as an API does when it fails.

`serve` runs the proxy inside a program of yours; `Settings` says how, `Limits` how much a stranger
may ask of it, `load_rules` reads the rules. `Proxy` runs it on a thread, for tests and for programs
without Trio. `serve_plugin` and `PluginSettings` do the same for the
plugin of Fault's proxy. `events` has what happened, as values, and `errors` what is raised. What
has no name here may change (docs/library.md has an example of each).
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # what `typing` has, which is not loaded for so little
if TYPE_CHECKING:
    from faultinject import errors as errors
    from faultinject import events as events
    from faultinject.config.rule_set import load_rules as load_rules
    from faultinject.plugin.serving import serve_plugin as serve_plugin
    from faultinject.proxy.server import serve as serve
    from faultinject.rules.index import RuleSet as RuleSet
    from faultinject.rules.model import Rule as Rule
    from faultinject.settings import Limits as Limits
    from faultinject.settings import PluginSettings as PluginSettings
    from faultinject.settings import Settings as Settings
    from faultinject.testing.embedded import Proxy as Proxy

__all__ = [
    "Limits",
    "PluginSettings",
    "Proxy",
    "Rule",
    "RuleSet",
    "Settings",
    "__version__",
    "errors",
    "events",
    "load_rules",
    "serve",
    "serve_plugin",
]

_HOMES = {
    "Limits": "faultinject.settings",
    "PluginSettings": "faultinject.settings",
    "Proxy": "faultinject.testing.embedded",
    "Rule": "faultinject.rules.model",
    "RuleSet": "faultinject.rules.index",
    "Settings": "faultinject.settings",
    "load_rules": "faultinject.config.rule_set",
    "serve": "faultinject.proxy.server",
    "serve_plugin": "faultinject.plugin.serving",
}
_MODULES = ("errors", "events")


def __getattr__(name: str) -> object:
    """Import the public names when they are asked for: `--version` needs neither Trio nor TLS."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"faultinject.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
