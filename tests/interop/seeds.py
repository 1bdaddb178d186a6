"""Seeds that make the first requests of a run fail and the following ones pass.

The proxy promises that the k-th request to reach a rule gets that rule's k-th draw for a seed, so
one proxy can show a client object a fault and then a success without a switch in it. The draws
are asked of faultinject's own code; the proxy itself is a process that is only told the seed.
"""

from __future__ import annotations

from itertools import count

from faultinject.rules import Draws

RULE_ID = "options"
"""The id of the rule that the options stand for; the tests hold the proxy's events against it."""


def failing_first(failures: int, successes: int) -> list[str]:
    """Return options by which so many requests fail and then so many pass."""
    probability = failures / (failures + successes)
    wanted = [True] * failures + [False] * successes

    def fits(seed: int) -> bool:
        draws = (Draws(seed, RULE_ID, number) for number in range(1, len(wanted) + 1))
        return all(
            draw.chance(probability) is fate for draw, fate in zip(draws, wanted, strict=True)
        )

    seed = next(filter(fits, count()))
    return ["--error-probability", str(probability), "--seed", str(seed)]
