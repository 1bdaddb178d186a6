"""The fault *error*: the API's own error within its stream, and then the stream's proper end.

The stream's `Progress` knows how the error is written.
"""

from __future__ import annotations

from typing import Self

from attrs import evolve, frozen

from faultinject.faults.place import FIRST_EVENT
from faultinject.faults.stream.stream_action import EventStream, StreamAction
from faultinject.faults.transform import Act, Action, AtOnce, Finish, Send
from faultinject.providers.known import FAILURES
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Failure, Shape
from faultinject.reading.keys import Keys
from faultinject.reading.node import Node
from faultinject.reading.value import TEXT, Value, by_type, constant, whole

_KEYS = Keys(
    {
        "status": whole(400, 599),
        "type": TEXT,
        "message": TEXT,
        "code": TEXT,
        "failure": Value(Node.text, {"enum": FAILURES}, "failure"),
        "form": TEXT,
    },
    "true, the type of the error, or an object as {status: 529}",
    about={
        "status": "Selects the type and the message; it is not sent.",
        "type": "The type of the error in the API's words.",
        "message": "The message of the error.",
        "code": "The code of the error, if the API has one.",
        "failure": "One of the API's known failures, by name.",
        "form": "The form of the error, of those that the API has.",
    },
)


@frozen
class SendError(StreamAction):
    """The API's own error within the stream; then the stream's proper end."""

    key, label = "error", "stream-error"
    about = "The API's own error in the stream, then the proper end."
    point = FIRST_EVENT
    ends = True
    whole_events = True
    causes = "error-event"

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

    @classmethod
    def written(cls) -> Value[Self]:
        """Return that it is ``true``, the type of the error, or an object."""
        kind = TEXT.into(lambda error: cls(error=error))
        parts = _KEYS.into(lambda read: cls(error=read.pop("type", None), **read))
        return constant(True, cls(), by_type(parts, string=kind))

    def on_events(self, stream: EventStream) -> Action:
        """Return what sends the error at the point."""
        answer = stream.answer
        failure = self.failure_of(answer.provider)

        def acts(_: float) -> list[Act]:
            data = stream.progress.error(failure, answer.fields, stream.uniform, self.form)
            return [Send(data), Finish()]

        return AtOnce(acts)

    # What it is to an API

    @property
    def named_failure(self) -> str | None:
        """The name of one of the API's failures, if it has one."""
        return self.failure

    def failure_of(self, provider: Provider) -> Failure:
        """Return the error in the API's terms; what the fault sets replaces the API's own."""
        known = provider.failures.get(self.failure) if self.failure else None
        failure = Failure(self.status) if known is None else known
        return evolve(
            failure,
            error_type=failure.error_type if self.error is None else self.error,
            message=failure.message if self.message is None else self.message,
            code=failure.code if self.code is None else self.code,
        )

    @property
    def depends_on_api(self) -> bool:
        """Whether it names something that not every API has."""
        return self.failure is not None or bool(self.form)

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:
        """Return what the API has not that it names; None if it has all of it."""
        if self.failure is not None and (why := provider.why_no_failure(self.failure)):
            return why
        if self.form and not any(self.form in stream.error_forms for stream in shape.streams):
            forms = ", ".join(shape.stream.error_forms)
            return f"an error in a stream of {shape.name} has no form {self.form}; it has {forms}"
        return None
