"""What docs/design.md says of the rooms; and no page or docstring names a module that is gone."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import faultinject
from tests.architecture.code import MODULES, is_listed
from tests.architecture.test_rooms import FLOORS
from tools.structure import Source, circles, figures, floors

PACKAGE = Path(faultinject.__file__).parent
PROJECT = PACKAGE.parent
DESIGN = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
PAGES = [
    PROJECT / "README.md",
    *(page for page in sorted((PROJECT / "docs").rglob("*.md")) if page.name != "changelog.md"),
]


def section(title: str) -> str:
    """Return the part of the page under a heading, without the parts below it."""
    _, _, rest = DESIGN.partition(f"\n{title}\n")
    assert rest, f"no heading {title!r}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """Return the names in the first column of a table."""
    return re.findall(r"^\| `([\w/]+)` \|", text, flags=re.MULTILINE)


def files_named(text: str) -> set[str]:
    """Return the files and folders that a text names by their path."""
    return {*re.findall(r"\b[\w/]+/\w+\.py\b", text), *re.findall(r"`([\w/]+/)`", text)}


def is_there(name: str) -> bool:
    """Return whether a path is one of the package, or of the project."""
    return (PACKAGE / name).exists() or (PROJECT / name).exists()


def test_every_room_has_its_line() -> None:
    """Each package, and each module that is in none; nothing else, and nothing twice."""
    packages = {
        module.replace(".", "/") + "/"
        for module, path in MODULES.items()
        if path.name == "__init__.py" and module
    }
    lone = {module or "__init__" for module in MODULES if "." not in module} - {
        package[:-1] for package in packages
    }
    assert sorted(first_cells(section("## The rooms"))) == sorted(packages | lone)


def test_the_floors_are_those_that_a_test_holds() -> None:
    """As they are drawn, so they are."""
    drawn = re.findall(r"^\| \d+ \| (.*) \|$", section("### The floors"), flags=re.MULTILINE)
    held = [[(room or "__init__").replace(".", "/") for room in floor] for floor in FLOORS]
    assert [re.findall(r"`([\w/]+)`", row) for row in drawn] == held


def test_what_the_page_names_is_there() -> None:
    """Files and folders by their path, in the drawing of the way too."""
    named = files_named(DESIGN)
    assert len(named) > 40
    assert [name for name in sorted(named) if not is_there(name)] == []
    assert not is_there("proxy/front_door.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """Those of the package and the tools; other paths on these pages are the reader's own."""
    rooms = {path.name for path in PACKAGE.iterdir()} | {"faultinject", "tests", "tools"}
    named = files_named(page.read_text(encoding="utf-8"))
    ours = {name for name in named if name.split("/")[0] in rooms}
    assert [name for name in sorted(ours) if not is_there(name)] == []


def resolves(dotted: str) -> bool:
    """Return whether a name is a module's, or that of something in one."""
    found: object = faultinject
    for count, name in enumerate(dotted.split(".")[1:], start=2):
        if not hasattr(found, name):
            try:
                import_module(".".join(dotted.split(".")[:count]))
            except ImportError:
                return False
        found = getattr(found, name)
    return True


@pytest.mark.parametrize("root", [PROJECT / "docs", PACKAGE], ids=["docs", "docstrings"])
def test_dotted_names_lead_somewhere(root: Path) -> None:
    """Each `faultinject.…` in a page, a docstring or a comment is there."""
    files = [path for path in root.rglob("*.*") if path.suffix in (".md", ".py")]
    named = {
        name
        for path in files
        if path.name != "changelog.md"
        for name in re.findall(r"`(faultinject(?:\.\w+)+)`", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 2
    assert [name for name in sorted(named) if not resolves(name)] == []


def test_a_dotted_name_that_leads_nowhere() -> None:
    """The check would see one."""
    assert resolves("faultinject.rules.Rule")
    assert not resolves("faultinject.rules.no_such_thing")


def test_the_figures_of_a_graph() -> None:
    """What tools/structure.py counts: a circle is found, and is one node of a chain."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"d"}}
    assert circles(graph) == [{"b", "c"}]
    assert floors(graph) == 3


def test_the_figures_of_the_package() -> None:
    """They agree with what the tests of the architecture see."""
    found = figures(Source(PACKAGE))
    assert found["files"] == len(MODULES)
    assert found["circles of modules"] == 0
    assert found["modules"] == len([module for module in MODULES if is_listed(module)])
