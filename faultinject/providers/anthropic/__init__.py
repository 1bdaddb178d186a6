"""Anthropic's API. What is known of it, and how, is in docs/providers/anthropic.md."""
