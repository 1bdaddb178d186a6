"""Files of certificates for a command's clients: what they trust now, and our CA.

They are kept beside the certificate authority and named by what is in them, so that runs share
them, a run that is killed leaves nothing of its own behind, and ``--print-env`` can name them.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from faultinject.environment.java_options import PASSWORD
from faultinject.errors import StartError
from faultinject.files import read_plain_file

FOLDER_NAME = "bundles"
_MOST_BYTES = 16 * 1024 * 1024
"""As much as is read of a file of certificates: the system's have some 200 KB."""
_MOST_FILES = 5_000
"""As many files as are read of a directory."""
_UNUSED_SECONDS = 30 * 24 * 3600.0
"""After how long a bundle that no run used is removed."""
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")

SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # CentOS
    "/etc/ssl/cert.pem",  # Alpine, macOS, the BSDs
)
"""Where systems keep their roots, as Go's crypto/x509 looks for them."""


@define(eq=False, repr=False)
class Bundles:
    """Makes the files for one certificate authority."""

    data_dir: Path
    """The directory in which a folder for them is made."""
    ca_pem: bytes
    warn: Callable[[str], None]
    system_files: tuple[str, ...] = SYSTEM_FILES
    _made: dict[str | None, Path] = field(factory=dict, init=False)
    _system: bytes | None = field(default=None, init=False)

    def bundle(self, named: str | None) -> Path:
        """Return a file of what a file of the user's holds, or the system's, and our CA.

        ``named`` may be a directory, too. Raises `StartError` if the file cannot be written.
        """
        if named not in self._made:
            self._made[named] = self._written(self._with_ca(self._of_user(named) or self._roots()))
        return self._made[named]

    def addition(self, named: str | None) -> Path:
        """Return a file of what a file of the user's holds, if there is one, and our CA."""
        return self._written(self._with_ca(self._of_user(named)))

    def folder(self, named: str | None) -> str:
        """Return the user's directories, or the system's, and one that has our CA.

        OpenSSL looks for files there by a hash of their subject, and so finds those of the user;
        our CA it has from SSL_CERT_FILE. Others read all files.
        """
        theirs = named or _compiled_in_folder()
        own = self.addition(None).parent / "ca"
        self._write(own / "ca.pem", self.ca_pem)
        return os.pathsep.join((theirs, str(own)))

    def trust_store(self, named: str | None) -> Path:
        """Return the same as `bundle` as a trust store of Java's, of the usual password."""
        from faultinject.tls.certificates import java_trust_store  # late: cryptography is heavy

        bundle = self.bundle(named)
        file = bundle.with_suffix(".p12")  # it differs each time: it is named by what is in it
        if file.exists():
            _note_use(file)
        else:
            self._write(file, java_trust_store(certificates_in(bundle), PASSWORD))
        return file

    def wget_settings(self, named: str | None, roots: str | None) -> Path:
        """Return a file of what wget reads now, and the setting that makes it trust our CA.

        ``named`` is the user's own file for wget, ``roots`` as ``named`` in `bundle`.
        wget made with GnuTLS reads no other variable. The user's file may hold a password, so that
        this one is the user's alone.
        """
        own = Path(named) if named else Path.home() / ".wgetrc"
        text = b""
        with suppress(OSError):
            text = read_plain_file(own, _MOST_BYTES).rstrip(b"\n") + b"\n"
        setting = f"ca_certificate = {self.bundle(roots)}\n".encode()
        return self._written(text + setting, ".wgetrc", mode=0o600)

    def _with_ca(self, pem: bytes) -> bytes:
        """Return certificates and our CA's, which may be among them already."""
        return joined((*_CERTIFICATE.findall(pem), *_CERTIFICATE.findall(self.ca_pem)))

    def _of_user(self, named: str | None) -> bytes:
        """Return the certificates in a file or directory of the user's; none are nothing."""
        if named is None:
            return b""
        try:
            found = joined(certificates_in(Path(named)))
        except OSError as error:
            self.warn(f"{named}: {error.strerror or error}; the system's certificates stand for it")
            return b""
        if not found:
            self.warn(f"{named}: has no certificate; the system's stand for it")
        return found

    def _roots(self) -> bytes:
        if self._system is None:
            self._system = system_roots(self.system_files)
            if not self._system:
                self.warn(
                    "the system's certificates were not found: the command trusts targets only;"
                    " name a file of roots by SSL_CERT_FILE"
                )
        return self._system

    def _written(self, data: bytes, ending: str = ".pem", mode: int = 0o644) -> Path:
        """Return the file that holds this, and note that it is used."""
        name = hashlib.sha256(data).hexdigest()[:16] + ending
        file = self.data_dir / FOLDER_NAME / name
        self._write(file, data, mode)
        return file

    def _write(self, file: Path, data: bytes, mode: int = 0o644) -> None:
        try:
            if file.exists() and file.read_bytes() == data:
                _note_use(file)
                return
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            _replace(file, data, mode)
            _forget_unused(file.parent)
        except OSError as error:
            raise StartError(
                f"cannot write the certificates for the command, {file}:"
                f" {error.strerror or error}; name a directory of yours with --data-dir"
            ) from None


def certificates_in(path: Path) -> Iterator[bytes]:
    """Yield the certificates (PEM) in a file, or in the files of a directory. Raises `OSError`."""
    if not path.is_dir():
        yield from _CERTIFICATE.findall(read_plain_file(path, _MOST_BYTES))
        return
    for file in sorted(path.iterdir())[:_MOST_FILES]:
        with suppress(OSError):  # a link that leads nowhere, or another directory
            yield from _CERTIFICATE.findall(read_plain_file(file, _MOST_BYTES))


def joined(certificates: Iterable[bytes]) -> bytes:
    """Return certificates as one text, each once."""
    return b"".join(each + b"\n" for each in dict.fromkeys(certificates))


def system_roots(files: Iterable[str] = SYSTEM_FILES) -> bytes:
    """Return the certificates (PEM) that this system trusts; empty if none are found."""
    for name in (_compiled_in(), *files):
        with suppress(OSError):
            if found := joined(certificates_in(Path(name))):
                return found
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()  # Windows' store
    der = context.get_ca_certs(binary_form=True)
    return joined(ssl.DER_cert_to_PEM_cert(each).encode().strip() for each in der)


def _compiled_in() -> str:
    """Return where OpenSSL looks for the system's roots, whatever the environment says."""
    return ssl.get_default_verify_paths().openssl_cafile


def _compiled_in_folder() -> str:
    return ssl.get_default_verify_paths().openssl_capath


def _note_use(file: Path) -> None:
    with suppress(OSError):  # in a directory of another user's
        os.utime(file)


def _replace(file: Path, data: bytes, mode: int) -> None:
    """Write a file whole or not at all: other runs may read it at this moment."""
    handle, temporary = tempfile.mkstemp(prefix=file.name, suffix=".new", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(data)
        Path(temporary).chmod(mode)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _forget_unused(folder: Path) -> None:
    """Remove what no run has used for long."""
    oldest = time.time() - _UNUSED_SECONDS
    for file in folder.iterdir():
        with suppress(OSError):
            if file.is_file() and file.stat().st_mtime < oldest:
                file.unlink()
