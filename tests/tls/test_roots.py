"""The certificates to verify upstreams with, as the user names them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faultinject.errors import SettingsError
from faultinject.tls.roots import check_roots
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
