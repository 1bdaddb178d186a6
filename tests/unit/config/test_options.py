"""Tests of the table of options against `Settings`, whose fields and defaults it names."""

import attrs
import pytest

from faultinject.config.options import CA_OPTIONS, FILE_OPTIONS, PROXY_OPTIONS, RUN_OPTIONS
from faultinject.settings import RunSettings, Settings

SETTINGS = [option for option in PROXY_OPTIONS if option.setting]
NO_OPTION = {"gives_memory_back", "limits", "observes_late", "port_per_target", "short_form"}


def test_every_setting_has_one_option():
    """Nothing can be set twice, and nothing is forgotten."""
    fields = {field.name for field in attrs.fields(Settings)} - NO_OPTION
    assert sorted(option.setting for option in SETTINGS) == sorted(fields)


@pytest.mark.parametrize("option", SETTINGS, ids=lambda option: option.name)
def test_the_default_shown_is_the_default_used(option):
    """Help and documentation show what `Settings` does."""
    if option.default is None:
        unsaid = getattr(Settings(), option.setting)
        assert option.name == "seed" or unsaid in (None, ())
    else:
        value = option.kind.from_arguments([option.default])
        assert value == getattr(Settings(seed=1), option.setting)


def test_a_commands_settings_have_one_option_each():
    """The proxy's, and those of the command; the port's default is another."""
    fields = {field.name for field in attrs.fields(RunSettings)} - NO_OPTION
    options = [option for option in RUN_OPTIONS if option.setting]
    assert sorted(option.setting for option in options) == sorted(fields)
    for option in options:
        if option.default is not None:
            value = option.kind.from_arguments([option.default])
            assert value == getattr(RunSettings(seed=1), option.setting)


def test_names_are_unique_and_follow_one_pattern():
    """Variables and keys can be told from the name, but for the keys of --header and --rule."""
    assert len({option.name for option in PROXY_OPTIONS}) == len(PROXY_OPTIONS)
    for option in PROXY_OPTIONS:
        name = option.name.replace("-", "_")
        assert option.variable == (
            None if option.command_line_only else f"FAULTINJECT_{name.upper()}"
        )
        assert option.key == {"header": "headers", "rule": "rules"}.get(name, name)


def test_what_acts_at_once_stands_in_no_file():
    """A file that made every run export the certificate would be a trap."""
    assert {option.name for option in PROXY_OPTIONS} - {
        option.name for option in FILE_OPTIONS.values()
    } == {"config", "export-ca", "install-ca"}


def test_the_commands_about_the_authority_take_what_says_which():
    """They are a part of the proxy's options."""
    assert set(CA_OPTIONS) < set(PROXY_OPTIONS)


def test_help_texts_are_sentences():
    """Each starts with a capital and ends with a full stop."""
    for option in PROXY_OPTIONS:
        assert option.help[0].isupper()
        assert option.help.endswith(".")
