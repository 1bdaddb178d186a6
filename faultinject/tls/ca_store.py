"""The certificate authority's two files: reads them, and has a fast first check.

`faultinject.tls.ca_creation` makes them, and `faultinject.tls.ca_checks` has the full check.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

from attrs import field, frozen

from faultinject.errors import SettingsError
from faultinject.files import read_plain_file

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BASIC_CONSTRAINTS_DER = b"\x06\x03\x55\x1d\x13"  # the object identifier 2.5.29.19
_EXTENDED_KEY_USAGE_DER = b"\x06\x03\x55\x1d\x25"  # 2.5.29.37
_NAME_CONSTRAINTS_DER = b"\x06\x03\x55\x1d\x1e"  # 2.5.29.30
_EC_KEY_DER = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"  # id-ecPublicKey
_RSA_KEY_DER = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"  # rsaEncryption
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOST_BYTES = 1024 * 1024  # /dev/zero, or the wrong file, should not fill the memory
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH


@frozen
class CaFiles:
    """The two files and their contents."""

    certificate: Path
    key: Path
    certificate_pem: bytes
    """Only the certificates of the first file. Some people keep the key there too, and this is
    what gets exported."""
    key_pem: bytes = field(repr=False)
    key_readable_by_others: bool
    """Whether the file's mode lets users other than its owner read the key."""


def read_ca_files(certificate: Path, key: Path) -> CaFiles:
    """Read both files, without changing anything. Raises `SettingsError`.

    A key that others may *write* is refused, because they could replace what clients trust. One
    that others may only read is accepted and marked: mounted secrets are often like that, and the
    user decides about the modes of files that the user named.
    """
    blocks, key_pem = _CERTIFICATE.findall(_read(certificate)), _read(key)
    certificate_pem = b"".join(block + b"\n" for block in blocks)
    mode = key.stat().st_mode if os.name == "posix" else 0
    if key_pem and mode & _OTHERS_WRITE:  # an empty key may be /dev/null: no chmod for that
        raise SettingsError(
            f"{key}: users other than its owner may write the private key; run 'chmod 600' on it"
        )
    return CaFiles(certificate, key, certificate_pem, key_pem, bool(mode & _OTHERS_READ))


def _read(path: Path) -> bytes:
    try:
        content = read_plain_file(path, _MOST_BYTES)
    except FileNotFoundError as error:
        raise SettingsError(
            f"{path}: there is no such file; name the PEM files of an existing certificate"
            " authority, certificate and key"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); name a PEM file that this user may read"
        ) from error
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"{path}: has more than {_MOST_BYTES} bytes; name a PEM file")
    return content


def looks_usable(files: CaFiles) -> bool:
    """Return True if OpenSSL accepts the pair as a certificate authority that is valid now.

    False may be wrong, and gives no reason; `faultinject.tls.ca_checks` has the full check.
    """
    block = _CERTIFICATE.search(files.certificate_pem)
    if block is None:
        return False
    try:
        pem = block.group().decode("ascii")
        return _is_authority_now(pem) and _is_pair(files)
    except (ValueError, OSError):  # ssl.SSLError is an OSError
        return False


def _is_authority_now(pem: str) -> bool:
    # `get_ca_certs` lists what OpenSSL's X509_check_ca accepts. That checks the key usage and the
    # basic constraints, but accepts very old certificates that have none.
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    store.load_verify_locations(cadata=pem)
    der = ssl.PEM_cert_to_DER_cert(pem)
    known_key = _EC_KEY_DER in der or _RSA_KEY_DER in der
    authorities = store.get_ca_certs()
    if not authorities or not known_key or _BASIC_CONSTRAINTS_DER not in der:
        return False
    if _EXTENDED_KEY_USAGE_DER in der:  # it may forbid certificates for servers
        return False
    start, end = str(authorities[0]["notBefore"]), str(authorities[0]["notAfter"])
    return seconds_of(start) <= time.time() < seconds_of(end)


def may_have_name_constraints(files: CaFiles) -> bool:
    """Return True if the authority may be limited to some names. Only True may be wrong."""
    block = _CERTIFICATE.search(files.certificate_pem)
    return block is not None and _NAME_CONSTRAINTS_DER in ssl.PEM_cert_to_DER_cert(
        block.group().decode("ascii")
    )


def seconds_of(printed: str) -> float:
    """Return seconds since the epoch of a date as OpenSSL prints it: "Jun  1 12:00:00 2030 GMT".

    `ssl.cert_time_to_seconds` does the same with `time.strptime`, but the first call of that takes
    as long as the whole rest of the check. Raises `ValueError`.
    """
    month, day, clock, year, zone = printed.split()
    if zone != "GMT":
        raise ValueError(f"{printed!r} is not in GMT")
    hour, minute, second = map(int, clock.split(":"))
    date = datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    return date.timestamp()


def _is_pair(files: CaFiles) -> bool:
    # The password stops OpenSSL from asking for one on the terminal. Short RSA keys fail here too.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        files.certificate, files.key, password=""
    )
    return True
