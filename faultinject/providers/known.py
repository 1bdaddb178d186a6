"""All APIs that are known. Loads them: import it late."""

from __future__ import annotations

from faultinject.providers import generic, openai
from faultinject.providers.anthropic.api import PROVIDER as ANTHROPIC

PROVIDERS = (ANTHROPIC, openai.PROVIDER, generic.PROVIDER)
"""All of them; the last is for what no other recognises."""
