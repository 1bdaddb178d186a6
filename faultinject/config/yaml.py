"""Reads YAML into the values that JSON has too: PyYAML's safe loader, and stricter.

Keys are text and are not given twice; a date stays the text that it is; what is repeated by
aliases is counted as often as it stands there. Knows nothing of which keys there are.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from faultinject.config.wording import one_line, shown_text
from faultinject.errors import SettingsError

if TYPE_CHECKING:
    from yaml import MappingNode, SafeLoader, ScalarNode

_MOST_VALUES = 200_000
_MOST_BRACKETS = 200  # open at once: PyYAML asks each of them again at every word that it reads
_MOST_DIGITS = 4000  # with a colon in it, a number would cost their square
_LEFT_OUT = ("timestamp", "merge", "value")  # a merge of merges can fill the memory


def yaml_value(text: str) -> object:
    """Return the value of a YAML document. Raises `SettingsError` with line and column."""
    import yaml  # not on the way of those who have none

    try:
        value = yaml.load(text, Loader=_loader())  # noqa: S506 -- it is a SafeLoader
        _check_size(value)
    except yaml.MarkedYAMLError as error:
        raise SettingsError(_where(error) + _what(error)) from None
    except yaml.YAMLError as error:
        raise SettingsError(f"not YAML: {one_line(str(error))}") from None
    except RecursionError:
        raise SettingsError("its values are nested too deeply") from None
    except (ValueError, OverflowError) as error:  # a number that is none, as 0x_ or 1_:_1
        raise SettingsError(f"not YAML that can be read: {one_line(str(error))}") from None
    return value


def _where(error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _what(error: Any) -> str:
    what = f"not YAML: {one_line(str(error.problem or error.context))}"
    if any(word in f"{error.problem} {error.context}" for word in ("alias", "anchor")):
        what += "; a text that begins with '*' or '&' needs quotes"
    return what


@cache
def _loader() -> type[SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, without what JSON does not have: dates, and keys with a meaning."""

        yaml_implicit_resolvers = {  # noqa: RUF012 -- as in the class that it replaces
            first: [pair for pair in pairs if pair[0].rpartition(":")[2] not in _LEFT_OUT]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
            if self.flow_level >= _MOST_BRACKETS:
                raise RecursionError
            super().fetch_flow_collection_start(kind)

    def mapping(loader: Loader, node: MappingNode) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            problem = None
            if not isinstance(key, str):
                problem = f"the key {shown_text(str(key))} is not text; put it in quotes"
            elif key in values:
                problem = f"the key {shown_text(key)} is there twice; keep one"
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            values[key] = loader.construct_object(value_node, deep=True)
        return values

    def number(loader: Loader, node: ScalarNode) -> float:
        if len(node.value) > _MOST_DIGITS:
            problem = f"the number has more than {_MOST_DIGITS} digits"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        read = (
            loader.construct_yaml_int if node.tag.endswith("int") else loader.construct_yaml_float
        )
        return read(node)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_constructor("tag:yaml.org,2002:int", number)
    Loader.add_constructor("tag:yaml.org,2002:float", number)
    return Loader


def _check_size(value: object) -> None:
    count, rest = 0, [value]
    while rest:
        count += 1
        if count > _MOST_VALUES:
            raise SettingsError(f"it has more than {_MOST_VALUES} values (aliases count, too)")
        match rest.pop():
            case dict() as members:
                rest.extend(members.values())
            case list() as items:
                rest.extend(items)
