"""Renders the answer of the fault *respond* for one request, in the form of its API."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import TypeVar

from attrs import evolve

from faultinject.faults.respond import InjectedResponse, Respond, content_type
from faultinject.faults.stream import StreamFault
from faultinject.faults.stream.stream_action import StreamAction
from faultinject.http.h1.framing import length_of
from faultinject.http.headers import MARKER
from faultinject.http.message import Headers, standard_phrase, without_headers
from faultinject.providers.documents import filled
from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import ErrorPage, Provider
from faultinject.providers.shape import ApiRequest, Failure, Fields

T = TypeVar("T")
_WITHOUT_BODY = (204, 304)  # RFC 9110 sections 15.3.5 and 15.4.5
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


def render_reply(
    fault: Respond, provider: Provider, fields: Fields, marker: str | None
) -> InjectedResponse:
    """Make the answer. ``marker`` is the value of its marker header, or None for no such header.

    A header of the fault replaces the API's header of the same name.
    """
    if fault.request_id is not None:
        fields = evolve(fields, request_id=fault.request_id)
    page = provider.pages.get(fault.page) if fault.page is not None else None
    if page is not None:
        status, reason, body, headers = _of_page(page, fault, fields)
    else:
        failure = _failure(fault, provider)
        status, reason = failure.status, provider.reason_phrase(failure.status)
        body, headers = _of_api(fault, failure, provider, fields)
    headers = _merged(_dated(headers, fault, fields), _own_headers(fault, fields))
    return _response(status, reason, headers, body, marker)


def render_proxy_reply(fault: Respond, fields: Fields, marker: str | None) -> InjectedResponse:
    """Make the answer to a CONNECT: a proxy's, in plain text and without the API's form."""
    status = 502 if fault.status is None else fault.status
    reason = standard_phrase(status)
    body = f"{status} {reason}\n".encode() if fault.body is None else _own_body(fault, fields)
    headers: Headers = ((b"Content-Type", content_type(body)),)
    if status == 407:  # required by RFC 9110 section 15.5.8
        headers += ((b"Proxy-Authenticate", b'Basic realm="faultinject"'),)
    if fault.retry_after is not None:
        headers += ((b"Retry-After", b"%d" % fault.retry_after.seconds),)
    headers = _merged(_dated(headers, fault, fields), _own_headers(fault, fields))
    return _response(status, reason, headers, body, marker)


def _response(
    status: int, reason: str, headers: Headers, body: bytes, marker: str | None
) -> InjectedResponse:
    if status in _WITHOUT_BODY:
        body, headers = b"", without_headers(headers, b"content-type")
    else:
        headers += length_of(body)
    if marker is not None:
        headers += ((MARKER, marker.encode()),)
    return InjectedResponse(status, reason.encode(), headers, body)


# -- who speaks ---------------------------------------------------------------------------------


def _of_page(page: ErrorPage, fault: Respond, fields: Fields) -> tuple[int, str, bytes, Headers]:
    headers = ((b"Content-Type", page.content_type.encode()), *page.headers(fields))
    if fault.retry_after is not None:
        seconds = math.ceil(fault.retry_after.seconds)
        headers = _merged(headers, ((b"Retry-After", b"%d" % seconds),))
    return page.status, page.reason, page.body(fields), headers


def _failure(fault: Respond, provider: Provider) -> Failure:
    """Return the fault in the API's terms."""
    known = provider.failures.get(fault.failure) if fault.failure is not None else None
    failure = Failure() if known is None else known
    retry_after = fault.retry_after
    return Failure(
        _first(fault.status, failure.status),
        _first(fault.error, failure.error_type),
        _first(fault.message, failure.message),
        _first(fault.code, failure.code),
        _first(fault.param, failure.param),
        _first(fault.details, failure.details),
        _first(fault.rate_limit, failure.exhausted),
        failure.retry_after_seconds if retry_after is None else retry_after.seconds,
    )


def _first(one: T | None, other: T) -> T:
    return other if one is None else one


def _of_api(
    fault: Respond, failure: Failure, provider: Provider, fields: Fields
) -> tuple[bytes, Headers]:
    """Return body and headers of an answer in the API's form, or with the user's own body.

    An answer with the user's own body has none of the API's headers, unless the fault asks for
    them.
    """
    # Some APIs tell of failures with a 200, and only a failure by name is one.
    if fault.body is None and (failure.status >= 400 or fault.failure is not None):
        kind = ((b"Content-Type", provider.error_content_type.encode()),)
        headers = kind + provider.error_headers(failure, fields)
        return provider.error_body(failure, fields), headers
    if fault.body is None:
        return b"", provider.error_headers(failure, fields)
    body = _own_body(fault, fields)
    headers = ((b"Content-Type", content_type(body)),) if body else ()
    if fault.retry_after is not None:
        headers += provider.retry_headers(failure)
    if fault.rate_limit is not None:
        headers += provider.rate_limit_headers(failure, fields)
    if fault.request_id is not None and provider.request_id_header is not None:
        headers += ((provider.request_id_header, fields.request_id.encode()),)
    return body, headers


# -- what the fault says ------------------------------------------------------------------------


def _own_body(fault: Respond, fields: Fields) -> bytes:
    body = fault.body or b""
    if not fault.filled:
        return body
    try:
        return filled(body.decode(), fields).encode("utf-8", "replace")
    except UnicodeDecodeError:  # a picture, say: there is nothing to fill in
        return body


def _own_headers(fault: Respond, fields: Fields) -> Headers:
    if not fault.filled:
        return fault.headers
    return tuple((name, _filled_value(value, fields)) for name, value in fault.headers)


def _filled_value(value: bytes, fields: Fields) -> bytes:
    """Fill in a header's value. Nothing from the client's request can end its line."""
    model = fields.model.encode("utf-8", "replace").decode()  # it may be half a surrogate pair
    text = filled(value.decode("utf-8", "surrogateescape"), evolve(fields, model=model))
    return _CONTROLS.sub(" ", text).strip().encode("utf-8", "surrogateescape")


def _merged(headers: Headers, own: Headers) -> Headers:
    """Return the headers, with the user's own in place of those of the same names."""
    names = {name.lower() for name, _ in own}
    return (*without_headers(headers, *names), *own)


def _dated(headers: Headers, fault: Respond, fields: Fields) -> Headers:
    """Return the headers with ``Retry-After`` as a date, if the fault asks for that."""
    retry_after = fault.retry_after
    if retry_after is None or not retry_after.as_date:
        return headers
    moment = datetime.fromtimestamp(int(fields.now_seconds + retry_after.seconds), UTC)
    date = format_datetime(moment, usegmt=True).encode()
    return tuple((key, date if key.lower() == b"retry-after" else value) for key, value in headers)


_MODEL = "a-model-that-nobody-asks-for"


def names_model(
    respond: Respond | None, stream: tuple[StreamFault, ...], provider: Provider
) -> bool:
    """Return True if an answer, or an error in a stream, names the model in the API's terms."""
    actions = (each.action for each in stream)
    parts = (respond, *actions) if respond is not None else actions
    return any(_names_model(each, provider.name) for each in parts)


@lru_cache(maxsize=256)
def _names_model(fault: Respond | StreamAction, api: str) -> bool:
    provider = next(each for each in PROVIDERS if each.name == api)
    fields = provider.draw_fields(lambda: 0.0, 0.0, ApiRequest("", {"model": _MODEL}))
    if isinstance(fault, StreamAction):
        failure = fault.failure_of(provider)
        return failure is not None and _MODEL.encode() in provider.error_body(failure, fields)
    response = render_reply(fault, provider, fields, None)
    return any(
        _MODEL.encode() in text for text in (response.body, *dict(response.headers).values())
    )
