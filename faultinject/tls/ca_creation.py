"""Makes the certificate authority's two files.

They are created once, complete, and readable only by their owner.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faultinject.errors import DataDirectoryError, SettingsError

# The standard library's locks: filelock's take 26 ms and 1 MiB of a first start.
if sys.platform == "win32":  # pragma: no cover - the tests run elsewhere
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


LOCK_NAME = ".fault-ca.lock"
_LOCK_SECONDS = 30.0
_RETRY_SECONDS = 0.05
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


def create_files(
    certificate: Path, key: Path, staging: Path, make: Callable[[], tuple[bytes, bytes]]
) -> None:
    """Create both files in their directory, unless another program has done so meanwhile.

    ``staging`` is a directory beside them, in which they are made.

    The certificate is renamed into place last. So a program that sees it sees the key too, without
    a lock. A crash leaves at most a key without a certificate, or a staging directory. Nobody has
    ever trusted those, and the next start replaces them.

    Raises `DataDirectoryError` if the directory cannot be written, `SettingsError` if another
    program keeps the lock.
    """
    directory = certificate.parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(directory / LOCK_NAME, _LOCK_SECONDS):
            if not certificate.exists():
                _create(certificate, key, staging, make)
    except TimeoutError as error:
        raise SettingsError(
            f"{directory}: another program has held {LOCK_NAME} for {_LOCK_SECONDS:.0f} seconds;"
            " end it, or choose another directory with --data-dir"
        ) from error
    except OSError as error:
        raise DataDirectoryError(
            f"{directory}: the certificate authority cannot be written there ({error.strerror});"
            " choose a directory that this user may write with --data-dir"
        ) from error


def clear_staging(staging: Path) -> None:
    """Try to remove a staging directory, left by a program that was killed at its last step.

    Nothing in it is needed, because the pair is in place. If another program is at that step right
    now, it removes the directory itself.
    """
    with suppress(OSError), locked(staging.parent / LOCK_NAME, 0):
        _remove(staging)


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold a lock that ends with this program at the latest; its file, which is empty, stays.

    Raises `TimeoutError` if others have held it for so long, another `OSError` if the file cannot
    be opened or locked.
    """
    deadline = time.monotonic() + seconds
    file = os.open(path, _LOCK_FLAGS, 0o600)
    try:
        while not _is_locked(file):
            if time.monotonic() >= deadline:
                raise TimeoutError
            time.sleep(_RETRY_SECONDS)  # neither system can wait for a lock for a limited time
        yield
    finally:
        os.close(file)


def _is_locked(file: int) -> bool:
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):  # as POSIX and Windows say that another has it
        return False
    return True


def _remove(staging: Path) -> None:
    if staging.is_dir() and not staging.is_symlink():
        shutil.rmtree(staging)
    else:
        staging.unlink(missing_ok=True)


def _create(
    certificate: Path, key: Path, staging: Path, make: Callable[[], tuple[bytes, bytes]]
) -> None:
    _remove(staging)  # only the holder of the lock uses it, so this one is from a crash
    staging.mkdir(mode=0o700)
    try:
        certificate_pem, key_pem = make()
        _write(staging / key.name, key_pem, 0o600)
        _write(staging / certificate.name, certificate_pem, 0o644)
        (staging / key.name).replace(key)
        (staging / certificate.name).replace(certificate)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a new file that has its mode from the start, and sync it to the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
