"""The options that Java is given by JAVA_TOOL_OPTIONS."""

from pathlib import Path

import pytest

from faultinject.environment.java_options import is_java, java_options


def options(*exceptions, store="/data/x.p12"):
    """Return the options by their names."""
    made = java_options("http://127.0.0.1:5", exceptions, Path(store))
    return dict(option.split("=", 1) for option in made)


def test_the_proxy_and_the_trust_store():
    """For both schemes."""
    made = options()
    assert made["-Dhttps.proxyHost"] == made["-Dhttp.proxyHost"] == "127.0.0.1"
    assert made["-Dhttps.proxyPort"] == made["-Dhttp.proxyPort"] == "5"
    assert made["-Djavax.net.ssl.trustStore"] == "/data/x.p12"
    assert made["-Djavax.net.ssl.trustStorePassword"] == "changeit"


@pytest.mark.parametrize(
    ("entry", "patterns"),
    [
        ("localhost", "localhost|*.localhost"),
        (".a.example", "a.example|*.a.example"),
        ("*.a.example", "a.example|*.a.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("*", "*"),
        ("10.0.0.0/8", ""),
        ("a.example:80", ""),
    ],
)
def test_entries_of_no_proxy_become_patterns(entry, patterns):
    """As far as Java has such."""
    assert options(entry)["-Dhttp.nonProxyHosts"] == patterns


def test_a_path_with_a_space_is_quoted():
    """The JVM splits at spaces."""
    made = java_options("http://127.0.0.1:5", [], Path("/my data/x.p12"))
    assert '"-Djavax.net.ssl.trustStore=/my data/x.p12"' in made
    made = java_options("http://127.0.0.1:5", [], Path('/my "data"/x.p12'))
    assert "'-Djavax.net.ssl.trustStore=/my \"data\"/x.p12'" in made


@pytest.mark.parametrize(
    ("program", "expected"),
    [("java", True), ("/usr/bin/java", True), ("./gradlew", True), ("mvn.cmd", True),
     ("python3", False), ("javascript", False)],
)  # fmt: skip
def test_what_starts_java(program, expected):
    """By its name."""
    assert is_java(program) is expected
