"""Checks that a rule's parts fit together: its APIs have the names, its facts are known in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from faultinject.faults.fault import Fault
from faultinject.faults.place import Stage
from faultinject.providers.known import FAILURES, PAGES, PROVIDERS
from faultinject.providers.provider import Provider
from faultinject.reading.node import Node, read_all
from faultinject.reading.shown import nearest, shown_text
from faultinject.rules.match import Match
from faultinject.rules.model import Weighted
from faultinject.rules.when import GroupBy, When

_BODIES = ("body", "json", "headers", "details")


def check_names(node: Node, faults: Iterable[Weighted], match: Match) -> None:
    """Refuse the name of a failure or page that no API has, or that an API of the match lacks."""
    names = {pair for choice in faults for pair in _names(choice.fault)}
    read_all(sorted(names), lambda pair: _check(_written(node, *pair) or node, *pair, match))


def _names(fault: Fault) -> Iterator[tuple[str, str]]:
    respond = fault.respond
    if respond is not None and respond.failure is not None:
        yield "failure", respond.failure
    if respond is not None and respond.page is not None:
        yield "page", respond.page
    for each in fault.stream:
        if (failure := each.action.named_failure) is not None:
            yield "failure", failure


def _written(node: Node, kind: str, name: str) -> Node | None:
    """Return the first place in a fault that has a name."""
    if isinstance(node.value, dict):
        members = node.members("an object")
        if kind in members and members[kind].value == name:
            return members[kind]
        parts = [member for key, member in members.items() if key not in _BODIES]
    else:
        parts = node.items() if isinstance(node.value, list) else []
    return next((place for part in parts if (place := _written(part, kind, name))), None)


def _check(node: Node, kind: str, name: str, match: Match) -> None:
    known = FAILURES if kind == "failure" else PAGES
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else "there are " + ", ".join(known)
        raise node.problem(f"no API has a {kind} {shown_text(name)}; {hint}")
    for provider in PROVIDERS:
        if provider.name in (match.providers or ()) and name not in _has(provider, kind):
            raise node.problem(
                f"{provider.name}, which match names, has no {kind} {shown_text(name)}; it has "
                + ", ".join(sorted(_has(provider, kind)))
            )


def _has(provider: Provider, kind: str) -> Iterable[str]:
    return provider.failures if kind == "failure" else provider.pages


_BODY = ("json", "model", "stream", "tools", "attempt")
_KEYS = {"hosts": "host", "methods": "method", "headers": "header", "providers": "provider"}
_REASONS = {
    Stage.CONNECT: "a fault at connect happens before there is a request: only the host is known",
    Stage.HANDSHAKE: "a fault at handshake happens before there is a request: only the host is"
    " known",
    Stage.REQUEST: "a fault at request happens before the body is read, which this needs; use"
    " at: head",
}


def check_stage(node: Node, stage: Stage, match: Match, when: When) -> None:
    """Refuse a match that needs what is not known at a stage. Raises `SettingsError`."""
    if stage is Stage.ANSWER:
        return
    for field in match.given:
        known = field == "hosts" if stage is not Stage.REQUEST else field not in _BODY
        if not known:
            raise node.part("match", _KEYS.get(field, field)).problem(_REASONS[stage])
    if when.per is not None and not _countable(stage, when.per.by):
        raise node.part("when", "per").problem(_REASONS[stage])


def _countable(stage: Stage, by: GroupBy) -> bool:
    if stage is Stage.REQUEST:
        return by is not GroupBy.ATTEMPT_GROUP
    return by is GroupBy.CONNECTION
