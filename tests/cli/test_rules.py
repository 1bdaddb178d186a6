"""`faultinject rules`: a first file, and what is wrong with one."""

import pytest

FIRST = "rules: [{name: a, fault: {respond: 529}}]\n"


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file and returns its name."""

    def write(text, name="r.yaml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_first_file_is_good(run, tmp_path):
    """It says what to do next, passes the check, and is not written over."""
    path = str(tmp_path / "new.yaml")
    code, out, err = run("rules", "init", path)
    assert (code, out, err) == (0, "", f"wrote {path}; next: faultinject proxy --config {path}\n")
    assert run("rules", "check", path) == (0, f"{path}: 2 rules, all can be used\n", "")
    code, _, err = run("rules", "init", path)
    assert (code, err) == (2, f"faultinject: {path}: it is there already; name another file\n")


def test_what_is_commented_out_in_it_is_good_too(run, file):
    """Whoever takes the marks away has rules that work."""
    text = run("rules", "init")[1]
    head, rules = text.split("\nrules:\n")
    opened = head + "\nrules:\n" + rules.replace("  # - ", "  - ").replace("  #   ", "    ")
    code, out, err = run("rules", "check", file(opened))
    assert "4 rules" in out
    assert code == 0
    assert all(line.startswith("note: ") for line in err.splitlines())


def test_a_folder_that_is_not_there(run, tmp_path):
    """The system's reason is told."""
    code, _, err = run("rules", "init", str(tmp_path / "no" / "r.yaml"))
    assert code == 1
    assert err.endswith("r.yaml: No such file or directory\n")


def test_all_mistakes_are_told(run, file):
    """A line each, with file, place, value and what would be right."""
    path = file("rules: [{fault: {respond: 99}}, {fault: pass}, {when: {first: 0}, fault: pass}]")
    code, out, err = run("rules", "check", path)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"{path}: rules[0].fault.respond: 99 is not a status from 200 to 599",
        f"{path}: rules[2].when.first: 0 is not a whole number from 1 to 1000000000",
    ]


def test_mistakes_in_other_keys_are_told_first(run, file):
    """The file is that of --config."""
    path = file('{"sed": 1, "status_code": 99, "rules": [{"fault": "pas"}]}', "c.json")
    code, _, err = run("rules", "check", path)
    assert code == 2
    assert err.splitlines() == [
        f"{path}: unknown key 'sed'; did you mean seed?",
        f"{path}: status_code: 99 is not a whole number from 200 to 599",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [", "line 1, column 9: not YAML: "),
        ("ca_cert: x", "ca_cert: x is given without --ca-key"),
        ("preset: flakey", "--preset: there is no preset 'flakey'"),
    ],
)
def test_what_is_no_file_of_rules(run, file, text, message):
    """One line, too."""
    code, _, err = run("rules", "check", file(text))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_warnings_and_what_the_plugin_cannot_do(run, file):
    """They are told, and the file is good all the same."""
    path = file("rules: [{name: a, fault: {break: reset}}, {name: b, fault: pass}]")
    code, out, err = run("rules", "check", path)
    assert (code, out) == (0, f"{path}: 2 rules, all can be used\n")
    warning, note = err.splitlines()
    assert warning.startswith(f"warning: {path}: rules[1]: it is never reached: ")
    assert note.startswith(f"note: {path}: rules[0]: the plugin cannot reset a connection: ")


def test_the_help_is_worth_reading(run):
    """Both commands are there."""
    code, out, _ = run("rules", "--help")
    assert code == 0
    assert "check" in out
    assert "init" in out
