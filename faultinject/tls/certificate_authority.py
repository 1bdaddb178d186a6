"""The certificate authority that signs what intercepted clients see.

What it is made of stands in four small modules, two of
which import `cryptography` and are therefore imported only when something is signed or wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import platformdirs
from attrs import define, field, frozen

from faultinject.errors import DataDirectoryError, SettingsError
from faultinject.tls.ca_store import (
    STAGING_NAME,
    CaFiles,
    clear_staging,
    create_files,
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


def default_data_dir() -> Path:
    """Return the user's data directory of this program, which may not exist yet.

    Raises `DataDirectoryError` if there is none: no HOME and no user of this id, or a relative
    HOME.
    """
    try:
        path = platformdirs.user_data_path("faultinject", appauthor=False)
    except (RuntimeError, KeyError):  # as `Path.home` and `pwd` say it
        path = Path()
    if not path.is_absolute():
        raise DataDirectoryError(
            "there is no directory for the certificate authority, for this user has no home (HOME"
            " is unset or relative); name one with --data-dir, or a CA with --ca-cert and --ca-key"
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
    """A certificate and its key, with which leaves are minted.

    Made by `load` or `open_or_create`, which check it; the key itself is parsed at the first
    `mint`, because starting should not wait for it.
    """

    _files: CaFiles
    _issuer: Issuer | None = field(default=None, init=False, repr=False)

    @classmethod
    def chosen(
        cls, certificate: Path | None, key: Path | None, directory: Path | None
    ) -> CertificateAuthority:
        """Open the two files if the user named them, else our own authority in the directory.

        Without a directory that is the user's data directory. Raises as `load` and
        `open_or_create` do.
        """
        if certificate is not None and key is not None:
            return cls.load(certificate, key)
        return cls.open_or_create(directory or default_data_dir())

    @classmethod
    def load(cls, certificate: Path, key: Path) -> CertificateAuthority:
        """Open files that the user named; RSA and EC keys. Nothing is ever created.

        The certificate's file may continue with the certificates that lead to its root.
        Raises `SettingsError`, which names the file and the mend, if a file is missing,
        unreadable or no PEM, the key is encrypted, too weak or another certificate's, or the
        certificate is no authority, may not sign certificates, or is not valid now.
        """
        authority = cls(read_ca_files(certificate, key))
        if not looks_usable(authority._files):
            authority._loaded_issuer()  # finds out what is wrong, if anything
        return authority

    @classmethod
    def open_or_create(cls, directory: Path) -> CertificateAuthority:
        """Open our own authority in a directory; make directory and authority at first use.

        Programs that start at once share one authority. An existing one is opened without
        writing anything (but what a killed program has left is removed, where that is allowed),
        so the directory may be read-only then.
        Raises `SettingsError` as `load` does, `DataDirectoryError` if the directory cannot be
        written, or not even looked into.
        """
        certificate, key = directory / CERTIFICATE_NAME, directory / KEY_NAME
        if not _is_there(certificate):
            from faultinject.tls.certificates import new_authority

            create_files(certificate, key, new_authority)
        elif _is_there(directory / STAGING_NAME):
            clear_staging(directory)
        if not _is_there(key):
            raise SettingsError(
                f"{key}: is missing beside {certificate.name}; put it back, or remove"
                f" {certificate.name} to have a new pair made, which clients must then trust"
            )
        return cls.load(certificate, key)

    @property
    def certificate_path(self) -> Path:
        """The file that clients are told to trust."""
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

        That deserves a warning: they could pass for any site towards whoever trusts the
        certificate.
        """
        return self._files.key_readable_by_others

    def uncovered_names(self, hosts: Iterable[str]) -> list[str]:
        """Return those of the hosts for which name constraints forbid it to sign."""
        if not may_have_name_constraints(self._files):
            return []
        from faultinject.tls import ca_checks

        return ca_checks.uncovered_names(self._loaded_issuer(), hosts)

    def mint(self, host: str, key: RSAPrivateKey | None = None) -> Leaf:
        """Sign a leaf for a normal host (see `faultinject.authority.normal_host`).

        It has the given key, or an EC key that all leaves share. Raises `SettingsError` if the
        authority has expired since it was opened.
        """
        return self._loaded_issuer().mint(host, key)

    def _loaded_issuer(self) -> Issuer:
        from faultinject.tls import ca_checks

        if self._issuer is None:
            self._issuer = ca_checks.read_issuer(self._files)
        else:
            ca_checks.check_dates(self._files, self._issuer)
        return self._issuer


@frozen
class NoAuthority:
    """Stands for a certificate authority where none can be had: it signs nothing."""

    reason: str
    """Why there is none, and what to do."""

    @property
    def certificate_path(self) -> None:
        """There is no file that clients could be told to trust."""
        return None

    def mint(self, _host: str, _key: RSAPrivateKey | None = None) -> NoReturn:
        """Raise `SettingsError` with the reason."""
        raise SettingsError(self.reason)
