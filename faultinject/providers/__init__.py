"""What is known of each API: how it is recognised, words its failures and writes its streams.

Data and small functions; `faultinject.providers.provider` says what there is. Knows nothing of
rules and connections.
"""

from __future__ import annotations

from faultinject.providers import anthropic, openai, plain
from faultinject.providers.provider import Provider

PROVIDERS = (anthropic.PROVIDER, openai.PROVIDER, plain.PROVIDER)
"""All of them; the last is for what no other recognises."""


def provider_for(host: str, path: str) -> Provider:
    """Return the API of a (lower-case) host and a path without its query.

    A path that only one API has decides first, so that an API is known behind a gateway, and
    where one API is offered on another's host; then the host.
    """
    known = PROVIDERS[:-1]
    by_path = (provider for provider in known if provider.paths.fullmatch(path))
    by_host = (provider for provider in known if host in provider.hosts)
    return next(by_path, None) or next(by_host, None) or plain.PROVIDER


def provider_named(name: str) -> Provider | None:
    """Return the API of a name; None if there is none."""
    return next((provider for provider in PROVIDERS if provider.name == name), None)
