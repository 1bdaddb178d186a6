"""Reads the first bytes of a connection: whether they are TLS, for which host, and what is offered.

It reads as much of a ClientHello as has arrived (RFC 8446 section 4.1.2), and writes alerts
(section 6) for connections on which no TLS library has begun. It does no I/O and no cryptography.
"""

from __future__ import annotations

import enum

from attrs import frozen

from faultinject.authority import normal_host

_ALERT_RECORD = 0x15
_HANDSHAKE_RECORD = 0x16
_OTHER_RECORDS = (0x14, _ALERT_RECORD, 0x17)  # change_cipher_spec, application_data
_CLIENT_HELLO = 1
_RECORD_HEADER_BYTES = 5
_MAX_RECORD_BYTES = 2**14  # RFC 8446 section 5.1; more is allowed only once records are encrypted
_MAX_SESSION_ID_BYTES = 32

_SERVER_NAME = 0  # RFC 6066 section 3
_SUPPORTED_GROUPS = 10  # RFC 8422 section 5.1.1, RFC 8446 section 4.2.7
_SIGNATURE_ALGORITHMS = 13  # RFC 8446 section 4.2.3
_ALPN = 16  # RFC 7301 section 3.1
_SUPPORTED_VERSIONS = 43  # RFC 8446 section 4.2.1
_HOST_NAME = 0

_TLS_1_3 = 0x0304
_SECP256R1 = b"\x00\x17"
# The cipher suites of TLS 1.2 with which we can use an EC key (AES-GCM, ChaCha20); RFC 5289, 7905.
_ECDSA_SUITES = frozenset({b"\xc0\x2b", b"\xc0\x2c", b"\xcc\xa9"})
_ECDSA_SECP256R1_SHA256 = b"\x04\x03"
# In TLS 1.2 any hash will do (RFC 8446 section 4.2.3): SHA-256, SHA-384, SHA-512.
_ECDSA = frozenset({_ECDSA_SECP256R1_SHA256, b"\x05\x03", b"\x06\x03"})


HTTP_1_1 = "http/1.1"
"""Its name in ALPN (RFC 7301 section 6)."""
SPOKEN = (HTTP_1_1,)
"""What is spoken with clients whose TLS is ended here, by the names in ALPN."""


@frozen
class ClientHello:
    """A client's first message, which is not encrypted."""

    server_name: str | None
    """The normal host that the client asks for (SNI); None if it names none, or if the name cannot
    be a host."""
    alpn: tuple[str, ...]
    """The protocols offered, in the client's order. A name that is not printable is ``0x…``."""
    max_version: int
    """The highest version offered: 0x0304 is TLS 1.3, 0x0303 TLS 1.2; 0 if none is known."""
    supports_p256: bool = True
    """Whether the client accepts a certificate with an EC key on P-256, by its cipher suites,
    groups and signature algorithms."""


class Unread(enum.Enum):
    """Why there is no ClientHello."""

    INCOMPLETE = enum.auto()
    """More bytes are needed; there is no mistake so far. The caller limits how many."""
    NOT_TLS = enum.auto()
    """The client does not use TLS."""
    MALFORMED = enum.auto()
    """A ClientHello that no TLS library would accept. The alert is ``DECODE_ERROR``."""
    UNEXPECTED = enum.auto()
    """Another TLS record or message, or an empty one. The alert is ``UNEXPECTED_MESSAGE``."""
    TOO_LONG = enum.auto()
    """A record that is too long. The alert is ``RECORD_OVERFLOW``."""


class AlertDescription(enum.IntEnum):
    """Alerts that are sent instead of a handshake (RFC 8446 section 6.2)."""

    UNEXPECTED_MESSAGE = 10
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    DECODE_ERROR = 50
    PROTOCOL_VERSION = 70
    INTERNAL_ERROR = 80
    UNRECOGNIZED_NAME = 112
    NO_APPLICATION_PROTOCOL = 120


def fatal_alert(description: int, record_version: int = 0x0303) -> bytes:
    """Return the record of an unencrypted fatal alert.

    The record's version is at most TLS 1.2's (RFC 8446 section 5.1). For a client with only older
    versions, pass its own (`ClientHello.max_version`): some drop an alert whose record looks too
    new, without reading it.
    """
    fatal = 2
    version = min(record_version or 0x0303, 0x0303).to_bytes(2)
    return bytes((_ALERT_RECORD, *version, 0, 2, fatal, description))


def read_client_hello(data: bytes) -> ClientHello | Unread:
    """Read the ClientHello at the start of a connection, however it is split into records.

    Never raises. Once the handshake type is ClientHello, the peer is a TLS client, and nothing is
    `Unread.NOT_TLS` any more. RFC 8446 sections 5 and 5.1 say which record gets which alert. Bytes
    after the hello are ignored.
    """
    return HelloReader().feed(data)


class HelloReader:
    """Reads a ClientHello as it arrives.

    It reads each byte once, because a client may send each one in a record of its own.
    """

    def __init__(self) -> None:
        self._message = bytearray()
        self._header = b""
        """The part of a record's header that has arrived."""
        self._missing_bytes = 0
        """How many bytes the present record lacks."""
        self._flaw: Unread | None = None
        """Why a record cannot belong to a ClientHello."""

    def feed(self, data: bytes) -> ClientHello | Unread:
        """Take the next bytes; return the result of `read_client_hello` for all so far."""
        position = 0
        while self._flaw is None and position < len(data):
            end = position + (self._missing_bytes or _RECORD_HEADER_BYTES - len(self._header))
            piece = data[position:end]
            position += len(piece)
            self._take(piece)
        return self._judge()

    def _take(self, piece: bytes) -> None:
        if self._missing_bytes:
            self._message += piece
            self._missing_bytes -= len(piece)
            return
        self._header += piece
        self._flaw = _flaw(self._header)
        if len(self._header) == _RECORD_HEADER_BYTES:
            self._missing_bytes = int.from_bytes(self._header[3:5])
            self._header = b""

    def _judge(self) -> ClientHello | Unread:
        message = self._message
        if message and message[0] != _CLIENT_HELLO:
            return Unread.UNEXPECTED
        if len(message) >= 4:
            end = 4 + int.from_bytes(message[1:4])
            if len(message) >= end:
                return _read_body(bytes(message[4:end]))
        if self._flaw is Unread.NOT_TLS and message:
            return Unread.MALFORMED
        return self._flaw or Unread.INCOMPLETE


def _flaw(header: bytes) -> Unread | None:
    """Return why a record's header, perhaps incomplete, cannot belong to a ClientHello, or None.

    The minor version of a handshake record is ignored, as RFC 8446 section 5.1 says.
    """
    if header[0] not in (_HANDSHAKE_RECORD, *_OTHER_RECORDS) or header[1:2] not in (b"", b"\x03"):
        return Unread.NOT_TLS
    if header[0] != _HANDSHAKE_RECORD:
        if len(header) < 3:
            return None
        return Unread.UNEXPECTED if header[2] <= 4 else Unread.NOT_TLS
    # 0x4000 is the limit. The first byte alone may be above it.
    if len(header) >= 4 and header[3] > _MAX_RECORD_BYTES >> 8:
        return Unread.TOO_LONG
    if len(header) < 5:
        return None
    length = int.from_bytes(header[3:5])
    if length > _MAX_RECORD_BYTES:
        return Unread.TOO_LONG
    return None if length else Unread.UNEXPECTED  # handshake fragments must not be empty


class _MalformedError(Exception):
    """A length points outside its vector, or a value is outside its bounds."""


class _Reader:
    """Takes integers and vectors (RFC 8446 section 3) off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise _MalformedError
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def integer(self, length: int) -> int:
        return int.from_bytes(self.take(length))

    def vector(self, length_bytes: int, least: int = 0, most: int = 2**16) -> bytes:
        # In one step, because a hello has about twenty, and each new connection waits for it.
        start = self._position + length_bytes
        length = int.from_bytes(self._data[self._position : start])
        self._position = start + length
        if self._position > len(self._data) or not least <= length <= most:
            raise _MalformedError
        return self._data[start : self._position]

    def end(self) -> None:
        if self:
            raise _MalformedError


def _read_body(body: bytes) -> ClientHello | Unread:
    try:
        reader = _Reader(body)
        legacy_version = reader.integer(2)
        reader.take(32)  # random
        reader.vector(1, most=_MAX_SESSION_ID_BYTES)
        suites = reader.vector(2, least=2)
        reader.vector(1, least=1)  # compression methods
        # TLS 1.2 allows a hello to end here (RFC 5246 section 7.4.1.2).
        extensions = _extensions(reader.vector(2)) if reader else {}
        reader.end()
        max_version = _max_version(extensions, legacy_version)
        return ClientHello(
            _server_name(extensions),
            _alpn(extensions),
            max_version,
            _supports_p256(extensions, suites, max_version),
        )
    except _MalformedError:
        return Unread.MALFORMED


def _extensions(block: bytes) -> dict[int, bytes]:
    extensions: dict[int, bytes] = {}
    position = 0
    # Without a reader, because a hello has a dozen, and each new connection waits for this.
    while position < len(block):
        start = position + 4
        kind = int.from_bytes(block[position : position + 2])
        position = start + int.from_bytes(block[position + 2 : start])
        # RFC 8446 section 4.2 forbids two extensions of one type.
        if position > len(block) or kind in extensions:
            raise _MalformedError
        extensions[kind] = block[start:position]
    return extensions


def _only_vector(extension: bytes, length_bytes: int) -> bytes:
    """Return the content of an extension that is one vector, which must not be empty."""
    reader = _Reader(extension)
    content = reader.vector(length_bytes, least=1)
    reader.end()
    return content


def _server_name(extensions: dict[int, bytes]) -> str | None:
    if _SERVER_NAME not in extensions:
        return None
    names = _Reader(_only_vector(extensions[_SERVER_NAME], 2))
    host = None
    while names:
        kind, name = names.integer(1), names.vector(2, least=1)
        if kind == _HOST_NAME and host is None:
            host = name
    return None if host is None else _host(host)


def _host(name: bytes) -> str | None:
    try:
        return normal_host(name.decode("ascii"))
    except ValueError:
        return None


def _alpn(extensions: dict[int, bytes]) -> tuple[str, ...]:
    if _ALPN not in extensions:
        return ()
    reader = _Reader(_only_vector(extensions[_ALPN], 2))
    names = []
    while reader:
        names.append(_protocol_name(reader.vector(1, least=1)))
    return tuple(names)


def _protocol_name(name: bytes) -> str:
    """Return the name as text for a log line. With GREASE (RFC 8701) it can be any bytes."""
    if all(0x20 < byte < 0x7F for byte in name):
        return name.decode("ascii")
    return f"0x{name.hex()}"


def _max_version(extensions: dict[int, bytes], legacy_version: int) -> int:
    if _SUPPORTED_VERSIONS not in extensions:
        return legacy_version
    reader = _Reader(_only_vector(extensions[_SUPPORTED_VERSIONS], 1))
    versions = [0]
    while reader:
        version = reader.integer(2)
        if version >> 8 == 3:  # GREASE and drafts have other first bytes
            versions.append(version)
    return max(versions)


def _supports_p256(extensions: dict[int, bytes], suites: bytes, max_version: int) -> bool:
    # A missing extension decides nothing.
    algorithms = _pairs(extensions.get(_SIGNATURE_ALGORITHMS, b"")[2:])
    if max_version >= _TLS_1_3:
        return not algorithms or _ECDSA_SECP256R1_SHA256 in algorithms
    groups = _pairs(extensions.get(_SUPPORTED_GROUPS, b"")[2:])
    return (
        not _ECDSA_SUITES.isdisjoint(_pairs(suites))
        and (not algorithms or not _ECDSA.isdisjoint(algorithms))
        and (not groups or _SECP256R1 in groups)
    )


def _pairs(values: bytes) -> set[bytes]:
    """Split a list of two-byte values. OpenSSL refuses a broken list later."""
    return {values[start : start + 2] for start in range(0, len(values), 2)}
