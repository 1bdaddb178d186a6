"""Makes the certificate authority's two files.

They are created once, complete, and readable only by their owner.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from faultinject.errors import DataDirectoryError, SettingsError

_LOCK_SECONDS = 30.0
_LOCK = ".fault-ca.lock"


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
        with FileLock(directory / _LOCK, timeout=_LOCK_SECONDS, mode=0o600):
            if not certificate.exists():
                _create(certificate, key, staging, make)
    except Timeout as error:
        raise SettingsError(
            f"{directory}: another program has held {_LOCK} for {_LOCK_SECONDS:.0f} seconds; end"
            " it, or choose another directory with --data-dir"
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
    with suppress(Timeout, OSError), FileLock(staging.parent / _LOCK, timeout=0, mode=0o600):
        _remove(staging)


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
