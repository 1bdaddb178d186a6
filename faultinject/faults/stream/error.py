"""The fault *error*: the API's own error within its stream, and then the stream's proper end.

The stream's `Progress` knows how the error is written.
"""

from __future__ import annotations

from attrs import evolve, frozen

from faultinject.faults.transform import Act, Finish, Send, StreamAction
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Failure, Fields, Progress, Uniform


@frozen
class SendError(StreamAction):
    """The API's own error within the stream; then the stream's proper end."""

    label = "stream-error"
    ends = True
    whole_events = True

    status: int = 529
    """Selects the type and the message. It is not sent."""
    error: str | None = None
    """The type of the error, as the API calls it."""
    message: str | None = None
    code: str | None = None
    failure: str | None = None
    """The name of one of the API's failures (`Provider.failures`)."""
    form: str = ""
    """The form of the error, of those that the API has; empty for the usual one."""


def stream_error(
    fault: SendError, provider: Provider, fields: Fields, uniform: Uniform, progress: Progress
) -> list[Act]:
    """Return the acts that send the error at this point."""
    data = progress.error(failure_of(fault, provider), fields, uniform, fault.form)
    return [Send(data), Finish()]


def failure_of(fault: SendError, provider: Provider) -> Failure:
    """Return the error in the API's terms; what the fault sets replaces the API's own."""
    known = provider.failures.get(fault.failure) if fault.failure else None
    failure = Failure(fault.status) if known is None else known
    return evolve(
        failure,
        error_type=failure.error_type if fault.error is None else fault.error,
        message=failure.message if fault.message is None else fault.message,
        code=failure.code if fault.code is None else fault.code,
    )
