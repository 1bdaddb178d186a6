"""Hosts of one's own, of which the user says what is spoken there: ``localhost:8000=openai``.

Such a host is nobody's API, but it speaks as one: vLLM, LiteLLM and LM Studio speak as OpenAI's
does. So its paths, streams and documents have the form of that API, and its words are generic.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from attrs import define, evolve, frozen

from faultinject.authority import TargetPattern
from faultinject.errors import SettingsError
from faultinject.events import Kind
from faultinject.http.message import standard_phrase
from faultinject.providers import gateway, generic
from faultinject.providers.framing import StreamEvent
from faultinject.providers.known import PROVIDERS, kind_of, may_be_mcp, provider_for, provider_named
from faultinject.providers.provider import NOTHING, Provider
from faultinject.providers.shape import (
    Failure,
    Fields,
    Progress,
    Shape,
    StreamShape,
    Uniform,
    Usage,
)
from faultinject.reading.shown import nearest

NAMES = tuple(provider.name for provider in PROVIDERS if provider is not generic.PROVIDER)
"""The APIs that a host can be told to speak as."""


@frozen(eq=False, repr=False)
class Apis:
    """Which API a request is for: that of which the user told, or one that is known."""

    told: tuple[tuple[TargetPattern, Provider], ...] = ()

    @classmethod
    def of(cls, targets: Iterable[TargetPattern]) -> Apis:
        """Return what is told with targets. Raises `SettingsError` for an API that is unknown."""
        return cls(tuple((each, _told(each)) for each in targets if each.api is not None))

    def provider_for(self, host: str, port: int, path: str) -> Provider:
        """Return the API of a place; ``host`` is normal and ``path`` has no query."""
        for pattern, provider in self.told:
            if pattern.matches(host, port):
                return provider
        return provider_for(host, path)

    def may_be_mcp(self, host: str, port: int, path: str) -> bool:
        """Return True if a request to a place may be one of MCP: nothing else is known of it."""
        if any(pattern.matches(host, port) for pattern, _ in self.told):
            return False
        return may_be_mcp(host, path)

    def kind_of(self, host: str, port: int, method: str, path: str) -> Kind:
        """Return what a request is for. CORS preflights are not recognised."""
        for pattern, provider in self.told:
            if pattern.matches(host, port):
                return provider.kind(method, path)
        return kind_of(host, method, path)


KNOWN = Apis()
"""Of no host is anything told."""


def why_no_api(target: TargetPattern) -> str | None:
    """Return that a target is told to speak as an API that is unknown, and which are known."""
    if target.api in (None, *NAMES):
        return None
    near = nearest(str(target.api), NAMES)
    hint = f"did you mean {near}? There are" if near else "there are"
    return f"{target}={target.api}: no API has this name; {hint} {', '.join(NAMES)}"


def _told(target: TargetPattern) -> Provider:
    if (why := why_no_api(target)) is not None:
        raise SettingsError(f"target_host: {why}")
    return _spoken_as(str(target.api))


@cache
def _spoken_as(name: str) -> Provider:
    """Return any API that speaks as a known one."""
    known = provider_named(name) or generic.PROVIDER
    return evolve(
        generic.PROVIDER,
        told_as=name,
        paths=NOTHING,
        error_type=known.error_type,
        error_body=lambda failure, fields: known.error_body(_in_words(failure), fields),
        error_content_type=known.error_content_type,
        retry_headers=known.retry_headers,
        shapes=tuple(_worded_shape(shape) for shape in known.shapes),
        examples=known.examples,
        transient=known.transient,
        pages={**generic.PROVIDER.pages, **gateway.NGINX},
        model_calls=known.model_calls,
        housekeeping=NOTHING,
    )


def _in_words(failure: Failure) -> Failure:
    """Return a failure whose message is the status's phrase, if it has none of its own."""
    if failure.message is not None:
        return failure
    return evolve(failure, message=standard_phrase(failure.status))


def _worded_shape(shape: Shape) -> Shape:
    return evolve(shape, streams=tuple(_worded_stream(each) for each in shape.streams))


def _worded_stream(stream: StreamShape) -> StreamShape:
    return evolve(stream, progress=lambda: _Worded(stream.progress()))


@define(eq=False, repr=False)
class _Worded:
    """Follows a stream as another does, whose errors get generic words."""

    inner: Progress

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""
        self.inner.observe(event)

    @property
    def usage(self) -> Usage | None:
        """The tokens that were reported so far."""
        return self.inner.usage

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return an error as it comes in a stream."""
        return self.inner.error(_in_words(failure), fields, uniform, form)

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the events that end the message here."""
        return self.inner.end_early(uniform)
