"""A request's body as rules read it: without its content codings."""

from __future__ import annotations

from faultinject.http.coding import content_codings, decoded
from faultinject.missing import MISSING
from faultinject.proxy.session import Services
from faultinject.rules.facts import Facts

_LONGEST_CODING = 40


def add_body(services: Services, facts: Facts, body: bytes) -> None:
    """Put a body that came with a request into its facts.

    One that cannot be decoded is taken as it came, and a warning says so.
    """
    facts.body = body
    if not body or not (codings := content_codings(facts.head.headers)):
        return
    try:
        facts.body = decoded(body, codings, services.limits.drained_body_bytes)
    except ValueError as error:
        if facts.json is not MISSING:  # it is not coded, whatever its header says
            return
        words = b", ".join(codings)[:_LONGEST_CODING].decode("ascii", "backslashreplace")
        services.warn_once(
            f"a request to {facts.host} has a compressed body (content-encoding: {words}) that"
            f" cannot be decoded ({error}): rules that read the body do not match such requests"
        )
