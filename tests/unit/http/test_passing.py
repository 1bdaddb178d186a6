"""Heads on their way through a proxy: what changes, and that nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.authority import Authority
from faultinject.errors import ClientProtocolError
from faultinject.http.h1.framing import unambiguous
from faultinject.http.h1.plain import read_request, write_request
from faultinject.http.headers import addressed_to, split_absolute
from faultinject.http.message import RequestHead, ResponseHead

VISIBLE = bytes(range(0x21, 0x7F))


def get(target: bytes, *headers: tuple[bytes, bytes], method: bytes = b"GET") -> RequestHead:
    return RequestHead(method, target, headers or ((b"Host", b"x"),))


@pytest.mark.parametrize(
    ("target", "tls", "authority", "origin_form"),
    [
        (b"http://h/", False, "h:80", b"/"),
        (b"http://h", False, "h:80", b"/"),
        (b"HTTP://H.Example./A;b=1?c=/d?e", False, "h.example:80", b"/A;b=1?c=/d?e"),
        (b"https://h/a", True, "h:443", b"/a"),
        (b"https://h:8443/a", True, "h:8443", b"/a"),
        (b"http://h:443/a", False, "h:443", b"/a"),
        (b"http://h?", False, "h:80", b"/?"),
        (b"http://h?q=http://x/", False, "h:80", b"/?q=http://x/"),
        (b"http://h/a?", False, "h:80", b"/a?"),
        (b"http://h//a/../b", False, "h:80", b"//a/../b"),
        (b"http://[2001:DB8::0:1]:81/", False, "[2001:db8::1]:81", b"/"),
        (b"http://h/a@b:c@d", False, "h:80", b"/a@b:c@d"),
        (b"http://h?a@b", False, "h:80", b"/?a@b"),
    ],
)
def test_an_absolute_target_is_split(
    target: bytes, tls: bool, authority: str, origin_form: bytes
) -> None:
    """Where it goes, and to the byte what the origin is asked for (RFC 9112 section 3.2.2)."""
    got_tls, got_authority, head = split_absolute(get(target))
    assert (got_tls, str(got_authority), head.target) == (tls, authority, origin_form)


@pytest.mark.parametrize(
    ("target", "origin_form"),
    [(b"http://h", b"*"), (b"http://h/", b"/"), (b"http://h?q", b"/?q"), (b"http://h/a", b"/a")],
)
def test_options_about_a_whole_host_becomes_an_asterisk(target: bytes, origin_form: bytes) -> None:
    """Only without any path and query (RFC 9112 section 3.2.4)."""
    assert split_absolute(get(target, method=b"OPTIONS"))[2].target == origin_form


@pytest.mark.parametrize(
    "target",
    [
        b"ftp://h/",
        b"h:80",
        b"example",
        b"http:///a",
        b"http:/a",
        b"http://h:0/",
        b"http://h:port/",
        b"http://h:70000/",
        b"http://[::1/",
        b"http://[::g]/",
        b"http://[fe80::1%25eth0]/",
        b"http://a b/",
        b"http://a%20b/",
        b"http://\xff/",
        b"://h/",
    ],
)
def test_a_target_that_names_no_usable_host_is_the_clients_fault(target: bytes) -> None:
    """It is answered with 400 and the reason."""
    with pytest.raises(ClientProtocolError, match="the request target cannot be used") as caught:
        split_absolute(get(target))
    assert caught.value.status == 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        b"http://user:secret@h/a",
        b"https://user@h",
        b"http://us@er@h:1/a",
        b"http://@h/",
        b"http://:@h/",
        b"http://api.example.com@elsewhere.example/",
        b"http://user:secret@/",
        b"http://user:secret@h:port/",
        b"http://user:secret@h?q",
    ],
)
def test_a_target_with_a_user_in_it_is_refused(target: bytes) -> None:
    """RFC 9110 section 4.2.4; and what may be a password is not repeated."""
    with pytest.raises(ClientProtocolError, match="has a user in front of its host") as caught:
        split_absolute(get(target))
    assert caught.value.status == 400
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        b"http://u:[secret]@h/",
        b"http://u:secret/@h/",
        b"http://u:x/secret@h:port/",
        b"http://h;key=secret/",
        b"http://h&secret",
        b"ftp://h?key=secret",
        b"http://h:1;secret",
    ],
)
def test_a_password_is_not_repeated(target: bytes) -> None:
    """Even where it makes the URL one that cannot be read: the words end up in the log."""
    with pytest.raises(ClientProtocolError, match="the request target cannot be used") as caught:
        split_absolute(get(target))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"ftp://h/", "only http:// and https:// URLs can be asked for"),
        (b"http://h:70000/", "'70000' is not a port (1 to 65535)"),
        (b"ftp://h?key=secret", "it is not a URL with a host and a port"),
    ],
)
def test_what_is_wrong_with_a_target(target: bytes, reason: str) -> None:
    """As closely as it can be said without a word of the URL that may be secret."""
    with pytest.raises(ClientProtocolError) as caught:
        split_absolute(get(target))
    assert str(caught.value) == f"the request target cannot be used: {reason}"


@given(st.binary(max_size=40).map(lambda tail: bytes(byte for byte in tail if byte in VISIBLE)))
def test_no_target_does_anything_else(tail: bytes) -> None:
    """Whatever follows the scheme: an origin-form target that keeps the bytes, or a 400."""
    target = b"http://" + tail
    try:
        _, _, head = split_absolute(get(target))
    except ClientProtocolError:
        return
    assert head.target.startswith(b"/")
    assert target.endswith((head.target, head.target[1:]))


def test_what_was_meant_for_the_proxy_stays_here() -> None:
    """The user's password for the proxy above all; the rest keeps order and case."""
    head = get(
        b"http://h/a",
        (b"Proxy-Authorization", b"Basic secret"),
        (b"aCCept", b"*/*"),
        (b"hOST", b"other"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"Authorization", b"Bearer its-own"),
        (b"Connection", b"close"),
    )
    assert split_absolute(head)[2].headers == (
        (b"aCCept", b"*/*"),
        (b"hOST", b"h"),
        (b"Authorization", b"Bearer its-own"),
        (b"Connection", b"close"),
    )


@pytest.mark.parametrize(
    ("authority", "default_port", "host"),
    [
        ("h:443", 443, b"h"),
        ("h:8443", 443, b"h:8443"),
        ("h:80", 443, b"h:80"),
        ("h:80", 80, b"h"),
        ("[::1]:443", 443, b"[::1]"),
        ("[::1]:1", 443, b"[::1]:1"),
    ],
)
def test_host_is_written_as_clients_write_it(
    authority: str, default_port: int, host: bytes
) -> None:
    """Without the scheme's own port."""
    asked = get(b"/", (b"A", b"1"), (b"HOST", b"old"))
    head = addressed_to(asked, Authority.parse(authority), default_port)
    assert head.headers == ((b"A", b"1"), (b"HOST", host))


_OTHERS = (b"A: 1", b"Hos: h", b"Host2: h", b"X-Host: h", b"B:2", b"C:   Host: h", b"D: Host: h")
_LINES = st.lists(st.sampled_from((*_OTHERS, b"E:")))
_USUAL = (b"Host: h", b"HOST: h", b"Host: a.b:1")
_HOSTS = st.sampled_from((*_USUAL, b"host:h", b"Host:  h ", b"Host:"))


@given(_LINES, _HOSTS, _LINES, st.sampled_from([b"", b"Content-Length: 12"]))
def test_a_head_that_was_read_is_written_with_another_host(
    before: list[bytes], host: bytes, behind: list[bytes], length: bytes
) -> None:
    """All else is as it came, to the byte; one that is plain stays so, and says the same."""
    lines = [b"POST /v1?a=b HTTP/1.1", *before, host, *behind, *filter(None, [length]), b"", b""]
    read = read_request(b"\r\n".join(lines), 10_000)
    assert read is not None
    head = addressed_to(read.head, Authority("api.example", 8443), 443)
    name = host.partition(b":")[0]
    lines[1 + len(before)] = name + b": api.example:8443"
    assert head.encode() == b"\r\n".join(lines)
    again = read_request(b"\r\n".join(lines), 10_000)
    assert again is not None
    assert (head, head.places) == (again.head, again.head.places)
    assert read.head.plain is not None
    if host in _USUAL:
        assert head.plain == again.head.plain
        assert write_request(head) == write_request(again.head)
    else:
        assert head.plain is None


def test_an_http_1_0_request_without_host_gets_one() -> None:
    """In front, as RFC 9110 section 7.2 advises."""
    head = RequestHead(b"GET", b"/", ((b"A", b"1"),), b"1.0")
    assert addressed_to(head, Authority("h", 443), 443).headers == ((b"Host", b"h"), (b"A", b"1"))


def test_a_length_beside_chunks_is_removed() -> None:
    """Chunks win, and nobody behind us may think otherwise (RFC 9112 section 6.3)."""
    both = ((b"Content-LENGTH", b"3"), (b"Transfer-Encoding", b"chunked"), (b"A", b"b"))
    assert unambiguous(get(b"/", *both)).headers == both[1:]
    assert unambiguous(ResponseHead(200, b"OK", both)).headers == both[1:]


@pytest.mark.parametrize(
    "headers", [(), ((b"Content-Length", b"3"),), ((b"Transfer-Encoding", b"chunked"),)]
)
def test_a_head_with_one_framing_passes_as_it_is(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """The very same value."""
    head = ResponseHead(200, b"OK", headers)
    assert unambiguous(head) is head
