"""Answers of Envoy, which is behind the edge of many APIs."""

from __future__ import annotations

from faultinject.http.message import Headers
from faultinject.providers.provider import ErrorPage
from faultinject.providers.shape import Fields

_UPSTREAM_ERROR = "upstream connect error or disconnect/reset before headers. reset reason: "
_REASONS = {
    "overflow": "overflow",
    "connection-timeout": "connection timeout",
    "connection-termination": "connection termination",
    "connection-refused": "remote connection failure, transport failure reason: delayed connect"
    " error: Connection refused",
}


def _envoy_headers(fields: Fields) -> Headers:
    del fields
    return ()


def _envoy(name: str, text: str) -> ErrorPage:
    return ErrorPage(
        f"envoy-503-{name}",
        503,
        "Service Unavailable",
        "text/plain",
        lambda _: text.encode(),
        _envoy_headers,
        "the text is captured (claude-code#7043, #7403, #2024, #8800); its Content-Type and the"
        " lack of other headers are not verified",
    )


PAGES = (
    *(_envoy(name, _UPSTREAM_ERROR + reason) for name, reason in _REASONS.items()),
    _envoy("no-healthy-upstream", "no healthy upstream"),
)
"""All of them."""
