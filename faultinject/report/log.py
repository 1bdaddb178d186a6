"""Events from a log: what ``--log-format json`` wrote, read back.

Only those that the report is made of; the others are passed over.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from faultinject.errors import FaultinjectError
from faultinject.events import (
    VERSION,
    CommandEnded,
    Event,
    EventsDropped,
    ExchangeEnded,
    HandshakeFailed,
    PluginStarted,
    PluginStopped,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    RuleUnfit,
)
from faultinject.observed import Observed
from faultinject.seen import seen_of

_READ: dict[str, type[Event]] = {
    kind.NAME: kind
    for kind in (
        ProxyStarted, ProxyStopped, PluginStarted, PluginStopped, ExchangeEnded, HandshakeFailed,
        RelayEnded, CommandEnded, EventsDropped, RuleUnfit,
    )
}  # fmt: skip


_WANTED = "the events that `--log-format json` wrote (to `--log-file FILE` under `run`)"
_IS_A_REPORT = f"this is a report, which `--report` wrote; give {_WANTED}"
_REPORT_KEY = '"verdicts": ['
_REPORT_HEAD = 40
"""In so many lines of a report in JSON that key has come."""


class LogError(FaultinjectError):
    """A log that cannot be read, and where."""


def read_log(lines: Iterable[str]) -> Iterator[Event]:
    """Return the events of a log, as far as the report is made of them.

    A last line that was cut (the program was killed while it wrote) is left out. Raises `LogError`.
    """
    lines = iter(lines)
    for number, line in enumerate(lines, 1):
        try:
            document = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            if not line.endswith("\n"):
                return
            if number == 1 and _REPORT_KEY in "".join(islice(lines, _REPORT_HEAD)):
                raise LogError(_IS_A_REPORT) from None
            hint = f"; give {_WANTED}" if number == 1 else ""
            raise LogError(f"line {number} is no JSON object: {error}{hint}") from None
        try:
            event = event_of(document)
        except LogError as error:
            raise LogError(f"line {number}: {error}") from None
        if event is not None:
            yield event


def event_of(document: Any) -> Event | None:
    """Return the event that a JSON value is of; None if the report does not need it.

    Raises `LogError`.
    """
    if isinstance(document, dict) and "verdicts" in document:
        raise LogError(_IS_A_REPORT)
    if not isinstance(document, dict) or "event" not in document:
        raise LogError("it is no event of faultinject: `event` is missing")
    if document.get("v") != VERSION:
        raise LogError(f"its version (`v`) is {document.get('v')!r}; this program reads {VERSION}")
    name = document["event"]
    kind = _READ.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    values = document | {"time": _seconds(document.get("time"))}
    if kind is ExchangeEnded:
        values["seen"] = seen_of(_object(Observed, document))
    return _object(kind, values)  # type: ignore[no-any-return]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _seconds(text: Any) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise LogError(f"time: {text!r} is no time (RFC 3339)") from None


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.alias: hints[each.name] for each in attrs.fields(kind)}


def _object(kind: type, document: dict[str, Any]) -> Any:
    values = {}
    for each in attrs.fields(kind):
        name = each.alias
        if name in document:
            values[name] = _value(_hints(kind)[name], document[name], name)
        elif each.default is attrs.NOTHING:
            raise LogError(f"`{name}` is missing")
    return kind(**values)


def _value(hint: Any, value: Any, name: str) -> Any:
    """Return a value as a field has it. Raises `LogError` if the field cannot have it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of(args, value, name)
    if origin is Literal:
        if value in args:
            return value
    elif origin is tuple and isinstance(value, list):
        return tuple([_value(args[0], each, name) for each in value])
    elif origin is dict and isinstance(value, dict):
        return {key: _value(args[1], each, name) for key, each in value.items()}
    elif origin is None:
        return _plain(hint, value, name)
    raise _wrong(value, name)


def _one_of(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    for kind in kinds:
        try:
            return _value(kind, value, name)
        except LogError:
            continue
    raise _wrong(value, name)


def _plain(kind: type, value: Any, name: str) -> Any:
    if attrs.has(kind) and isinstance(value, (dict, kind)):
        return _object(kind, value) if isinstance(value, dict) else value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _float(value, name)
    if type(value) is kind:
        return value
    raise _wrong(value, name)


def _float(value: float, name: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise _wrong(value, name) from None
    if math.isinf(number):  # JSON may have 1e999
        raise _wrong(value, name)
    return number


def _wrong(value: object, name: str) -> LogError:
    shown = repr(value)
    return LogError(f"{name}: cannot be {shown if len(shown) <= 60 else shown[:57] + '...'}")
