"""What docs/library.md shows is true."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

import faultinject
from faultinject import errors, events
from tests.behaviour.library.examples import PAGE, examples, files

EXAMPLES = examples()


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_prints_what_the_page_says(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is a whole program."""
    program, output = EXAMPLES[number]
    if "serve_plugin" in program:
        pytest.importorskip("trio_asyncio", exc_type=Exception)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: tmp_path / "data")
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    exec(compile(program, f"{PAGE}:{number}", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr() == (output, "")


def test_the_page_shows_every_public_name() -> None:
    """In an example, not in the prose alone."""
    programs = "\n".join(program for program, _ in EXAMPLES)
    assert len(EXAMPLES) >= 8
    for name in set(faultinject.__all__) - {"__version__"}:
        assert f"faultinject.{name}" in programs or f"from faultinject import {name}" in programs


def test_every_public_name_is_there_and_described() -> None:
    """By a docstring; and nothing else is given out by the package."""
    for name in set(faultinject.__all__) - {"__version__"}:
        assert getattr(faultinject, name).__doc__
    assert not hasattr(faultinject, "nothing")
    # Not by the dot: a module that was imported before is found without it.
    assert [faultinject.__getattr__(name) for name in ("errors", "events")] == [errors, events]
    assert (Path(faultinject.__file__).parent / "py.typed").is_file()
