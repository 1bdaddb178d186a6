"""Tests of the headers that may be added to an answer."""

import pytest

from faultinject.config.header_values import checked_header, merged_headers, parse_header


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Retry-After: 1", ("Retry-After", "1")),
        ("x:y:z", ("x", "y:z")),
        ("X-Empty:", ("X-Empty", "")),
        ("X-Tab: \t a\tb \t", ("X-Tab", "a\tb")),
        ("!#$%&'*+-.^_`|~09azAZ: v", ("!#$%&'*+-.^_`|~09azAZ", "v")),
    ],
)
def test_a_header_is_split_at_its_first_colon(text, header):
    """The value loses the white space around it, which is no part of it (RFC 9112 5.1)."""
    assert parse_header(text) == header


@pytest.mark.parametrize("name", ["", " ", "X A", "X(", "Ü", "X\n", "X:", "Name "])
def test_a_name_must_be_a_token(name):
    """RFC 9110 section 5.6.2."""
    with pytest.raises(ValueError, match="is not a header name"):
        checked_header(name, "v")


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\r\nSet-Cookie: x", "a\0", "ü", "\x7f"])
def test_a_value_must_be_printable_ascii(value):
    """No value may start another header, and none is repeated in the message."""
    with pytest.raises(ValueError, match="value of the header X-A") as caught:
        checked_header("X-A", value)
    assert value not in str(caught.value)


def test_a_header_without_colon_is_not_repeated():
    """It may be a secret on its own."""
    with pytest.raises(ValueError, match="no ':' in it; write 'Name: value'") as caught:
        parse_header("sk-secret")
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Content-Length", "computes it from the body"),
        ("transfer-encoding", "computes it from the body"),
        ("Trailer", "computes it from the body"),
        ("CONNECTION", "is about the connection"),
        ("Keep-Alive", "is about the connection"),
        ("Proxy-Connection", "is about the connection"),
        ("Upgrade", "is about the connection"),
        ("Date", "sets it to the time"),
        ("X-FaultInject", "--no-marker"),
    ],
)
def test_what_the_proxy_sets_is_refused_with_the_reason(name, reason):
    """Two of these headers would make a broken answer."""
    with pytest.raises(ValueError, match=f"header {name} cannot be set: .*{reason}"):
        checked_header(name, "1")


def test_upper_headers_replace_lower_ones_of_their_name():
    """Names are compared without case; others stay, and repeated ones stay repeated."""
    lower = (("X-A", "1"), ("Retry-After", "1"), ("x-a", "2"))
    upper = (("X-a", "3"), ("Set-Cookie", "a"), ("Set-Cookie", "b"))
    assert merged_headers(lower, upper) == (("Retry-After", "1"), *upper)
