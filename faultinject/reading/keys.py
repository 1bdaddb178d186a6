"""The keys of an object in a file, each with what its value may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeVar

from attrs import field, frozen

from faultinject.reading.node import Node, read_all
from faultinject.reading.value import Described, Schema, Value

T = TypeVar("T")

Read = dict[str, Any]
"""What was read of each key that an object has."""


@frozen(eq=False, repr=False)
class Keys:
    """The keys that an object may have.

    All are read before an error is raised, so that it has all mistakes.
    """

    values: Mapping[str, Value[Any]]
    expected: str
    """What would be right if there is no object, for the error."""
    needed: tuple[str, ...] = ()
    """The keys that must be there."""
    missing: str = ""
    """What the error says if one of them is not there, if not only that."""
    some: tuple[str, ...] = ()
    """Keys of which one at least must be there."""
    none: str = ""
    """What the error says if there is none of them."""
    apart: tuple[tuple[str, str, str], ...] = ()
    """Pairs of keys of which an object has one at most, each with the reason."""
    more: tuple[Schema, ...] = field(default=())
    """What a schema says besides."""
    about: Mapping[str, str] = field(factory=dict)
    """What each key is for, in a sentence, which editors show."""

    def read(self, node: Node) -> Read:
        """Read an object. Raises `SettingsError`."""
        members = node.members(self.expected)
        missing = [key for key in self.needed if key not in members]

        def one(key: str) -> Any:
            if key not in members:
                raise node.problem(self.missing or f"{key} is missing")
            if key not in self.values:
                raise node.unknown(key, tuple(self.values))
            return self.values[key].read(members[key])

        keys = [*members, *(missing[:1] if self.missing else missing)]
        apart = [
            members[other].problem(reason)
            for first, other, reason in self.apart
            if first in members and other in members
        ][:1]
        read = dict(zip(keys, read_all(keys, one, apart), strict=True))
        if self.some and not any(key in read for key in self.some):
            raise node.problem(self.none or "give one of " + ", ".join(self.some))
        return read

    def into(self, make: Callable[[Read], T]) -> Value[T]:
        """Return what reads an object and makes something of it."""
        return Value(lambda node: make(self.read(node)), self)

    def then(self, make: Callable[[Node, Read], T]) -> Value[T]:
        """Return the same; ``make`` may raise an error about a part of the node."""
        return Value(lambda node: make(node, self.read(node)), self)

    @property
    def schema(self) -> Schema:
        """The JSON Schema of the object."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {
                key: Described(value, self.about[key]) if self.about.get(key) else value
                for key, value in self.values.items()
            },
            "additionalProperties": False,
        }
        if self.needed:
            schema["required"] = list(self.needed)
        if self.some:
            schema["anyOf"] = [{"required": [key]} for key in self.some]
        rest = [*self._apart_schemas(), *self.more]
        return {**schema, "allOf": rest} if rest else schema

    def _apart_schemas(self) -> Iterator[Schema]:
        """Yield for each key what cannot stand beside it. Editors show the ``errorMessage``."""
        for (one, reason), pairs in groupby(self.apart, key=lambda pair: (pair[0], pair[2])):
            others = {other: False for _, other, _ in pairs}
            yield {
                "if": {"required": [one]},
                "then": {"properties": others, "errorMessage": reason},
            }


def all_apart(keys: Iterable[str], reason: str) -> tuple[tuple[str, str, str], ...]:
    """Return that of some keys an object has one at most.

    ``reason`` is the error at the later one, with ``{}`` for the earlier one.
    """
    ordered = tuple(keys)
    return tuple(
        (one, other, reason.format(one))
        for place, one in enumerate(ordered)
        for other in ordered[place + 1 :]
    )


def named(
    read_one: Callable[[str, Node], T],
    expected: str,
    schema: Any,
    *,
    none: str = "",
    names: Schema | None = None,
    secret: bool = False,
) -> Value[tuple[T, ...]]:
    """Return what reads an object whose keys are names that the user chose.

    ``schema`` describes each value and ``names`` the names. With ``none``, the error about it, the
    object must not be empty. No error shows what is ``secret``.
    """

    def read(node: Node) -> tuple[T, ...]:
        if secret and not isinstance(node.value, dict):
            raise node.problem(f"it is not {expected}")
        members = node.members(expected)
        if none and not members:
            raise node.problem(none)
        return tuple(read_all(members.items(), lambda member: read_one(*member)))

    described: dict[str, Any] = {"type": "object", "additionalProperties": schema}
    if none:
        described["minProperties"] = 1
    if names is not None:
        described["propertyNames"] = names
    return Value(read, described)
