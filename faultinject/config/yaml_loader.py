"""PyYAML's safe loader, made stricter: YAML 1.2's core schema, which is what JSON has too.

PyYAML itself reads YAML 1.1, where ``no`` is false, ``010`` is eight and ``1e-2`` is text. Keys
are text and are not given twice. Each mistake is a `yaml.MarkedYAMLError`, which knows its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import yaml

from faultinject.config.scalars import BOOL, FLOAT, INT, MOST_DIGITS, NULL, Scalar, shown_text

_MOST_BRACKETS = 200  # open at once: PyYAML asks each of them again at every word that it reads
_TAG = "tag:yaml.org,2002:"


class Loader(yaml.SafeLoader):
    """The safe loader with tags, plain values and constructors of the core schema alone."""

    # Filled below. A class that has none of its own would take those of YAML 1.1.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 -- so declared in PyYAML
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        """Begin a list or a mapping in brackets. Raises `RecursionError` for too many at once."""
        if self.flow_level >= _MOST_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(kind)

    def scan_to_next_token(self) -> None:
        """Skip what separates tokens; within brackets a tab does, too, as in JSON."""
        super().scan_to_next_token()
        while self.flow_level and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()


def _mapping(loader: Loader, node: yaml.Node) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _mistake(node, "the tag !!map is for mappings alone")
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            text = shown_text(str(key))
            raise _mistake(key_node, f"the key {text} is not text; put it in quotes")
        if key in values:
            raise _mistake(key_node, f"the key {shown_text(key)} is there twice; keep one")
        values[key] = loader.construct_object(value_node, deep=True)
    return values


def _list(loader: Loader, node: yaml.Node) -> Any:
    return loader.construct_yaml_seq(node)


def _undefined(loader: Loader, node: yaml.Node) -> Any:
    return loader.construct_undefined(node)


def _text(loader: Loader, node: yaml.ScalarNode) -> str:
    """Return text, in which two escapes can be the halves of one character, as in JSON."""
    text = str(loader.construct_scalar(node))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _reader(scalar: Scalar) -> Callable[[Loader, yaml.ScalarNode], object]:
    def read(loader: Loader, node: yaml.ScalarNode) -> object:
        text = str(loader.construct_scalar(node))
        if not scalar.pattern.match(text):
            raise _mistake(node, f"{shown_text(text)} is no {scalar.kind}")
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
