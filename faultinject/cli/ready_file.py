"""The file that says how to reach a proxy, there only while it listens.

Knows nothing of how the proxy runs. Scripts wait for the file instead of guessing how long a
start takes; it appears whole, because it is renamed into place.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from faultinject.errors import StartError


@contextmanager
def ready_file(path: Path | None, contents: Mapping[str, object]) -> Iterator[None]:
    """Keep a JSON file with these contents; with None do nothing.

    Raises `StartError` if it cannot be written.
    """
    if path is None:
        yield
        return
    _write(path, json.dumps(dict(contents), indent=2) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def forget_ready_file(path: Path | None) -> None:
    """Remove what an earlier run that was killed left behind: it would mislead who waits.

    Raises `StartError` if it is no file, or if none could be written in its place.
    """
    if path is not None:
        try:
            path.unlink(missing_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise _cannot_write(path, error) from None


def _write(path: Path, text: str) -> None:
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".new", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> StartError:
    return StartError(
        f"cannot write the ready file {path}: {error.strerror or error}; name a file in a"
        " directory that exists and is yours"
    )
