"""Tests of the file that says how to reach the proxy."""

import json

import pytest

from faultinject.cli.signals import forget_ready_file, ready_file
from faultinject.errors import StartError


def test_it_is_there_only_meanwhile(tmp_path):
    """Whole, and with nothing beside it."""
    path = tmp_path / "ready.json"
    with ready_file(path, {"port": 1}):
        assert json.loads(path.read_text()) == {"port": 1}
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_after_a_failure(tmp_path):
    """However the proxy ended."""
    with pytest.raises(ZeroDivisionError), ready_file(tmp_path / "r", {}):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_someone_else_may_have_removed_it(tmp_path):
    """That is no error."""
    with ready_file(tmp_path / "r", {}):
        (tmp_path / "r").unlink()


def test_none_is_wanted():
    """Nothing happens."""
    forget_ready_file(None)
    with ready_file(None, {}):
        pass


def test_what_a_killed_run_left_is_replaced(tmp_path):
    """And can be removed before."""
    path = tmp_path / "r"
    path.write_text("old")
    forget_ready_file(path)
    assert not path.exists()
    path.write_text("old")
    with ready_file(path, {"new": True}):
        assert json.loads(path.read_text()) == {"new": True}


def test_a_place_that_cannot_be_written(tmp_path):
    """The line says which file and what would be right."""
    path = tmp_path / "none" / "r"
    with pytest.raises(StartError, match=r"cannot write the ready file .*none.*; name a file in"):
        ready_file(path, {}).__enter__()


def test_a_place_that_cannot_be_written_is_told_before_the_start(tmp_path):
    """Nobody has been served then."""
    with pytest.raises(StartError, match=r"cannot write the ready file .*none.*; name a file in"):
        forget_ready_file(tmp_path / "none" / "r")
    forget_ready_file(tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_its_place(tmp_path):
    """Nothing is left behind."""
    path = tmp_path / "r"
    path.mkdir()
    with pytest.raises(StartError, match="cannot write the ready file"):
        ready_file(path, {}).__enter__()
    with pytest.raises(StartError, match="cannot write the ready file"):
        forget_ready_file(path)
    assert list(tmp_path.iterdir()) == [path]
