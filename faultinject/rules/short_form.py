"""The options as what they are: one rule.

Knows nothing of where the options came from.
"""

from __future__ import annotations

from attrs import evolve

from faultinject.faults.respond import Respond
from faultinject.rules.match import Match
from faultinject.rules.model import Rule
from faultinject.rules.when import When
from faultinject.settings import Only, Settings


def narrowed(match: Match, only: Only) -> Match:
    """Return the match for those of its requests alone that ``--only`` means."""
    if only == "all":
        return match
    return evolve(match, model_call=True) if only == "model" else evolve(match, housekeeping=False)


def options_rule(settings: Settings) -> Rule:
    """Return the rule that the options mean: respond to the targets, at random."""
    body = None if settings.error_body is None else settings.error_body.encode()
    headers = tuple((name.encode(), value.encode()) for name, value in settings.headers)
    return Rule.of(
        "options",
        narrowed(Match(settings.target_host), settings.only),
        When(settings.error_probability),
        Respond(settings.status_code, body, headers),
        marker=settings.marker,
    )
