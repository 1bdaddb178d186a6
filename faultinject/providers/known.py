"""All APIs that are known, and which of them a request is for."""

from __future__ import annotations

from functools import lru_cache

from faultinject.events import Kind
from faultinject.providers import bedrock, cohere, generic, mcp, ollama, openai
from faultinject.providers.anthropic.api import PROVIDER as ANTHROPIC
from faultinject.providers.gemini import GEMINI, VERTEX
from faultinject.providers.openai_shaped import azure, deepseek, groq, mistral, openrouter, xai
from faultinject.providers.provider import Provider

PROVIDERS = (
    ANTHROPIC,
    azure.PROVIDER,
    openai.PROVIDER,
    GEMINI,
    VERTEX,
    bedrock.PROVIDER,
    ollama.PROVIDER,
    openrouter.PROVIDER,
    groq.PROVIDER,
    mistral.PROVIDER,
    deepseek.PROVIDER,
    xai.PROVIDER,
    cohere.PROVIDER,
    mcp.PROVIDER,
    generic.PROVIDER,
)
"""All APIs. The last is for hosts and paths that no other recognises."""

FAILURES = tuple(sorted({name for provider in PROVIDERS for name in provider.failures}))
"""The names of all failures; each API has some of them."""
PAGES = tuple(sorted({name for provider in PROVIDERS for name in provider.pages}))
"""The names of all pages of what stands in front of APIs."""

_REMEMBERED = 256
"""How many results are remembered, for hosts and paths of at most `_LONGEST` characters."""
_LONGEST = 256


def provider_for(host: str, path: str) -> Provider:
    """Return the API of a (lower-case) host and a path without its query.

    The API of the host goes first, if it has the path. Then comes the only API with the path, so
    that an API is recognised behind a gateway, or on the host of another. Then comes the API of the
    host alone.

    It is called several times per request, and most clients use few hosts and paths.
    """
    if len(host) + len(path) > _LONGEST:
        return _found(host, path)
    return _remembered_provider(host, path)


@lru_cache(maxsize=_REMEMBERED)
def _remembered_provider(host: str, path: str) -> Provider:
    return _found(host, path)


def _found(host: str, path: str) -> Provider:
    *known, plain = PROVIDERS
    by_host = [provider for provider in known if provider.has_host(host)]
    both = (provider for provider in by_host if provider.has_shape(path))
    by_path = (provider for provider in known if provider.paths.fullmatch(path))
    return next(both, None) or next(by_path, None) or next(iter(by_host), plain)


def may_be_mcp(host: str, path: str) -> bool:
    """Return True if a request to a (lower-case) host may be one of MCP: no API has the path."""
    if len(host) + len(path) > _LONGEST:
        return _is_nobodys(host, path)
    return _remembered_nobodys(host, path)


@lru_cache(maxsize=_REMEMBERED)
def _remembered_nobodys(host: str, path: str) -> bool:
    return _is_nobodys(host, path)


def _is_nobodys(host: str, path: str) -> bool:
    provider = _found(host, path)
    has_it = provider.has_shape(path) or provider.paths.fullmatch(path)
    return provider is generic.PROVIDER or not has_it


def kind_of(host: str, method: str, path: str) -> Kind:
    """Return what a request to a (lower-case) host is for. CORS preflights are not recognised.

    It is called for each request, and most clients use few paths.
    """
    if len(method) + len(path) > _LONGEST:
        return provider_for(host, path).kind(method, path)
    return _remembered_kind(host, method, path)


@lru_cache(maxsize=_REMEMBERED)
def _remembered_kind(host: str, method: str, path: str) -> Kind:
    return provider_for(host, path).kind(method, path)


def provider_named(name: str) -> Provider | None:
    """Return the API with this name; None if there is none."""
    return next((provider for provider in PROVIDERS if provider.name == name), None)


SHAPES = tuple(sorted({shape.name for provider in PROVIDERS for shape in provider.shapes}))
"""The names of all shapes."""
