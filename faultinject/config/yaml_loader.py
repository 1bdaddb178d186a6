"""PyYAML's safe loader, made stricter: what JSON has too, and no more.

Keys are text and are not given twice; a date stays the text that it is. Each mistake is a
`yaml.MarkedYAMLError`, which knows its place. Knows nothing of which keys there are.
"""

from __future__ import annotations

from typing import Any

import yaml

from faultinject.config.wording import shown_text

_MOST_BRACKETS = 200  # open at once: PyYAML asks each of them again at every word that it reads
_MOST_DIGITS = 4000  # with a colon in it, a number would cost their square
_LEFT_OUT = ("timestamp", "merge", "value")  # a merge of merges can fill the memory


class Loader(yaml.SafeLoader):
    """The safe loader, without what JSON does not have: dates, and keys with a meaning."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- as in the class that it replaces
        first: [pair for pair in pairs if pair[0].rpartition(":")[2] not in _LEFT_OUT]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        """Begin a list or a mapping in brackets. Raises `RecursionError` for too many at once."""
        if self.flow_level >= _MOST_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(kind)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Make a node's value. What is not of its kind, as ``0x_`` or ``!!bool x``, has a place."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, LookupError, AttributeError):
            problem = f"{shown_text(str(node.value))} is no {node.tag.rpartition(':')[2]}"
            raise _mistake(node, problem) from None


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[str, Any]:
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


def _number(loader: Loader, node: yaml.ScalarNode) -> float:
    if len(node.value) > _MOST_DIGITS:
        raise _mistake(node, f"the number has more than {_MOST_DIGITS} digits")
    is_int = node.tag.endswith("int")
    read = loader.construct_yaml_int if is_int else loader.construct_yaml_float
    return read(node)


def _mistake(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
Loader.add_constructor("tag:yaml.org,2002:int", _number)
Loader.add_constructor("tag:yaml.org,2002:float", _number)
