"""Anthropic's API. What is known of it, and how, is in docs/providers/anthropic.md.

`PROVIDER` is loaded when it is asked for: a run that only answers with errors does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultinject.providers.anthropic.errors import error_body, error_type, reason_phrase

if TYPE_CHECKING:
    from faultinject.providers.anthropic.api import PROVIDER as PROVIDER

__all__ = ["PROVIDER", "error_body", "error_type", "reason_phrase"]


def __getattr__(name: str) -> object:
    if name == "PROVIDER":
        from faultinject.providers.anthropic import api

        return api.PROVIDER
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
