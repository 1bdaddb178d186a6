"""The direction of imports: which room knows which (docs/design.md draws the same floors).

A room is a package under ``faultinject`` or a module of its own. It may import from itself and
from the floors below it, and nothing else: not even a neighbour on its own floor.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import faultinject

ROOT = Path(faultinject.__file__).parent

FLOORS: tuple[tuple[str, ...], ...] = (
    # Words and values: no I/O, no other room.
    ("errors", "authority", "limits", "events", "http.message", "missing", "memory"),
    ("conditions", "durations", "plain_files", "settings_checks"),
    # Codecs.
    ("framing",),
    # What knows the floors below only: an outside protocol, an API's words, a small tool of Trio's,
    # the user's choices, how events look.
    ("streams",),
    ("http", "tls", "providers", "socket_stream"),
    ("accepting", "patience", "beside", "one_at_a_time", "spare_memory"),
    ("memory_stream", "settings", "output"),
    ("facts", "faults", "opening", "not_http", "verdict", "relay", "dial", "config", "base_url"),
    ("lease",),
    # The decision, and the pool.
    ("rules", "upstream", "watching", "writes_ahead", "own_answer"),
    ("performing", "presets"),
    # One client connection, from the whole to the bytes and back.
    ("session", "forwarding", "composing"),
    ("readable_body",),
    ("exchange", "first_bytes", "telling", "deciding"),
    ("made_answer", "handshake_faults", "attempt_end"),
    ("planned",),
    ("conversation",),
    ("interception",),
    ("tunnel",),
    # How clients come in; the fake API stands in for an upstream.
    ("front_door", "demo", "preview", "rule_loading", "run"),
    ("services",),
    ("connections",),
    ("proxy", "plugin"),
    # Who starts it all.
    ("", "demo.show"),
    ("cli",),
    ("__main__",),
)

ONLY_IN = {
    # An outside package (or a module of Python's that must not spread): the rooms or modules that
    # may import it.
    "h11": {"http.machine", "http.h11_values"},
    "asyncio": {"plugin.bridge", "plugin.callers"},
    "trio_asyncio": {"plugin.bridge"},
    "grpclib": {"plugin.bridge", "plugin.callers"},
    "h2": {"plugin.bridge", "plugin.callers"},
    "google": {"plugin"},
    "cryptography": {"tls"},
    "filelock": {"tls"},
    "platformdirs": {"tls"},
    "click": {"cli"},
    "rich_click": {"cli"},
    "rich": {"cli", "output", "demo.show"},
    "zlib": {"http.coding"},
    "brotli": {"http.coding"},
    "zstandard": {"http.coding"},
    "ctypes": {"memory"},
    "ssl": {"tls", "dial", "demo", "cli"},
    "socket": {"dial", "socket_stream", "plugin"},
    "random": set[str](),
    "dataclasses": set[str](),
    "yaml": {"config.yaml", "config.yaml_loader"},
}

WITHOUT_IO = (
    "conditions",
    "errors",
    "authority",
    "limits",
    "events",
    "http.message",
    "http.hop_by_hop",
    "http.incoming",
    "http.passing",
    "http.coding",
    "http.whole",
    "http.machine",
    "framing",
    "providers",
    "facts",
    "faults",
    "rules",
    "opening",
    "not_http",
    "verdict",
    "base_url",
    "settings",
)
OF_IO = {"trio", "asyncio", "socket", "ssl", "subprocess", "threading", "time"}

ROOMS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def drawn_rooms() -> dict[str, int]:
    """Return the rooms in the table of docs/design.md, each with the number of its row."""
    page = (Path(__file__).parent.parent / "docs" / "design.md").read_text(encoding="utf-8")
    section = page.partition("## The rooms")[2].partition("## Properties")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {room: n for n, row in enumerate(rows) for room in re.findall(r"`([^`]+)`", row)}


DRAWN = drawn_rooms()
UNDRAWN = {"", "__main__"}
"""The names that the package gives out, and how Python starts it."""


def module_name(path: Path) -> str:
    """Return a module's name below the package; the package itself is nothing."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def within(module: str, room: str) -> bool:
    """Say whether a module is a room or in it."""
    return module == room or (room != "" and module.startswith(room + "."))


def room_of(module: str) -> str:
    """Return the smallest room that a module is in. Raises `KeyError` if it has no place."""
    fitting = [room for room in ROOMS if within(module, room)]
    if not fitting:
        raise KeyError(f"{module} has no place: put it on a floor, here and in docs/design.md")
    return max(fitting, key=len)


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the full names of what a module imports, at its top or anywhere in it."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                # `from faultinject.http import whole` names a module, most others something in one.
                is_module = inner.removeprefix("faultinject.") in MODULES
                yield inner if is_module else node.module


def inner_imports(path: Path) -> set[str]:
    """Return the modules of ours that a module imports, without the package for its version."""
    names = {name for name in imports(path) if name.split(".")[0] == "faultinject"}
    return {name.partition(".")[2] for name in names} - {""}


def outer_imports(path: Path) -> set[str]:
    """Return the packages of others that a module imports."""
    return {name.split(".")[0] for name in imports(path)} - {"faultinject", "__future__"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_room_and_the_floors_below(module: str) -> None:
    """So that the lower floors can be read, tested and used without the upper ones."""
    room = room_of(module)
    wrong = {
        imported
        for imported in inner_imports(MODULES[module])
        if room_of(imported) != room and ROOMS[room_of(imported)] >= ROOMS[room]
    }
    assert not wrong


@pytest.mark.parametrize("package", ONLY_IN)
def test_an_outside_package_is_known_in_its_place_only(package: str) -> None:
    """What it is used for can then be replaced in that one place."""
    users = {module for module, path in MODULES.items() if package in outer_imports(path)}
    strangers = {
        module for module in users if not any(within(module, room) for room in ONLY_IN[package])
    }
    assert not strangers


@pytest.mark.parametrize("room", WITHOUT_IO)
def test_what_decides_does_no_io_and_has_no_clock(room: str) -> None:
    """It is handed what it needs."""
    modules = [path for module, path in MODULES.items() if within(module, room)]
    assert modules
    for path in modules:
        assert not outer_imports(path) & OF_IO, path


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_there(room: str) -> None:
    """The table names nothing that is gone."""
    assert any(within(module, room) for module in MODULES)


def test_every_room_is_drawn() -> None:
    """The documentation's table has each room once, and none that is not there."""
    assert set(DRAWN) == set(ROOMS) - UNDRAWN


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) not in UNDRAWN])
def test_a_module_imports_as_the_table_is_drawn(module: str) -> None:
    """From its own row and those above it, as docs/design.md promises."""
    row = DRAWN[room_of(module)]
    rooms = {room_of(imported) for imported in inner_imports(MODULES[module])} - UNDRAWN
    assert not {room for room in rooms if DRAWN[room] > row}


def test_only_the_program_itself_knows_the_command_line() -> None:
    """Whoever embeds the proxy needs none of it."""
    users = {module for module, path in MODULES.items() if knows(path, "cli")}
    assert {module for module in users if not within(module, "cli")} == {"__main__"}


def test_the_ways_in_do_not_know_each_other() -> None:
    """The proxy's front door and the plugin's are told apart by nothing below them."""
    for one, other in (
        ("plugin", "proxy"),
        ("plugin", "connections"),
        ("plugin", "front_door"),
        ("proxy", "plugin"),
        ("connections", "plugin"),
    ):
        users = [module for module, path in MODULES.items() if within(module, one)]
        assert not any(knows(MODULES[module], other) for module in users)


def knows(path: Path, room: str) -> bool:
    """Say whether a module imports from a room."""
    return any(within(imported, room) for imported in inner_imports(path))
