"""What identifies the call that a request belongs to: digests, with a key of the run."""

from __future__ import annotations

import marshal
import re
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from attrs import define

from faultinject.providers.mcp.json_rpc import without_number
from faultinject.rules.facts import USER_AGENT, Facts, Way
from faultinject.seen import Mark

IGNORED_KEYS = frozenset(
    {
        "stream",
        "stream_options",
        "metadata",
        "user",
        "prompt_cache_key",
        "safety_identifier",
        "max_tokens",
    }
)
"""Keys of a body that may differ between the attempts of a call. After a stream that broke off,
Claude Code sends the request without ``stream``."""
CACHE_CONTROL = "cache_control"
"""A key that may differ at any depth."""
INVOCATION_ID = b"amz-sdk-invocation-id"
_ACCESS_KEY = re.compile(rb"Credential=([^/,\s]+)/")
"""The access key's id in a signature of AWS's (SigV4)."""
CREDENTIALS = (
    b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"ocp-apim-subscription-key",
)  # fmt: skip
"""Headers with the client's credentials. The query's parameter ``key`` is another."""


Content = str | Mark
"""A digest, or a mark in its place."""


@define(unsafe_hash=True)
class Identity:
    """What identifies the call that a request belongs to: digests, with a key of the run.

    Nobody changes it. A frozen one takes longer to make.
    """

    content: Content | None
    """Stands for what is equal in all attempts of a call; None if the body is not known."""
    invocation: str = ""
    """Digest of the ``amz-sdk-invocation-id``; empty if there is none."""
    client: str = ""
    """Digest of the User-Agent."""
    retry_count: int | None = None
    """The client's own count of retries, from 0; None if it sends none."""
    connection: int = 0
    """The number of the client connection."""
    way: Way | None = None
    """The tunnel that the request came by; None if it came by none."""


def identity_of(facts: Facts, key: bytes, content: Content | None = None) -> Identity:
    """Return what identifies a request's call; ``key`` is `Attempts.key`.

    ``content`` is `Identity.content`, if that is known already.
    """
    invocation = facts.headers.get(INVOCATION_ID, ())
    return Identity(
        content_of(facts, key) if content is None else content,
        digest(key, *invocation) if invocation else "",
        digest(key, *facts.headers.get(USER_AGENT, ())),
        facts.retry_count,
        facts.connection,
        facts.way,
    )


def content_of(facts: Facts, key: bytes, asked: str | None = None) -> Content | None:
    """Return `Identity.content` of a request; ``asked`` is `asked_of` it, if that is known."""
    if facts.body is None:
        return None
    asked = asked or asked_of(facts, key)
    document = without_number(facts.json) if facts.is_mcp else facts.json
    return hash((asked, _comparable(facts.body, document)))


def asked_of(facts: Facts, key: bytes) -> str:
    """Return a digest of what all attempts of a call share of their heads."""
    pieces = [facts.head.method, f"{facts.host}:{facts.port}".encode(), facts.path.encode()]
    return digest(key, *pieces, *_credentials(facts))


def digest(key: bytes, *pieces: str | bytes) -> str:
    """Return a digest of pieces, which depends on where one ends and the next begins.

    Only a hash of each piece goes into it: pieces may be long. A hash has 64 bits, and differs from
    process to process. The digest tells nothing to those who do not have the key.
    """
    hashes = repr([*map(hash, pieces)])
    return blake2b(hashes.encode(), digest_size=16, key=key).hexdigest()


def credential_of(facts: Facts, key: bytes) -> str | None:
    """Return a digest of a request's credentials; None if it brings none."""
    pieces = _credentials(facts)
    return digest(key, *pieces) if any(pieces[1::2]) else None


def _credentials(facts: Facts) -> list[bytes]:
    """Return the places of credentials and their contents, in turn."""
    pieces: list[bytes] = []
    for name in CREDENTIALS:
        pieces += [name, b"\n".join(map(_account, facts.headers.get(name, ())))]
    return [*pieces, b"key", "\n".join(facts.parameter("key")).encode()]


def _account(value: bytes) -> bytes:
    """Return the constant part of a credential, because AWS's signatures differ each time."""
    if not value.startswith(b"AWS4-"):
        return value
    found = _ACCESS_KEY.search(value)
    return found.group(1) if found else value


def canonical(value: Any) -> bytes:
    """Return a JSON value as bytes that are the same for equal values; without `CACHE_CONTROL`.

    Not as JSON: to write a text as JSON takes thirty times as long. Raises `RecursionError` for
    brackets nested by the hundred.
    """
    try:
        return marshal.dumps(_sorted(value), _MARSHAL_VERSION)
    except ValueError:  # it has a limit of its own, for a program that raised Python's
        raise RecursionError("the JSON is nested too deep") from None


_NAME_OF = itemgetter(0)
_MARSHAL_VERSION = 2  # later ones write an object shorter that they know is used twice


def _sorted(value: Any) -> Any:
    """Return a JSON value with a tuple for each object: its names, sorted, each with its value."""
    kind = type(value)
    if kind is list:
        return [each if type(each) is str else _sorted(each) for each in value]
    if kind is not dict:
        return value
    return tuple(
        [
            (name, each if type(each) is str else _sorted(each))
            for name, each in sorted(value.items(), key=_NAME_OF)
            if name != CACHE_CONTROL
        ]
    )


def mark_of_message(value: Any) -> int:
    """Return a hash of an object that is the same for equal ones; without `CACHE_CONTROL`.

    Raises `RecursionError` as `canonical`.
    """
    names = value.keys()
    if names == _OF_PLAIN or names - _UNCOUNTED == _OF_PLAIN:
        said = value["role"], value["content"]
        if type(said[0]) is type(said[1]) is str:
            return hash(said)  # as most; it takes a third of the time
    return hash(canonical(value))


_UNCOUNTED = frozenset({CACHE_CONTROL})
_OF_PLAIN = frozenset({"role", "content"})


def _mark_of_member(value: Any) -> Any:
    """Return a text itself, of other values a hash. Long lists are mostly of messages."""
    if type(value) is str:
        return value
    if type(value) is not list:
        return hash(canonical(value))
    return hash(
        tuple(
            [
                mark_of_message(each) if type(each) is dict else hash(canonical(each))
                for each in value
            ]
        )
    )


def _comparable(body: bytes, document: Any) -> Any:
    """Return what all attempts share of a body; all of it if it is not a JSON object."""
    if not isinstance(document, dict):
        return body
    try:
        return tuple(
            [
                (name, _mark_of_member(document[name]))
                for name in sorted(document)
                if name not in _NOT_COMPARED
            ]
        )
    except RecursionError:  # nested by the hundred
        return body


_NOT_COMPARED = IGNORED_KEYS | {CACHE_CONTROL}
