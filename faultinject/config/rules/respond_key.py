"""Reads ``respond``: the answer that replaces the API's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from faultinject.config.kinds import checked_header
from faultinject.faults.place import Stage
from faultinject.faults.respond import Respond, RetryAfter
from faultinject.http.message import Headers
from faultinject.reading.node import Node
from faultinject.reading.shown import shown_text

_BODIES = ("body", "json", "file")
_WORDS = ("error", "message", "code", "param", "details")
_API = (*_WORDS, "failure", "rate_limit", "request_id")


def read_respond(node: Node) -> Respond:
    """Return the fault. Raises `SettingsError`."""
    if not isinstance(node.value, dict):
        return Respond(_status(node), filled=True)
    read = node.read(_READERS, "a status, or an object as {status: 429}")
    fields = node.members("an object")
    _check_together(node, fields)
    fault = Respond(
        read.get("status"),
        next((read[key] for key in _BODIES if key in read), None),
        read.get("headers", ()),
        filled=True,
        retry_after=read.get("retry_after"),
        details=read.get("details"),
        keep_open=read.get("connection", "keep") == "keep",
        at=Stage.CONNECT if read.get("at") == "connect" else Stage.ANSWER,
        answered=read.get("upstream") == "answered",
        **{key: read[key] for key in _TEXTS if key in read},
    )
    if fault.at is Stage.CONNECT:
        _check_connect(fields, fault)
    return fault


_TEXTS = ("error", "message", "code", "param", "failure", "page", "request_id", "rate_limit")


def _status(node: Node) -> int:
    if type(node.value) is not int or not 200 <= node.value <= 599:
        raise node.wrong("a status from 200 to 599")
    return node.value


def _words(*words: str) -> Callable[[Node], str]:
    return lambda node: node.word(*words)


def _check_together(node: Node, fields: Mapping[str, Node]) -> None:
    if not {"status", "failure", "page"} & fields.keys():
        raise node.problem("give a status (or a failure or a page, which have one)")
    bodies = [key for key in _BODIES if key in fields]
    for other in bodies[1:]:
        raise fields[other].problem(f"there is a {bodies[0]} already; give one of the two")
    if "page" in fields:
        _refuse(fields, ("status", *_BODIES, *_API), "a page has its own")
    if bodies:
        _refuse(
            fields,
            (*_WORDS, "failure"),
            f"it is part of the API's body, but there is a {bodies[0]}",
        )
    status = fields.get("status")
    if (
        status is not None
        and status.value in (204, 304)
        and (bodies or any(word in fields for word in _WORDS))
    ):
        raise status.problem(f"an answer of status {status.value} has no body (RFC 9110)")


def _refuse(fields: Mapping[str, Node], keys: tuple[str, ...], reason: str) -> None:
    for key in keys:
        if key in fields:
            raise fields[key].problem(f"it cannot be given here: {reason}")


def _check_connect(fields: Mapping[str, Node], fault: Respond) -> None:
    _refuse(fields, (*_API, "page", "upstream"), "at connect a proxy answers, not an API")
    if fault.status is not None and fault.status < 300:
        raise fields["status"].problem(
            f"{fault.status} would open the tunnel; write a status from 300 to 599"
        )


# -- the body -----------------------------------------------------------------------------------


def _text_body(node: Node) -> bytes:
    if not isinstance(node.value, str):
        raise node.problem("the body is not text; write json: for a JSON value, file: for a file")
    return node.encodable(node.value).encode()


def _json_body(node: Node) -> bytes:
    return node.encodable(node.json()).encode()


def _file_body(node: Node) -> bytes:
    name = node.text("the name of a file")
    try:
        return node.place.source.read_file(name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise node.problem(f"cannot read {shown_text(name)}: {reason}") from None


# -- headers and details ------------------------------------------------------------------------


def _headers(node: Node) -> Headers:
    members = node.members("an object of header names and values")
    if len({name.lower() for name in members}) < len(members):
        raise node.problem("it names a header twice, in different case; give a list of values")
    return tuple(
        _header(name, item) for name, field in members.items() for item in field.filled_items()
    )


def _header(name: str, node: Node) -> tuple[bytes, bytes]:
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise node.problem("the value of the header is not text")
    try:
        checked, text = checked_header(name, value)
    except ValueError as error:
        raise node.problem(str(error)) from None
    return checked.encode(), text.encode()


def _retry_after(node: Node) -> RetryAfter:
    if not isinstance(node.value, dict):
        return RetryAfter(node.duration())
    fields = node.fields(("date",), "a duration, or {date: 30s} for a date that far from now")
    if "date" not in fields:
        raise node.problem("date is missing, as in {date: 30s}")
    return RetryAfter(fields["date"].duration(), as_date=True)


def _details(node: Node) -> Mapping[str, Any]:
    if not isinstance(node.value, dict):
        raise node.wrong("an object")
    _json_body(node)
    return node.value


_READERS: dict[str, Callable[[Node], Any]] = {
    "status": _status,
    "error": Node.text,
    "message": Node.text,
    "code": Node.text,
    "param": Node.text,
    "details": _details,
    "failure": Node.text,
    "page": Node.text,
    "body": _text_body,
    "json": _json_body,
    "file": _file_body,
    "headers": _headers,
    "retry_after": _retry_after,
    "request_id": Node.text,
    "rate_limit": Node.text,
    "connection": _words("keep", "close"),
    "at": _words("request", "connect"),
    "upstream": _words("skipped", "answered"),
}
RESPOND_KEYS = tuple(_READERS)
"""The keys of ``respond``."""
