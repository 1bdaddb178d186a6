"""Certificate authorities of every good and bad kind, written as files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str) -> x509.Name:
    """Return a name that consists of a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@frozen(kw_only=True)
class AuthorityFiles:
    """A certificate authority to be written; the defaults make a good self-signed one."""

    key: Key = field(factory=ec_key)
    common_name: str = "Test CA"
    issuer: AuthorityFiles | None = None
    starts_in: timedelta = timedelta(days=-10)
    ends_in: timedelta = timedelta(days=10)
    ca: bool | None = True
    cert_sign: bool | None = True
    key_identifier: bool = True
    more: tuple[x509.ExtensionType, ...] = ()
    """Further extensions, none of them critical."""

    def certificate(self) -> x509.Certificate:
        """Return the certificate, signed by the issuer or by itself."""
        issuer, now, public = self.issuer or self, datetime.now(UTC), self.key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(self.common_name))
            .issuer_name(name(issuer.common_name))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + self.starts_in)
            .not_valid_after(now + self.ends_in)
        )
        for extension, critical in self._extensions(issuer):
            builder = builder.add_extension(extension, critical)
        ed = isinstance(issuer.key, ed25519.Ed25519PrivateKey)
        return builder.sign(issuer.key, None if ed else hashes.SHA256())

    def _extensions(self, issuer: AuthorityFiles) -> list[tuple[x509.ExtensionType, bool]]:
        extensions: list[tuple[x509.ExtensionType, bool]] = []
        if self.ca is not None:
            extensions.append((x509.BasicConstraints(self.ca, None), True))
        if self.cert_sign is not None:
            sign = self.cert_sign
            usage = x509.KeyUsage(not sign, False, False, False, False, sign, sign, False, False)
            extensions.append((usage, True))
        if self.key_identifier:
            own = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
            extensions.append((own, False))
        if issuer is not self:
            public = issuer.key.public_key()
            above = x509.AuthorityKeyIdentifier.from_issuer_public_key(public)
            extensions.append((above, False))
        extensions.extend((extension, False) for extension in self.more)
        return extensions

    def certificate_pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate().public_bytes(Encoding.PEM)

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the key as PEM, encrypted if there is a passphrase."""
        encryption: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            encryption = BestAvailableEncryption(passphrase)
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def write(self, directory: Path) -> tuple[Path, Path]:
        """Write ``ca.crt`` and ``ca.key`` (0600) and return their paths."""
        certificate, key = directory / "ca.crt", directory / "ca.key"
        certificate.write_bytes(self.certificate_pem())
        key.write_bytes(self.key_pem())
        key.chmod(0o600)
        return certificate, key
