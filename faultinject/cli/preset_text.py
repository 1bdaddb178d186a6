"""A preset in words, with its rules and bytes.

Knows nothing of options. Loads much: import it late.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from faultinject.config import nearest
from faultinject.config.presets import Preset
from faultinject.config.wording import shown_text
from faultinject.errors import SettingsError
from faultinject.faults.place import Stage
from faultinject.providers import PROVIDERS
from faultinject.providers.provider import Provider
from faultinject.report.preview import shown
from faultinject.settings import ChosenPreset

_WIDTH = 100


def preset_text(
    preset: Preset, provider: str | None = None, chosen: ChosenPreset | None = None
) -> str:
    """Return all that there is to a preset. Raises `SettingsError` for an API that is none.

    ``chosen`` is how often it was chosen to happen, if it was.
    """
    return "".join(_text(preset, _providers(provider), chosen or ChosenPreset(preset.name)))


def _providers(name: str | None) -> Iterable[Provider]:
    if name is None:
        return PROVIDERS
    names = {provider.name: provider for provider in PROVIDERS}
    if name not in names:
        near = nearest(name, names)
        mend = f"did you mean {near}?" if near else "there are " + ", ".join(names)
        raise SettingsError(f"--provider: {shown_text(name)} is no API that is known; {mend}")
    return (names[name],)


def _text(preset: Preset, providers: Iterable[Provider], chosen: ChosenPreset) -> Iterator[str]:
    yield f"{preset.name}\n\n"
    yield _paragraph("The client sees: ", preset.sees)
    yield _paragraph("What it should do: ", preset.expect)
    yield _paragraph("Whom it meets: ", _met(preset))
    for words in _how_often(chosen):
        yield _paragraph("As it is chosen: ", words)
    counts_attempts = chosen.first or any(rule.counts_attempts for rule in preset.rules)
    if preset.takes_first and not counts_attempts:
        words = f"with --preset {preset.name}@first=2, the first two attempts of each call alone."
        yield _paragraph("To let a client that tries again get past it: ", words)
    if preset.note is not None:
        yield _paragraph("To note: ", preset.note)
    yield "\nKnown from:\n"
    for each in preset.evidence:
        yield _paragraph("- ", each)
    yield f"\nThe rules:\n\n{textwrap.indent(preset.text, '  ')}\n"
    yield _paragraph(
        "",
        "What goes out. The numbers in it are drawn anew for each answer; ␍ stands for CR, ␃ for"
        " an end without a line end. What is in brackets happens. A stream that is harmed is the"
        " API's own; here it is the smallest that the API could send.",
    )
    for provider in providers:
        yield from sections(preset, provider)


def _how_often(chosen: ChosenPreset) -> Iterator[str]:
    """Say what is behind the @ of a name; the rules are shown without."""
    if chosen.factor != 1:
        yield f"with {chosen.factor:g} times the chance of each rule below, 100 % at most."
    if chosen.first is not None:
        first = f"when: {{first: {chosen.first}, per: attempt-group}}"
        yield f"each rule below is for the first attempts of each call alone, as with {first}."


_CALLS = (
    "calls of the API to a target, as far as the rules below match them. Housekeeping of clients"
    " (telemetry, settings, HEAD) passes, unless --only all is given; with --only model, so does"
    " all that asks no model to generate."
)
_CONNECTIONS = (
    "every connection to a target, whatever it is for: at that time nothing has been asked in it."
    " --only changes nothing."
)


def _met(preset: Preset) -> str:
    early = all(rule.stage in (Stage.CONNECT, Stage.HANDSHAKE) for rule in preset.rules)
    return _CONNECTIONS if early else _CALLS


def sections(preset: Preset, provider: Provider) -> Iterator[str]:
    """Return what goes out for each rule and fault of a preset, each under a line of its own."""
    for rule in preset.rules:
        for number, one in enumerate(shown(rule, provider), 1):
            which = f", {number}" if len(rule.faults) > 1 else ""
            path = f"a stream of {one.path}" if one.stream else one.path
            yield f"\n---- {provider.name}, {path}, rule {rule.id}{which} ----\n"
            yield one.text


def _paragraph(title: str, text: str) -> str:
    indent = " " * len(title) if title == "- " else ""
    return textwrap.fill(title + text, _WIDTH, subsequent_indent=indent) + "\n"
