"""What a command's environment is to be, for the clients that read it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.authority import TargetPattern
from faultinject.environment.client_variables import (
    VARIABLES,
    WITHOUT_PROXY,
    ClientEnvironment,
    Holds,
    covers,
    proxy_in,
)

URL = "http://127.0.0.1:4242"


class NamedRoots:
    """Stands for the files: each is named by what it is made of."""

    def bundle(self, named):
        """All of them."""
        return Path(f"/bundle/{named}")

    def addition(self, named):
        """Those beside a client's own."""
        return Path(f"/addition/{named}")

    def folder(self, named):
        """Directories."""
        return f"{named}:/ca"

    def wget_settings(self, named, roots):
        """wget's."""
        return Path(f"/wget/{named}/{roots}")


def environment(user, *targets):
    """Return what makes the changes."""
    patterns = [TargetPattern.parse_target(text) for text in targets or ("api.anthropic.com",)]
    return ClientEnvironment(user, URL, patterns, NamedRoots())


def test_both_cases_of_the_proxys_variables_are_set():
    """Clients read one or the other; ALL_PROXY would lead some elsewhere."""
    changes = environment({}).changes()
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "grpc_proxy"):
        assert changes[name] == URL
    assert (changes["ALL_PROXY"], changes["all_proxy"]) == (None, None)
    assert changes["NODE_USE_ENV_PROXY"] == "1"


def test_each_variable_is_in_the_table_once():
    """So that the table is what is set."""
    assert len({each.name for each in VARIABLES}) == len(VARIABLES)
    assert list(environment({}).changes()) == [each.name for each in VARIABLES]


@pytest.mark.parametrize(
    ("user", "name", "file"),
    [
        ({}, "REQUESTS_CA_BUNDLE", "/bundle/None"),
        ({"REQUESTS_CA_BUNDLE": "/a"}, "REQUESTS_CA_BUNDLE", "/bundle/a"),
        ({"CURL_CA_BUNDLE": "/b"}, "REQUESTS_CA_BUNDLE", "/bundle/b"),
        ({"SSL_CERT_FILE": "/c"}, "REQUESTS_CA_BUNDLE", "/bundle/c"),
        ({"SSL_CERT_FILE": "/c", "PIP_CERT": "/d"}, "PIP_CERT", "/bundle/d"),
        ({"SSL_CERT_FILE": "/c"}, "AWS_CA_BUNDLE", "/bundle/None"),
        ({"SSL_CERT_FILE": ""}, "SSL_CERT_FILE", "/bundle/None"),
        ({"NODE_EXTRA_CA_CERTS": "/e"}, "NODE_EXTRA_CA_CERTS", "/addition/e"),
        ({"SSL_CERT_DIR": "/f"}, "SSL_CERT_DIR", "/f:/ca"),
        ({"WGETRC": "/g", "SSL_CERT_FILE": "/c"}, "WGETRC", "/wget/g/c"),
    ],
)
def test_a_bundle_has_what_the_user_had(user, name, file):
    """By the variable itself, or by the one that its client reads instead."""
    assert environment(user).changes()[name] == file


def test_what_is_asked_without_the_proxy():
    """The user's entries, this machine, and where a cloud tells a machine its credentials."""
    changes = environment({"NO_PROXY": "intranet.example, 10.0.0.0/8,,"}).changes()
    assert changes["NO_PROXY"] == ",".join(("intranet.example", "10.0.0.0/8", *WITHOUT_PROXY))
    assert changes["no_proxy"] == changes["NO_PROXY"]


def test_entries_that_cover_a_target_are_left_out():
    """And are named, for the user thinks that they count. Ours are not the user's."""
    made = environment({"no_proxy": "a.example,*,b.example"}, "x.a.example", "http://127.0.0.1:1")
    entries = made.changes()["NO_PROXY"].split(",")
    assert entries == ["b.example", "localhost", *WITHOUT_PROXY[2:]]
    assert made.uncovered == [("a.example", "x.a.example"), ("*", "x.a.example")]


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        ("*", "a.example"),
        ("a.example", "a.example"),
        ("A.Example", "a.example"),
        ("example", "a.example"),
        (".a.example", "x.a.example"),
        (".a.example", "a.example"),
        ("*.a.example", "x.a.example"),
        ("a.example:443", "a.example"),
        ("a.example:443", "a.example:443"),
        ("a.example", "a.example:443"),
        ("127.0.0.0/8", "http://127.0.0.1:80"),
        ("::1", "[::1]:80"),
        ("[::1]:80", "[::1]:80"),
        ("[::1]", "[::1]:80"),
        ("api.a.example", "*.a.example"),
        ("a.example", "*.a.example"),
        ("anything.example", "*"),
    ],
)
def test_an_entry_covers_a_target(entry, target):
    """If any client would take it so."""
    assert covers(entry, TargetPattern.parse_target(target))


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        ("b.example", "a.example"),
        ("xa.example", "a.example"),
        ("x.a.example", "a.example"),
        ("a.example:80", "a.example:443"),
        ("10.0.0.0/8", "http://127.0.0.1:80"),
        ("127.0.0.1", "localhost"),
        ("::1", "127.0.0.1"),
        ("b.example", "*.a.example"),
    ],
)
def test_an_entry_that_covers_no_target(entry, target):
    """It stays."""
    assert not covers(entry, TargetPattern.parse_target(target))


@given(st.text())
def test_any_text_may_be_an_entry(entry):
    """The variable is the user's, and is read by clients of which some are lenient."""
    covers(entry, TargetPattern("api.anthropic.com"))
    covers(entry, TargetPattern("127.0.0.1", 80))


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "HTTPS_PROXY"),
        ({"all_proxy": "socks5://proxy.example"}, "all_proxy"),
        ({"NO_PROXY": "x"}, None),
    ],
)
def test_a_proxy_of_the_users_own(user, name):
    """By the variable that names it."""
    assert proxy_in(user) == name


def test_only_what_readers_are_told_of_is_shown_to_people():
    """What is listed for people says who reads it."""
    shown = [each for each in VARIABLES if each.readers]
    assert {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} <= {each.name for each in shown}
    assert all(each.holds is not Holds.NOTHING for each in shown)
