"""Tests of the words about trusting the certificate."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from faultinject.cli.instructions import instructions_for, sha1_fingerprint
from faultinject.cli.trust import PLATFORMS
from faultinject.tls.certificate_authority import CertificateAuthority

CERTIFICATE = Path("/some where/fault-ca.crt")


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Return a certificate."""
    return CertificateAuthority.open_or_create(tmp_path_factory.mktemp("ca")).certificate_pem


def test_the_fingerprint_is_the_certificates(pem):
    """The first one's, if a chain follows."""
    expected = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA1()).hex().upper()
    assert sha1_fingerprint(pem) == expected
    assert sha1_fingerprint(pem + pem) == expected


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_platform_can_install_verify_and_remove(pem, platform):
    """And nothing is left to fill in."""
    text = instructions_for((platform,), CERTIFICATE, pem)
    section = text.split("\n\n")[1]
    assert section.startswith(PLATFORMS[platform] + "\n")
    for step in ("Install", "Verify", "Remove"):
        assert f"\n{step}" in section
    assert "$" not in section


@pytest.mark.parametrize(
    ("platform", "quoted"),
    [
        ("macos", f"'{CERTIFICATE}'"),
        ("debian", f"'{CERTIFICATE}'"),
        ("fedora", f"'{CERTIFICATE}'"),
        ("windows", f'"{CERTIFICATE}"'),
        ("firefox", f"choose {CERTIFICATE}\n"),
    ],
)
def test_paths_are_quoted_as_the_platforms_shell_wants(pem, platform, quoted):
    """The lines can be copied."""
    assert quoted in instructions_for((platform,), CERTIFICATE, pem).split("\n\n")[1]


@pytest.mark.parametrize("platform", ["macos", "windows"])
def test_removal_names_this_certificate(pem, platform):
    """Not any other of the same name."""
    removal = instructions_for((platform,), CERTIFICATE, pem).partition("Remove")[2]
    assert sha1_fingerprint(pem) in removal


@pytest.mark.parametrize(
    "variable",
    [
        "HTTPS_PROXY=",
        "SSL_CERT_FILE='",
        "REQUESTS_CA_BUNDLE='",
        "AWS_CA_BUNDLE='",
        "CURL_CA_BUNDLE='",
        "NODE_EXTRA_CA_CERTS='",
        "NODE_USE_ENV_PROXY=1",
        "keytool -importcert",
        "ANTHROPIC_BASE_URL=http://127.0.0.1:8080",
    ],
)
def test_the_clients_variables_are_there(pem, variable):
    """Whatever the platform."""
    assert variable in instructions_for((), CERTIFICATE, pem)


def test_the_page_of_windows_speaks_its_shells(pem):
    """PowerShell and cmd, Schannel and Git; no sh, and no path of Debian's."""
    text = instructions_for(("windows",), Path("/it's here/ca.crt"), pem)
    assert "$env:SSL_CERT_FILE = '/it''s here/ca.crt'" in text
    assert 'set "SSL_CERT_FILE=/it\'s here/ca.crt"' in text
    assert 'curl --ssl-no-revoke --cacert "/it\'s here/ca.crt"' in text
    assert 'http.sslCAInfo="/it\'s here/ca.crt"' in text
    assert "http.schannelCheckRevoke=false" in text
    for word in ("export ", "/etc/ssl", "cat "):
        assert word not in text


def test_all_pages_have_both_kinds_of_shells(pem):
    """Each kind once."""
    text = instructions_for(tuple(PLATFORMS), CERTIFICATE, pem)
    assert text.count("For one program, without touching the system") == 2
    assert "export HTTPS_PROXY=" in text
    assert "$env:HTTPS_PROXY =" in text
