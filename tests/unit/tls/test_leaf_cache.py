"""The leaf cache, by real handshakes in memory, strictly verified."""

from __future__ import annotations

import os
import ssl
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from faultinject.errors import SettingsError
from faultinject.tls import certificates
from faultinject.tls.certificate_authority import CertificateAuthority
from faultinject.tls.client_hello import ClientHello, read_client_hello
from faultinject.tls.leaf_cache import RENEW_SECONDS, LeafCache
from faultinject.tls.pem_files import PemFiles, supports_memory_files
from tests.support.authorities import AuthorityFiles
from tests.support.tls_peers import client_context, client_hello, handshake

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
HOSTS = [
    "api.example.com",
    "-someone-.example.net",
    "192.0.2.7",
    "2001:db8::7",
    ".".join(["a" * 60] * 3),
]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Return an authority of our own making."""
    return CertificateAuthority.open_or_create(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def rsa_authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Return an RSA authority that the user named."""
    files = AuthorityFiles(key=rsa.generate_private_key(65537, 2048))
    return CertificateAuthority.load(*files.write(tmp_path_factory.mktemp("rsa")))


class Counting:
    """An authority that counts what it mints."""

    def __init__(self, authority: CertificateAuthority) -> None:
        self._authority = authority
        self.minted: list[str] = []

    def mint(self, host: str, key: rsa.RSAPrivateKey | None = None) -> object:
        """Mint and note the host."""
        self.minted.append(host)
        return self._authority.mint(host, key)


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", ["own", "rsa_authority"])
def test_handshake(
    request: pytest.FixtureRequest, kind: str, host: str, version: ssl.TLSVersion
) -> None:
    """A strict client that trusts the authority accepts the leaf for the name it asked for."""
    authority: CertificateAuthority = request.getfixturevalue(kind)
    client = client_context(
        ca_pem=authority.certificate_pem.decode(), version=version, alpn=["h2", "http/1.1"]
    )
    done = handshake(LeafCache(authority, 10).context_for(host), client, host)
    assert done.client.version() == version.name.replace("_", ".")
    assert done.client.selected_alpn_protocol() == "http/1.1"
    assert done.client.compression() is None
    cipher = done.client.cipher()
    assert cipher is not None
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


def test_another_name_is_refused(own: CertificateAuthority) -> None:
    """The leaf is for its host alone."""
    client = client_context(ca_pem=own.certificate_pem.decode())
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(LeafCache(own, 10).context_for("a.example"), client, "b.example")


def test_stranger_refuses(own: CertificateAuthority) -> None:
    """A client that does not trust the authority does not accept its leaves."""
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(LeafCache(own, 10).context_for("a.example"), client_context(), "a.example")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_refused(own: CertificateAuthority) -> None:
    """Old versions get a handshake error."""
    client = client_context(
        ca_pem=own.certificate_pem.decode(), version=ssl.TLSVersion.TLSv1_1, strict=False
    )
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported.protocol|version"):
        handshake(LeafCache(own, 10).context_for("a.example"), client, "a.example")


def test_no_alpn_in_common(own: CertificateAuthority) -> None:
    """A client that offers only h2, or nothing, shakes hands without a protocol."""
    context = LeafCache(own, 10).context_for("a.example")
    for alpn in ([], ["h2"]):
        client = client_context(ca_pem=own.certificate_pem.decode(), alpn=alpn)
        done = handshake(context, client, "a.example")
        assert done.server.selected_alpn_protocol() is None


def test_intermediate_authority(tmp_path: Path) -> None:
    """An authority below a root works for clients that know the root only."""
    root = AuthorityFiles(common_name="Root")
    middle = AuthorityFiles(common_name="Middle", issuer=root)
    files = AuthorityFiles(common_name="Signing", issuer=middle)
    certificate, key = files.write(tmp_path)
    certificate.write_bytes(
        files.certificate_pem() + middle.certificate_pem() + root.certificate_pem()
    )
    authority = CertificateAuthority.load(certificate, key)
    assert authority.mint("a.example").certificate_chain_pem.count(b"BEGIN") == 3
    client = client_context(ca_pem=root.certificate_pem().decode())
    handshake(LeafCache(authority, 10).context_for("a.example"), client, "a.example")


def test_short_lived_authority(tmp_path: Path) -> None:
    """A leaf of an authority that is five minutes old is valid at once."""
    files = AuthorityFiles(starts_in=timedelta(minutes=-5), ends_in=timedelta(hours=1))
    authority = CertificateAuthority.load(*files.write(tmp_path))
    client = client_context(ca_pem=authority.certificate_pem.decode())
    handshake(LeafCache(authority, 10).context_for("a.example"), client, "a.example")


def test_context_options(own: CertificateAuthority) -> None:
    """No renegotiation, no compression, no tickets."""
    context = LeafCache(own, 10).context_for("a.example")
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.minimum_version == TLS_1_2
    assert context.num_tickets == 0


def test_minted_once_and_least_used_goes_first(own: CertificateAuthority) -> None:
    """A host that is asked for again is kept; beyond the limit the longest unused goes."""
    counting = Counting(own)
    cache = LeafCache(counting, 2)  # type: ignore[arg-type]
    first = cache.context_for("a.example")
    cache.context_for("b.example")
    assert cache.context_for("a.example") is first
    cache.context_for("c.example")  # b goes
    assert cache.context_for("a.example") is first
    cache.context_for("b.example")  # c goes
    assert cache.context_for("a.example") is first
    assert counting.minted == ["a.example", "b.example", "c.example", "b.example"]


def test_old_leaves_are_renewed(own: CertificateAuthority) -> None:
    """After a month, or when the clock was set back, a leaf is minted anew."""
    clock = [1_000_000.0]
    cache = LeafCache(own, 10, now=lambda: clock[0])
    first = cache.context_for("a.example")
    clock[0] += RENEW_SECONDS - 1
    assert cache.context_for("a.example") is first
    clock[0] += 1
    second = cache.context_for("a.example")
    assert second is not first
    clock[0] -= 1
    assert cache.context_for("a.example") is not second


RSA_2048 = rsa.generate_private_key(65537, 2048)
SUITES = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"


def limited(
    authority: CertificateAuthority,
    version: ssl.TLSVersion,
    *,
    ciphers: str | None = None,
    group: str | None = None,
) -> ssl.SSLContext:
    """Return a client's context that takes some suites or one group only."""
    client = client_context(ca_pem=authority.certificate_pem.decode(), version=version)
    if ciphers is not None:
        client.set_ciphers(ciphers)
    if group is not None:
        client.set_ecdh_curve(group)
    return client


def read(client: ssl.SSLContext) -> ClientHello:
    """Return what a client's ClientHello says."""
    hello = read_client_hello(client_hello(client, "a.example"))
    assert isinstance(hello, ClientHello)
    return hello


@pytest.mark.parametrize(
    ("version", "limits", "supports_p256"),
    [
        (TLS_1_2, {}, True),
        (TLS_1_3, {}, True),
        (TLS_1_2, {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}, False),
        (TLS_1_2, {"ciphers": "ECDHE-RSA-AES256-GCM-SHA384"}, False),
        (TLS_1_2, {"ciphers": "ECDHE-RSA-CHACHA20-POLY1305"}, False),
        (TLS_1_2, {"ciphers": ":".join(SUITES)}, True),
        (TLS_1_2, {"group": "X25519"}, False),
        (TLS_1_2, {"group": "secp384r1"}, False),
        (TLS_1_2, {"group": "secp521r1"}, False),
        (TLS_1_2, {"group": "prime256v1"}, True),
        (TLS_1_3, {"group": "X25519"}, True),
        (TLS_1_3, {"group": "secp384r1"}, True),
    ],
)
@pytest.mark.parametrize("kind", ["own", "rsa_authority"])
async def test_clients_that_do_not_take_the_usual_certificate(
    request: pytest.FixtureRequest,
    kind: str,
    version: ssl.TLSVersion,
    limits: dict[str, str],
    supports_p256: bool,
) -> None:
    """Their hello says so, and the RSA certificate is what they shake hands with."""
    authority: CertificateAuthority = request.getfixturevalue(kind)
    client = limited(authority, version, **limits)
    assert read(client).supports_p256 is supports_p256
    cache = LeafCache(authority, 10, rsa_key=RSA_2048)  # making one takes longer than most tests
    usual = cache.context_for("a.example")
    if supports_p256:
        handshake(usual, client, "a.example")
    else:
        with pytest.raises(ssl.SSLError):
            handshake(usual, client, "a.example")
    assert await cache.context_with_rsa("a.example") is usual
    shown = handshake(usual, client, "a.example").client.getpeercert(binary_form=True)
    assert shown is not None
    key = x509.load_der_x509_certificate(shown).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey if supports_p256 else rsa.RSAPublicKey)


async def test_the_rsa_chain_leads_to_the_root(tmp_path: Path) -> None:
    """An authority below a root sends what is between them with either certificate."""
    root = AuthorityFiles(common_name="Root")
    files = AuthorityFiles(common_name="Signing", issuer=root)
    authority = CertificateAuthority.load(*files.write(tmp_path))
    cache = LeafCache(authority, 10, rsa_key=RSA_2048)
    context = await cache.context_with_rsa("a.example")
    for ciphers in SUITES:
        client = client_context(ca_pem=root.certificate_pem().decode(), version=TLS_1_2)
        client.set_ciphers(ciphers)
        assert handshake(context, client, "a.example").client.cipher()[0] == ciphers  # type: ignore[index]


async def test_one_rsa_key_however_many_ask(
    own: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made once, in a thread, when the first client needs it; a leaf is minted once, too."""
    made: list[int] = []

    def make() -> rsa.RSAPrivateKey:
        made.append(threading.get_ident())
        return RSA_2048

    monkeypatch.setattr(certificates, "new_rsa_key", make)
    counting = Counting(own)
    cache = LeafCache(counting, 10)  # type: ignore[arg-type]
    cache.context_for("a.example")
    assert not made
    async with trio.open_nursery() as nursery:
        for host in ["a.example", "a.example", "b.example"]:
            nursery.start_soon(cache.context_with_rsa, host)
    assert len(made) == 1
    assert made[0] != threading.get_ident()
    assert sorted(counting.minted) == ["a.example"] * 2 + ["b.example"] * 2


def test_the_key_that_is_made() -> None:
    """It has the size that every client takes."""
    assert certificates.new_rsa_key().key_size == 2048


# How they reach OpenSSL


MEMORY = pytest.mark.skipif(not supports_memory_files(), reason="needs memfd and /proc")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, bytes]]:
    """Return the files that OpenSSL was given: path, mode, content."""
    seen: list[tuple[str, int, bytes]] = []
    real = ssl.SSLContext.load_cert_chain

    def load(context: ssl.SSLContext, path: str) -> None:
        seen.append((path, Path(path).stat().st_mode & 0o777, Path(path).read_bytes()))
        real(context, path)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    return seen


def open_files() -> list[str]:
    """Return what this process has open."""
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


@MEMORY
def test_a_key_in_memory_only(
    own: CertificateAuthority, tmp_path: Path, watched: list[tuple[str, int, bytes]]
) -> None:
    """Where the system has files in memory, no other is written."""
    before = open_files()
    files = PemFiles(tmp_path / "never-made")
    files.check()
    LeafCache(own, 10, files=files).context_for("a.example")
    ((path, _, content),) = watched
    assert path.startswith("/proc/self/fd/")
    assert own.key_path.read_bytes() not in content
    assert open_files() == before
    assert not list(tmp_path.iterdir())


def test_a_key_file_is_private_and_gone(
    own: CertificateAuthority, tmp_path: Path, watched: list[tuple[str, int, bytes]]
) -> None:
    """The file that OpenSSL reads has mode 0600, holds no key but the leaf's, and is removed."""
    directory = tmp_path / "made" / "data"
    LeafCache(own, 10, files=PemFiles(directory, in_memory=False)).context_for("a.example")
    ((path, mode, content),) = watched
    assert Path(path).parent == directory
    assert mode == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert own.key_path.read_bytes() not in content
    assert content.count(b"PRIVATE KEY-----\n") == 2
    assert not list(directory.iterdir())


@pytest.mark.parametrize("in_memory", [pytest.param(True, marks=MEMORY), False])
def test_a_failed_load_leaves_no_file(
    own: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    """The key's file goes even if OpenSSL refuses it."""

    def refuse(_context: ssl.SSLContext, path: str) -> None:
        assert Path(path).exists()
        raise ssl.SSLError("no")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(ssl.SSLError):
        LeafCache(own, 10, files=PemFiles(tmp_path, in_memory=in_memory)).context_for("a.example")
    assert not list(tmp_path.iterdir())


def test_no_place_for_a_file(tmp_path: Path) -> None:
    """It is said before anything listens, with what mends it; later it is an `OSError`."""
    (tmp_path / "file").write_text("")
    files = PemFiles(tmp_path / "file" / "data", in_memory=False)
    with pytest.raises(SettingsError, match=r"file/data: no file can be made .* --data-dir$"):
        files.check()
    with pytest.raises(OSError, match="file"), files.file(b"x"):
        pass


def test_the_data_directory_is_the_users_if_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the certificate authority."""
    monkeypatch.setattr("faultinject.tls.pem_files.default_data_dir", lambda: tmp_path)
    with PemFiles(in_memory=False).file(b"x") as path:
        assert Path(path).parent == tmp_path


def test_systems_without_files_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems have none; a sandbox may forbid them."""

    def forbidden(_name: str) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", forbidden, raising=False)
    assert not supports_memory_files()
    monkeypatch.delattr(os, "memfd_create")
    assert not supports_memory_files()
