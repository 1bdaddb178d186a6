"""Tests of files that the user named: bounded, and never waited for in silence."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faultinject import files
from faultinject.files import (
    check_place,
    check_plain_file,
    read_plain_file,
    read_to_the_end,
    replace_within,
    write_within,
)

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")


def silent() -> None:
    """Stand for what is told of a wait, where there is none."""
    pytest.fail("nothing had to be waited for")


@contextmanager
def pipe(*written: bytes) -> Iterator[tuple[Path, int]]:
    """Yield the name of a pipe's reading end, and the writing end, which the test closes."""
    reading, writing = os.pipe()
    for data in written:
        os.write(writing, data)
    try:
        yield Path(f"/dev/fd/{reading}"), writing
    finally:
        os.close(reading)


@pytest.mark.parametrize(("most", "read"), [(3, b"abcd"), (5, b"abcde"), (9, b"abcde")])
def test_a_file_is_read_up_to_one_byte_more_than_the_limit(
    tmp_path: Path, most: int, read: bytes
) -> None:
    """So that who asks can tell that it is too long."""
    file = tmp_path / "f"
    file.write_bytes(b"abcde")
    assert read_plain_file(file, most) == read
    assert read_to_the_end(file, most, silent) == read


def test_an_empty_file_is_one() -> None:
    """The system's own empty file counts, too."""
    assert read_plain_file(Path(os.devnull), 10) == b""
    assert read_to_the_end(Path(os.devnull), 10, silent) == b""
    check_plain_file(Path(os.devnull))


@posix
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe without a writer would be waited for, a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)
        listening.bind("s")  # the whole path may be too long for a socket
        for name, reason in (
            (tmp_path / "pipe", "it is a pipe, not a file"),
            (Path("/dev/zero"), "it is a device, not a file"),
            (tmp_path, "Is a directory"),
            (tmp_path / "none", "No such file or directory"),
        ):
            with pytest.raises(OSError, match=reason):
                check_plain_file(name)
        with pytest.raises(OSError, match=r"\w"):  # systems differ in the reason
            check_plain_file(tmp_path / "s")


@posix
def test_a_pipe_is_read_to_its_end() -> None:
    """As the shell's <(...) makes one; nothing is said if all is there."""
    with pipe(b"ab", b"c") as (name, writing):
        os.close(writing)
        assert read_to_the_end(name, 10, silent) == b"abc"


@posix
def test_a_pipe_without_an_end_is_read_up_to_the_limit() -> None:
    """So is a device."""
    with pipe(b"abcdef") as (name, writing):
        assert read_to_the_end(name, 3, silent) == b"abcd"
        os.close(writing)
    assert read_to_the_end(Path("/dev/zero"), 100_000, silent) == bytes(100_001)


@posix
def test_standard_input_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the caller's."""
    with pipe(b"abc") as (name, writing):
        os.close(writing)
        kept = os.dup(0)
        try:
            os.dup2(int(name.name), 0)
            assert read_to_the_end(Path("-"), 10, silent) == b"abc"
            assert os.read(0, 1) == b""
        finally:
            os.dup2(kept, 0)
            os.close(kept)


@posix
def test_a_wait_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at a screen that says nothing."""
    monkeypatch.setattr(files, "NOTICE_SECONDS", 0.0)
    said = []
    with pipe() as (name, writing):

        def told() -> None:
            said.append("waits")
            os.write(writing, b"late")
            os.close(writing)

        assert read_to_the_end(name, 10, told) == b"late"
    assert said == ["waits"]


@posix
def test_a_second_wait_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has read the line once knows."""
    comes = iter([False, True, False, True])
    monkeypatch.setattr(files, "_comes", lambda file, seconds: next(comes))
    said: list[str] = []
    with pipe(b"abc") as (name, writing):
        os.close(writing)
        assert read_to_the_end(name, 10, lambda: said.append("waits")) == b"abc"
    assert said == ["waits"]
    assert next(comes, None) is None


@posix
def test_a_pipe_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that nobody writes to."""
    monkeypatch.setattr(files, "NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(files, "SILENCE_SECONDS", 0.0)
    with pipe(b"abc") as (name, writing):
        with pytest.raises(OSError, match="it sent nothing and did not end for 0 s"):
            read_to_the_end(name, 10, lambda: None)
        os.close(writing)


@posix
def test_a_pipe_that_ends_without_a_word_is_no_empty_file() -> None:
    """What should have written to it has failed, most likely."""
    with pipe() as (name, writing):
        os.close(writing)
        with pytest.raises(OSError, match="it ended without a byte"):
            read_to_the_end(name, 10, silent)


@posix
def test_a_false_alarm_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may have read what had come."""
    calls: list[int] = []
    read = os.read

    def first_in_vain(descriptor: int, size: int) -> bytes:
        calls.append(size)
        if len(calls) == 1:
            raise BlockingIOError
        return read(descriptor, size)

    with pipe(b"abc") as (name, writing):
        os.close(writing)
        monkeypatch.setattr(os, "read", first_in_vain)
        assert read_to_the_end(name, 10, silent) == b"abc"


def test_a_file_is_written_in_place_of_what_was_in_it(tmp_path: Path) -> None:
    """All of it."""
    file = tmp_path / "f"
    file.write_bytes(b"something longer")
    write_within(file, b"new", 0.0)
    assert file.read_bytes() == b"new"
    with pytest.raises(OSError, match="No such file or directory"):
        write_within(tmp_path / "none" / "f", b"", 0.0)


@posix
def test_a_pipe_is_written_to_its_reader() -> None:
    """As the shell's >(...) makes one; in pieces, as it takes them."""
    data = bytes(range(256)) * 4096  # more than fits into a pipe
    got = bytearray()
    reading, writing = os.pipe()

    def read() -> None:
        while piece := os.read(reading, 65_536):
            got.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    write_within(Path(f"/dev/fd/{writing}"), data, 60.0)
    os.close(writing)
    reader.join()
    os.close(reading)
    assert got == data


@posix
def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    """Neither one without a reader, nor one that is full."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads it"):
        write_within(tmp_path / "pipe", b"x", 0.0)
    with pipe() as (_, writing):
        with pytest.raises(OSError, match="nobody reads it"):
            write_within(Path(f"/dev/fd/{writing}"), bytes(4_000_000), 0.0)
        os.close(writing)


@posix
def test_a_pipe_that_somebody_else_fills_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took something a moment ago."""
    calls: list[int] = []
    write = os.write

    def first_in_vain(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            raise BlockingIOError
        return write(descriptor, data)

    with pipe() as (name, writing):
        monkeypatch.setattr(os, "write", first_in_vain)
        write_within(Path(f"/dev/fd/{writing}"), b"abc", 60.0)
        os.close(writing)
        assert read_to_the_end(name, 10, silent) == b"abc"
    assert calls == [3, 3]


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    """Who has the old one open goes on reading it; nothing else is left."""
    file = tmp_path / "f"
    file.write_text("old", encoding="utf-8")
    with file.open(encoding="utf-8") as old:
        replace_within(file, b"new", 0.0)
        assert old.read() == "old"
    assert file.read_text("utf-8") == "new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_link_stays_one(tmp_path: Path) -> None:
    """What it leads to is replaced."""
    file, link = tmp_path / "f", tmp_path / "l"
    link.symlink_to(file)
    replace_within(link, b"new", 0.0)
    assert link.is_symlink()
    assert file.read_bytes() == b"new"


def test_a_file_that_cannot_be_replaced_is_written_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is mounted, for one."""

    def replace(*_: object) -> None:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(Path, "replace", replace)
    file = tmp_path / "f"
    file.write_text("older", encoding="utf-8")
    replace_within(file, b"new", 0.0)
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(OSError, match="No such file"):
        replace_within(tmp_path / "none" / "f", b"", 0.0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    """What reads it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads it"):
        replace_within(tmp_path / "pipe", b"x", 0.0)
    assert (tmp_path / "pipe").is_fifo()


def test_a_place_is_looked_at_without_a_trace(tmp_path: Path) -> None:
    """A folder that is not there has none, and a folder is none."""
    file = tmp_path / "f"
    check_place(file)
    assert list(tmp_path.iterdir()) == []
    file.write_text("old", encoding="utf-8")
    check_place(file)
    assert file.read_text("utf-8") == "old"
    check_place(Path(os.devnull))
    for place in (tmp_path, tmp_path / "none" / "f"):
        with pytest.raises(OSError, match=r"Is a directory|No such file"):
            check_place(place)
