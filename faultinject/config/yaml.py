"""Reads YAML 1.2 into values that JSON has too. A mistake is an error of one line.

PyYAML itself reads YAML 1.1, where ``no`` is false, ``010`` is eight and ``1e-2`` is text. Its safe
loader is made stricter here: it follows YAML 1.2's core schema, takes only text as keys, refuses a
key that is given twice, and counts the values of an alias each time that it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from typing import Any, ClassVar

import yaml

from faultinject.reading.scalars import (
    BOOL,
    FLOAT,
    INT,
    MOST_DIGITS,
    NULL,
    Scalar,
)
from faultinject.reading.shown import one_line, shown_text
from faultinject.reading.source import MalformedError, Position, Steps, position_in

_MOST_VALUES = 200_000
_OTHER_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""These end a line in YAML 1.1, and so in PyYAML. In YAML 1.2 they are ordinary characters."""


_MOST_BRACKETS = 200  # open at once: PyYAML checks each of them again at every token
_TAG = "tag:yaml.org,2002:"


class Loader(yaml.SafeLoader):
    """The safe loader with the tags, plain values and constructors of the core schema only."""

    # Filled below. Without its own, the class would inherit those of YAML 1.1.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 -- so declared in PyYAML
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        """Begin a list or mapping in brackets. Raises `RecursionError` if too many are open."""
        if self.flow_level >= _MOST_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(kind)

    def scan_to_next_token(self) -> None:
        """Skip to the next token. Within brackets a tab is skipped too, as in JSON."""
        super().scan_to_next_token()
        while self.flow_level and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()


def _mapping(loader: Loader, node: yaml.Node) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _mistake(node, "the tag !!map is only for mappings")
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            text = shown_text(str(key))
            raise _mistake(key_node, f"the key {text} is not text; put it in quotes")
        if key in values:
            raise _mistake(key_node, f"the key {shown_text(key)} is given twice; keep one")
        values[key] = loader.construct_object(value_node, deep=True)
    return values


def _list(loader: Loader, node: yaml.Node) -> Any:
    return loader.construct_yaml_seq(node)


def _undefined(loader: Loader, node: yaml.Node) -> Any:
    return loader.construct_undefined(node)


def _text(loader: Loader, node: yaml.ScalarNode) -> str:
    """Return text. Two escapes can be the halves of one character, as in JSON."""
    return _joined(str(loader.construct_scalar(node)))


def _joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _reader(scalar: Scalar) -> Callable[[Loader, yaml.ScalarNode], object]:
    def read(loader: Loader, node: yaml.ScalarNode) -> object:
        text = str(loader.construct_scalar(node))
        if not scalar.pattern.match(text):
            raise _mistake(node, f"{shown_text(text)} is not of the type {scalar.kind}")
        if scalar is not NULL and len(text) > MOST_DIGITS:
            raise _mistake(node, f"the number has more than {MOST_DIGITS} digits")
        return scalar.read(text)

    return read


def _mistake(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


for _scalar in (NULL, BOOL, INT, FLOAT):  # in this order: a whole number is no float
    Loader.add_implicit_resolver(_TAG + _scalar.kind, _scalar.pattern, list(_scalar.first))
    Loader.add_constructor(_TAG + _scalar.kind, _reader(_scalar))
Loader.add_implicit_resolver(_TAG + NULL.kind, NULL.pattern, [""])
Loader.add_constructor(_TAG + "str", _text)
Loader.add_constructor(_TAG + "seq", _list)
Loader.add_constructor(_TAG + "map", _mapping)
Loader.add_constructor(None, _undefined)


def yaml_value(text: str) -> object:
    """Return the value of a YAML document. Raises `MalformedError`."""
    _check_line_ends(text)
    try:
        value = yaml.load(text, Loader=Loader)  # noqa: S506 -- it is a SafeLoader
        _check_size(value)
    except yaml.MarkedYAMLError as error:
        raise MalformedError(_what(error), _where(error)) from None
    except yaml.YAMLError as error:
        raise MalformedError(f"not YAML: {one_line(str(error))}") from None
    except RecursionError:
        raise MalformedError("its values are nested too deeply") from None
    return value


def _check_line_ends(text: str) -> None:
    if found := _OTHER_LINE_ENDS.search(text):
        code = ord(found.group())
        raise MalformedError(
            f"the character U+{code:04X} is not allowed unescaped; write it as \\u{code:04x} in"
            " double quotes",
            position_in(text, found.start()),
        )


def _where(error: Any) -> Position | None:
    mark = error.problem_mark or error.context_mark
    return _position(mark) if mark else None


def _position(mark: yaml.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _what(error: Any) -> str:
    what = f"not YAML: {one_line(str(error.problem or error.context))}"
    if any(word in f"{error.problem} {error.context}" for word in ("alias", "anchor")):
        what += "; a text that begins with '*' or '&' needs quotes"
    if "'\\t'" in str(error.problem):
        what += "; write spaces in place of the tab"
    return what


def _check_size(value: object) -> None:
    count, rest = 0, [value]
    while rest:
        count += 1
        if count > _MOST_VALUES:
            raise MalformedError(f"it has more than {_MOST_VALUES} values (aliases count, too)")
        match rest.pop():
            case dict() as members:
                rest.extend(members.values())
            case list() as items:
                rest.extend(items)


# -- places ---------------------------------------------------------------------------------------


class _PlacesLoader(Loader):
    """Composes a document in which an alias has its own place, and not that of its anchor."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node. What an alias stands for is shared with its anchor."""
        if not self.check_event(yaml.AliasEvent):
            return super().compose_node(parent, index)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        node: yaml.Node = copy(super().compose_node(parent, index))  # type: ignore[assignment]
        node.start_mark = mark
        return node


class Places:
    """Says where the values of a document are written.

    It is for errors alone: the text, which could be read, is read again when a place is first asked
    for. Values within an alias are where its anchor is. A `Locate`.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._root: yaml.Node | None = None
        self._members: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}

    def __call__(self, steps: Steps, key: str | None) -> Position | None:
        """Return the place of a value or of a key of it, or of the nearest that is written."""
        if self._root is None:
            self._root = self._composed()
        found = self._root
        if found is None:
            return None
        for step in steps:
            inner = self._inner(found, step)
            if inner is None:
                return _position(found.start_mark)
            found = inner[1]
        named = None if key is None else self._inner(found, key)
        return _position((named[0] if named else found).start_mark)

    def _composed(self) -> yaml.Node | None:
        loader = _PlacesLoader(self._text)
        try:
            return loader.get_single_node()
        except RecursionError:  # where it was read, less had been called
            return None
        finally:
            loader.dispose()

    def _inner(self, node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
        """Return the key and the value at a step, or None if there is none."""
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            item = node.value[step]
            return item, item
        if isinstance(node, yaml.MappingNode):
            members = self._members.get(id(node.value))
            if members is None:
                members = {_joined(key.value): (key, value) for key, value in node.value}
                self._members[id(node.value)] = members
            return members.get(step) if isinstance(step, str) else None
        return None
