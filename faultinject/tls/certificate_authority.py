"""The certificate authority that signs the certificates that intercepted clients see.

`ca_store` has its files, `ca_creation` makes them, `ca_checks` has the full check, and
`certificates` the signing. A start needs the first alone: the others are imported to create, to
sign, or when a fast check fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import platformdirs
from attrs import define, field, frozen

from faultinject.errors import DataDirectoryError, SettingsError
from faultinject.tls.ca_store import (
    CaFiles,
    looks_usable,
    may_have_name_constraints,
    read_ca_files,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from faultinject.tls.certificates import Issuer
    from faultinject.tls.certificates import Leaf as Leaf

CERTIFICATE_NAME = "fault-ca.crt"
KEY_NAME = "fault-ca.key"
STAGING_NAME = ".fault-ca.new"
"""The directory next to the two files, in which they are made."""


def default_data_dir() -> Path:
    """Return the user's data directory of this program, which may not exist yet.

    Raises `DataDirectoryError` if there is none: no HOME and no user of this id, or a relative
    HOME.
    """
    try:
        path = platformdirs.user_data_path("faultinject", appauthor=False)
    except (RuntimeError, KeyError):  # from `Path.home` and `pwd`
        path = Path()
    if not path.is_absolute():
        raise DataDirectoryError(
            "there is no directory for the certificate authority, because this user has no home"
            " (HOME is unset or relative); name one with --data-dir, or a CA with --ca-cert and"
            " --ca-key"
        )
    return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise DataDirectoryError(
            f"{path.parent}: the certificate authority cannot be looked for there"
            f" ({error.strerror}); choose a directory that this user may use with --data-dir"
        ) from error


@define
class CertificateAuthority:
    """A certificate and its key, which sign leaves.

    `load` and `open_or_create` create and check it. The key is parsed only at the first `mint`, so
    that the start need not wait for it.
    """

    _files: CaFiles
    _issuer: Issuer | None = field(default=None, init=False, repr=False)

    @classmethod
    def chosen(
        cls, certificate: Path | None, key: Path | None, directory: Path | None
    ) -> CertificateAuthority:
        """Open the two files if the user named them, else our own authority in the directory.

        The default directory is the user's data directory. Raises the same errors as `load` and
        `open_or_create`.
        """
        if certificate is not None and key is not None:
            return cls.load(certificate, key)
        return cls.open_or_create(directory or default_data_dir())

    @classmethod
    def is_missing(cls, certificate: Path | None, key: Path | None, directory: Path | None) -> bool:
        """Return True if `chosen` would create it, or at least try."""
        if certificate is not None and key is not None:
            return False
        try:
            return not _is_there((directory or default_data_dir()) / CERTIFICATE_NAME)
        except DataDirectoryError:
            return True

    @classmethod
    def load(cls, certificate: Path, key: Path) -> CertificateAuthority:
        """Open files that the user named, with an RSA or EC key. Nothing is ever created.

        After the certificate its file may have those that lead to the root. Raises `SettingsError`,
        which names the file and what to do: if a file is missing, unreadable or not PEM; if the key
        is encrypted, too weak or another certificate's; if the certificate is not an authority, may
        not sign certificates, or is not valid now.
        """
        authority = cls(read_ca_files(certificate, key))
        if not looks_usable(authority._files):
            authority._loaded_issuer()  # raises if something is wrong
        return authority

    @classmethod
    def open_or_create(cls, directory: Path) -> CertificateAuthority:
        """Open our own authority in a directory. At first use, create both.

        Programs that start at the same time share one authority. An existing authority is opened
        without writing, so its directory may be read-only (what a killed program has left is
        removed if possible). Raises `SettingsError` as `load` does, `DataDirectoryError` if the
        directory cannot be written or read.
        """
        certificate, key = directory / CERTIFICATE_NAME, directory / KEY_NAME
        if not _is_there(certificate):
            from faultinject.tls.ca_creation import create_files
            from faultinject.tls.certificates import new_authority

            create_files(certificate, key, directory / STAGING_NAME, new_authority)
        elif _is_there(directory / STAGING_NAME):
            from faultinject.tls.ca_creation import clear_staging

            clear_staging(directory / STAGING_NAME)
        if not _is_there(key):
            raise SettingsError(
                f"{key}: is missing next to {certificate.name}; put it back, or remove"
                f" {certificate.name}: then a new pair is made, which clients must trust"
            )
        return cls.load(certificate, key)

    @property
    def certificate_path(self) -> Path:
        """The file with the certificate that clients must trust."""
        return self._files.certificate

    @property
    def certificate_pem(self) -> bytes:
        """The certificates in that file, never a key."""
        return self._files.certificate_pem

    @property
    def key_path(self) -> Path:
        """The private key's file."""
        return self._files.key

    @property
    def key_readable_by_others(self) -> bool:
        """Whether other users of this machine may read the private key.

        The user should be warned: they could impersonate any site to whoever trusts the
        certificate.
        """
        return self._files.key_readable_by_others

    def uncovered_names(self, hosts: Iterable[str]) -> list[str]:
        """Return the hosts for which name constraints forbid it to sign."""
        if not may_have_name_constraints(self._files):
            return []
        from faultinject.tls import ca_checks

        return ca_checks.uncovered_names(self._loaded_issuer(), hosts)

    def mint(self, host: str, key: RSAPrivateKey | None = None) -> Leaf:
        """Sign a leaf for a normal host (see `faultinject.authority.normal_host`).

        The leaf has the given key, or an EC key that all leaves share. Raises `SettingsError` if
        the authority has expired since it was opened.
        """
        return self._loaded_issuer().mint(host, key)

    def _loaded_issuer(self) -> Issuer:
        from faultinject.tls import ca_checks

        if self._issuer is None:
            self._issuer = ca_checks.read_issuer(self._files)
        else:
            ca_checks.check_dates(self._files, self._issuer)
        return self._issuer


@frozen(eq=False, repr=False)
class NoAuthority:
    """Used in place of a certificate authority if there can be none. It signs nothing."""

    reason: str
    """Why there is none, and what to do."""

    @property
    def certificate_path(self) -> None:
        """None, because there is no certificate to trust."""
        return None

    def mint(self, _host: str, _key: RSAPrivateKey | None = None) -> NoReturn:
        """Raise `SettingsError` with the reason."""
        raise SettingsError(self.reason)
