"""Makes the smallest answer that an API could give, without asking the API."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from attrs import frozen

from faultinject.http.h1.framing import CHUNKED, length_of
from faultinject.http.headers import MARKER
from faultinject.http.message import Headers, ResponseHead
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest, Fields, Uniform

SPACING_SECONDS = 0.02
"""The time between two events: short enough for tests, long enough for each to arrive alone."""


@frozen(eq=False, repr=False)
class SyntheticResponse:
    """A head, and the body in pieces."""

    head: ResponseHead
    pieces: list[bytes]


def synthetic_response(
    provider: Provider,
    request: ApiRequest,
    fields: Fields,
    uniform: Uniform,
    marker: str | None,
) -> SyntheticResponse:
    """Make the answer."""
    if request.stream:
        shape = provider.shape_of(request.path).requested_stream(request)
        pieces, kind = shape.minimal(request, fields, uniform), shape.content_type
        framing = CHUNKED
    else:
        pieces, kind = (
            [provider.shape_of(request.path).minimal_response(request, fields, uniform)],
            "application/json",
        )
        framing = length_of(pieces[0])
    moment = datetime.fromtimestamp(int(fields.now_seconds), UTC)
    date = format_datetime(moment, usegmt=True).encode()
    headers: Headers = ((b"Date", date), (b"Content-Type", kind.encode()))
    headers += framing + provider.identity_headers(fields, 200)
    if marker is not None:
        headers += ((MARKER, marker.encode()),)
    return SyntheticResponse(ResponseHead(200, b"OK", headers), pieces)
