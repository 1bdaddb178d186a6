"""What all events have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Literal

from attrs import fields, frozen

VERSION = 1
"""Version of the events' fields; it changes when one is renamed or changes its meaning."""

Level = Literal["debug", "info", "warning", "error"]


@lru_cache(maxsize=1)  # most events fall into the second of the one before
def _utc_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(seconds: float) -> str:
    """Return seconds since the epoch as UTC with milliseconds (RFC 3339 section 5.6)."""
    second, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{_utc_second(second)}.{milliseconds:03d}Z"


@frozen(kw_only=True)
class Event:
    """Something that happened, at ``time`` (seconds since the epoch)."""

    NAME: ClassVar[str]
    LEVEL: ClassVar[Level] = "info"
    _names: ClassVar[tuple[str, ...]]

    time: float

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        # Once a class, since `as_dict` is on the path of every request.
        cls._names = tuple(each.name for each in fields(cls) if each.name != "time")

    @property
    def level(self) -> Level:
        """How much it matters."""
        return self.LEVEL

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON has it: name, version, level and time, then the fields.

        ``time`` is text (`rfc3339`). Not `attrs.asdict`: that looks into every value for nested
        classes, which takes longer than all the rest of an event.
        """
        values: dict[str, Any] = {"event": self.NAME, "v": VERSION, "level": self.level}
        values["time"] = rfc3339(self.time)
        for name in self._names:
            values[name] = getattr(self, name)
        return values


Listener = Callable[[Event], None]
"""Gets every event, at once, in the event loop: it must not block and must not raise."""
