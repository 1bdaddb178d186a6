"""Files of certificates and keys, because Python's `ssl` passes them to OpenSSL only as files.

On Linux the file is in memory. On other systems, or where ``/proc`` is missing, it is in the data
directory. It is readable only by its owner from the start, and removed once it is read. No other
directory is used, because a container may have none that can be written.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from faultinject.errors import DataDirectoryError
from faultinject.tls.certificate_authority import default_data_dir


@define(eq=False, repr=False)
class PemFiles:
    """Makes the files that `ssl.SSLContext.load_cert_chain` reads."""

    _directory: Path | None = None
    """Where files are made if they cannot be in memory; None is the user's data directory."""
    _in_memory: bool = field(factory=lambda: supports_memory_files())

    def check(self) -> None:
        """Raise `DataDirectoryError` if no file can be made now."""
        try:
            with self.file(b""):
                pass
        except OSError as error:
            raise DataDirectoryError(
                f"{self._folder()}: no file can be made there ({error.strerror}), but TLS reads"
                " certificates from a file, because this system has no files in memory (memfd and"
                " /proc); choose a directory that this user may write with --data-dir"
            ) from error

    def load(self, context: ssl.SSLContext, pem: bytes) -> None:
        """Give a context a private key and its certificate chain. Raises `OSError`."""
        with self.file(pem) as path:
            context.load_cert_chain(path)

    @contextmanager
    def file(self, content: bytes) -> Iterator[str]:
        """Make a file that exists while the block runs; the value is its path. Raises `OSError`."""
        if self._in_memory:
            with _in_memory(content) as path:
                yield path
            return
        folder = self._folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # `mkstemp` makes it with mode 0600.
        descriptor, path = tempfile.mkstemp(prefix=".fault-leaf.", suffix=".pem", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            yield path
        finally:
            Path(path).unlink()

    def _folder(self) -> Path:
        return self._directory or default_data_dir()


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    with os.fdopen(os.memfd_create("faultinject"), "wb") as file:
        file.write(content)
        file.flush()
        # Opened by its path, it is read from the start.
        yield f"/proc/self/fd/{file.fileno()}"


def supports_memory_files() -> bool:
    """Return True if a file in memory can be opened by a path, as on Linux with ``/proc``."""
    if not hasattr(os, "memfd_create"):
        return False
    try:
        with _in_memory(b"") as path:
            os.close(os.open(path, os.O_RDONLY))
    except OSError:  # no /proc, or a sandbox forbids it
        return False
    return True
