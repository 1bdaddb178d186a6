"""Making the certificate authority's files, once, whole, and readable by their owner alone.

Knows nothing of certificates; it is handed a function that makes them. Imports `filelock` and is
itself imported only when there is something to make.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from faultinject.errors import DataDirectoryError, SettingsError
from faultinject.tls.ca_store import STAGING_NAME

_LOCK_SECONDS = 30.0
_LOCK = ".fault-ca.lock"


def create_files(certificate: Path, key: Path, make: Callable[[], tuple[bytes, bytes]]) -> None:
    """Create both files in their directory unless another program has done so by now.

    The certificate is renamed into place last, so whoever sees it sees its key too, without a
    lock. A crash leaves at most a key without a certificate, or a staging directory: nobody ever
    trusted those, and the next start replaces them.
    Raises `DataDirectoryError` if the directory cannot be written, `SettingsError` if another
    program does not let it go.
    """
    directory = certificate.parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(directory / _LOCK, timeout=_LOCK_SECONDS, mode=0o600):
            if not certificate.exists():
                _create(certificate, key, make)
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


def clear_staging(directory: Path) -> None:
    """Remove the staging directory that a program killed at its last step has left, if we may.

    Nothing in it is of use: the pair is in place. If another program is just now at that step, it
    does so itself.
    """
    with suppress(Timeout, OSError), FileLock(directory / _LOCK, timeout=0, mode=0o600):
        _remove(directory / STAGING_NAME)


def _remove(staging: Path) -> None:
    if staging.is_dir() and not staging.is_symlink():
        shutil.rmtree(staging)
    else:
        staging.unlink(missing_ok=True)


def _create(certificate: Path, key: Path, make: Callable[[], tuple[bytes, bytes]]) -> None:
    staging = certificate.parent / STAGING_NAME
    _remove(staging)  # only the holder of the lock uses it: one that is there is from a crash
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
    """Write a new file whose mode is right from its first byte, and force it to the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
