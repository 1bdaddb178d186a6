"""The ClientHello reader against what OpenSSL writes, cut and harmed in every way."""

from __future__ import annotations

import ssl
import warnings
from contextlib import suppress

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from faultinject.tls.client_hello import (
    AlertDescription,
    ClientHello,
    Unread,
    fatal_alert,
    read_client_hello,
)
from tests.support.tls_peers import client_context, client_hello

TLS_1_2 = ssl.TLSVersion.TLSv1_2

HELLOS = {
    "plain": (
        client_hello(client_context(), "api.example.com"),
        ClientHello("api.example.com", (), 0x0304),
    ),
    "without SNI": (client_hello(client_context(), None), ClientHello(None, (), 0x0304)),
    "to an IP address": (  # which OpenSSL does not put into SNI (RFC 6066 section 3)
        client_hello(client_context(), "192.0.2.7"),
        ClientHello(None, (), 0x0304),
    ),
    "ALPN": (
        client_hello(client_context(alpn=["h2", "http/1.1"]), "api.example.com"),
        ClientHello("api.example.com", ("h2", "http/1.1"), 0x0304),
    ),
    "TLS 1.2": (
        client_hello(client_context(version=TLS_1_2), "API.example.COM"),
        ClientHello("api.example.com", (), 0x0303),
    ),
}
EACH_HELLO = pytest.mark.parametrize(("data", "expected"), HELLOS.values(), ids=HELLOS)
PLAIN = HELLOS["ALPN"][0]

SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
trustme.CA().issue_cert("api.example.com").configure_cert(SERVER)


def in_records(message: bytes, size: int) -> bytes:
    """Put a handshake message into records of `size` bytes each."""
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)


def vector(content: bytes, length_bytes: int) -> bytes:
    """Put the length before the content."""
    return len(content).to_bytes(length_bytes) + content


def extension(kind: int, content: bytes) -> bytes:
    """Write one extension."""
    return kind.to_bytes(2) + vector(content, 2)


def sni(host: bytes, kind: int = 0) -> bytes:
    """Write a server_name extension with one entry."""
    return extension(0, vector(bytes([kind]) + vector(host, 2), 2))


def hello(
    *extensions: bytes,
    session_id: bytes = b"",
    suites: bytes = b"\xc0\x2b",
    compressions: bytes = b"\0",
    tail: bytes = b"",
    with_extensions: bool = True,
) -> bytes:
    """Write a ClientHello of TLS 1.2 by hand, in one record."""
    body = b"\x03\x03" + bytes(32) + vector(session_id, 1) + vector(suites, 2)
    body += vector(compressions, 1)
    body += vector(b"".join(extensions), 2) if with_extensions else b""
    return in_records(b"\x01" + vector(body + tail, 3), 2**14)


def read_ok(*extensions: bytes) -> ClientHello:
    """Read a hello with these extensions; it must be sound."""
    result = read_client_hello(hello(*extensions))
    assert isinstance(result, ClientHello)
    return result


@EACH_HELLO
def test_cut_at_every_byte(data: bytes, expected: ClientHello) -> None:
    """Every proper beginning is incomplete, and only the whole is read."""
    assert {read_client_hello(data[:cut]) for cut in range(len(data))} == {Unread.INCOMPLETE}
    assert read_client_hello(data) == expected
    assert read_client_hello(data + b"\x14anything") == expected


@EACH_HELLO
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 64, 100])
def test_split_into_records(data: bytes, expected: ClientHello, size: int) -> None:
    """The same hello in many records, cut at every byte, is the same hello."""
    split = in_records(data[5:], size)
    step = 1 if size > 5 else 7
    cuts = range(0, len(split), step)
    assert {read_client_hello(split[:cut]) for cut in cuts} == {Unread.INCOMPLETE}
    assert read_client_hello(split) == expected


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"G", Unread.NOT_TLS),
        (b"S", Unread.NOT_TLS),
        (b"\x80", Unread.NOT_TLS),  # SSL 2
        (b"\x16\x02", Unread.NOT_TLS),
        (b"\x15\x02", Unread.NOT_TLS),
        (b"\x17\x03\x05", Unread.NOT_TLS),
        (b"\x15\x03\x01", Unread.UNEXPECTED),  # an alert
        (b"\x14\x03\x03", Unread.UNEXPECTED),
        (b"\x17\x03\x03", Unread.UNEXPECTED),
        (b"\x16\x03\x01\x00\x00", Unread.UNEXPECTED),  # an empty fragment
        (b"\x16\x03\x01\x00\x04\x02", Unread.UNEXPECTED),  # a ServerHello
        (b"\x16\x03\x01\x41", Unread.TOO_LONG),  # above 2^14, seen by its first byte
        (b"\x16\x03\x01\x40\x01", Unread.TOO_LONG),
    ],
)
def test_no_client_hello_as_early_as_possible(data: bytes, why: Unread) -> None:
    """The last byte decides; up to it anything may follow."""
    assert read_client_hello(data) is why
    assert read_client_hello(data[:-1]) is Unread.INCOMPLETE


def test_largest_record() -> None:
    """A record of exactly 2^14 bytes is allowed."""
    padded = hello(extension(21, bytes(2**14 - 51)))
    assert padded[3:5] == b"\x40\x00"
    assert read_client_hello(padded) == ClientHello(None, (), 0x0303)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (b"\x17\x03\x03\x00\x01x", Unread.UNEXPECTED),
        (b"\x16\x03\x01\x00\x00", Unread.UNEXPECTED),
        (b"\x16\x03\x01\xff", Unread.TOO_LONG),
        (b"G", Unread.MALFORMED),
    ],
)
def test_what_follows_the_first_record(second: bytes, why: Unread) -> None:
    """A client that has begun a hello is a TLS client, whatever it sends next."""
    assert read_client_hello(in_records(PLAIN[5:25], 20) + second) is why


@pytest.mark.parametrize(
    "data",
    [
        hello(session_id=bytes(33)),
        hello(suites=b""),
        hello(compressions=b""),
        hello(tail=b"x"),
        in_records(b"\x01" + vector(b"", 3), 100),
        in_records(b"\x01" + vector(b"\x03\x03" + bytes(31), 3), 100),
        hello(b"\x00"),  # half a type
        hello(b"\x00\x05\x00\x01"),  # longer than its block
        hello(sni(b"a.example"), sni(b"b.example")),
        hello(extension(0, b"")),
        hello(extension(0, b"\0\0")),
        hello(extension(0, vector(b"\0" + vector(b"", 2), 2))),
        hello(extension(0, vector(b"\0\0\x05abc", 2))),
        hello(extension(0, vector(b"\0" + vector(b"a", 2), 2) + b"x")),
        hello(extension(16, b"\0\0")),
        hello(extension(16, vector(vector(b"", 1), 2))),
        hello(extension(16, vector(b"\x05h2", 2))),
        hello(extension(43, b"\0")),
        hello(extension(43, b"\x03\x03\x04\x03")),
    ],
)
def test_malformed(data: bytes) -> None:
    """Lengths and numbers that break the standard's bounds."""
    assert read_client_hello(data) is Unread.MALFORMED


def test_no_extensions() -> None:
    """TLS 1.2 allows a hello without the extensions' block."""
    assert read_client_hello(hello(with_extensions=False)) == ClientHello(None, (), 0x0303)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        (b"api.example.com.", "api.example.com"),
        (b"my_host", "my_host"),
        (b"2001:DB8::1", "2001:db8::1"),  # against RFC 6066, but some clients do it
        (b"fe80::1%a\r\nb", None),
        (b"a b", None),
        (b"caf\xc3\xa9.example", None),
        (b"a." * 200, None),
        (b"*.example.com", None),
    ],
)
def test_server_name(name: bytes, host: str | None) -> None:
    """Names are made normal; what cannot be a host is none, and no error."""
    assert read_ok(sni(name)).server_name == host


def test_first_host_name_counts() -> None:
    """Entries of other kinds are passed over."""
    entries = b"\x09\0\x01x" + b"\0\0\x01a" + b"\0\0\x01b"
    assert read_ok(extension(0, vector(entries, 2))).server_name == "a"
    assert read_ok(sni(b"a", kind=9)).server_name is None


def test_alpn_names_are_fit_for_a_log() -> None:
    """GREASE (RFC 8701) and line ends are shown in hexadecimal."""
    names = vector(b"\x0a\x0a", 1) + vector(b"h2", 1) + vector(b"a b", 1)
    assert read_ok(extension(16, vector(names, 2))).alpn == ("0x0a0a", "h2", "0x612062")


@pytest.mark.parametrize(
    ("versions", "highest"),
    [
        (b"\x1a\x1a\x03\x04\x03\x03", 0x0304),
        (b"\x03\x02\x03\x01", 0x0302),
        (b"\x7f\x1c\x2a\x2a", 0),
    ],
)
def test_max_version(versions: bytes, highest: int) -> None:
    """The extension alone counts if it is there; GREASE and drafts do not."""
    assert read_ok(extension(43, vector(versions, 1))).max_version == highest


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes(data: bytes) -> None:
    """No bytes raise, alone or as the body of a hello; once decided it stays decided."""
    for tried in (data, in_records(b"\x01" + vector(data, 3), 50), hello(data)):
        result = read_client_hello(tried)
        if result is not Unread.INCOMPLETE:
            assert read_client_hello(tried + b"\x16\x03\x01\0\x01\0") == result


@given(
    st.sampled_from([data for data, _ in HELLOS.values()]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(1, 700),
)
def test_mutated_hellos(data: bytes, changes: list[tuple[int, int]], size: int) -> None:
    """Changed bytes never raise, in one record or in many, and give one of the four answers."""
    mutated = bytearray(data)
    for position, byte in changes:
        mutated[position % len(data)] = byte
    result = read_client_hello(bytes(mutated))
    assert isinstance(result, ClientHello | Unread)
    split = read_client_hello(in_records(bytes(mutated[5:]), size))
    if isinstance(result, ClientHello):
        assert split == result


def openssl_goes_on(context: ssl.SSLContext, data: bytes) -> bool:
    """Return True if OpenSSL's server answers these first bytes with a ServerHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(data)
    with suppress(ssl.SSLError):
        server.do_handshake()
    return outgoing.read(1) == b"\x16"


@given(
    st.sampled_from([data for data, _ in HELLOS.values()]),
    st.integers(0, 600),
    st.integers(0, 255),
    st.integers(20, 700),
)
def test_never_stricter_than_openssl(data: bytes, position: int, byte: int, size: int) -> None:
    """What OpenSSL would shake hands with is never turned away here."""
    mutated = bytearray(data)
    mutated[position % len(data)] = byte
    for tried in (bytes(mutated), in_records(bytes(mutated[5:]), size)):
        if openssl_goes_on(SERVER, tried):
            assert isinstance(read_client_hello(tried), ClientHello)


TLS_1_3_OFFERED = extension(43, b"\x02\x03\x04")


@pytest.mark.parametrize(
    ("extensions", "suites", "takes"),
    [
        ([], b"\xc0\x2b", True),
        ([], b"\xc0\x2f\xcc\xa9", True),
        ([], b"\xc0\x2f\xcc\xa8\xc0\x30", False),
        ([], b"\xc0\x2f\xc0", False),
        ([extension(10, b"\0\x04\0\x1d\0\x17")], b"\xc0\x2b", True),
        ([extension(10, b"\0\x04\0\x1d\0\x18")], b"\xc0\x2b", False),
        ([extension(13, b"\0\x04\x08\x04\x06\x03")], b"\xc0\x2b", True),
        ([extension(13, b"\0\x04\x08\x04\x04\x01")], b"\xc0\x2b", False),
        ([extension(10, b""), extension(13, b"\0")], b"\xc0\x2b", True),
        ([TLS_1_3_OFFERED], b"\x13\x01", True),
        ([TLS_1_3_OFFERED, extension(10, b"\0\x02\0\x1d")], b"\x13\x01", True),
        ([TLS_1_3_OFFERED, extension(13, b"\0\x04\x08\x04\x04\x03")], b"\x13\x01", True),
        ([TLS_1_3_OFFERED, extension(13, b"\0\x04\x08\x04\x05\x03")], b"\x13\x01", False),
    ],
)
def test_who_takes_a_certificate_on_p256(
    extensions: list[bytes], suites: bytes, takes: bool
) -> None:
    """TLS 1.3 asks for the signature alone; TLS 1.2 for suite, signature and the key's curve."""
    read = read_client_hello(hello(*extensions, suites=suites))
    assert isinstance(read, ClientHello)
    assert read.supports_p256 is takes


@pytest.mark.parametrize(
    "description",  # Python 3.11 has no name for the last one, NO_APPLICATION_PROTOCOL
    list(AlertDescription)[:-1],
)
def test_fatal_alert_is_understood(description: AlertDescription) -> None:
    """OpenSSL's client names the alert that it gets instead of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(fatal_alert(description))
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()
    reason = (caught.value.reason or "").replace("ALERT_", "")
    assert description.name.removesuffix("_NAME") in reason


def test_fatal_alert_for_an_old_client() -> None:
    """A TLS 1.1 client reads the alert if the record carries the version that it offers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = client_context(version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    read = read_client_hello(outgoing.read())
    assert isinstance(read, ClientHello)
    assert read.max_version == 0x0302
    incoming.write(fatal_alert(AlertDescription.PROTOCOL_VERSION, read.max_version))
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        client.do_handshake()


def test_fatal_alert_bytes() -> None:
    """The record is never said to be newer than TLS 1.2 (RFC 8446 section 5.1)."""
    assert fatal_alert(40, 0x0304) == b"\x15\x03\x03\x00\x02\x02\x28"
    assert fatal_alert(50, 0x0301) == b"\x15\x03\x01\x00\x02\x02\x32"
    assert fatal_alert(50, 0) == b"\x15\x03\x03\x00\x02\x02\x32"  # no version is known
