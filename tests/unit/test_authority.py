"""Names of hosts, target patterns and --connect-to, as users and clients write them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faultinject.authority import (
    Authority,
    ConnectTo,
    TargetPattern,
    bracketed,
    is_ip,
    local_url,
    normal_host,
)

LABEL = "a" * 63
LONGEST = ".".join([LABEL, LABEL, LABEL, "a" * 61])


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("API.Example.COM", "api.example.com"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("my_service", "my_service"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("-a.example-", "-a.example-"),
        ("Someone-.example.net.", "someone-.example.net"),
        ("1.2.3", "1.2.3"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:DB8:0:0::00A", "2001:db8::a"),
        (LONGEST, LONGEST),
        (LONGEST + ".", LONGEST),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    """Lower case, no root dot, no brackets, IPv6 as RFC 5952 wants it."""
    assert normal_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        ".example.com",
        "a..b",
        "a b",
        "a\n",
        "a\r\nb",
        "a\x00",
        "a/b",
        "a:1",
        "user@a",
        "*.a",
        "a%20b",
        "bücher.example",
        "a" * 64,
        LONGEST + "a",
        LONGEST + "a.",
        "[::1",
        "::1]",
        "[a]",
        "[]",
        "::g",
        "fe80::1%eth0",
        "fe80::1%\r\n",
        "[fe80::1%25eth0]",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    """Before it can reach a certificate, a log line or a resolver."""
    with pytest.raises(ValueError, match="is not a host name or an IP address"):
        normal_host(text)


@given(st.text(max_size=12) | st.text("aB1.-_:[]%", max_size=12))
@example("1.2.3.4.")
@example("A.")
def test_a_normal_host_is_harmless_and_stays_as_it_is(text: str) -> None:
    """Once normal, always normal; and nothing in it needs quoting anywhere."""
    try:
        host = normal_host(text)
    except ValueError:
        return
    assert normal_host(host) == host
    assert host
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_:")


@pytest.mark.parametrize(
    ("host", "ip", "with_brackets"),
    [("1.2.3.4", True, "1.2.3.4"), ("::1", True, "[::1]"), ("a.example", False, "a.example")],
)
def test_an_ip_is_told_from_a_name(host: str, ip: bool, with_brackets: str) -> None:
    """IPv6 stands in brackets before a port."""
    assert is_ip(host) is ip
    assert bracketed(host) == with_brackets


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
    ],
)
def test_how_this_machine_reaches_what_listens(host: str, url: str) -> None:
    """For every address of its own there is one that can be connected to."""
    assert local_url(host, 8080) == url


# Authorities


@pytest.mark.parametrize(
    ("text", "host", "port", "again"),
    [
        ("Example.com:443", "example.com", 443, "example.com:443"),
        ("127.0.0.1:1", "127.0.0.1", 1, "127.0.0.1:1"),
        ("[::1]:65535", "::1", 65535, "[::1]:65535"),
        ("[1.2.3.4]:80", "1.2.3.4", 80, "1.2.3.4:80"),
        ("a:0080", "a", 80, "a:80"),
    ],
)
def test_an_authority_is_read(text: str, host: str, port: int, again: str) -> None:
    """And is written in one way."""
    authority = Authority.parse(text)
    assert authority == Authority(host, port)
    assert str(authority) == again
    assert Authority.parse(again) == authority


@pytest.mark.parametrize(
    ("text", "authority"),
    [("a", "a:80"), ("a:", "a:80"), ("[::1]:", "[::1]:80"), ("::1", "[::1]:80"), ("a:001", "a:1")],
)
def test_an_authority_may_have_a_default_port(text: str, authority: str) -> None:
    """An IPv6 address without brackets can have no port of its own."""
    assert str(Authority.parse(text, 80)) == authority


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "has no port; write host:port"),
        ("::1", "has no port"),
        ("[::1]", "has no port"),
        ("a:", "'' is not a port"),
        ("a:0", "'0' is not a port"),
        ("a:65536", "is not a port"),
        ("a:-1", "is not a port"),
        ("a:+1", "is not a port"),
        ("a: 1", "is not a port"),
        ("a:1e1", "is not a port"),
        ("a:٣", "is not a port"),
        ("a:0000", "is not a port"),
        ("a:0065536", "is not a port"),
        ("a:" + "9" * 10_000, "is not a port"),
        ("[::1:80", "unmatched brackets"),
        ("[::1]80", "unmatched brackets"),
        (":80", "is not a host name"),
        ("", "has no port"),
        ("http://a:80", "has no port"),
    ],
)
def test_what_is_no_authority_is_refused(text: str, problem: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=problem):
        Authority.parse(text)


@given(st.text(max_size=20) | st.text("a1.:[]-*", max_size=12))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    """Whatever a client writes behind CONNECT, or a user into a setting."""
    for parse in (Authority.parse, TargetPattern.parse, ConnectTo.parse):
        try:
            parsed = parse(text)
        except ValueError:
            continue
        assert isinstance(parsed, ConnectTo) or parse(str(parsed)) == parsed


# Target patterns


@pytest.mark.parametrize(
    ("pattern", "host", "port", "expected"),
    [
        ("a.example", "a.example", 443, True),
        ("A.EXAMPLE.", "a.example", 8443, True),
        ("a.example", "b.example", 443, False),
        ("a.example", "x.a.example", 443, False),
        ("a.example:8443", "a.example", 8443, True),
        ("a.example:8443", "a.example", 443, False),
        ("*.example", "a.example", 443, True),
        ("*.example", "b.a.example", 443, True),
        ("*.example", "example", 443, False),
        ("*.example", "aexample", 443, False),
        ("*.example", "a.example.org", 443, False),
        ("*.example:81", "a.example", 81, True),
        ("*.example:81", "a.example", 80, False),
        ("*", "anything", 1, True),
        ("*", "::1", 1, True),
        ("*:443", "anything", 443, True),
        ("*:443", "anything", 80, False),
        ("[::1]:443", "::1", 443, True),
        ("::1", "::1", 1, True),
        ("[2001:db8::A]", "2001:db8::a", 1, True),
        ("10.0.0.1", "10.0.0.1", 1, True),
    ],
)
def test_a_pattern_matches(pattern: str, host: str, port: int, expected: bool) -> None:
    """A star stands for one or more labels; without a port any port matches."""
    assert TargetPattern.parse(pattern).matches(host, port) is expected


@pytest.mark.parametrize(
    ("text", "written", "exact"),
    [
        ("A.example.", "a.example", True),
        ("a.example:1", "a.example:1", True),
        ("::1", "[::1]", True),
        ("[::1]:1", "[::1]:1", True),
        ("*.A.example", "*.a.example", False),
        ("*.a.example:1", "*.a.example:1", False),
        ("*", "*", False),
    ],
)
def test_a_pattern_is_written_in_one_way(text: str, written: str, exact: bool) -> None:
    """As it can be read again; and it knows whether it names one host."""
    pattern = TargetPattern.parse(text)
    assert str(pattern) == written
    assert pattern.exact is exact
    assert TargetPattern.parse(written) == pattern


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://a.example", "write it without scheme and path"),
        ("a.example/v1", "write it without scheme and path"),
        ("*a.example", r"'\*' stands only for whole labels"),
        ("**", r"'\*' stands only for whole labels"),
        ("*.", "is not a host name"),
        ("*.*.example", "is not a host name"),
        ("a.*.example", "is not a host name"),
        ("a.*", "is not a host name"),
        ("*.example:", "is not a port"),
        ("*:x", "is not a port"),
        ("a.example:0", "is not a port"),
        ("", "is not a host name"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str, problem: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=problem):
        TargetPattern.parse(text)


@pytest.mark.parametrize(
    ("text", "written", "authority"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434", Authority("127.0.0.1", 11434)),
        ("http://LocalHost/", "http://localhost:80", Authority("localhost", 80)),
        ("http://[::1]:1", "http://[::1]:1", Authority("::1", 1)),
        ("a.example", "a.example", Authority("a.example", 443)),
        ("a.example:1", "a.example:1", Authority("a.example", 1)),
        ("http://a.example:1/=openai", "http://a.example:1", Authority("a.example", 1)),
    ],
)
def test_a_target_may_be_a_server_without_tls(
    text: str, written: str, authority: Authority
) -> None:
    """Its port is 80 then, if none is given."""
    target = TargetPattern.parse_target(text)
    assert (str(target), target.authority) == (written, authority)
    assert target.tls is not text.startswith("http://")
    assert TargetPattern.parse_target(written) == target
    assert target.matches(authority.host, authority.port)


@pytest.mark.parametrize("text", ["http://", "http://a/v1", "https://a", "HTTP://a", "http://a:x"])
def test_what_is_no_target_is_refused(text: str) -> None:
    """A path would be ignored, and https:// needs no word."""
    with pytest.raises(ValueError, match="is not a"):
        TargetPattern.parse_target(text)


def test_a_target_may_say_what_is_spoken_there() -> None:
    """It is the same target for all else, and an empty name is none."""
    target = TargetPattern.parse_target("*.example.com:1=openai")
    assert target.api == "openai"
    assert target == TargetPattern.parse_target("*.example.com:1")
    with pytest.raises(ValueError, match="the name of an API is missing, as in a=openai"):
        TargetPattern.parse_target("a=")


# --connect-to


@pytest.mark.parametrize(
    ("mapping", "asked", "connected"),
    [
        ("a:443:127.0.0.1:8443", "a:443", "127.0.0.1:8443"),
        ("A.:443:B:1", "a:443", "b:1"),
        ("a:443:b:1", "a:444", None),
        ("a:443:b:1", "c:443", None),
        ("::b:1", "c:444", "b:1"),
        (":443:b:1", "c:443", "b:1"),
        (":443:b:1", "c:444", None),
        ("a::b:1", "a:5", "b:1"),
        ("a:443:b:", "a:443", "b:443"),
        ("a:443::1", "a:443", "a:1"),
        (":::", "a:443", "a:443"),
        ("[::1]:443:[::2]:1", "[::1]:443", "[::2]:1"),
        ("[::1]:443:[::2]:1", "[::3]:443", None),
    ],
)
def test_a_mapping_says_where_to_connect(mapping: str, asked: str, connected: str | None) -> None:
    """As curl's --connect-to: nothing on the left matches any, nothing on the right keeps."""
    result = ConnectTo.parse(mapping).apply(Authority.parse(asked))
    assert result == (None if connected is None else Authority.parse(connected))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not HOST:PORT:ADDRESS:PORT"),
        ("a:443:b", "is not HOST:PORT:ADDRESS:PORT"),
        ("a:443:b:1:2", "is not HOST:PORT:ADDRESS:PORT"),
        ("::1:443:b:1", "is not HOST:PORT:ADDRESS:PORT"),
        ("[::1:443:b:1", "is not HOST:PORT:ADDRESS:PORT"),
        ("a:443:b:1\n", "is not a port"),
        ("a:x:b:1", "'x' is not a port"),
        ("a:443:b:70000", "'70000' is not a port"),
        ("a b:443:c:1", "is not a host name"),
        ("a:443:[]:1", "is not a host name"),
        ("a:443:b/:1", "is not a host name"),
    ],
)
def test_what_is_no_mapping_is_refused(text: str, problem: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=problem):
        ConnectTo.parse(text)
