"""Values that several parts of a rule have: durations, chances, tests."""

from __future__ import annotations

import re

from faultinject.matchers import AnyOf, Equal, Glob, Matcher, Present, Within, is_glob
from faultinject.reading.node import Node

_LONGEST_PATTERN = 10_000  # characters; each becomes hundreds of bytes in Python's `re`
_COMPARISONS = ("at_least", "at_most", "above", "below")


def chance(node: Node) -> float:
    """Return a probability: a number from 0 to 1, or a percentage as in ``5%``."""
    expected = "a number from 0 to 1, or a percentage as in 5%"
    value = node.value
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,15})?%", value):
            raise node.wrong(expected)
        probability = float(value[:-1]) / 100
    else:
        probability = float(node.number(expected))
    if not 0 <= probability <= 1:
        raise node.wrong(expected)
    return probability


# -- tests --------------------------------------------------------------------------------------


def text_tests(node: Node, *, any_case: bool = False) -> AnyOf:
    """Return the test of a text: one pattern or several."""
    return AnyOf(tuple(_text(item, any_case=any_case) for item in node.filled_items()))


def _text(node: Node, *, any_case: bool) -> Matcher:
    text = node.text("text, or a list of texts ('*' stands for any characters)")
    return _equal_or_glob(node, text, any_case=any_case)


def _equal_or_glob(node: Node, text: str, *, any_case: bool = False) -> Matcher:
    return _glob(node, text, any_case=any_case) if any_case or is_glob(text) else Equal(text)


def _glob(node: Node, text: str, *, any_case: bool = False) -> Glob:
    if len(text) > _LONGEST_PATTERN:
        raise node.problem(f"the pattern has more than {_LONGEST_PATTERN} characters")
    return Glob(text, any_case)


def header_tests(node: Node) -> AnyOf:
    """Return the test of a header or a parameter of a query, whose values are text.

    The error does not show the value, which may be a secret.
    """
    return AnyOf(tuple(_header_test(item) for item in node.filled_items()))


def _header_test(node: Node) -> Matcher:
    value = node.value
    if isinstance(value, str):
        return _equal_or_glob(node, node.encodable(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Equal(str(value))
    if isinstance(value, dict):
        return _spelt_test(node, ("equal", "glob", "present"), text_only=True)
    raise node.problem(
        "the value is not text; write text (in quotes, if it is true or false), a pattern, or"
        " {present: true}"
    )


def json_tests(node: Node) -> AnyOf:
    """Return the test of a JSON value; a list is any of its items."""
    return AnyOf(tuple(_json_test(item) for item in node.filled_items()))


def _json_test(node: Node) -> Matcher:
    value = node.value
    if isinstance(value, dict):
        return _spelt_test(node, ("equal", "glob", "present", *_COMPARISONS))
    if isinstance(value, str):
        return _equal_or_glob(node, value)
    if value is None or isinstance(value, bool):
        return Equal(value)
    if isinstance(value, list):
        raise node.wrong("a value; to compare with a list write {equal: [...]}")
    return Equal(node.number("text, a number, true, false, null, or a test as {at_least: 3}"))


def number_tests(node: Node) -> AnyOf:
    """Return the test of a number from 1: the number, some, or bounds."""
    return AnyOf(tuple(_number_test(item) for item in node.filled_items()))


def _number_test(node: Node) -> Matcher:
    if isinstance(node.value, dict):
        return _spelt_test(node, _COMPARISONS)
    return Equal(node.whole())


def _spelt_test(node: Node, allowed: tuple[str, ...], *, text_only: bool = False) -> Matcher:
    fields = node.fields(allowed, "a test")
    comparisons = [key for key in fields if key in _COMPARISONS]
    if not fields or (len(fields) > 1 and len(comparisons) < len(fields)):
        raise node.problem(f"give one of {', '.join(allowed)} (or several that compare numbers)")
    if comparisons:
        return _within(node, {key: float(fields[key].number("a number")) for key in comparisons})
    [(key, field)] = fields.items()
    if key == "present":
        return Present(field.flag())
    if key == "glob":
        return _glob(field, field.text("a pattern"))
    return Equal(field.encodable(str(field.value)) if text_only else field.json_value())


def _within(node: Node, bounds: dict[str, float]) -> Within:
    within = Within(**bounds)
    least = max(bounds.get("at_least", -1e301), bounds.get("above", -1e301))
    most = min(bounds.get("at_most", 1e301), bounds.get("below", 1e301))
    strict = bounds.get("above") == least or bounds.get("below") == most
    if least > most or (least == most and strict):
        raise node.problem("no number is within these bounds")
    return within
