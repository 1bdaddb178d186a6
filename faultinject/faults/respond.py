"""The fault *respond*: answer in place of the API.

`InjectedResponse.parts` adds the framing and Date when the answer is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attrs import field, frozen

from faultinject.faults.place import Ability, Stage
from faultinject.http.h1.framing import length_of
from faultinject.http.headers import MARKER
from faultinject.http.message import End, Headers, Part, ResponseHead, find_header
from faultinject.providers.anthropic.errors import error_body, reason_phrase
from faultinject.providers.gateway import PARTS
from faultinject.providers.provider import Provider


@frozen
class RetryAfter:
    """When the client may try again, by the answer."""

    seconds: float
    as_date: bool = False
    """Whether the header has a date (RFC 9110 section 10.2.3) that far from now."""


@frozen
class Respond:
    """Answer with a given status, body and headers.

    Without a ``body`` the answer has the API's own error document for the status. There ``error``,
    ``message``, ``code``, ``param`` and ``details`` replace the API's own values.
    """

    status: int | None
    """None if ``failure`` or ``page`` has one."""
    body: bytes | None = field(default=None, repr=False)
    headers: Headers = ()
    filled: bool = False
    """Whether names of fields in braces, as ``{request_id}``, are replaced in the body and the
    headers."""
    error: str | None = None
    """The type of the error, as the API calls it."""
    message: str | None = None
    code: str | None = None
    param: str | None = None
    details: Mapping[str, Any] | None = field(default=None, hash=False)
    failure: str | None = None
    """The name of one of the API's failures (`Provider.failures`). The fields above override it."""
    page: str | None = None
    """The name of a gateway's answer (`Provider.pages`)."""
    retry_after: RetryAfter | None = None
    request_id: str | None = None
    """The id of the request, in place of one like the API's."""
    rate_limit: str | None = None
    """The rate limit that is exhausted, as the API calls it. Its headers are sent then."""
    keep_open: bool = True
    """Whether the connection may serve another request."""
    at: Stage = Stage.ANSWER
    """`Stage.ANSWER`, or `Stage.CONNECT` to answer the CONNECT."""
    answered: bool = False
    """Whether the upstream is asked too, and its answer thrown away."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the proxy or plugin must be able to do."""
        needed_for = {
            Ability.CONNECT: self.at is Stage.CONNECT,
            Ability.ANSWERED: self.answered,
            Ability.CLOSE_AFTER: not self.keep_open,
        }
        return frozenset(ability for ability, needed in needed_for.items() if needed)

    @property
    def depends_on_api(self) -> bool:
        """Whether it names something that not every API has."""
        return self.failure is not None or self.page is not None

    def why_unfit(self, provider: Provider) -> str | None:
        """Return what an API has not that it names; None if the API has all of it."""
        if self.failure is not None and (why := provider.why_no_failure(self.failure)):
            return why
        if self.page is not None and self.page not in provider.pages:
            parts = ", ".join(PARTS)
            return (
                f"{provider.title} has no page {self.page}; every API has {parts}, or give status"
                " and body"
            )
        return None


@frozen(cache_hash=True)
class InjectedResponse:
    """A complete answer, which can be sent any number of times."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes = field(repr=False)

    def parts(self, date: bytes) -> tuple[Part, ...]:
        """Return the response with its Date."""
        return _parts(self, date)


def injected_response(fault: Respond, marker: str | None) -> InjectedResponse:
    """Make the answer of a fault that has only a status, a body and headers.

    ``marker`` is the rule's id for the marker header, or None for none.
    """
    status = 500 if fault.status is None else fault.status
    body = error_body(status) if fault.body is None else fault.body
    if status in (204, 304):
        body = b""  # these statuses have none (RFC 9110 sections 15.3.5 and 15.4.5)
    headers: list[tuple[bytes, bytes]] = []
    if body and find_header(fault.headers, b"content-type") is None:
        headers.append((b"Content-Type", content_type(body)))
    headers.extend(fault.headers)
    if status not in (204, 304):
        headers.extend(length_of(body))
    if marker is not None:
        headers.append((MARKER, marker.encode()))
    reason = reason_phrase(status).encode()
    return InjectedResponse(status, reason, tuple(headers), body)


def content_type(body: bytes) -> bytes:
    """Return the content type of a body: JSON, HTML, or plain text."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):  # the latter if it is nested too deeply
        html = body.lstrip()[:1] == b"<"
        return b"text/html; charset=utf-8" if html else b"text/plain; charset=utf-8"
    return b"application/json"


@lru_cache(maxsize=64)
def _parts(response: InjectedResponse, date: bytes) -> tuple[Part, ...]:
    # Cached: at full speed many requests a second get the answer of the same second.
    headers = ((b"Date", date), *response.headers)
    head = ResponseHead(response.status, response.reason, headers)
    return (head, response.body, End()) if response.body else (head, End())
