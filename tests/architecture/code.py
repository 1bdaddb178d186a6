"""The package's modules and what each imports, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

import faultinject
from tools.structure import statements

ROOT = Path(faultinject.__file__).parent


@frozen
class Import:
    """One module that another imports, anywhere in it."""

    importer: str
    imported: str
    """Of ours: the module's name below the package. Of others: the full name."""
    ours: bool
    in_function: bool

    @property
    def package(self) -> str:
        """The outermost package of what is imported."""
        return self.imported.split(".")[0]

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}"


def module_name(path: Path) -> str:
    """Return a module's name below the package; the package itself is nothing."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path for path in sorted(ROOT.rglob("*.py")) if "_generated" not in path.parts
}


def within(module: str, room: str) -> bool:
    """Return whether a module is a room or in it."""
    return module == room or module.startswith(room + ".")


def is_listed(module: str) -> bool:
    """Return whether a module is more than the words that describe a package."""
    if MODULES[module].name != "__init__.py":
        return True
    body = ast.parse(MODULES[module].read_text(encoding="utf-8")).body
    return any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in body)


@cache
def imports() -> tuple[Import, ...]:
    """Return all imports, those in functions and for types alone included."""
    return tuple(each for module in MODULES for each in _imports_of(module))


def inner_imports() -> Iterator[Import]:
    """Return the imports of ours, but for the version, which the package has before all else."""
    return (each for each in imports() if each.ours and each.imported != "")


def outer_imports() -> Iterator[Import]:
    """Return the imports of other packages and of Python's own modules."""
    return (each for each in imports() if not each.ours)


def _imports_of(module: str) -> Iterator[Import]:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node, late in statements(tree):
        for name in _names(node):
            ours = name.split(".")[0] == "faultinject"
            short = name.partition(".")[2] if ours else name
            if ours and short.split(".")[-1].startswith("_generated"):
                continue
            yield Import(module, short, ours, late)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        assert node.module is not None
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            # `from faultinject.http import message` names a module, most others something in one.
            yield inner if inner.partition(".")[2] in MODULES else node.module


def circles() -> list[list[str]]:
    """Return the groups of modules that import each other, directly or by way of others."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for each in inner_imports():
        if each.imported != each.importer:
            graph[each.importer].add(each.imported)
    while True:  # what imports nothing that is left, or is imported by nothing, is in no circle
        imported = {name for names in graph.values() for name in names}
        free = {module for module, names in graph.items() if not names or module not in imported}
        if not free:
            return [sorted(graph)] if graph else []
        graph = {module: names - free for module, names in graph.items() if module not in free}
