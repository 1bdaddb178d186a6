"""The action *error*: the API's own error within its stream, and then the stream's proper end.

Knows nothing of how the error is written: the stream's `Progress` does.
"""

from __future__ import annotations

from attrs import evolve, frozen

from faultinject.faults.transform import Act, Finish, Send
from faultinject.providers.provider import Failure, Fields, Progress, Provider, Uniform


@frozen
class SendError:
    """The API's own error within the stream; then the stream's proper end."""

    label = "stream-error"

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
    ends = True


def stream_error(
    fault: SendError, provider: Provider, fields: Fields, uniform: Uniform, progress: Progress
) -> list[Act]:
    """Return the acts that say the error where a stream has got to."""
    data = progress.error(failure_of(fault, provider), fields, uniform, fault.form)
    return [Send(data), Finish()]


def failure_of(fault: SendError, provider: Provider) -> Failure:
    """Return the error in the API's terms; what the fault says goes before the API's own."""
    known = provider.failures.get(fault.failure) if fault.failure else None
    failure = Failure(fault.status) if known is None else known
    return evolve(
        failure,
        error_type=failure.error_type if fault.error is None else fault.error,
        message=failure.message if fault.message is None else fault.message,
        code=failure.code if fault.code is None else fault.code,
    )
