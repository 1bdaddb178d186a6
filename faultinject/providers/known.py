"""All APIs that are known. Loads them: import it late."""

from __future__ import annotations

from faultinject.providers import openai, plain
from faultinject.providers.anthropic.api import PROVIDER as ANTHROPIC

PROVIDERS = (ANTHROPIC, openai.PROVIDER, plain.PROVIDER)
"""All of them; the last is for what no other recognises."""
