"""The bytes of every error, page and stream are those that were looked at and committed."""

from __future__ import annotations

import pytest

from tests.unit.providers.golden import FOLDER, files

FILES = files()


@pytest.mark.parametrize("name", FILES)
def test_bytes(name: str) -> None:
    """If a change is meant: ``python -m tests.unit.providers.golden``, and read the difference."""
    # Without newline="" a CR would be lost, and is made visible for that.
    assert FILES[name] == (FOLDER / name).read_bytes().decode()


def test_no_other_files() -> None:
    """A file that nothing makes any more is deleted."""
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)


def test_draws_repeat() -> None:
    """The same draws give the same bytes."""
    assert files() == FILES
