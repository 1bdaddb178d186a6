"""Tests of how settings come together from options, variables and a file."""

# ruff: noqa: E501  (tables of messages are read best a line each)

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultinject.authority import ConnectTo, TargetPattern
from faultinject.config import CA_OPTIONS, PROXY_OPTIONS, load_settings, unknown_variables
from faultinject.config.options import FILE_OPTIONS
from faultinject.errors import SettingsError
from faultinject.providers.told import NAMES as APIS
from faultinject.settings import Settings

EXAMPLE = Path(__file__).parents[3] / "docs" / "config.example.json"


def load(given=None, environment=None, options=PROXY_OPTIONS):
    """Load with single texts written without their tuple."""
    texts = {
        name: (text,) if isinstance(text, str) else tuple(text)
        for name, text in (given or {}).items()
    }
    return load_settings(texts, environment or {}, options)


def one_line_or_none(given):
    """Return the error's line, or None if all is well."""
    try:
        assert isinstance(load(given), Settings)
    except SettingsError as error:
        return str(error)
    return None


def refusal(given=None, environment=None):
    """Return the error's line."""
    with pytest.raises(SettingsError) as caught:
        load(given, environment)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.fixture
def config(tmp_path):
    """Return a function that writes a JSON file and returns the option that names it."""

    def write(**values):
        path = tmp_path / "c.json"
        path.write_text(json.dumps(values))
        return {"config": str(path)}

    return write


# -- precedence ---------------------------------------------------------------------------------


def test_nothing_said_means_the_defaults():
    """Only the seed is drawn anew."""
    assert load({"seed": "1"}) == Settings(seed=1)


def test_option_over_variable_over_file_over_default(config):
    """Each source counts only where the ones above it are silent."""
    file = config(status_code=401, error_probability=0.4, proxy_port=4)
    environment = {"FAULTINJECT_STATUS_CODE": "402", "FAULTINJECT_ERROR_PROBABILITY": "0.5"}
    found = load(file | {"status_code": "403"}, environment)
    assert (found.status_code, found.error_probability, found.proxy_port) == (403, 0.5, 4)
    assert found.host == "127.0.0.1"


def test_the_variable_can_name_the_file_and_the_option_another(config, tmp_path):
    """--config itself follows the precedence too."""
    other = tmp_path / "other.toml"
    other.write_text("status_code = 404")
    environment = {"FAULTINJECT_CONFIG": str(other)}
    assert load(environment=environment).status_code == 404
    assert load(config(status_code=405), environment).status_code == 405


def test_an_empty_variable_is_as_good_as_none(config):
    """Scripts unset variables by emptying them."""
    empty = {"FAULTINJECT_STATUS_CODE": "", "FAULTINJECT_HEADER": ""}
    assert load(config(status_code=403), empty).status_code == 403


def test_a_list_replaces_the_list_below_it(config):
    """Targets do not add up over sources."""
    file = config(target_host=["a.example", "b.example"])
    found = load(file, {"FAULTINJECT_TARGET_HOST": "c.example , d.example:8443,"})
    assert found.target_host == (TargetPattern("c.example"), TargetPattern("d.example", 8443))
    found = load(file | {"target_host": ["e.example"]})
    assert found.target_host == (TargetPattern("e.example"),)


def test_headers_are_replaced_by_name(config):
    """--header over the variable's header over the file's, other names stay."""
    file = config(headers={"Retry-After": "1", "X-File": "f", "X-Both": "f"})
    environment = {"FAULTINJECT_HEADER": "x-both: e, with a comma\n\nX-Env: e\n"}
    found = load(file | {"header": ["retry-after: 9", "X-ENV: o"]}, environment)
    assert found.headers == (
        ("X-File", "f"),
        ("x-both", "e, with a comma"),
        ("retry-after", "9"),
        ("X-ENV", "o"),
    )


def test_flags_can_be_switched_off_again(config):
    """The option's opposite undoes what a file says."""
    file = config(fake_upstream=True, no_marker=True)
    found = load(file)
    assert (found.fake_upstream, found.marker) == (True, False)
    found = load(file | {"fake_upstream": "false", "no_marker": "false"})
    assert (found.fake_upstream, found.marker) == (False, True)


@pytest.mark.parametrize("word", ["1", "true", "Yes", "on"])
def test_words_for_true(word):
    """Variables spell flags in several ways."""
    assert load(environment={"FAULTINJECT_INSECURE_UPSTREAM": word}).insecure_upstream


@pytest.mark.parametrize("word", ["0", "false", "NO", "off"])
def test_words_for_false(word):
    """Nothing but these is false."""
    assert load(environment={"FAULTINJECT_NO_MARKER": word}).marker


def test_every_source_can_have_every_kind(config, tmp_path):
    """Lists, mappings, paths and choices read the same from each."""
    file = config(
        target_host="*.a.example",
        connect_to=["a.example:443:127.0.0.1:9"],
        ca_cert="a.crt",
        ca_key="a.key",
        log_format="json",
        headers={"Retry-After": 3, "Set-Cookie": ["a=1", "b=2"]},
        error_body={"text": "é", "n": [1, 2.5, None]},
    )
    found = load(file)
    assert found.target_host == (TargetPattern("*.a.example"),)
    assert found.connect_to == (ConnectTo("a.example", 443, "127.0.0.1", 9),)
    assert (found.ca_cert, found.ca_key) == (Path("a.crt"), Path("a.key"))
    assert found.log_format == "json"
    assert found.headers == (("Retry-After", "3"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
    assert found.error_body == '{"text":"é","n":[1,2.5,null]}'


def test_the_home_directory_may_be_abbreviated(monkeypatch, tmp_path):
    """A shell does not expand ~ after = or in a file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load({"data_dir": "~/d"}).data_dir == tmp_path / "d"


def test_an_unknown_home_directory_is_an_error():
    """There is no such user."""
    message = refusal({"data_dir": "~no-such-user-here/d"})
    assert message.startswith("--data-dir: '~no-such-user-here/d': ")


def test_an_empty_body_is_a_body():
    """Not to be mistaken for none."""
    assert load({"error_body": ""}).error_body == ""


def test_a_command_reads_only_its_own_variables(config):
    """`faultinject ca path` is not stopped by another command's mistake, but a file is checked."""
    wrong = {"FAULTINJECT_SEED": "x", "FAULTINJECT_DATA_DIR": "d"}
    assert load(config(seed=3), wrong, CA_OPTIONS).data_dir == Path("d")
    with pytest.raises(SettingsError, match="seed"):
        load(config(seed="x"), {}, CA_OPTIONS)


def test_the_example_in_the_documentation_loads():
    """As it stands."""
    found = load({"config": str(EXAMPLE)})
    assert found.status_code == 429
    assert json.loads(found.error_body or "")["error"]["type"] == "rate_limit_error"
    assert found.headers == (("Retry-After", "1"), ("X-Should-Retry", "true"))


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("error-probability", "1.1", "'1.1' is not a number from 0 to 1, or a percentage as in 5%"),
        ("error-probability", "-0.1", "'-0.1' is not a number from 0 to 1, or a percentage as in 5%"),
        ("error-probability", "nan", "'nan' is not a number from 0 to 1, or a percentage as in 5%"),
        ("error-probability", "often", "'often' is not a number from 0 to 1, or a percentage as in 5%"),
        ("status-code", "199", "'199' is not a whole number from 200 to 599"),
        ("status-code", "600", "'600' is not a whole number from 200 to 599"),
        ("status-code", "+500", "'+500' is not a whole number from 200 to 599"),
        ("status-code", "\u0665", "'\u0665' is not a whole number from 200 to 599"),
        ("proxy-port", "65536", "'65536' is not a whole number from 0 to 65535"),
        ("seed", "1e3", f"'1e3' is not a whole number from 0 to {2**64 - 1}"),
        ("seed", "9" * 5000, f"'{'9' * 57}...' is not a whole number from 0 to {2**64 - 1}"),
        ("log-level", "loud", "'loud' is not one of debug, info, warning, error"),
        ("log-format", "xml", "'xml' is not one of text, json"),
        ("insecure-upstream", "maybe", "'maybe' is not true or false (1 or 0)"),
        ("no-marker", "maybe", "'maybe' is not true or false (1 or 0)"),
        ("host", "a b", "'a b' is not a host name or an IP address, such as 127.0.0.1, ::1 or localhost"),
        ("target-host", "https://a.example", "'https://a.example' is not a host; write it without scheme and path"),
        ("target-host", "a*.example", "'a*.example' is not a host name or an IP address"),
        ("target-host", "me:pw@a.example", "it contains an '@'; write the host alone, without user and password"),
        ("target-host", "localhost=opnai", f"localhost=opnai: no API has this name; did you mean openai? There are {', '.join(APIS)}"),
        ("connect-to", "a:b", "'a:b' is not HOST:PORT:ADDRESS:PORT (IPv6 in brackets)"),
        ("header", "nonsense", "there is no ':' in it; write 'Name: value'"),
        ("error-body", "\udcff", "it is not valid Unicode: it has half a surrogate pair"),
        ("summary", "a\0", r"'a\x00' is not the name of a file or directory"),
    ],
)  # fmt: skip
def test_a_wrong_text_is_refused_wherever_it_stands(name, text, message):
    """The option or the variable is named, and what would be right."""
    parameter = name.replace("-", "_")
    assert refusal({parameter: text}) == f"--{name}: {message}"
    variable = f"FAULTINJECT_{parameter.upper()}"
    assert refusal(environment={variable: text}) == f"{variable}: {message}"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("error_probability", 2, "2 is not a number from 0 to 1, or a percentage as in 5%"),
        ("error_probability", "0.5", '"0.5" is not a number from 0 to 1, or a percentage as in 5%'),
        ("fake_pace", "soon", "'soon' is not a duration: seconds as a number, or as in 250ms, 1.5s, 2m or 1h30m; at most 1h"),
        ("fake_pace", True, "true is not a duration: seconds as a number, or as in 250ms, 1.5s, 2m or 1h30m; at most 1h"),
        ("fake_pace", 3601, "3601 is not a duration: seconds as a number, or as in 250ms, 1.5s, 2m or 1h30m; at most 1h"),
        ("error_probability", True, "true is not a number from 0 to 1, or a percentage as in 5%"),
        ("error_probability", 10**400, "1" + "0" * 56 + "... is not a number from 0 to 1, or a percentage as in 5%"),
        ("status_code", 600, "600 is not a whole number from 200 to 599"),
        ("status_code", 500.0, "500.0 is not a whole number from 200 to 599"),
        ("status_code", True, "true is not a whole number from 200 to 599"),
        ("status_code", "500", '"500" is not a whole number from 200 to 599'),
        ("proxy_port", None, "null is not a whole number from 0 to 65535"),
        ("log_level", 1, "1 is not one of debug, info, warning, error"),
        ("host", ["::1"], '["::1"] is not a string (an address or host name)'),
        ("ca_cert", 1, "1 is not a string (a path)"),
        ("ca_cert", "", "'' is not the name of a file or directory"),
        ("summary", "/\ud800", r"'/\ud800' is not the name of a file or directory"),
        ("fake_upstream", "true", '"true" is not true or false'),
        ("no_marker", 1, "1 is not true or false"),
        ("target_host", [], "the list is empty; give at least one"),
        ("target_host", {"a": 1}, '{"a": 1} is not a string or a list of strings'),
        ("target_host[1]", ["a.example", 1], "1 is not a string or a list of strings"),
        ("target_host[1]", ["a", "b:1=x"], f"b:1=x: no API has this name; there are {', '.join(APIS)}"),
        ("headers", ["A: b"], "it is not an object of header names and values"),
        ("headers.A", {"A": True}, "the value of the header is not text"),
        ("headers", {"A": "1", "a": "2"}, "it names a header twice, in different case; give a list of values"),
        ("headers.Date", {"Date": "1"}, "the header Date cannot be set: the proxy sets it to the time of the answer"),
        ("error_body", 1, "the body is neither a string nor an object"),
        ("error_body", "\ud800", "it is not valid Unicode: it has half a surrogate pair"),
        ("error_body", {"a": "\ud800"}, "it is not valid Unicode: it has half a surrogate pair"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_file_is_refused(config, key, value, message):
    """The file and the place in it are named, and what would be right."""
    file = config(**{re.split(r"[.\[]", key)[0]: value})
    assert refusal(file) == f"{file['config']}: {key}: {message}"


def test_a_list_of_nothing_in_a_variable_is_refused():
    """A stray comma must not mean that nothing is a target."""
    assert refusal(environment={"FAULTINJECT_TARGET_HOST": " , "}) == (
        "FAULTINJECT_TARGET_HOST: it is empty; give at least one"
    )


def test_a_date_cannot_stand_in_a_body(tmp_path):
    """TOML has values that JSON has not."""
    path = tmp_path / "c.toml"
    path.write_text("[error_body]\nwhen = 2026-01-01\n")
    assert refusal({"config": str(path)}).startswith(
        f"{path}: error_body: it cannot be written as JSON: "
    )


def test_infinity_cannot_stand_in_a_body(tmp_path):
    """JSON's own numbers can be larger than a float."""
    path = tmp_path / "c.json"
    path.write_text('{"error_body": {"a": 1e999}}')
    assert "error_body: it cannot be written as JSON: Out of range" in refusal(
        {"config": str(path)}
    )


@pytest.mark.parametrize(
    ("key", "mend"),
    [
        ("eror_probability", "did you mean error_probability?"),
        ("Error-Probability", "did you mean error_probability?"),
        ("header", "did you mean headers?"),
        ("qqq", "the keys are " + ", ".join(sorted(FILE_OPTIONS))),
        ("a\nb", "the keys are "),
    ],
)
def test_an_unknown_key_gets_the_nearest_one(config, key, mend):
    """Or all of them, if none is near."""
    shown = key.replace("\n", "\\n")
    assert f": unknown key '{shown}'; {mend}" in refusal(config(**{key: 1}))


@pytest.mark.parametrize("source", ["option", "variable", "file"])
@pytest.mark.parametrize(("one", "other"), [("ca-cert", "ca-key"), ("ca-key", "ca-cert")])
def test_one_of_the_pair_alone_is_refused(config, source, one, other):
    """Wherever it stands, its place is named."""
    name = one.replace("-", "_")
    file = config(**{name: "x"})
    variable = f"FAULTINJECT_{name.upper()}"
    message = {
        "option": lambda: refusal({name: "x"}).removeprefix(f"--{one}: "),
        "variable": lambda: refusal({}, {variable: "x"}).removeprefix(f"{variable}: "),
        "file": lambda: refusal(file).removeprefix(f"{file['config']}: {name}: "),
    }[source]()
    assert message == f"x is given without --{other}; give both or neither"


def test_the_pair_may_come_from_two_sources(config):
    """Only what all of them say together counts."""
    found = load(config(ca_cert="a.crt"), {"FAULTINJECT_CA_KEY": "a.key"})
    assert (found.ca_cert, found.ca_key) == (Path("a.crt"), Path("a.key"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.just("Retry-After"), children, max_size=4)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted(FILE_OPTIONS)) | st.text(max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON | st.dictionaries(KEYS, JSON, max_size=4))
def test_any_json_loads_or_is_one_line(tmp_path, value):
    """No file makes a traceback, or a message of two lines."""
    path = tmp_path / "any.json"
    path.write_text(json.dumps(value))
    message = one_line_or_none({"config": str(path)})
    if message is not None:
        assert message.startswith(str(path))
        assert len(message.splitlines()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(["x.json", "x.toml", "x"]))
def test_any_bytes_load_or_are_one_line(tmp_path, data, name):
    """The same for what is not JSON at all."""
    path = tmp_path / name
    path.write_bytes(data)
    message = one_line_or_none({"config": str(path)})
    if message is not None:
        assert message.startswith(str(path))
        assert len(message.splitlines()) == 1


@given(
    st.sampled_from([option for option in PROXY_OPTIONS if option.name != "config"]),
    st.text(alphabet=st.characters(exclude_characters="\0")),
)
def test_any_text_of_an_option_loads_or_is_one_line(option, text):
    """The same for the command line."""
    message = one_line_or_none({option.parameter: text})
    if message is not None:
        assert message.startswith(option.flag + ": ")
        assert len(message.splitlines()) == 1


IGNORED = "no option has this variable, it is ignored"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FAULTINJECT_STATUS", f"{IGNORED}; did you mean FAULTINJECT_STATUS_CODE?"),
        ("FAULTINJECT_HEADERS", f"{IGNORED}; did you mean FAULTINJECT_HEADER?"),
        ("FAULTINJECT_PROBABILITY", f"{IGNORED}; did you mean FAULTINJECT_ERROR_PROBABILITY?"),
        ("FAULTINJECT_QQQ", IGNORED),
        ("FAULTINJECT_INSTALL_CA", IGNORED),
    ],
)
def test_a_variable_that_no_option_has_is_named_with_the_nearest(name, message):
    """The prefix, by which all are alike, does not count."""
    assert unknown_variables({name: "x", "OTHER": "y"}) == [f"{name}: {message}"]


def test_known_and_empty_variables_are_not_named():
    """Those of every command, and what counts as none."""
    known = {option.variable: "x" for option in PROXY_OPTIONS if option.variable}
    assert unknown_variables(known | {"FAULTINJECT_OTHER": "", "_FAULTINJECT_COMPLETE": "x"}) == []


SERVICE = {
    "FAULTINJECT_PROXY_PORT": "tcp://10.96.0.12:8080",
    "FAULTINJECT_PROXY_PORT_8080_TCP": "tcp://10.96.0.12:8080",
    "FAULTINJECT_PROXY_PORT_8080_TCP_ADDR": "10.96.0.12",
    "FAULTINJECT_PROXY_PORT_8080_TCP_PORT": "8080",
    "FAULTINJECT_PROXY_PORT_8080_TCP_PROTO": "tcp",
    "FAULTINJECT_PROXY_SERVICE_HOST": "10.96.0.12",
    "FAULTINJECT_PROXY_SERVICE_PORT": "8080",
    "FAULTINJECT_PROXY_SERVICE_PORT_HTTP": "8080",
}


def test_kubernetes_variables_are_not_the_users():
    """A service may be called as we are: nothing of it counts, and one line says so."""
    assert load_settings({}, SERVICE, PROXY_OPTIONS).proxy_port == 8080
    [message] = unknown_variables(SERVICE)
    assert message == (
        "FAULTINJECT_PROXY_PORT and 7 more: Kubernetes sets these for a service of this name;"
        " they are ignored"
    )
    [message] = unknown_variables({"FAULTINJECT_PORT": "udp://10.0.0.1:53"})
    assert message.startswith("FAULTINJECT_PORT: Kubernetes sets")


def test_only_what_kubernetes_writes_is_ignored():
    """A mistake in a port's variable is one."""
    with pytest.raises(SettingsError, match="FAULTINJECT_PROXY_PORT: 'http://a:1' is not"):
        load_settings({}, {"FAULTINJECT_PROXY_PORT": "http://a:1"}, PROXY_OPTIONS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
def test_line_ends_of_variables_are_not_meant(end):
    """Secrets and .env files bring them; all kinds of options lose them alike."""
    environment = {
        "FAULTINJECT_DATA_DIR": "/a b" + end,
        "FAULTINJECT_STATUS_CODE": "503" + end,
        "FAULTINJECT_ERROR_BODY": "one\ntwo" + end,
        "FAULTINJECT_TARGET_HOST": "a.example,b.example" + end,
        "FAULTINJECT_SEED": end,
    }
    settings = load_settings({}, environment, PROXY_OPTIONS)
    assert settings.data_dir == Path("/a b")
    assert settings.status_code == 503
    assert settings.error_body == "one\ntwo"
    assert [target.host for target in settings.target_host] == ["a.example", "b.example"]


def test_a_hostile_name_of_a_variable_is_one_line():
    """The environment is not ours."""
    [message] = unknown_variables({"FAULTINJECT_A\nB\x1b": "x"})
    assert message.startswith(r"FAULTINJECT_A\nB\x1b: ")


@pytest.mark.parametrize(("text", "chance"), [("5%", 0.05), ("100%", 1.0), ("0.5%", 0.005)])
def test_a_chance_may_be_a_percentage(tmp_path, text, chance):
    """As in rules and behind a preset's name."""
    assert load({"error_probability": text}).error_probability == chance
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"error_probability": text}))
    assert load({"config": str(file)}).error_probability == chance


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("0.25", 0.25), ("40ms", 0.04), ("1h", 3600.0), ("1m 1s", 61.0)],
)
def test_a_pause_is_a_duration(tmp_path, text, seconds):
    """As in rules; a file may have a number too, and none at all is one."""
    assert load({"fake_pace": text, "fake_upstream": "true"}).fake_pace == seconds
    file = tmp_path / "c.json"
    for value in (text, seconds):
        file.write_text(json.dumps({"fake_pace": value}))
        assert load({"config": str(file)}).fake_pace == seconds
    assert load({}).fake_pace == 0.04


def test_a_pace_without_the_fake_api(tmp_path):
    """Whoever types it means this run; the environment and a file may be for others, too."""
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"fake_upstream": True, "fake_pace": "1s"}))
    assert load({"config": str(file), "fake_pace": "0"}).fake_pace == 0
    for more in ({}, {"fake_upstream": "false", "config": str(file)}):
        with pytest.raises(SettingsError) as caught:
            load({"fake_pace": "0", **more})
        assert str(caught.value) == (
            "--fake-pace: it is the pace of the fake API, which answers only with --fake-upstream;"
            " give that too, or leave it out"
        )
    assert load({}, {"FAULTINJECT_FAKE_PACE": "1s"}).fake_pace == 1
    assert load({"config": str(file), "fake_upstream": "false"}).fake_pace == 1


@pytest.mark.parametrize("text", ["101%", "-1%", "%", "x%", "5%%"])
def test_what_is_no_percentage(tmp_path, text):
    """Wherever it stands."""
    expected = "is not a number from 0 to 1, or a percentage as in 5%"
    with pytest.raises(SettingsError, match=expected):
        load({"error_probability": text})
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"error_probability": text}))
    with pytest.raises(SettingsError, match=expected):
        load({"config": str(file)})
