"""Answers in the form of nginx, which also Cloudflare's and Amazon's front ends have."""

from __future__ import annotations

from collections.abc import Callable

from faultinject.http.message import Headers
from faultinject.providers.provider import ErrorPage
from faultinject.providers.shape import Fields

_PHRASES = {
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
"""https://github.com/nginx/nginx/blob/master/src/http/ngx_http_special_response.c"""


def nginx_page(
    name: str,
    status: int,
    signature: str | None,
    evidence: str,
    headers: Callable[[Fields], Headers],
) -> ErrorPage:
    """Return a page called by a gateway's name and a status, with a line at its end or without."""
    title = f"{status} {_PHRASES[status]}"
    signed = f"<hr><center>{signature}</center>\r\n" if signature else ""
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n{signed}</body>\r\n</html>\r\n"
    ).encode()
    return ErrorPage(
        f"{name}-{status}",
        status,
        _PHRASES[status],
        "text/html",
        lambda _: body,
        headers,
        evidence,
    )


def served_by(server: str) -> Callable[[Fields], Headers]:
    """Return what makes the headers of a gateway that says only its name."""
    return lambda _: ((b"Server", server.encode()),)


PAGES = tuple(
    nginx_page(
        "nginx",
        status,
        "nginx",
        "nginx's own source has the page, for a server that hides its version; whether a gateway"
        " of yours sends it is not verified",
        served_by("nginx"),
    )
    for status in _PHRASES
)
"""Those of a reverse proxy of one's own."""

AMAZON = tuple(
    nginx_page(
        "aws",
        status,
        None,
        "captured from Application Load Balancers (122 and 162 bytes for 502 and 503); that"
        " Bedrock's own front end sends the same is not verified",
        served_by("awselb/2.0"),
    )
    for status in _PHRASES
)
"""Those of Amazon's load balancers."""

AZURE = tuple(
    nginx_page(
        "azure",
        status,
        "Microsoft-Azure-Application-Gateway/v2",
        "captured from Application Gateways; that Azure OpenAI's own front end sends the same is"
        " not verified",
        served_by("Microsoft-Azure-Application-Gateway/v2"),
    )
    for status in _PHRASES
)
"""Those of Azure's Application Gateway."""
