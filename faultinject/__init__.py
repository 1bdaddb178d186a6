"""faultinject: a proxy that answers as an API does when it fails.

`serve` runs the proxy inside a program of yours; `Settings` says how. `serve_plugin` and
`PluginSettings` do the same for the plugin of Fault's proxy. Everything else is reached through
the command line and may change.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # what `typing` has, which is not loaded for so little
if TYPE_CHECKING:
    from faultinject.plugin.serving import serve_plugin as serve_plugin
    from faultinject.proxy import serve as serve
    from faultinject.settings import PluginSettings as PluginSettings
    from faultinject.settings import Settings as Settings

__all__ = ["PluginSettings", "Settings", "__version__", "serve", "serve_plugin"]

_HOMES = {
    "PluginSettings": "faultinject.settings",
    "Settings": "faultinject.settings",
    "serve": "faultinject.proxy",
    "serve_plugin": "faultinject.plugin.serving",
}


def __getattr__(name: str) -> object:
    """Import the public names when they are asked for: `--version` needs neither Trio nor TLS."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
