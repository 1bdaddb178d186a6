"""The leaf cache, by real handshakes in memory, strictly verified."""

from __future__ import annotations

import ssl
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from faultinject.tls.certificate_authority import CertificateAuthority
from faultinject.tls.leaves import RENEW_SECONDS, LeafCache
from tests.support.authorities import AuthorityFiles
from tests.support.tls_peers import client_context, handshake

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
HOSTS = ["api.example.com", "192.0.2.7", "2001:db8::7", ".".join(["a" * 60] * 3)]


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

    def mint(self, host: str) -> object:
        """Mint and note the host."""
        self.minted.append(host)
        return self._authority.mint(host)


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
    """No renegotiation, no compression, and as many tickets as asked for."""
    context = LeafCache(own, 10).context_for("a.example")
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.minimum_version == TLS_1_2
    assert context.num_tickets == 1
    assert LeafCache(own, 10, num_tickets=0).context_for("a.example").num_tickets == 0


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


def test_key_file_is_private_and_gone(
    own: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that OpenSSL reads has mode 0600, holds no key but the leaf's, and is removed."""
    seen: list[tuple[int, bytes]] = []

    real = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, path: str) -> None:
        seen.append((Path(path).stat().st_mode & 0o777, Path(path).read_bytes()))
        real(context, path)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    LeafCache(own, 10).context_for("a.example")
    ((mode, content),) = seen
    assert mode == 0o600
    assert own.key_path.read_bytes() not in content
    assert content.count(b"PRIVATE KEY-----\n") == 2
    assert not list(tmp_path.iterdir())


def test_failed_load_leaves_no_file(
    own: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key's file goes even if OpenSSL refuses it."""

    def refuse(_context: ssl.SSLContext, path: str) -> None:
        assert Path(path).exists()
        raise ssl.SSLError("no")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(ssl.SSLError):
        LeafCache(own, 10).context_for("a.example")
    assert not list(tmp_path.iterdir())
