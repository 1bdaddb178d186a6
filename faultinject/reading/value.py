"""What a value in a file may be: how it is read, and how a JSON Schema describes it.

A schema refuses nothing that is read. It may let pass what is refused: that of two numbers one must
be the larger, say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from faultinject.reading.node import LARGEST, LONGEST_SECONDS, Node, read_all
from faultinject.reading.scalars import CHANCE_PATTERN, DURATION, DURATION_PATTERN, chance_of

T = TypeVar("T")
U = TypeVar("U")

Schema = Mapping[str, Any]
"""A JSON Schema (draft 2020-12). In it a `Value` or a `Keys` stands for its own schema, so that
nothing is built before a schema is asked for."""


@frozen(eq=False, repr=False)
class Value(Generic[T]):
    """What one value may be."""

    read: Callable[[Node], T]
    """Raises `SettingsError`."""
    schema: Any
    """A `Schema`, or what has one."""
    title: str = ""
    """The name under which the schema stands once in the whole, if it has one."""

    def into(self, make: Callable[[T], U]) -> Value[U]:
        """Return the same with another result."""
        return Value(lambda node: make(self.read(node)), self)

    def then(self, make: Callable[[Node, T], U]) -> Value[U]:
        """Return the same with another result; ``make`` may raise an error of the node's."""
        return Value(lambda node: make(node, self.read(node)), self)

    def titled(self, title: str) -> Value[T]:
        """Return the same; its schema stands once in the whole, under this title."""
        return Value(self.read, self.schema, title)


@frozen(eq=False, repr=False)
class Described:
    """The schema of a value, and what the value is for, in a sentence."""

    schema: Any
    about: str


def any_of(*schemas: Any) -> Schema:
    """Return the schema of what fits one of some."""
    return {"anyOf": list(schemas)}


# -- single values ------------------------------------------------------------------------------


ANY = Value(Node.json_value, {})
FLAG = Value(Node.flag, {"type": "boolean"})
TRUE = Value(Node.only_true, {"const": True})
POSITIVE = Value(Node.positive, {"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST})
NUMBER = Value(lambda node: node.number("a number"), {"type": "number"})


def whole(lowest: int = 1, highest: int = 10**9) -> Value[int]:
    """Return what reads a whole number within bounds."""
    schema = {"type": "integer", "minimum": lowest, "maximum": highest}
    return Value(lambda node: node.whole(lowest, highest), schema)


WHOLE = whole()


def text(expected: str = "text", pattern: str | None = None) -> Value[str]:
    """Return what reads text that is not empty. The pattern is for the schema alone."""
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if pattern is not None:
        schema["pattern"] = pattern
    return Value(lambda node: node.text(expected), schema)


TEXT = text()


def word(*words: str) -> Value[str]:
    """Return what reads one of some words."""
    return Value(lambda node: node.word(*words), {"enum": list(words)})


def meaning(words: Mapping[str, T]) -> Value[T]:
    """Return what reads one of some words, each of which means a value."""
    return word(*words).into(words.__getitem__)


def _chance(node: Node) -> float:
    expected = "a number from 0 to 1, or a percentage as in 5%"
    if isinstance(node.value, str):
        probability = chance_of(node.value)
    else:
        probability = float(node.number(expected))
    if probability is None or not 0 <= probability <= 1:
        raise node.wrong(expected)
    return probability


CHANCE = Value(
    _chance,
    any_of(
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": CHANCE_PATTERN},
    ),
).titled("chance")


def _seconds(least_seconds: float) -> Schema:
    return {
        "description": DURATION,
        **any_of(
            {"type": "number", "minimum": least_seconds, "maximum": LONGEST_SECONDS},
            {"type": "string", "pattern": DURATION_PATTERN},
        ),
    }


DURATION_SECONDS = Value(Node.duration, _seconds(0), "duration")
POSITIVE_DURATION = Value(Node.positive_duration, _seconds(0.001), "duration above 0")


# -- several ------------------------------------------------------------------------------------


def items(value: Value[T], *, least: int = 1) -> Value[tuple[T, ...]]:
    """Return what reads a list, or a single value as a list of one.

    The list has at least ``least`` items, 0 or 1.
    """

    def read(node: Node) -> tuple[T, ...]:
        return tuple(read_all(node.filled_items() if least else node.items(), value.read))

    array = {"type": "array", "items": value, "minItems": least}
    return Value(read, any_of(value, array))


def filled_list(value: Value[T], expected: str, most: int | None = None) -> Value[tuple[T, ...]]:
    """Return what reads a list that is not empty, and nothing else."""

    def read(node: Node) -> tuple[T, ...]:
        if not isinstance(node.value, list) or (most is not None and len(node.value) > most):
            raise node.wrong(expected)
        return tuple(read_all(node.filled_items(), value.read))

    schema: dict[str, Any] = {"type": "array", "items": value, "minItems": 1}
    return Value(read, schema if most is None else {**schema, "maxItems": most})


def pair(first: Value[T], second: Value[T], expected: str) -> Value[tuple[T, T]]:
    """Return what reads a list of two."""

    def read(node: Node) -> tuple[T, T]:
        if not isinstance(node.value, list) or len(node.value) != 2:
            raise node.wrong(expected)
        one, other = read_all(
            zip((first, second), node.items(), strict=True), lambda each: each[0].read(each[1])
        )
        return one, other

    schemas = any_of(first, second)
    return Value(read, {"type": "array", "items": schemas, "minItems": 2, "maxItems": 2})


_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def by_type(other: Value[T], **values: Value[T]) -> Value[T]:
    """Return what reads a value by what it is: ``object``, ``array``, ``string`` or ``boolean``.

    ``other`` reads all other values, and says what would be right.
    """
    readers = [(_TYPES[name], value.read) for name, value in values.items()]

    def read(node: Node) -> T:
        for kind, reader in readers:
            if isinstance(node.value, kind):
                return reader(node)
        return other.read(node)

    return Value(read, any_of(*values.values(), other))


def constant(value: object, result: T, other: Value[T]) -> Value[T]:
    """Return what reads a value that has a meaning of its own, and else what ``other`` reads."""

    def read(node: Node) -> T:
        is_it = node.value == value and type(node.value) is type(value)
        return result if is_it else other.read(node)

    return Value(read, any_of({"const": value}, other))
