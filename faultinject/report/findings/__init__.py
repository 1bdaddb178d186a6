"""What is looked for: for each finding a pure function of the calls.

A false finding is worse than a missing one. What cannot be known at the proxy is not claimed.
"""

from __future__ import annotations

from collections.abc import Callable

from faultinject.report.finding import Check, Judged, Known
from faultinject.report.findings import (
    backoff,
    conversations,
    coverage,
    effects,
    giving_up,
    nested,
    persistence,
    vain,
    waits,
)
from faultinject.report.run_facts import RunFacts

CHECKS: tuple[tuple[Known, Check], ...] = (
    (waits.RETRY_AFTER_IGNORED, waits.retry_after_ignored),
    (waits.RETRY_AFTER_CAPPED, waits.retry_after_capped),
    (backoff.NO_BACKOFF, backoff.no_backoff),
    (persistence.RETRY_STORM, persistence.retry_storm),
    (nested.RETRIES_NESTED, nested.retries_nested),
    (persistence.ENDLESS_RETRY, persistence.endless_retry),
    (giving_up.NOT_RETRIED, giving_up.not_retried),
    (vain.RETRIED_IN_VAIN, vain.retried_in_vain),
    (backoff.NO_JITTER, backoff.no_jitter),
    (conversations.WORK_REPEATED, conversations.work_repeated),
    (effects.REPEATED_EFFECTS, effects.repeated_effects),
    (conversations.TRUNCATION_MISSED, conversations.truncation_missed),
    (conversations.ERROR_EVENT_MISSED, conversations.error_event_missed),
    (conversations.MALFORMED_IGNORED, conversations.malformed_ignored),
    (conversations.RESUMED, conversations.resumed),
    (conversations.NOT_TRIED_AGAIN, conversations.not_tried_again),
    (giving_up.HUNG, giving_up.hung),
    (giving_up.CLIENT_LEFT, giving_up.client_left),
    (waits.THROTTLED_KEY_CALLED, waits.throttled_key_called),
    (giving_up.FALLBACK, giving_up.fallback),
)
"""Those of the calls."""
RUN_CHECKS: tuple[tuple[Known, Callable[[RunFacts], Judged]], ...] = (
    (coverage.NOTHING_TESTED, coverage.nothing_tested),
    (coverage.RULE_UNFIT, coverage.rule_unfit),
)
"""Those of the run, and not of its calls."""
NOTHING_TESTED = coverage.NOTHING_TESTED
KNOWN: tuple[Known, ...] = tuple(known for known, _ in (*CHECKS, *RUN_CHECKS))
_BY_ID = {known.id: known for known in KNOWN}


def known_by_id(name: str) -> Known:
    """Return the finding that is looked for under an id."""
    return _BY_ID[name]
