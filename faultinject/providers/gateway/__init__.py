"""Answers of what is in front of an API, which then never saw the request: they have no id of it.

Each API has the pages of its own front. Beside their own names three of them have one that says
what they mean (`PARTS`), so that a rule may be for any API.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from faultinject.providers.gateway import cloudflare, envoy, google, nginx
from faultinject.providers.provider import ErrorPage

Pages = dict[str, ErrorPage]

PARTS = ("bad-gateway", "gateway-unavailable", "gateway-timeout")
"""A 502, a 503 and a 504 of whatever is in front of an API."""


def _front(parts: tuple[str, str, str], *pages: Iterable[ErrorPage]) -> Pages:
    """Return pages by name, and those that play the `PARTS`, in their order."""
    found = {page.name: page for each in pages for page in each}
    return found | {
        part: evolve(found[name], name=part) for part, name in zip(PARTS, parts, strict=True)
    }


def _numbered(name: str, *pages: Iterable[ErrorPage]) -> Pages:
    return _front((f"{name}-502", f"{name}-503", f"{name}-504"), *pages)


CLOUDFLARE = _numbered("cloudflare", cloudflare.PAGES)
"""Cloudflare's edge alone."""
CLOUDFLARE_AND_ENVOY = _front(
    ("cloudflare-502", "envoy-503-overflow", "cloudflare-504"), cloudflare.PAGES, envoy.PAGES
)
"""Cloudflare's edge, and Envoy behind it: so it is with Anthropic and OpenAI."""
GOOGLE = _numbered("google", google.FRONT_END)
"""The front end of Google's own APIs."""
GOOGLE_CLOUD = _front(
    ("google-load-balancer-502", "envoy-503-overflow", "google-load-balancer-504"),
    google.LOAD_BALANCER,
    envoy.PAGES,
)
"""A load balancer in Google's cloud, and Envoy behind it."""
AWS = _numbered("aws", nginx.AMAZON)
"""A load balancer of Amazon's."""
AZURE = _numbered("azure", nginx.AZURE)
"""Azure's Application Gateway."""
NGINX = _numbered("nginx", nginx.PAGES)
"""A reverse proxy of one's own."""

PAGES: Pages = {
    name: page
    for front in (CLOUDFLARE_AND_ENVOY, GOOGLE, GOOGLE_CLOUD, AWS, AZURE, NGINX)
    for name, page in front.items()
    if name not in PARTS
}
"""All pages by their own names."""
