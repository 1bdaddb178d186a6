"""Makes a certificate authority, and leaves that clients accept (X.509).

Only this module and `faultinject.tls.ca_checks` import `cryptography`, which takes 60 ms. Import
them only where they are needed.
"""

from __future__ import annotations

import ipaddress
import secrets
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from faultinject.authority import is_ip

IssuerKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

CA_VALIDITY = timedelta(days=3650)
# A client whose clock is a little behind must accept a new certificate too.
BACKDATED = timedelta(days=1)
# Public leaves may last 200 days from 2026-03-15 on (CA/Browser Forum Baseline Requirements
# section 6.3.2, ballot SC-081v3), and 398 before (Apple, support.apple.com/102028). Clients may
# apply this to private authorities too, so a leaf stays below it, backdating included.
LEAF_VALIDITY = timedelta(days=190)
_MAX_COMMON_NAME_CHARACTERS = 64  # RFC 5280 appendix A.1, ub-common-name
_ORGANIZATION = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "faultinject")


@frozen
class Leaf:
    """A certificate for one host, with what a TLS endpoint needs to present it."""

    certificate_chain_pem: bytes
    """The leaf, then the authority's certificates up to, but without, a self-signed root."""
    private_key_pem: bytes = field(repr=False)


def _key_pem(key: IssuerKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_rsa_key() -> rsa.RSAPrivateKey:
    """Make a key of 2048 bits for leaves. It takes about 100 ms, without blocking threads."""
    return rsa.generate_private_key(65537, 2048)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def new_authority() -> tuple[bytes, bytes]:
    """Make an EC P-256 certificate authority; return its certificate and key as PEM.

    The random part of its name tells one machine's authority from another's in a trust store, but
    reveals nothing about the machine.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    common_name = f"faultinject CA ({secrets.token_hex(4)})"
    name = x509.Name([_ORGANIZATION, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    public, now = key.public_key(), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), _key_pem(key)


def _key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Return the issuer's key identifier, as in its own certificate (RFC 5280 section 4.2.1.1).

    Strict verification, which is Python 3.13's default, compares the two.
    """
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier(
            x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest, None, None
        )
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def _subject(host: str) -> x509.Name:
    """Return the subject, which is for people. Clients read only the alternative name."""
    attributes = [_ORGANIZATION]
    if len(host) <= _MAX_COMMON_NAME_CHARACTERS:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, host))
    return x509.Name(attributes)


@define
class Issuer:
    """A certificate authority ready to sign."""

    certificates: list[x509.Certificate]
    """The authority's own certificate, then those that lead to its root, if any."""
    key: IssuerKey = field(repr=False)
    # All EC leaves share one key, and all RSA leaves another. They are in one process and for one
    # user, so anyone who can read one key can read all: a key per host would only cost time.
    _leaf_key: ec.EllipticCurvePrivateKey = field(
        factory=lambda: ec.generate_private_key(ec.SECP256R1()), init=False, repr=False
    )

    def mint(self, host: str, key: rsa.RSAPrivateKey | None = None) -> Leaf:
        """Sign a leaf for a normal host: a DNS name or an IP literal.

        Without a key, the leaf has the key of all EC leaves.
        """
        leaf_key = key or self._leaf_key
        leaf = self._sign(host, leaf_key).public_bytes(Encoding.PEM)
        above = (c for c in self.certificates if c.subject != c.issuer)
        chain = leaf + b"".join(c.public_bytes(Encoding.PEM) for c in above)
        return Leaf(chain, _key_pem(leaf_key))

    def _validity(self) -> tuple[datetime, datetime]:
        issuer, now = self.certificates[0], datetime.now(UTC)
        start = max(now - BACKDATED, issuer.not_valid_before_utc)
        return start, min(start + LEAF_VALIDITY, issuer.not_valid_after_utc)

    def _sign(self, host: str, key: IssuerKey) -> x509.Certificate:
        issuer, public = self.certificates[0], key.public_key()
        name = x509.IPAddress(ipaddress.ip_address(host)) if is_ip(host) else x509.DNSName(host)
        start, end = self._validity()
        return (
            x509.CertificateBuilder(
                issuer.subject, _subject(host), public, x509.random_serial_number()
            )
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_key_identifier(issuer), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def java_trust_store(certificates: Iterable[bytes], password: str) -> bytes:
    """Return a trust store (PKCS #12, as Java 8u301 and later read it) of certificates in PEM.

    What cannot be read is left out: some systems trust certificates that are not quite right.
    """
    entries = []
    for number, pem in enumerate(certificates):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about serial numbers of old roots
            try:
                certificate = x509.load_pem_x509_certificate(pem)
            except ValueError:
                continue
        entries.append(pkcs12.PKCS12Certificate(certificate, f"ca-{number}".encode()))
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(password.encode()))
