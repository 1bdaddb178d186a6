"""The fault *error*: the API's own error within its stream, and then the stream's proper end.

How the error is written is for the stream's `Progress` to know.
"""

from __future__ import annotations

from attrs import evolve, frozen

from faultinject.faults.transform import Act, Finish, Send, StreamAction
from faultinject.providers.provider import Failure, Fields, Progress, Provider, Uniform


@frozen
class SendError(StreamAction):
    """The API's own error within the stream; then the stream's proper end."""

    label = "stream-error"
    ends = True
    whole_events = True

    status: int = 529
    """Chooses the type and the message; nothing of it is sent."""
    error: str | None = None
    """The type of the error, in the API's own words."""
    message: str | None = None
    code: str | None = None
    failure: str | None = None
    """Which of the API's own failures it is (`Provider.failures`)."""
    form: str = ""
    """Which of the forms that the API has for it; empty for the usual one."""


def stream_error(
    fault: SendError, provider: Provider, fields: Fields, uniform: Uniform, progress: Progress
) -> list[Act]:
    """Return the acts that send the error at this point of the stream."""
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
