"""Tests of which platform this is."""

import pytest

from faultinject.cli.trust import PLATFORMS, this_platform


@pytest.mark.parametrize(
    ("system", "release", "platform"),
    [
        ("darwin", "", "macos"),
        ("win32", "", "windows"),
        ("linux", "ID=debian\n", "debian"),
        ("linux", "ID=ubuntu\nID_LIKE=debian\n", "debian"),
        ("linux", "NAME=Fedora\nnonsense\nID=fedora\n", "fedora"),
        ("linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora"),
        ("linux", "ID='almalinux'\nID_LIKE='rhel'\n", "fedora"),
        ("linux", "", "debian"),
    ],
)
def test_platforms_are_told_by_system_and_os_release(tmp_path, system, release, platform):
    """An unknown Linux counts as Debian."""
    file = tmp_path / "os-release"
    file.write_text(release)
    assert this_platform(system, file) == platform


def test_a_linux_without_os_release_counts_as_debian(tmp_path):
    """The file is optional."""
    assert this_platform("linux", tmp_path / "none") == "debian"


def test_this_one_is_known():
    """Whatever it is."""
    assert this_platform() in PLATFORMS
