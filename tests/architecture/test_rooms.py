"""The rooms of the package, their floors, and what is known where.

Each test prints the list of what does not fit.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from tests.architecture.code import (
    MODULES,
    ROOT,
    circles,
    imports,
    inner_imports,
    is_listed,
    outer_imports,
    within,
)

FLOORS: tuple[tuple[str, ...], ...] = (
    # From the ground up. A room is a package or a module; of two that fit the smaller one counts.
    ("observed",),
    ("seen",),
    ("errors", "events", "authority", "matchers", "files"),
    ("net", "http.message", "providers.framing", "reading"),
    ("settings", "tls", "http"),
    ("providers", "environment"),
    ("faults",),
    ("rules",),
    ("config",),
    ("proxy", "report"),
    ("plugin", "testing"),
    ("cli", "pytest_plugin", ""),
    ("__main__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

ROOT_NAMES = {
    "", "__main__", "pytest_plugin",
    "errors", "events", "observed", "seen", "settings", "authority", "matchers", "files",
}  # fmt: skip

PLACES: dict[str, set[str]] = {
    # Other people's packages, and modules of Python's that must not spread: where they may be.
    "h11": {"http.h1"},
    "asyncio": {"plugin.bridge"},
    "trio_asyncio": {"plugin.bridge"},
    "grpclib": {"plugin.bridge"},
    "h2": {"plugin.bridge"},
    "google": {"plugin"},
    "cryptography": {"tls"},
    "uvicorn": {"testing.asgi_server"},
    "wsgiref": {"testing.wsgi_server"},
    "pytest": {"pytest_plugin", "testing.pytest_session"},
    "filelock": {"tls"},
    "platformdirs": {"tls"},
    "click": {"cli"},
    "rich_click": {"cli.help_page"},
    "rich": {"cli", "report"},
    "zlib": {"http.coding", "report.packed"},
    "brotli": {"http.coding"},
    "zstandard": {"http.coding"},
    "ctypes": {"proxy.spare_memory", "cli.run.child_process"},
    "ssl": {"tls", "proxy.upstream", "environment", "cli"},
    "socket": {"net", "proxy.upstream", "plugin"},
    "yaml": {"config.yaml"},
    "random": set(),
    "dataclasses": set(),
}

TLS_MAKERS: dict[str, set[str]] = {
    "tls.stream": {"proxy.tunnel", "proxy.upstream.dial"},
    "tls.trio_tls": {"plugin"},
}
"""Who chooses between the two ways to do TLS: on sockets, and behind a host. All others know
`tls.layer` alone."""

PURE = (
    "errors", "reading", "events", "observed", "seen", "authority", "matchers", "settings",
    "http.message", "http.headers", "http.coding", "http.cors",
    "http.h1.machine", "http.h1.plain", "http.h1.h11_events", "http.h1.incoming",
    "providers", "faults", "rules",
    "tls.client_hello", "proxy.tls_policy", "proxy.base_url", "proxy.not_http",
)  # fmt: skip
OF_IO = {"trio", "asyncio", "socket", "ssl", "subprocess", "threading", "time"}

LATE: dict[str, set[str]] = {
    "": {"importlib"},
    "cli": {"cli.entry"},
    "cli.commands": {"cli.help_page", "config.rule_set"},
    "cli.judging": {"report.forms"},
    "cli.plugin": {"cli.ca"},
    "cli.proxy": {"cli.ca"},
    "cli.runner": {"cli.judging", "report.table"},
    "config.file": {"config.yaml", "tomllib"},
    "config.values": {"providers.told"},
    "environment.bundles": {"tls.certificates"},
    "faults.delay": {"statistics"},
    "http.coding": {"brotli", "zstandard"},
    "plugin.serving": {"plugin.bridge.grpc_server"},
    "proxy.acceptor": {"proxy.upstream.fake.fake_api"},
    "proxy.server": {"proxy.acceptor"},
    "pytest_plugin": {"errors", "testing.pytest_session"},
    "reading.shown": {"difflib"},
    "testing.own_upstream": {"testing.asgi_server", "testing.wsgi_server"},
    "tls.certificate_authority": {"tls.ca_checks", "tls.ca_creation", "tls.certificates"},
    "tls.leaf_cache": {"tls.certificates"},
}
"""Who imports what within a function, because it is heavy or a start does not need it."""

OFTEN = {"errors", "headers", "stream"}
"""Names that several providers' modules have."""
MOST_MODULES = 302
SMALL_LINES = 60
MOST_SMALL = 26
LARGE_LINES = 400
LARGE = {"config.options"}
"""One thing each: the table of the options."""


def room_of(module: str) -> str | None:
    """Return the smallest room that a module is in."""
    return max((room for room in FLOOR_OF if within(module, room)), key=len, default=None)


def test_a_room_imports_from_lower_floors_only() -> None:
    """So that the lower floors can be read, tested and used without the upper ones."""
    upward = []
    for each in inner_imports():
        here, there = room_of(each.importer), room_of(each.imported)
        if here is None or there is None:
            upward.append(f"{each}: which has no floor")
        elif here != there and FLOOR_OF[there] >= FLOOR_OF[here]:
            upward.append(str(each))
    assert upward == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Each can then be read after what it imports."""
    assert circles() == []


def test_imports_in_functions_are_those_of_the_table() -> None:
    """All else is imported where one looks for it: at the top."""
    late: dict[str, set[str]] = defaultdict(set)
    for each in imports():
        if each.in_function:
            late[each.importer].add(each.imported)
    assert dict(late) == LATE


def test_other_peoples_packages_have_their_places() -> None:
    """What one is used for can then be replaced in that place."""
    strangers = [
        str(each)
        for each in outer_imports()
        if each.package in PLACES
        and not any(within(each.importer, room) for room in PLACES[each.package])
    ]
    assert strangers == []


def test_who_chooses_how_tls_is_done() -> None:
    """The rest of a session is the same on a socket and behind a host."""
    strangers = [
        str(each)
        for each in inner_imports()
        if each.imported in TLS_MAKERS
        and not any(within(each.importer, room) for room in TLS_MAKERS[each.imported])
    ]
    assert strangers == []


FRAMED = re.compile(r'\(b"(Content-Length|Transfer-Encoding|Connection)",')
WRITES_FRAMING = {
    "http.headers",  # of what passes: TE needs a Connection
    "proxy.upstream.fake.fake_api", "cli.demo.client",  # other parties, with an HTTP of their own
}  # fmt: skip


def test_what_frames_a_message_is_made_by_its_version_of_http() -> None:
    """Another version than HTTP/1.1 does it in another way."""
    makers = {name for name, path in MODULES.items() if FRAMED.search(path.read_text("utf-8"))}
    assert {name for name in makers if not within(name, "http.h1")} == WRITES_FRAMING


def test_what_decides_does_no_io_and_has_no_clock() -> None:
    """It is handed what it needs."""
    missing = [room for room in PURE if not any(within(module, room) for module in MODULES)]
    impure = [
        str(each)
        for each in outer_imports()
        if each.package in OF_IO and any(within(each.importer, room) for room in PURE)
    ]
    assert missing + impure == []


def test_the_proxy_knows_neither_who_starts_it_nor_who_listens() -> None:
    """It can be embedded without the command line, the plugin and the report."""
    above = [
        str(each)
        for each in inner_imports()
        if within(each.importer, "proxy")
        and any(within(each.imported, room) for room in ("plugin", "report", "cli"))
    ]
    assert above == []


def test_a_module_has_a_name_of_its_own() -> None:
    """Said without its package, a name is still clear."""
    named = defaultdict(list)
    for module, path in MODULES.items():
        base = module.rpartition(".")[2]
        if path.name != "__init__.py" and not (within(module, "providers") and base in OFTEN):
            named[base].append(module)
    assert [modules for modules in named.values() if len(modules) > 1] == []


def test_a_type_has_a_name_of_its_own() -> None:
    """One name means one thing in the whole package, also in modules that are alike."""
    named = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                named[node.name].append(module)
    assert {name: where for name, where in named.items() if len(where) > 1} == {}


def test_the_root_has_few_names() -> None:
    """All else is in a room."""
    rooms = {module for module in FLOOR_OF if MODULES.get(module, ROOT).name == "__init__.py"}
    names = {module for module in MODULES if "." not in module}
    assert names - (rooms - ROOT_NAMES) == ROOT_NAMES


def test_modules_are_few_and_neither_tiny_nor_huge() -> None:
    """Enough in one file to be worth opening it, and little enough to read it through."""
    lines = {
        module: len(path.read_text(encoding="utf-8").splitlines())
        for module, path in MODULES.items()
        if is_listed(module)
    }
    small = sorted(module for module, count in lines.items() if count < SMALL_LINES)
    large = sorted(module for module, count in lines.items() if count > LARGE_LINES)
    assert len(lines) < MOST_MODULES, len(lines)
    assert len(small) < MOST_SMALL, small
    assert set(large) <= LARGE, large


def test_the_tables_name_nothing_that_is_gone() -> None:
    """A room that is moved moves here, too."""
    rooms = {*FLOOR_OF, *(room for rooms in PLACES.values() for room in rooms), *LARGE}
    rooms |= {*TLS_MAKERS, *(room for rooms in TLS_MAKERS.values() for room in rooms)}
    gone = [room for room in rooms if not any(within(module, room) for module in MODULES)]
    assert gone == []
