"""Tests of the commands about the certificate authority."""

import os
import ssl
import stat
import sys

import pytest

from faultinject.cli import ca
from faultinject.tls.certificate_authority import CertificateAuthority


@pytest.fixture
def certificate(tmp_path):
    """Return the certificate of the authority that the commands use, made already."""
    authority = CertificateAuthority.open_or_create(tmp_path / "data")
    return authority.certificate_path


@pytest.mark.parametrize("made", [True, False])
def test_path_prints_where_the_certificate_is(run, tmp_path, made):
    """It is made if there is none, so that the path can be used at once."""
    if made:
        CertificateAuthority.open_or_create(tmp_path / "data")
    code, out, err = run("ca", "path")
    assert (code, out, err) == (0, f"{tmp_path / 'data' / 'fault-ca.crt'}\n", "")
    assert ssl.create_default_context(cafile=out.strip()).cert_store_stats()["x509_ca"] == 1


def test_the_directory_is_an_option_too(run, tmp_path):
    """Before its variable."""
    other = tmp_path / "other"
    assert run("ca", "path", "--data-dir", str(other))[1] == f"{other / 'fault-ca.crt'}\n"


def test_named_files_are_used_and_never_made(run, tmp_path, certificate):
    """A certificate authority of the user's own."""
    key = certificate.with_name("fault-ca.key")
    named = ["--ca-cert", str(certificate), "--ca-key", str(key), "--data-dir", str(tmp_path / "n")]
    assert run("ca", "path", *named)[:2] == (0, f"{certificate}\n")
    assert not (tmp_path / "n").exists()
    missing = ["--ca-cert", str(tmp_path / "no.crt"), "--ca-key", str(key)]
    code, out, err = run("ca", "path", *missing)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no.crt" in err


def test_export_writes_the_certificate(run, tmp_path, certificate):
    """PEM, as it is."""
    file = tmp_path / "exported.pem"
    assert run("ca", "export", str(file)) == (0, "", "")
    assert file.read_bytes() == certificate.read_bytes()
    assert run("ca", "export", str(file))[0] == 0  # again: it is a certificate


def test_export_to_standard_output(run, certificate):
    """For a pipe."""
    assert run("ca", "export", "-") == (0, certificate.read_text(), "")


def test_an_empty_file_may_be_filled(run, tmp_path, certificate):
    """As mktemp makes them."""
    file = tmp_path / "empty"
    file.touch()
    assert run("ca", "export", str(file))[0] == 0
    assert file.read_bytes() == certificate.read_bytes()


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs a device")  # noqa: PTH110
def test_a_device_may_be_written(run):
    """Nothing is lost there."""
    assert run("ca", "export", "/dev/null") == (0, "", "")


@pytest.mark.parametrize("kind", ["text", "bundle", "key", "key too"])
def test_export_destroys_nothing(run, tmp_path, certificate, kind):
    """A bundle begins like a certificate, and a key may follow one: neither is overwritten."""
    pem = certificate.read_text()
    key = certificate.with_name("fault-ca.key").read_text()
    content = {"text": "dear diary", "bundle": pem * 2, "key": key, "key too": pem + key}[kind]
    file = tmp_path / "precious"
    file.write_text(content)
    code, out, err = run("ca", "export", str(file))
    assert (code, out) == (2, "")
    assert (
        err
        == f"faultinject: {file}: the file exists and is not one certificate; choose another name\n"
    )
    assert file.read_text() == content


def test_a_directory_is_no_file(run, tmp_path, certificate):
    """The same."""
    code, _, err = run("ca", "export", str(tmp_path))
    assert (code, err.count("\n")) == (2, 1)


def test_export_to_nowhere_says_so(run, tmp_path, certificate):
    """The machine's reason, exit code 1."""
    file = tmp_path / "no" / "ca.pem"
    code, _, err = run("ca", "export", str(file))
    assert (code, err) == (1, f"faultinject: cannot write {file}: No such file or directory\n")


def test_the_proxys_options_export_and_exit(run, tmp_path, certificate):
    """The Go program's way; the other options do not matter."""
    file = tmp_path / "exported.pem"
    assert run("proxy", "--proxy-port", "1", "--export-ca", str(file)) == (0, "", "")
    assert file.read_bytes() == certificate.read_bytes()
    assert run("--standalone", "--export-ca", "-")[1] == certificate.read_text()


def test_install_ca_asks_the_platform(run, tmp_path, certificate, monkeypatch):
    """After exporting, if both are asked for; its exit code is the command's."""
    asked = []
    monkeypatch.setattr(
        "faultinject.cli.ca.install_certificate", lambda path: asked.append(path) or 1
    )
    assert run("proxy", "--install-ca", "--export-ca", str(tmp_path / "e.pem"))[0] == 1
    assert asked == [certificate]
    assert run("proxy", "--install-ca")[0] == 1
    assert (tmp_path / "e.pem").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
def test_what_is_exported_may_be_read_by_all(run, tmp_path, certificate):
    """A certificate is no secret; the key stays where it is."""
    file = tmp_path / "exported.pem"
    run("ca", "export", str(file))
    assert stat.S_IMODE(file.stat().st_mode) & 0o400
    assert b"PRIVATE" not in file.read_bytes()


def test_instructions_are_those_of_this_platform(run, certificate, monkeypatch):
    """With the clients' variables below."""
    monkeypatch.setattr(ca, "this_platform", lambda: "fedora")
    code, out, _ = run("ca", "instructions")
    assert code == 0
    assert f"trust anchor --store {certificate}" in out
    assert f"export SSL_CERT_FILE={certificate}" in out
    assert "macOS\n" not in out


def test_instructions_of_another_platform(run, certificate):
    """By name."""
    _, out, _ = run("ca", "instructions", "--platform", "windows")
    assert f"certutil -user -addstore Root {certificate}" in out
    assert "trust anchor" not in out


def test_instructions_of_all_platforms(run, certificate):
    """Each with its three steps."""
    _, out, _ = run("ca", "instructions", "--platform", "all")
    for title in ("macOS", "Debian and Ubuntu", "Fedora", "Windows", "Firefox"):
        assert f"\n\n{title}" in out
    assert [out.count(f"\n{step}") for step in ("Install", "Verify", "Remove")] == [5, 5, 5]


def test_a_variable_that_no_option_has_gets_a_warning(run, environment):
    """On stderr, a line each; what was asked for is done all the same."""
    environment.setenv("FAULTINJECT_DATADIR", "x")
    environment.setenv("FAULTINJECT_STATUS_CODE", "429")
    code, out, err = run("ca", "path")
    assert (code, out) == (0, run("ca", "path")[1])
    assert err == (
        "faultinject: warning: FAULTINJECT_DATADIR: no option has this variable, it is ignored;"
        " did you mean FAULTINJECT_DATA_DIR?\n"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_export_into_pipes(run, tmp_path, certificate):
    """As the shell's >(...) makes them; one that nobody reads is no wait."""
    reading, writing = os.pipe()
    assert run("ca", "export", f"/dev/fd/{writing}") == (0, "", "")
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == certificate.read_text()
    os.mkfifo(tmp_path / "pipe")
    code, _, err = run("ca", "export", str(tmp_path / "pipe"))
    assert (code, err) == (1, f"faultinject: cannot write {tmp_path / 'pipe'}: nobody reads it\n")
