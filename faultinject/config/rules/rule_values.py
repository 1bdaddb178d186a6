"""The tests that several parts of a rule have: of texts, of headers, of JSON, of numbers."""

from __future__ import annotations

from functools import partial

from faultinject.matchers import AnyOf, Equal, Glob, Matcher, Present, Within, is_glob
from faultinject.reading.keys import Keys, Read
from faultinject.reading.node import Node
from faultinject.reading.value import (
    ANY,
    FLAG,
    NUMBER,
    WHOLE,
    Value,
    any_of,
    by_type,
    items,
    text,
)

_LONGEST_PATTERN = 10_000  # characters; each becomes hundreds of bytes in Python's `re`


def _equal_or_glob(node: Node, written: str, *, any_case: bool = False) -> Matcher:
    if any_case or is_glob(written):
        return _glob(node, written, any_case=any_case)
    return Equal(written)


def _glob(node: Node, written: str, *, any_case: bool = False) -> Glob:
    if len(written) > _LONGEST_PATTERN:
        raise node.problem(f"the pattern has more than {_LONGEST_PATTERN} characters")
    return Glob(written, any_case)


# -- texts --------------------------------------------------------------------------------------

_TEXT = text("text, or a list of texts ('*' stands for any characters)")
TEXTS = items(_TEXT.then(_equal_or_glob)).into(AnyOf)
"""The test of a text: one pattern or several."""
TEXTS_OF_ANY_CASE = items(_TEXT.then(partial(_equal_or_glob, any_case=True))).into(AnyOf)


# -- tests that are spelt out -------------------------------------------------------------------

_COMPARISONS = ("at_least", "at_most", "above", "below")
_COMPARED = dict.fromkeys(_COMPARISONS, NUMBER)
_GLOB = text("a pattern").then(_glob)
_ONE = {"minProperties": 1, "maxProperties": 1}
_SOME_COMPARISONS = {"propertyNames": {"enum": list(_COMPARISONS)}, "minProperties": 1}


def _spelt(keys: Keys) -> Value[Matcher]:
    """Return what reads a test that is an object: one key, or several that compare numbers."""

    def read(node: Node, read: Read) -> Matcher:
        compared = {key: float(read[key]) for key in read if key in _COMPARISONS}
        if not read or (len(read) > 1 and len(compared) < len(read)):
            names = ", ".join(keys.values)
            raise node.problem(f"give one of {names} (or several that compare numbers)")
        if compared:
            return _within(node, compared)
        [matcher] = read.values()
        return matcher  # type: ignore[no-any-return]

    return keys.then(read)


def _within(node: Node, bounds: dict[str, float]) -> Within:
    within = Within(**bounds)
    least = max(bounds.get("at_least", -1e301), bounds.get("above", -1e301))
    most = min(bounds.get("at_most", 1e301), bounds.get("below", 1e301))
    strict = bounds.get("above") == least or bounds.get("below") == most
    if least > most or (least == most and strict):
        raise node.problem("no number is within these bounds")
    return within


# -- headers and parameters ---------------------------------------------------------------------


def _equal_text(node: Node) -> Matcher:
    return Equal(node.encodable(str(node.value)))


def _header_test(node: Node) -> Matcher:
    """Read what is no object. The error does not show the value, which may be a secret."""
    value = node.value
    if isinstance(value, str):
        return _equal_or_glob(node, node.encodable(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Equal(str(value))
    raise node.problem(
        "the value is not text; write text (in quotes, if it is true or false), a pattern, or"
        " {present: true}"
    )


_ABOUT = {
    "equal": "It is this value, as it is written.",
    "glob": "The text fits this pattern.",
    "present": "It is there (true), or is not (false).",
    "at_least": "The number is this or larger.",
    "at_most": "The number is this or smaller.",
    "above": "The number is larger than this.",
    "below": "The number is smaller than this.",
}
_SPELT_OF_TEXT = _spelt(
    Keys(
        {"equal": Value(_equal_text, {}), "glob": _GLOB, "present": FLAG.into(Present)},
        "a test",
        about=_ABOUT,
        more=(_ONE,),
    )
)
HEADER_TESTS = items(
    by_type(Value(_header_test, {"type": ["string", "integer"]}), object=_SPELT_OF_TEXT)
).into(AnyOf).titled("test of a header or a parameter")  # fmt: skip
"""The test of a header or a parameter of a query, whose values are text."""


# -- JSON and numbers ---------------------------------------------------------------------------


def _json_test(node: Node) -> Matcher:
    value = node.value
    if isinstance(value, str):
        return _equal_or_glob(node, value)
    if value is None or isinstance(value, bool):
        return Equal(value)
    if isinstance(value, list):
        raise node.wrong("a value; to compare with a list write {equal: [...]}")
    return Equal(node.number("text, a number, true, false, null, or a test as {at_least: 3}"))


_SPELT_OF_JSON = _spelt(
    Keys(
        {"equal": ANY.into(Equal), "glob": _GLOB, "present": FLAG.into(Present), **_COMPARED},
        "a test",
        about=_ABOUT,
        more=(any_of(_ONE, _SOME_COMPARISONS),),
    )
)
JSON_TESTS = items(
    by_type(
        Value(_json_test, {"type": ["string", "number", "boolean", "null"]}), object=_SPELT_OF_JSON
    )
).into(AnyOf).titled("test of a JSON value")  # fmt: skip
"""The test of a JSON value; a list is any of its items."""

_SPELT_OF_NUMBERS = _spelt(Keys(_COMPARED, "a test", about=_ABOUT, more=(_SOME_COMPARISONS,)))
_EXACT: Value[Matcher] = WHOLE.into(Equal)
NUMBER_TESTS = items(by_type(_EXACT, object=_SPELT_OF_NUMBERS)).into(AnyOf)
"""The test of a number from 1: the number, some, or bounds."""
