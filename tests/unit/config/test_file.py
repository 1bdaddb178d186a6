"""Tests of reading configuration files."""

import os
import sys

import pytest

from faultinject import files
from faultinject.config import file
from faultinject.config.file import read_config_file
from faultinject.errors import SettingsError


def written(tmp_path, name, content):
    """Write a file; return its path."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"seed": 1}'),
        ("a.JSON", '\ufeff{"seed": 1}'),
        ("a.toml", "seed = 1"),
        ("a.conf", ' \n{"seed": 1}'),
        ("a", "# a comment\nseed = 1\n"),
    ],
)
def test_json_and_toml_are_told_apart(tmp_path, name, content):
    """By the suffix, else by the first character."""
    assert read_config_file(written(tmp_path, name, content)).value == {"seed": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{\n "seed": }', "2:10: not JSON: Expecting value"),
        ("a.json", "", "1:1: not JSON: Expecting value"),
        ("a.json", "seed = 1", "1:1: not JSON"),
        ("a.toml", "seed = 1\nhost = oops", "2:8: not TOML: Invalid value"),
        ("a.toml", '{"seed": 1}', "1:1: not TOML: Invalid statement"),
        ("a.json", "[1]", "it is a list; write rules: above a list of rules"),
        ("a", "- fault: pass", "1:1: it is a list; write rules: above a list of rules"),
        ("a.json", "null", "it is not an object with options in it"),
        ("a.json", '{"seed": 1, "host": "a", "seed": 2}', "the key 'seed' is given twice"),
        ("a.json", '{"headers": {"A\\n": "1", "A\\n": "2"}}', r"the key 'A\n' is given twice"),
        ("a.toml", "seed = 0x" + "f" * 5000, "not TOML: Exceeds the limit"),
        ("a.toml", "seed = 1\nseed = 2", "not TOML: Cannot overwrite a value"),
        ("a.json", '{"seed": NaN}', "NaN is not JSON"),
        ("a.json", '{"seed": -Infinity}', "-Infinity is not JSON"),
        ("a.json", '{"seed": ' + "9" * 5000 + "}", "not JSON that can be read: Exceeds the limit"),
        ("a.json", "[" * 200_000, "its values are nested too deeply"),
        ("a.json", b'{"host":\n"\xff"}', "2:2: it is not UTF-8 text"),
    ],
)
def test_what_is_no_configuration_is_one_line(tmp_path, name, content, message):
    """The line begins with the file and says where in it the trouble is."""
    path = written(tmp_path, name, content)
    with pytest.raises(SettingsError) as caught:
        read_config_file(path)
    assert str(caught.value).removeprefix(f"{path}:").lstrip().startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_a_key_among_very_many_is_there_twice(tmp_path):
    """It is found in one go: by a search for each of them this would take many minutes."""
    keys = ", ".join(f'"k{number}": 1' for number in range(100_000))
    path = written(tmp_path, "a.json", f'{{{keys}, "twice": 1, "twice": 1}}')
    with pytest.raises(SettingsError, match="the key 'twice' is given twice"):
        read_config_file(path)


def test_a_missing_file_is_named(tmp_path):
    """The system's own reason is enough."""
    with pytest.raises(SettingsError, match=r"none\.json: cannot read it: No such file"):
        read_config_file(tmp_path / "none.json")


def test_a_directory_is_no_file(tmp_path):
    """The same for other reasons."""
    with pytest.raises(SettingsError, match="cannot read it: Is a directory"):
        read_config_file(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs a file without end")  # noqa: PTH110
def test_a_file_without_end_is_given_up(tmp_path, monkeypatch):
    """The wrong file does not fill the memory."""
    monkeypatch.setattr(file, "_MAX_BYTES", 100)
    path = written(tmp_path, "a.json", '{"error_body": "' + "x" * 100 + '"}')
    with pytest.raises(SettingsError, match="it has more than 100 bytes"):
        read_config_file(path)


@pytest.mark.parametrize(
    "text",
    [
        "seed: 1",
        "# a comment: here\n\n---\nseed: 1\n",
        "'seed':\n  1\n",
        '"seed": 1\n',
    ],
)
def test_yaml_needs_no_name(tmp_path, text):
    """Standard input and pipes have none that says what they hold."""
    assert read_config_file(written(tmp_path, "a", text)).value == {"seed": 1}


@pytest.mark.parametrize("text", ["seed = 1", '"seed"=1', "# a: b\nseed = 1", "host = 'a: b'"])
def test_toml_is_not_taken_for_yaml(tmp_path, text):
    """A colon that is no key's is none."""
    assert read_config_file(written(tmp_path, "a", text)).value


def test_a_name_counts_more_than_the_look(tmp_path):
    """Who names a file .toml hears of TOML."""
    with pytest.raises(SettingsError, match="not TOML"):
        read_config_file(written(tmp_path, "a.toml", "seed: 1"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")
def test_a_pipe_that_is_waited_for(tmp_path, monkeypatch, capsys):
    """What is waited for is said, and then what is wrong, a line each."""
    monkeypatch.setattr(files, "NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(files, "SILENCE_SECONDS", 0.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SettingsError, match="pipe: cannot read it: it "):
        read_config_file(pipe)
    said = capsys.readouterr().err
    assert said.startswith(f"faultinject: waiting for the end of {pipe}; ") or not said


def test_a_wait_without_a_place_to_say_it(monkeypatch):
    """A program without a standard error."""
    monkeypatch.setattr(sys, "stderr", None)
    file._report_wait(files.STANDARD_INPUT)
