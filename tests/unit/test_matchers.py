"""Tests of single values, and paths into JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.matchers import (
    MISSING,
    AnyOf,
    Equal,
    Glob,
    JsonMatcher,
    JsonPath,
    Present,
    Within,
    is_glob,
)


@pytest.mark.parametrize(
    ("test", "right", "wrong"),
    [
        (Equal("a"), ["a"], ["A", 1, None, MISSING]),
        (Equal(1), [1, 1.0], [True, "1", 2, MISSING]),
        (Equal(True), [True], [1, "true", False]),
        (Equal(None), [None], [MISSING, 0, False]),
        (Equal([1, {"a": 2}]), [[1, {"a": 2}]], [[1], "x"]),
        (Glob("a*"), ["a", "abc", "a\nb"], ["ba", "A", 1, MISSING]),
        (Glob("a?[xy]"), ["abx", "a-y"], ["ax", "abz"]),
        (Glob("a*", any_case=True), ["Abc"], ["b"]),
        (Glob("[*]"), ["*"], ["a"]),
        (Present(), [None, "", 0], [MISSING]),
        (Present(False), [MISSING], [None, ""]),
        (Within(at_least=1, below=3), [1, 2, 2.5], [0, 3, True, "2", MISSING]),
        (Within(above=1, at_most=3), [2, 3, 10**0 + 1], [1, 4, 10**400]),
        (AnyOf((Equal(1), Equal(2))), [1, 2], [3]),
        (AnyOf(()), [], [1, MISSING]),
    ],
)
def test_what_holds(test, right, wrong) -> None:
    """And what does not."""
    assert [value for value in right if not test.holds(value)] == []
    assert [value for value in wrong if test.holds(value)] == []


def test_what_is_a_pattern() -> None:
    """Anything with one of three characters in it."""
    assert [text for text in ("a", "a*", "?", "[a]", "a]") if is_glob(text)] == ["a*", "?", "[a]"]


DOCUMENT = {
    "model": "m",
    "messages": [{"role": "user", "n": 1}, {"role": "assistant", "n": 2}],
    "a.b": {"c": 3},
    "list": [],
    "rows": [[1, 2], [], [3], "no list", {"k": 4}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("model", ["m"]),
        ("messages[0].role", ["user"]),
        ("messages[-1].n", [2]),
        ("messages[*].role", ["user", "assistant"]),
        ("messages[2].role", []),
        ("messages[-3]", []),
        ("messages.role", []),
        ("model.x", []),
        ("model[0]", []),
        ('["a.b"].c', [3]),
        ("['a.b'].c", [3]),
        ("list[*]", []),
        ("rows[*][0]", [1, 3]),
        ("rows[*][-2]", [1]),
        ("rows[*].k", [4]),
        ("rows[0][1]", [2]),
        ("nothing", []),
    ],
)
def test_where_a_path_leads(path: str, found: list[object]) -> None:
    """Nowhere, to one value, or to several."""
    assert list(JsonPath.parse(path).find(DOCUMENT)) == found


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[0]b", "[]", "a]"])
def test_what_is_no_path(text: str) -> None:
    """The error shows what one looks like."""
    with pytest.raises(ValueError, match="is not a path into JSON, as messages"):
        JsonPath.parse(text)


@given(st.text())
def test_any_text_is_a_path_or_refused(text: str) -> None:
    """And nothing else happens."""
    try:
        path = JsonPath.parse(text)
    except ValueError:
        return
    assert path.text == text
    assert path.steps
    list(path.find(DOCUMENT))


def test_one_of_several_values_is_enough() -> None:
    """And where there is none, it can be asked for just that."""
    roles = JsonPath.parse("messages[*].role")
    assert JsonMatcher(roles, AnyOf((Equal("assistant"),))).holds(DOCUMENT)
    assert not JsonMatcher(roles, AnyOf((Equal("system"),))).holds(DOCUMENT)
    assert not JsonMatcher(roles, AnyOf((Present(False),))).holds(DOCUMENT)
    absent = JsonMatcher(JsonPath.parse("nothing"), AnyOf((Present(False),)))
    assert absent.holds(DOCUMENT)
    assert absent.holds([])
    assert repr(MISSING) == "MISSING"
