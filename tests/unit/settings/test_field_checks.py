"""What a program may give as settings, and what it is told if that cannot be right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import settings as examined
from hypothesis import strategies as st

from faultinject.authority import ConnectTo, TargetPattern
from faultinject.config.rule_set import rule_set_of
from faultinject.errors import SettingsError
from faultinject.plugin.duplex.duplex_tunnel import duplex_tunnels
from faultinject.settings import ChosenPreset, Limits, PluginSettings, Settings, WrittenRules


def refused(kind: Callable[..., Any] = Settings, **values: Any) -> str:
    """Return what is said of wrong values."""
    with pytest.raises(SettingsError) as caught:
        kind(**values)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("proxy_port", 65536, "65536 is not a whole number from 0 to 65535"),
        ("proxy_port", "80", "'80' is not a whole number from 0 to 65535"),
        ("proxy_port", True, "True is not a whole number from 0 to 65535"),
        ("proxy_port", None, "None is not a whole number from 0 to 65535"),
        ("status_code", 199, "199 is not a whole number from 200 to 599"),
        ("error_probability", 1.01, "1.01 is not a number from 0 to 1"),
        ("error_probability", float("nan"), "nan is not a number from 0 to 1"),
        ("error_probability", "10%", "'10%' is not a number from 0 to 1"),
        ("seed", -1, "-1 is not a whole number from 0 to 18446744073709551615"),
        ("fake_pace", 3601, "3601 is not a number from 0 to 3600"),
        ("only", "models", "'models' is not one of model, api, all"),
        ("only", ["api"], "['api'] is not one of model, api, all"),
        ("log_format", "xml", "'xml' is not one of text, json"),
        ("marker", "no", "'no' is not True or False"),
        ("short_form", 1, "1 is not True, False or None"),
        ("limits", {}, "{} is not a Limits"),
        ("host", 5, "5 is not an address or host name"),
        ("data_dir", 5, "5 is not the name of a file or directory"),
        ("data_dir", "", "'' is not the name of a file or directory"),
        ("data_dir", "a\0b", f"{Path(chr(97) + chr(0) + 'b')!r} is not the name of a file"),
        ("error_body", b"x", "bytes is not text (str), or None"),
        ("target_host", "a.example", "'a.example' is not a list or tuple"),
        ("target_host", 5, "5 is not a list or tuple"),
        ("target_host", [5], "5 is not text, or a TargetPattern"),
        ("target_host", [], "it is empty; name a host, such as api.anthropic.com"),
        ("target_host", ["https://a.example"], "'https://a.example' is not a host; write it"),
        ("connect_to", ["a"], "'a' is not HOST:PORT:ADDRESS:PORT (IPv6 in brackets)"),
        ("rules", "respond 500", "'respond 500' is not a list or tuple"),
        ("rules", [{"fault": "x"}], "{'fault': 'x'} is not text, or a WrittenRules"),
        ("preset", [5], "5 is not text, or a ChosenPreset"),
        ("headers", 5, "it is neither a mapping nor a list of pairs of text"),
        ("headers", "a: b", "it is neither a mapping nor a list of pairs of text"),
        ("headers", [("a", 5)], "it is neither a mapping nor a list of pairs of text"),
        ("host", "", "'' is not a host name or an IP address, such as 127.0.0.1, ::1"),
        ("report", "r.md", "'r.md' is not a list or tuple"),
        ("report", [5], "5 is not text, or a Path"),
        ("report", [""], "'' is not the name of a file"),
        ("report", ["a\0.md"], "'a\\x00.md' is not the name of a file"),
        ("fail_on", None, "None is not text"),
        ("judge_only", "hung", "'hung' is not a list or tuple"),
        ("ignore", [5], "5 is not text, or a str"),
        ("effects", 5, "5 is not a list or tuple"),
        ("threshold", "a=1", "it is neither a mapping nor a list of pairs of text"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_is_right(field: str, value: object, why: str) -> None:
    """On one line: the field, the value, the mend."""
    said = refused(**{field: value})
    assert said.startswith(f"{field}: {why}")
    assert "\n" not in said


def test_half_a_surrogate_pair_is_no_body() -> None:
    """No answer can hold it. The body is not shown."""
    assert refused(error_body="secret\ud800") == (
        "error_body: it is not valid Unicode: it has half a surrogate pair"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "me:secret@a.example"),
        ("target_host", ["me:secret@a.example"]),
        ("connect_to", ["a:443:me:secret@b:443"]),
        ("headers", [("cookie", "secret", 1)]),
    ],
)
def test_what_may_be_a_secret_is_not_shown(field: str, value: object) -> None:
    """Not even to whoever gave it: the message may be logged."""
    assert "secret" not in refused(**{field: value})


def test_a_long_value_is_shown_in_part() -> None:
    """An error is no dump."""
    assert len(refused(only="x" * 1000)) < 120


@pytest.mark.parametrize("given", [{"ca_cert": "a.pem"}, {"ca_key": Path("a.pem")}])
def test_a_certificate_authority_is_two_files(given: dict[str, Any]) -> None:
    """One alone would be left out without a word."""
    assert refused(**given).startswith("ca_cert and ca_key: one is given without the other")


def test_text_stands_for_values() -> None:
    """As the options take it; and values are taken as they are."""
    settings = Settings(
        target_host=["a.example", TargetPattern("b.example")],
        connect_to=["::127.0.0.1:8443"],
        rules=["respond 529"],
        preset=["overloaded", ChosenPreset("busy", factor=0.5)],
        data_dir="data",
        headers={"retry-after": "1"},
        report=["r.md", Path("r.html")],
        threshold={"crowd": "7"},
        ignore=["hung"],
    )
    assert settings.report == (Path("r.md"), Path("r.html"))
    assert settings.threshold == (("crowd", "7"),)
    assert settings.ignore == ("hung",)
    assert settings.target_host == (TargetPattern("a.example"), TargetPattern("b.example"))
    assert settings.connect_to == (ConnectTo(None, None, "127.0.0.1", 8443),)
    assert settings.rules == (WrittenRules("respond 529", "rules"),)
    assert settings.preset == (ChosenPreset("overloaded"), ChosenPreset("busy", factor=0.5))
    assert settings.data_dir == Path("data")
    assert settings.headers == (("retry-after", "1"),)
    assert evolve(settings, proxy_port=0) == evolve(settings, proxy_port=0)
    hash(settings)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (("a b", "c"), "headers: 'a b' is not a header name"),
        (("a", "secret\r\nb: c"), "headers: the value of the header a contains a line break"),
        (("Content-Length", "5"), "headers: the header Content-Length cannot be set"),
    ],
)
def test_a_header_that_no_answer_can_have(header: tuple[str, str], why: str) -> None:
    """It is refused before anything listens for long, and its value is not shown."""
    with pytest.raises(SettingsError) as caught:
        rule_set_of(Settings(headers=[header]))
    assert str(caught.value).startswith(why)
    assert "secret" not in str(caught.value)


def test_a_header_that_no_carrier_can_have() -> None:
    """The same for the plugin's own request."""
    settings = PluginSettings(carrier_header=[("x", "a\r\nb")])
    with pytest.raises(SettingsError, match="carrier_header: the value of the header x contains"):
        duplex_tunnels(None, None, settings)  # type: ignore[arg-type]  # not asked before that


@pytest.mark.parametrize(
    ("field", "value"), [("port", -1), ("tunnel", "both"), ("carrier", "HEAD /")]
)
def test_the_plugins_own(field: str, value: object) -> None:
    """They are checked alike."""
    assert refused(PluginSettings, **{field: value}).startswith(f"{field}: {value!r} is not ")


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=5),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.just(Limits()),
)
FIELDS = sorted(Settings.__annotations__)


@examined(deadline=None)
@given(st.sampled_from(FIELDS), anything)
def test_no_value_is_a_defect(field: str, value: Any) -> None:
    """It is taken, or refused by an error of ours."""
    with suppress(SettingsError):
        settings = Settings(**{field: value})
        assert evolve(settings) == settings
