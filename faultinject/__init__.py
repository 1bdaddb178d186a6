"""faultinject: a proxy that answers as an API does when it fails.

`serve` runs the proxy inside a program of yours; `Settings` says how. Everything else is
reached through the command line and may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from faultinject.proxy import serve as serve
    from faultinject.settings import Settings as Settings

__all__ = ["Settings", "__version__", "serve"]


def __getattr__(name: str) -> object:
    """Import the public names when they are asked for: `--version` needs neither Trio nor TLS."""
    if name == "serve":
        from faultinject.proxy import serve

        return serve
    if name == "Settings":
        from faultinject.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
