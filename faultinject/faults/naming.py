"""Whether what a fault says names the model that a request asks for: then the body must be read.

Found out by wording it for a request that asks for a model of a name that nobody has, so that
neither an API's words nor a rule's own text have to declare it.
"""

from __future__ import annotations

from functools import lru_cache

from faultinject.faults.render import worded
from faultinject.faults.respond import Respond
from faultinject.faults.stream import SendError, StreamFault
from faultinject.faults.stream.error import failure_of
from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import Asked, Provider

_MODEL = "a-model-that-nobody-asks-for"


def names_model(
    respond: Respond | None, stream: tuple[StreamFault, ...], provider: Provider
) -> bool:
    """Return True if an answer, or an error in a stream, names the model in the API's terms."""
    errors = (each.action for each in stream if isinstance(each.action, SendError))
    said = (respond, *errors) if respond is not None else errors
    return any(_names_model(each, provider.name) for each in said)


@lru_cache(maxsize=256)
def _names_model(fault: Respond | SendError, api: str) -> bool:
    provider = next(each for each in PROVIDERS if each.name == api)
    fields = provider.draw_fields(lambda: 0.0, 0.0, Asked("", {"model": _MODEL}))
    if isinstance(fault, SendError):
        return _MODEL.encode() in provider.error_body(failure_of(fault, provider), fields)
    response = worded(fault, provider, fields, None)
    return any(
        _MODEL.encode() in said for said in (response.body, *dict(response.headers).values())
    )
