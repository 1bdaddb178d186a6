"""Whether a fault can mean anything for the API that a request is for.

A preset says "the API's own error of a spending cap", and some APIs have none. Then nothing is made
up: the request passes, and the run says so.
"""

from __future__ import annotations

from faultinject.faults.fault import Fault
from faultinject.faults.place import Stage
from faultinject.faults.respond import Respond
from faultinject.faults.stream import EndEarly, SendError, Stall
from faultinject.faults.transform import StreamAction
from faultinject.providers.gateway import PARTS
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Shape


def depends_on_api(fault: Fault) -> bool:
    """Return True if there may be APIs for which a fault means nothing."""
    respond = fault.respond
    named = respond is not None and (respond.failure or respond.page) is not None
    return named or any(_depends(each.action) for each in fault.stream)


def _depends(action: StreamAction) -> bool:
    match action:
        case SendError(failure=failure, form=form):
            return failure is not None or bool(form)
        case Stall(ping_seconds=seconds):
            return seconds is not None
    return isinstance(action, EndEarly)


def why_unfit(fault: Fault, provider: Provider, shape: Shape) -> str | None:
    """Return why a fault means nothing for an API and what is spoken there, and what would.

    None if it means something.
    """
    respond = fault.respond
    if respond is not None and respond.at is not Stage.CONNECT:
        return _why_no_response(respond, provider)
    reasons = (_why_no_action(each.action, provider, shape) for each in fault.stream)
    return next((reason for reason in reasons if reason is not None), None)


def _why_no_response(respond: Respond, provider: Provider) -> str | None:
    if respond.failure is not None and respond.failure not in provider.failures:
        return _no_failure(respond.failure, provider)
    if respond.page is not None and respond.page not in provider.pages:
        parts = ", ".join(PARTS)
        return (
            f"{provider.name} has no page {respond.page}; every API has {parts}, or give status and"
            " body"
        )
    return None


def _no_failure(name: str, provider: Provider) -> str:
    names = ", ".join(sorted(provider.failures))
    return f"{provider.name} has no failure {name}; it has {names}"


def _why_no_action(action: StreamAction, provider: Provider, shape: Shape) -> str | None:
    match action:
        case SendError(failure=str() as failure) if failure not in provider.failures:
            return _no_failure(failure, provider)
        case SendError(form=form) if form and not any(
            form in stream.error_forms for stream in shape.streams
        ):
            forms = ", ".join(shape.stream.error_forms)
            return f"an error in a stream of {shape.name} has no form {form}; it has {forms}"
        case EndEarly() if not shape.ends_early:
            return f"how a message of {shape.name} ends early is not known; use end"
        case Stall(ping_seconds=float()) if not any(stream.ping for stream in shape.streams):
            return f"streams of {shape.name} have no pings; use stall without pings"
    return None
