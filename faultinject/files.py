"""Reads and writes files that the user named, with limits on their size and on waiting.

A name can stand for anything: opening a pipe that nobody writes to would wait for ever, and
/dev/zero has no end.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

STANDARD_INPUT = Path("-")
NOTICE_SECONDS = 1.0
"""How long nothing comes before the user is told what is waited for."""
SILENCE_SECONDS = 60.0
"""How long nothing may come from a pipe before it is given up."""

# Without the first, opening a pipe waits for its other end. Windows has no such pipes, and needs
# the second.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_PIECE_BYTES = 65_536
_PIPE_BYTES = getattr(select, "PIPE_BUF", 512)  # a pipe that is ready takes at least so much
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_plain_file(path: Path) -> BinaryIO:
    """Open a regular file, or ``/dev/null``.

    Raises `OSError` for anything else, with the reason as ``strerror``: some files are read more
    than once, and a pipe cannot be.
    """
    file = _opened(path)
    if (kind := _other_kind(os.fstat(file.fileno()))) is not None:
        file.close()
        raise OSError(0, f"it is {kind}, not a file")
    return file


def check_plain_file(path: Path) -> None:
    """Raise the `OSError` that `open_plain_file` raises, if any."""
    open_plain_file(path).close()


def read_plain_file(path: Path, most_bytes: int) -> bytes:
    """Return a file's bytes, but at most ``most_bytes`` + 1. Raises `OSError`."""
    with open_plain_file(path) as file:
        return file.read(most_bytes + 1)


def read_to_the_end(path: Path, most_bytes: int, on_wait: Callable[[], None]) -> bytes:
    """Return the bytes of a file, pipe, terminal or device up to its end.

    At most ``most_bytes`` + 1 are returned. ``-`` is standard input. ``on_wait`` is called once if
    nothing comes for a second. Raises `OSError`, also for a pipe that ends without a byte, or from
    which nothing comes for `SILENCE_SECONDS`.
    """
    with _standard_input() if path == STANDARD_INPUT else _opened(path) as file:
        if _other_kind(os.fstat(file.fileno())) is None:
            return file.read(most_bytes + 1)
        data = b"".join(_pieces(file, most_bytes, on_wait))
    if not data:
        raise OSError(0, "it ended without a byte; is anybody writing to it?")
    return data


def write_within(path: Path, data: bytes, seconds: float) -> None:
    """Replace a file's contents, or write to a pipe or device.

    Raises `OSError`, also for a pipe that nobody reads in time.
    """
    end = time.monotonic() + seconds
    rest = memoryview(data)
    with _opened_to_write(path) as file:
        while rest:
            if not _takes(file, max(0.0, end - time.monotonic())):
                raise OSError(0, "nobody reads it")
            try:
                rest = rest[os.write(file.fileno(), rest[:_PIPE_BYTES]) :]
            except BlockingIOError:  # another writer was faster
                continue


def check_place(path: Path) -> None:
    """Raise `OSError` if a file could not be written: at the end what it is for would be lost.

    Leaves no trace. What stands for a stream, as /dev/stdout does, is left alone.
    """
    if not path.exists():
        with tempfile.TemporaryFile(dir=path.parent):
            return
    if path.is_file() or path.is_dir():
        with path.open("ab"):
            return


def replace_within(path: Path, data: bytes, seconds: float) -> None:
    """Put bytes in the place of a file, all at once; write them to a pipe or device.

    Where nothing can be put beside the file, or in its place, it is written as it is. Raises
    `OSError`, as `write_within`.
    """
    aim = path.resolve()
    beside = aim.with_name(f".{aim.name}.{os.urandom(4).hex()}")
    if not aim.exists() or aim.is_file():
        try:
            _replace(aim, data, beside)
        except OSError:  # a file that is mounted, say, in a folder that is not ours
            beside.unlink(missing_ok=True)
        else:
            return
    write_within(path, data, seconds)


def _replace(aim: Path, data: bytes, beside: Path) -> None:
    with beside.open("xb") as file:
        if aim.exists():
            beside.chmod(stat.S_IMODE(aim.stat().st_mode))
        file.write(data)
    beside.replace(aim)


def _takes(file: BinaryIO, seconds: float) -> bool:
    if os.name == "nt":  # pragma: no cover - select takes only sockets there
        return True
    return bool(select.select([], [file], [], seconds)[1])


def _opened_to_write(path: Path) -> BinaryIO:
    try:
        return open(path, "wb", buffering=0, opener=_open_to_write)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a pipe without a reader
            raise OSError(0, "nobody reads it") from None
        raise


def _open_to_write(name: str, flags: int) -> int:
    return os.open(name, flags | _FLAGS, 0o666)


def _open(name: str, flags: int) -> int:
    del flags
    return os.open(name, os.O_RDONLY | _FLAGS)


def _opened(path: Path) -> BinaryIO:
    return open(path, "rb", opener=_open)


def _standard_input() -> BinaryIO:
    return open(0, "rb", closefd=False)


def _pieces(file: BinaryIO, most_bytes: int, on_wait: Callable[[], None]) -> Iterator[bytes]:
    """Yield the bytes as they come, up to the end or one byte more than the limit."""
    rest = most_bytes + 1
    for _ in _readable(file, on_wait):
        try:
            piece = os.read(file.fileno(), min(rest, _PIECE_BYTES))
        except BlockingIOError:  # a false alarm, or another reader was faster
            continue
        rest -= len(piece)
        yield piece
        if not piece or not rest:
            return


def _readable(file: BinaryIO, on_wait: Callable[[], None]) -> Iterator[None]:
    """Yield each time that there is something to read."""
    notified = False
    while True:
        if not _comes(file, NOTICE_SECONDS):
            if not notified:
                on_wait()
                notified = True
            if not _comes(file, SILENCE_SECONDS - NOTICE_SECONDS):
                raise OSError(0, f"it sent nothing and did not end for {SILENCE_SECONDS:g} s")
        yield


def _comes(file: BinaryIO, seconds: float) -> bool:
    if os.name == "nt":  # pragma: no cover - select takes only sockets there
        return True
    return bool(select.select([file], [], [], seconds)[0])


def _other_kind(status: os.stat_result) -> str | None:
    """Return what something other than a regular file is called; None for a regular file."""
    if stat.S_ISCHR(status.st_mode) and os.path.samestat(status, Path(os.devnull).stat()):
        return None
    return next((words for is_it, words in _KINDS if is_it(status.st_mode)), None)
