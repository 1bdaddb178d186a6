"""Files of any bytes: each is read, or refused in one line that names the file."""

# ruff: noqa: E501  (the pieces of files are read best side by side)

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultinject.config import PROXY_OPTIONS, load_settings
from faultinject.config.rule_set import composed, load_rules
from faultinject.errors import SettingsError

NAMES = ("c.yaml", "c.json", "c.toml", "c")
PIECES = st.sampled_from(
    [
        b"rules:", b"\n", b"  - ", b"fault: ", b"pass", b"{", b"}", b"[", b"]", b": ", b", ", b"respond",
        b"&a ", b"*a", b"<<: ", b"'", b'"', b"|\n", b">\n", b"# x\n", b"\t", b"\r\n", b"\r", b"\xef\xbb\xbf",
        b"\xff\xfe", b"\x00", b"\xc3", b"seed: 1", b"seed = 1\n", b'{"seed": 1}', b"!!str ", b"!!python/name:os ",
        b"%YAML 1.1\n", b"---\n", b"...\n", b"? ", b"529", b".nan", b"when: ", b"probability: 2", b"\\u", b"\xe2\x80\xa8",
        b"preset: flakey", b"error_body: ", b"headers: {A: ", b"target_host: *", b"$schema: x\n", b"match: {json: {",
    ]
)  # fmt: skip
FILES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=25).map(b"".join))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all examples."""
    return tmp_path_factory.mktemp("hostile")


def refusal(path: Path) -> str:
    """Return the line that refuses a file; nothing if it is read."""
    try:
        composed(load_settings({"config": [str(path)]}, {}, PROXY_OPTIONS))
    except SettingsError as error:
        return str(error)
    return ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=FILES, name=st.sampled_from(NAMES))
def test_any_bytes_are_a_file_or_refused_in_one_line(folder: Path, data: bytes, name: str) -> None:
    """The line can be printed, and begins with the file and, if they are known, line and column."""
    path = folder / name
    path.write_bytes(data)
    message = refusal(path)
    assert len(message.splitlines()) <= 1
    message.encode()
    if message:
        begin = rf"({re.escape(str(path))}(:[1-9][0-9]*:[1-9][0-9]*)?): "
        found = re.match(begin, message)
        assert found
        if found[2]:
            line, column = map(int, found[2][1:].split(":"))
            lines = re.split(
                r"\r\n|\n|\r", data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
            )
            assert line <= len(lines)
            assert column <= len(lines[line - 1]) + 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=FILES)
def test_any_bytes_as_rules_of_a_program(folder: Path, data: bytes) -> None:
    """Likewise, where a program reads them."""
    path = folder / "rules.yaml"
    path.write_bytes(data)
    message = str(path)
    try:
        load_rules(path)
    except SettingsError as error:
        message = str(error)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1


def alias_bomb(levels: int) -> str:
    """Return a small file of very many values: ten times as many with each level."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)
    ]
    return "\n".join(lines)


BOMBS = {
    "aliases": (alias_bomb(9), "more than 200000 values"),
    "an alias of itself": ("seed: &a [*a]", "recursive node"),
    "brackets": ("rules: " + "[" * 100_000, "nested too deeply"),
    "lists in lists": ("- " * 50_000, "nested too deeply"),
    "braces": ("rules: " + "{a: " * 100_000, "nested too deeply"),
    "keys in keys": ("".join(f"{' ' * depth}a:\n" for depth in range(600)), "nested too deeply"),
    "a long number": ("seed: " + "9" * 100_000, "more than 4000 digits"),
    "a long key": ("? " + "k" * 2_000 + "\n: 1", "unknown key 'kkk"),
    "JSON in JSON": ('{"rules": ' + "[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(tmp_path: Path, bomb: str) -> None:
    """A small file is refused, whatever it says."""
    text, message = BOMBS[bomb]
    path = tmp_path / ("c.json" if text.startswith("{") else "c.yaml")
    path.write_text(text)
    assert message in refusal(path)


def test_a_bomb_of_aliases_takes_no_memory(tmp_path: Path) -> None:
    """It is refused before its values are made."""
    path = tmp_path / "c.yaml"
    path.write_text(alias_bomb(9))
    tracemalloc.start()
    try:
        assert refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 200 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_very_many_mistakes(tmp_path: Path) -> None:
    """Each is found in the text without going through all of it again."""
    path = tmp_path / "c.yaml"
    rules = "".join(f"  - {{name: n{number}, fault: {{respond: 99}}}}\n" for number in range(500))
    path.write_text("rules:\n" + rules)
    column = len("  - {name: n0, fault: {respond: ") + 1
    assert refusal(path) == (
        f"{path}:2:{column}: rules[0].fault.respond: 99 is not a status from 200 to 599"
        " (and 499 more mistakes)"
    )
