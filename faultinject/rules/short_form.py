"""The options as what they are: one rule.

Knows nothing of where the options came from.
"""

from __future__ import annotations

from faultinject.faults.respond import Respond
from faultinject.rules.match import Match
from faultinject.rules.model import Rule
from faultinject.rules.when import When
from faultinject.settings import Settings


def options_rule(settings: Settings) -> Rule:
    """Return the rule that the options mean: respond to the targets, at random."""
    body = None if settings.error_body is None else settings.error_body.encode()
    headers = tuple((name.encode(), value.encode()) for name, value in settings.headers)
    return Rule.of(
        "options",
        Match(settings.target_host),
        When(settings.error_probability),
        Respond(settings.status_code, body, headers),
        marker=settings.marker,
    )
