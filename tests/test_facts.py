"""What rules may ask of a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.facts import Facts
from faultinject.http.message import RequestHead


def facts(target: bytes, method: bytes = b"POST") -> Facts:
    return Facts("h", 443, RequestHead(method, target, ()))


def test_the_method_is_as_it_was_sent() -> None:
    """Methods have a case (RFC 9110 section 9.1)."""
    assert facts(b"/", b"pAtch").method == "pAtch"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v1/messages", "/v1/messages"),
        (b"/v1/messages?key=secret", "/v1/messages"),
        (b"/?a?b", "/"),
        (b"*", "*"),
        (b"/%2F/..//a;b", "/%2F/..//a;b"),
        (b"/\xff", "/\\xff"),
    ],
)
def test_the_path_is_as_it_was_sent_without_the_query(target: bytes, path: str) -> None:
    """Nothing is decoded or made shorter."""
    assert facts(target).path == path


@given(st.binary())
def test_any_target_has_a_path(target: bytes) -> None:
    """That can be printed."""
    facts(target).path.encode("ascii")
