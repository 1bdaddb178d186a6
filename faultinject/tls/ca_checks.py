"""Checks whether two files can be our certificate authority.

An error names the file, the reason, and what to do. This module imports `cryptography`.
`looks_usable` in `faultinject.tls.ca_store` handles the common case without it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from faultinject.authority import is_ip
from faultinject.errors import SettingsError
from faultinject.tls.ca_store import CaFiles
from faultinject.tls.certificates import Issuer, IssuerKey

_LEAST_RSA_BITS = 2048  # the minimum of OpenSSL's default security level, and of Apple
_FOR_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ANOTHER = "use the certificate of a certificate authority, or let faultinject make one"


def read_issuer(files: CaFiles) -> Issuer:
    """Parse and check a certificate authority. Raises `SettingsError` that says what to do."""
    certificates = _certificates(files)
    key = _key(files)
    if certificates[0].public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        raise SettingsError(
            f"{files.certificate}: clients do not accept a CA whose key is only for RSA-PSS; use"
            " an EC key (such as P-256) or a plain RSA key"
        )
    if certificates[0].public_key() != key.public_key():
        raise SettingsError(
            f"{files.key}: is not the private key of {files.certificate}; name two files that"
            " were made together"
        )
    _check_authority(files.certificate, certificates[0])
    issuer = Issuer(certificates, key)
    check_dates(files, issuer)
    return issuer


def _certificates(files: CaFiles) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(files.certificate_pem)
    except ValueError as error:
        raise SettingsError(
            f"{files.certificate}: is not a PEM certificate; it should start with"
            " '-----BEGIN CERTIFICATE-----'"
        ) from error


def _key(files: CaFiles) -> IssuerKey:
    try:
        key = load_pem_private_key(files.key_pem, password=None)
    except TypeError as error:  # raised by cryptography for a key that needs a password
        raise SettingsError(
            f"{files.key}: the private key is encrypted; write it without a passphrase"
            " ('openssl pkey -in KEY -out NEWKEY')"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"{files.key}: is not a PEM private key; it should start with"
            " '-----BEGIN PRIVATE KEY-----'"
        ) from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise SettingsError(
        f"{files.key}: clients do not accept such a key; use an EC key (such as P-256) or an RSA"
        f" key of at least {_LEAST_RSA_BITS} bits"
    )


def _check_authority(path: Path, certificate: x509.Certificate) -> None:
    try:
        extensions = certificate.extensions
    except ValueError as error:
        raise SettingsError(f"{path}: has unreadable extensions; {_ANOTHER}") from error
    constraints = [e.value for e in extensions if isinstance(e.value, x509.BasicConstraints)]
    if not any(value.ca for value in constraints):
        raise SettingsError(
            f"{path}: is not a certificate authority (no basic constraint CA:TRUE); {_ANOTHER}"
        )
    usages = [e.value for e in extensions if isinstance(e.value, x509.KeyUsage)]
    if not all(value.key_cert_sign for value in usages):
        raise SettingsError(
            f"{path}: may not sign certificates (its key usage lacks keyCertSign); {_ANOTHER}"
        )
    purposes = [e.value for e in extensions if isinstance(e.value, x509.ExtendedKeyUsage)]
    if not all(_FOR_SERVERS.intersection(value) for value in purposes):
        raise SettingsError(
            f"{path}: may not sign certificates for servers (its extended key usage lacks"
            f" serverAuth), so no client would accept them; {_ANOTHER}"
        )


def uncovered_names(issuer: Issuer, hosts: Iterable[str]) -> list[str]:
    """Return the hosts for which name constraints forbid the authority to sign.

    The rules for DNS names and addresses are those of RFC 5280 section 4.2.1.10.
    """
    values = [e.value for e in issuer.certificates[0].extensions]
    constraints = [value for value in values if isinstance(value, x509.NameConstraints)]
    return [host for host in hosts if not all(_allowed(host, each) for each in constraints)]


def _allowed(host: str, constraints: x509.NameConstraints) -> bool:
    kind = x509.IPAddress if is_ip(host) else x509.DNSName
    permitted = [name for name in constraints.permitted_subtrees or () if isinstance(name, kind)]
    excluded = [name for name in constraints.excluded_subtrees or () if isinstance(name, kind)]
    return not any(_covers(name, host) for name in excluded) and (
        not permitted or any(_covers(name, host) for name in permitted)
    )


def _covers(name: x509.DNSName | x509.IPAddress, host: str) -> bool:
    if isinstance(name, x509.IPAddress):
        return ipaddress.ip_address(host) in cast("_Network", name.value)
    base = name.value.lower().lstrip(".")
    return not base or f".{host}".endswith(f".{base}")


def check_dates(files: CaFiles, issuer: Issuer) -> None:
    """Raise `SettingsError` unless the authority is valid now."""
    path, certificate, now = files.certificate, issuer.certificates[0], datetime.now(UTC)
    if now < certificate.not_valid_before_utc:
        raise SettingsError(
            f"{path}: is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC;"
            " correct the clock, or use another one"
        )
    if now >= certificate.not_valid_after_utc:
        raise SettingsError(
            f"{path}: expired on {certificate.not_valid_after_utc:%Y-%m-%d}; use another one (if"
            " faultinject made it, remove both files, and a new one is made)"
        )
