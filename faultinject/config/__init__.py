"""Reads and checks what the user chose, into `faultinject.settings.Settings`."""

from __future__ import annotations

from faultinject.config.file import read_config_file
from faultinject.config.kinds import Kind
from faultinject.config.load import (
    file_problems,
    load_settings,
    load_settings_as,
    unknown_variables,
)
from faultinject.config.options import (
    ALL_OPTIONS,
    CA_OPTIONS,
    ENV_OPTIONS,
    LOG_OPTIONS,
    PLUGIN_OPTIONS,
    PROXY_OPTIONS,
    RUN_OPTIONS,
    Option,
)

__all__ = [
    "ALL_OPTIONS",
    "CA_OPTIONS",
    "ENV_OPTIONS",
    "LOG_OPTIONS",
    "PLUGIN_OPTIONS",
    "PROXY_OPTIONS",
    "RUN_OPTIONS",
    "Kind",
    "Option",
    "file_problems",
    "load_settings",
    "load_settings_as",
    "read_config_file",
    "unknown_variables",
]
