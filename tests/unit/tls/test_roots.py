"""The certificates to verify upstreams with, as the user names them."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trustme

from faultinject.errors import SettingsError
from faultinject.tls.handshake import check_roots, default_context, key_log_problem
from tests.support.authorities import AuthorityFiles


def test_an_authority_that_can_be_read(tmp_path: Path) -> None:
    """There is nothing to say."""
    certificate, _ = AuthorityFiles().write(tmp_path)
    check_roots(certificate)


@pytest.mark.parametrize(("content", "says"), [(None, "cannot be read"), (b"?", "no PEM")])
def test_an_authority_that_cannot_be_read(tmp_path: Path, content: bytes | None, says: str) -> None:
    """That is the user's mistake and told before anybody is dialled."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=says) as caught:
        check_roots(file)
    assert str(file) in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")
def test_an_authority_that_is_no_file(tmp_path: Path) -> None:
    """OpenSSL would wait for somebody to write to a pipe."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="it is a pipe, not a file"):
        check_roots(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["missing/keys.log", "."])
def test_keys_that_cannot_be_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is said what is wrong, and handshakes go on without."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / name))
    assert default_context().keylog_filename is None
    problem = key_log_problem()
    assert problem is not None
    assert problem.startswith(f"SSLKEYLOGFILE={tmp_path / name}: cannot be written (")


def test_keys_are_logged_where_the_user_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `ssl.create_default_context` does it; without the variable there is no log."""
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    assert key_log_problem() is None
    assert default_context().keylog_filename is None
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    assert key_log_problem() is None
    assert default_context().keylog_filename == str(tmp_path / "keys.log")


def test_the_settings_are_pythons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the version of Python has for clients."""
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    ours, pythons = default_context(), ssl.create_default_context()
    for name in ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version"):
        assert getattr(ours, name) == getattr(pythons, name)
    assert ours.cert_store_stats() == pythons.cert_store_stats()
    file = tmp_path / "root.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    assert default_context(file).cert_store_stats()["x509_ca"] == 1
