"""Reads ``respond``: the answer that replaces the API's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faultinject.config.header_values import HEADERS
from faultinject.faults.place import Stage
from faultinject.faults.respond import Respond, RetryAfter
from faultinject.providers.known import FAILURES, PAGES
from faultinject.reading.keys import Keys, Read, all_apart
from faultinject.reading.node import Node
from faultinject.reading.shown import shown_text
from faultinject.reading.value import DURATION_SECONDS, TEXT, Value, by_type, meaning, text

_BODIES = ("body", "json", "file")
_WORDS = ("error", "message", "code", "param", "details")
_API = (*_WORDS, "failure", "rate_limit", "request_id")
_TEXTS = ("error", "message", "code", "param", "failure", "page", "request_id", "rate_limit")
_OPENS_TUNNEL = range(200, 300)
_WITHOUT_BODY = (204, 304)


def _status(node: Node) -> int:
    if type(node.value) is not int or not 200 <= node.value <= 599:
        raise node.wrong("a status from 200 to 599")
    return node.value


def _respond(node: Node, read: Read) -> Respond:
    status = read.get("status")
    if status in _WITHOUT_BODY and any(key in read for key in (*_BODIES, *_WORDS)):
        raise node.part("status").problem(f"an answer of status {status} has no body (RFC 9110)")
    at = read.get("at", Stage.ANSWER)
    if at is Stage.CONNECT:
        _check_connect(node, read)
    return Respond(
        status,
        next((read[key] for key in _BODIES if key in read), None),
        read.get("headers", ()),
        filled=True,
        retry_after=read.get("retry_after"),
        details=read.get("details"),
        keep_open=read.get("connection", True),
        at=at,
        answered=read.get("upstream", False),
        **{key: read[key] for key in _TEXTS if key in read},
    )


def _check_connect(node: Node, read: Read) -> None:
    for key in (*_API, "page", "upstream"):
        if key in read:
            raise node.part(key).problem(_NOT_HERE.format("at connect a proxy answers, not an API"))
    if read.get("status") in _OPENS_TUNNEL:
        raise node.part("status").problem(
            f"{read['status']} would open the tunnel; write a status from 300 to 599"
        )


# -- values -------------------------------------------------------------------------------------


def _text_body(node: Node) -> bytes:
    if not isinstance(node.value, str):
        raise node.problem("the body is not text; write json: for a JSON value, file: for a file")
    return node.encodable(node.value).encode()


def _json_body(node: Node) -> bytes:
    return node.encodable(node.json()).encode()


def _file_body(node: Node, name: str) -> bytes:
    try:
        return node.place.source.read_file(name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise node.problem(f"cannot read {shown_text(name)}: {reason}") from None


def _details(node: Node) -> Mapping[str, Any]:
    if not isinstance(node.value, dict):
        raise node.wrong("an object")
    _json_body(node)
    return node.value


_RETRY_AFTER = by_type(
    DURATION_SECONDS.into(RetryAfter),
    object=Keys(
        {"date": DURATION_SECONDS},
        "a duration, or {date: 30s} for a date that far from now",
        needed=("date",),
        missing="date is missing, as in {date: 30s}",
        about={"date": "How far from now the date is that the header has."},
    ).into(lambda read: RetryAfter(read["date"], as_date=True)),
)
_STATUS = Value(_status, {"type": "integer", "minimum": 200, "maximum": 599})
_KEYS: Mapping[str, Value[Any]] = {
    "status": _STATUS,
    "error": TEXT,
    "message": TEXT,
    "code": TEXT,
    "param": TEXT,
    "details": Value(_details, {"type": "object"}),
    "failure": Value(Node.text, {"enum": FAILURES}, "failure"),
    "page": Value(Node.text, {"enum": PAGES}, "page"),
    "body": Value(_text_body, {"type": "string"}),
    "json": Value(_json_body, {}),
    "file": text("the name of a file").then(_file_body),
    "headers": HEADERS.into(
        lambda headers: tuple((name.encode(), value.encode()) for name, value in headers)
    ),
    "retry_after": _RETRY_AFTER,
    "request_id": TEXT,
    "rate_limit": TEXT,
    "connection": meaning({"keep": True, "close": False}),
    "at": meaning({"request": Stage.ANSWER, "connect": Stage.CONNECT}),
    "upstream": meaning({"skipped": False, "answered": True}),
}
RESPOND_KEYS = tuple(_KEYS)
"""The keys of ``respond``."""

ABOUT = {
    "status": "The status of the answer.",
    "error": "The type of the error in the API's words, in place of that of the status.",
    "message": "The message of the error; names of fields in braces are filled in.",
    "code": "The code of the error, if the API has one.",
    "param": "The parameter that the error is about, if the API has that.",
    "details": "More members of the error, if the API has a place for them.",
    "failure": "One of the API's known failures, by name.",
    "page": "An answer of what is in front of the API, by name.",
    "body": "The text of the body, in place of the API's document.",
    "json": "The body as a JSON value, in place of the API's document.",
    "file": "The name of a file with the body, relative to the folder of the rules.",
    "headers": "Headers by name; a list of values for a header that comes more than once.",
    "retry_after": "How long the answer asks to wait, in the API's way, or as a date.",
    "request_id": "The id of the request, in place of one that looks like the API's.",
    "rate_limit": "The limit that is exhausted, by the API's name for it: its headers are sent.",
    "connection": "Whether the connection stays open (`keep`) or not (`close`).",
    "at": "What is answered: the `request`, or the CONNECT (`connect`), as a proxy would.",
    "upstream": "Whether the API is not asked (`skipped`), or its answer thrown away (`answered`).",
}
_NOT_HERE = "it cannot be given here: {}"
_OF_BODY = _NOT_HERE.format("it is part of the API's body, but there is a {}")
_HAS_OWN = _NOT_HERE.format("a page has its own")
RESPOND = by_type(
    _STATUS.into(lambda status: Respond(status, filled=True)),
    object=Keys(
        _KEYS,
        "a status, or an object as {status: 429}",
        some=("status", "failure", "page"),
        none="give a status (or a failure or a page, which have one)",
        about=ABOUT,
        apart=(
            *all_apart(_BODIES, "there is a {} already; give one of the two"),
            *(("page", key, _HAS_OWN) for key in ("status", *_BODIES, *_API)),
            *(
                (body, key, _OF_BODY.format(body))
                for body in _BODIES
                for key in (*_WORDS, "failure")
            ),
        ),
    ).then(_respond),
)
