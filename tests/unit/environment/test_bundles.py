"""The files of certificates for a command's clients."""

import os
import ssl
import time
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from faultinject.environment import bundles as module
from faultinject.environment.bundles import Bundles, certificates_in, joined, system_roots
from faultinject.environment.java_options import PASSWORD
from faultinject.errors import StartError

pem = {name: trustme.CA().cert_pem.bytes() for name in ("ours", "system", "mine")}


@pytest.fixture
def warnings():
    """Return what was warned of."""
    return []


@pytest.fixture
def bundles(tmp_path, warnings, monkeypatch):
    """Return what makes the files, for a system with one root."""
    (tmp_path / "system.pem").write_bytes(pem["system"])
    monkeypatch.setattr(module, "_compiled_in", lambda: str(tmp_path / "none"))
    monkeypatch.setattr(module, "_compiled_in_folder", lambda: "/system/certs")
    monkeypatch.setenv("HOME", str(tmp_path))
    files = (str(tmp_path / "missing.pem"), str(tmp_path / "system.pem"))
    return Bundles(tmp_path / "data", pem["ours"], warnings.append, files)


def held(path):
    """Return which of the certificates a file has."""
    found = set(certificates_in(Path(path)))
    return {name for name, text in pem.items() if text.strip() in found}


def test_without_a_file_of_the_users_the_systems_roots(bundles, warnings):
    """And our CA; OpenSSL can read it."""
    path = bundles.bundle(None)
    assert held(path) == {"system", "ours"}
    ssl.create_default_context(cafile=str(path))
    assert warnings == []


def test_with_a_file_of_the_users_what_is_in_it(bundles, tmp_path):
    """Whoever trusts only some CAs goes on to do so."""
    (tmp_path / "mine.pem").write_bytes(b"# comment\n" + pem["mine"] * 2)
    path = bundles.bundle(str(tmp_path / "mine.pem"))
    assert held(path) == {"mine", "ours"}
    assert path.read_bytes().count(b"BEGIN") == 2


def test_a_directory_of_the_users(bundles, tmp_path):
    """requests takes one, too; what is no file in it does not matter."""
    folder = tmp_path / "certs"
    (folder / "below").mkdir(parents=True)
    (folder / "a.pem").write_bytes(pem["mine"])
    (folder / "gone").symlink_to("nowhere")
    assert held(bundles.bundle(str(folder))) == {"mine", "ours"}


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), (b"none", "has no certificate")]
)
def test_a_file_of_the_users_that_is_of_no_use(bundles, warnings, tmp_path, content, words):
    """It is said, and the system's certificates stand for it."""
    file = tmp_path / "mine.pem"
    if content is not None:
        file.write_bytes(content)
    assert held(bundles.bundle(str(file))) == {"system", "ours"}
    assert len(warnings) == 1
    assert words in warnings[0]


def test_a_system_without_roots(tmp_path, warnings, monkeypatch):
    """Other hosts than targets are then trusted by nobody, which is said once."""
    monkeypatch.setattr(module, "system_roots", lambda _files: b"")
    made = Bundles(tmp_path, pem["ours"], warnings.append)
    assert held(made.bundle(None)) == {"ours"}
    assert held(made.bundle("/dev/null")) == {"ours"}
    assert "were not found" in warnings[0]


def test_what_a_client_trusts_beside_its_own(bundles, tmp_path):
    """What was there, and ours; not the system's."""
    (tmp_path / "mine.pem").write_bytes(pem["mine"])
    assert held(bundles.addition(None)) == {"ours"}
    assert held(bundles.addition(str(tmp_path / "mine.pem"))) == {"mine", "ours"}


def test_directories_of_certificates(bundles):
    """The user's or the system's, and one with our CA alone."""
    theirs, ours = bundles.folder("/my/certs").split(os.pathsep)
    assert theirs == "/my/certs"
    assert held(ours) == {"ours"}
    assert bundles.folder(None).split(os.pathsep) == ["/system/certs", ours]


def test_wgets_settings(bundles, tmp_path):
    """The user's own go first: the last word counts. They may hold a password."""
    (tmp_path / ".wgetrc").write_text("tries = 3")
    path = bundles.wget_settings(None, None)
    lines = path.read_text().splitlines()
    assert lines == ["tries = 3", f"ca_certificate = {bundles.bundle(None)}"]
    assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").write_text("tries = 4\n")
    assert bundles.wget_settings(str(tmp_path / "other"), None).read_text().startswith("tries = 4")
    (tmp_path / ".wgetrc").unlink()
    assert bundles.wget_settings(None, None).read_text().startswith("ca_certificate")


def test_a_trust_store_of_javas(bundles, tmp_path):
    """It has all of the certificates; what is not quite a certificate is left out."""
    mine = tmp_path / "mine.pem"
    bad = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    mine.write_bytes(pem["mine"] + bad)
    store = bundles.trust_store(str(mine))
    before = store.read_bytes()
    held_there = pkcs12.load_pkcs12(before, PASSWORD.encode()).additional_certs
    found = {each.certificate.public_bytes(Encoding.PEM) for each in held_there}
    assert found == {pem["mine"], pem["ours"]}
    assert bundles.trust_store(str(mine)) == store
    assert store.read_bytes() == before


def test_runs_share_their_files(bundles, tmp_path):
    """Nothing is written anew that is there; what no run has used for long is removed."""
    path = bundles.bundle(None)
    old = path.with_name("old.pem")
    old.write_bytes(b"x")
    long_ago = time.time() - 40 * 24 * 3600
    for file in (old, path):
        os.utime(file, (long_ago, long_ago))
    again = Bundles(tmp_path / "data", pem["ours"], bundles.warn, bundles.system_files)
    assert again.bundle(None) == path
    assert path.stat().st_mtime > long_ago + 1  # it is used
    again.addition(None)
    assert not old.exists()
    assert path.exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, warnings):
    """With the option that names another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"cannot write the certificates.*--data-dir"):
        Bundles(tmp_path / "file", pem["ours"], warnings.append).addition(None)


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(bundles, monkeypatch, tmp_path):
    """A half of it would be worse than none."""

    def fail(_path, _mode):
        raise PermissionError(1, "not allowed")

    monkeypatch.setattr(Path, "chmod", fail)
    with pytest.raises(StartError, match="not allowed"):
        bundles.addition(None)
    assert list((tmp_path / "data" / "bundles").iterdir()) == []


def test_the_roots_of_this_system():
    """Those of a file, or of the store that OpenSSL asks."""
    assert module._compiled_in_folder().startswith(("/", "C:"))
    assert system_roots(()) == joined(
        text.strip() for text in module._CERTIFICATE.findall(system_roots(()))
    )


def test_the_roots_of_a_system_without_a_file(monkeypatch, tmp_path):
    """Windows has a store."""
    monkeypatch.setattr(module, "_compiled_in", lambda: str(tmp_path / "none"))
    (tmp_path / "store.pem").write_bytes(pem["system"])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert pem["system"].strip() in system_roots((str(tmp_path / "none"),))
