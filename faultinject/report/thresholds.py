"""From where on something is a finding: numbers that a user may choose."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import Attribute, fields_dict, frozen

from faultinject.errors import SettingsError
from faultinject.reading.shown import nearest, shown_text


@frozen(kw_only=True)
class Thresholds:
    """Seconds, counts and parts of 1. The defaults leave the well-behaved SDKs alone."""

    # How long after a failure something belongs to it
    window_seconds: float = 60.0

    # Waits that were asked for
    longest_wait_seconds: float = 60.0
    """A client need not wait longer than that: some SDKs do, others come sooner, or raise."""
    capped_wait_seconds: float = 30.0
    """So long a client waits at least that was asked for more."""
    early_seconds: float = 0.05
    early_part: float = 0.05
    """So much sooner a client may come (the greater of the two): clocks and timers differ."""
    early_for_date_seconds: float = 1.0
    """The same, for a wait until a date, which has whole seconds."""
    unaware_seconds: float = 1.0
    """So long after an answer that asks for a wait, other calls may not know of it."""

    # Pace
    no_pause_seconds: float = 0.1
    no_pause_gaps: int = 3
    """So many shorter gaps are an error, one less a warning."""
    steady_gaps: int = 4
    steady_part: float = 0.1
    steady_seconds: float = 0.01
    """So many gaps that differ by no more (the greater of the two) are steady."""
    steady_below_seconds: float = 1.0
    storm_attempts: int = 10
    """More attempts of a call within the window are a storm."""
    storm_calls: int = 20
    storm_retries_per_call: float = 2.0
    """With so many calls in the window, more retries for each are a storm."""
    backed_off_seconds: float = 4.0
    backed_off_times: float = 8.0
    """A client backs off whose longest gap is so long, and so many times its shortest."""
    endless_attempts: int = 15
    endless_attempts_error: int = 30
    endless_seconds: float = 600.0
    longest_counted_pause_seconds: float = 60.0
    """A longer pause counts as that: a client that comes once an hour does not try all the time."""
    probe_seconds: float = 5.0
    probe_part: float = 0.2
    """What comes at the same pace (but for this part), no faster, is a probe."""
    crowd: int = 5
    crowd_seconds: float = 0.1
    """So many calls that fail within this are a crowd."""
    in_step_seconds: float = 0.02
    in_step_part: float = 0.05

    # Silence
    hung_stream_seconds: float = 120.0
    hung_head_seconds: float = 600.0

    # Effects
    effects: frozenset[str] = frozenset()
    """The tools that change something: to run them twice is an error."""


OPTION = "--threshold"
_MOST = 1e9


def read_thresholds(given: Iterable[tuple[str, str]], effects: Iterable[str] = ()) -> Thresholds:
    """Return the thresholds with some of them as given by name, in text.

    Seconds and parts are numbers, counts are whole numbers, from 0. Raises `SettingsError`.
    """
    named = fields_dict(Thresholds)
    values: dict[str, float] = {}
    for name, text in given:
        if name not in named or name == "effects":
            raise _unknown(name, sorted(named.keys() - {"effects"}))
        values[name] = _number(named[name], text)
    return Thresholds(**values, effects=frozenset(effects))  # type: ignore[arg-type]


def _unknown(name: str, names: list[str]) -> SettingsError:
    """Return an error with what is probably meant: a name alike, or those that begin so."""
    word = name.replace("-", "_").lower()
    begun = [each for each in names if each.startswith(f"{word}_")]
    meant = " or ".join(begun) or nearest(word, names)
    hint = f"did you mean {meant}?" if meant else f"they are {', '.join(names)}"
    return SettingsError(f"{OPTION}: there is no threshold {shown_text(name)}; {hint}")


def _number(field: Attribute[float], text: str) -> float:
    kind: type[float] = int if isinstance(field.default, int) else float
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if not 0 <= number <= _MOST:  # NaN is not, either
        what = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{OPTION}: {field.name}: {text!r} is not {what} from 0 on")
    return number
