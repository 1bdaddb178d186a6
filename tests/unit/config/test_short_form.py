"""The options are one rule."""

from __future__ import annotations

import pytest

from faultinject.authority import TargetPattern
from faultinject.config.rule_set import rule_set_of
from faultinject.settings import Only, Settings


def test_the_options_are_one_rule() -> None:
    """Today's options as the value that the next ones will add to."""
    settings = Settings(
        target_host=(TargetPattern("x.example"),), error_probability=0.5, status_code=503,
        error_body="caf\u00e9", headers=(("Retry-After", "7"),), seed=9, marker=False,
    )  # fmt: skip
    rule_set = rule_set_of(settings)
    [rule] = rule_set.rules
    assert (rule_set.seed, rule.id, rule.when.probability) == (9, "options", 0.5)
    assert rule.response.body == "caf\u00e9".encode()
    assert (b"Retry-After", b"7") in rule.response.headers
    assert b"X-Faultinject" not in dict(rule.response.headers)


@pytest.mark.parametrize(
    ("only", "given"),
    [("model", {"model_call": True}), ("api", {"housekeeping": False}), ("all", {})],
)
def test_what_it_is_for(only: Only, given: dict[str, bool]) -> None:
    """Calls of the API, unless more or less is wanted."""
    [rule] = rule_set_of(Settings(only=only)).rules
    assert rule.match.given == {"hosts": Settings().target_host} | given
