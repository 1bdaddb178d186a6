"""The options as what they are: one rule.

Knows nothing of where the options came from.
"""

from __future__ import annotations

from attrs import evolve

from faultinject.config.added_headers import checked_header
from faultinject.errors import SettingsError
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


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    name, value = checked_header(name, value)
    return name.encode(), value.encode()


def options_rule(settings: Settings) -> Rule:
    """Return the rule that the options mean: respond to the targets, at random.

    Raises `SettingsError` for a header that an answer cannot have.
    """
    body = None if settings.error_body is None else settings.error_body.encode()
    try:
        headers = tuple(_header(name, value) for name, value in settings.headers)
    except ValueError as error:
        raise SettingsError(f"headers: {error}") from None
    return Rule.of(
        "options",
        narrowed(Match(settings.target_host), settings.only),
        When(settings.error_probability),
        Respond(settings.status_code, body, headers),
        marker=settings.marker,
    )
