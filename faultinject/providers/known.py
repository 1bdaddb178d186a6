"""All APIs that are known, and which of them a request is for."""

from __future__ import annotations

from functools import lru_cache

from faultinject.events import Kind
from faultinject.providers import generic, openai
from faultinject.providers.anthropic.api import PROVIDER as ANTHROPIC
from faultinject.providers.provider import Provider

PROVIDERS = (ANTHROPIC, openai.PROVIDER, generic.PROVIDER)
"""All of them; the last is for what no other recognises."""

_REMEMBERED = 256
"""So many requests' kinds are remembered, of those that take no more than `_LONGEST` characters."""
_LONGEST = 256


def provider_for(host: str, path: str) -> Provider:
    """Return the API of a (lower-case) host and a path without its query.

    A path that only one API has decides first, so that an API is known behind a gateway, and
    where one API is offered on another's host; then the host.
    """
    *known, plain = PROVIDERS
    by_path = (provider for provider in known if provider.paths.fullmatch(path))
    by_host = (provider for provider in known if host in provider.hosts)
    return next(by_path, None) or next(by_host, None) or plain


def kind_of(host: str, method: str, path: str) -> Kind:
    """Return what a request to a (lower-case) host is for, but for CORS preflights.

    It is asked of each request, and most clients have few paths.
    """
    if len(method) + len(path) > _LONGEST:
        return provider_for(host, path).kind(method, path)
    return _remembered_kind(host, method, path)


@lru_cache(maxsize=_REMEMBERED)
def _remembered_kind(host: str, method: str, path: str) -> Kind:
    return provider_for(host, path).kind(method, path)


def provider_named(name: str) -> Provider | None:
    """Return the API of a name; None if there is none."""
    return next((provider for provider in PROVIDERS if provider.name == name), None)
