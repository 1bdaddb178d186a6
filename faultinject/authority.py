"""Names of hosts: ``host:port`` authorities, target patterns, and `--connect-to` mappings."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from functools import lru_cache

from attrs import field, frozen

HTTPS_PORT = 443
HTTP_PORT = 80
_PLAIN = "http://"
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- looked for
"""Addresses that mean all of the machine's when listened on, and the address by which the machine
itself connects then. Some systems cannot connect to the former."""

# Letters, digits, hyphens and underscores. The resolver knows which names exist (RFC 2181 section
# 11): some labels begin or end with a hyphen. Anything else (spaces, control characters, "%") is
# refused before it can reach a certificate, a log line or a resolver.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_MAX_NAME_CHARACTERS = 253


@lru_cache(maxsize=1024)
def normal_host(text: str) -> str:
    """Return a host name or IP literal in one spelling: lower case, no root dot, no brackets.

    Raises `ValueError` if it is neither.
    """
    literal = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    # An IPv6 zone ("fe80::1%eth0") means something on one machine only, and Python accepts any
    # character in it, line ends included.
    if "%" not in literal:
        with suppress(ValueError):
            return str(ipaddress.ip_address(literal))
    name = text.lower().removesuffix(".")
    if len(name) > _MAX_NAME_CHARACTERS or not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a host name or an IP address")
    return name


def is_ip(host: str) -> bool:
    """Return True if a normal host is an IP literal."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return True if a host or an address to listen on is this machine's alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3


def bracketed(host: str) -> str:
    """Return the host as it is written before ``:port`` (IPv6 in brackets, RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def local_url(host: str, port: int) -> str:
    """Return the URL by which this machine itself reaches an address to listen on."""
    return f"http://{bracketed(_EVERY_ADDRESS.get(host, host))}:{port}"


def _port(text: str) -> int:
    digits = text.lstrip("0")  # RFC 3986 section 3.2.3 bounds neither zeros nor digits
    if not re.fullmatch(r"[0-9]+", text) or len(digits) > 5 or not 0 < int(digits or "0") < 65536:
        raise ValueError(f"{text!r} is not a port (1 to 65535)")
    return int(digits)


def _split_port(text: str) -> tuple[str, str | None]:
    """Split ``host:port``; a bare IPv6 address without brackets has no port."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} has unmatched brackets")
        return host + "]", rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


@frozen
class Authority:
    """A host and a port: from CONNECT, a URL, the Host header or SNI."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> Authority:
        """Read ``host:port`` or ``[v6]:port``. Raises `ValueError` with the reason.

        An empty port means the default, if there is one (RFC 3986 section 6.2.3).
        """
        host, port = _split_port(text)
        if port or (port is not None and default_port is None):
            return cls(normal_host(host), _port(port))
        if default_port is None:
            raise ValueError(f"{text!r} has no port; write host:port")
        return cls(normal_host(host), default_port)

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@frozen
class TargetPattern:
    """Which hosts are targets: ``api.example.com``, ``*.example.com``, either with ``:port``.

    Without a port any port matches. ``*.example.com`` matches every name below ``example.com``, at
    any depth, but not ``example.com`` itself. ``*`` matches every host.
    As ``http://127.0.0.1:11434`` it is a server without TLS, on port 80 if none is given. With
    ``=openai`` behind it, it is told which API is spoken there.
    """

    host: str
    port: int | None = None
    tls: bool = True
    """Whether base-URL requests are sent to it over TLS. It matches the same requests either way:
    in all others the client says whether it speaks TLS."""
    api: str | None = field(default=None, eq=False)
    """The API that is spoken there, as the user says; None if its host and paths tell it."""
    _suffix: str | None = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        suffix = self.host[1:] if self.host.startswith("*") else None
        object.__setattr__(self, "_suffix", suffix)

    @classmethod
    def parse(cls, text: str) -> TargetPattern:
        """Read one pattern. Raises `ValueError` with the reason."""
        if "://" in text or "/" in text:
            raise ValueError(f"{text!r} is not a host; write it without scheme and path")
        if text.startswith("*"):
            name, colon, port = text.partition(":")
            rest = name[1:]
            if rest and not rest.startswith("."):
                raise ValueError(f"{text!r}: '*' stands only for whole labels, as in *.example.com")
            host = "*" + ("." + normal_host(rest[1:]) if rest else "")
            return cls(host, _port(port) if colon else None)
        name, port_text = _split_port(text)
        return cls(normal_host(name), None if port_text is None else _port(port_text))

    @classmethod
    def parse_target(cls, text: str) -> TargetPattern:
        """Read one pattern, which may begin with ``http://`` and end with ``=API``.

        Raises `ValueError`.
        """
        place, equals, api = text.partition("=")
        if equals and not api:
            raise ValueError(f"{text!r}: the name of an API is missing, as in {place}=openai")
        told = api or None
        if not place.startswith(_PLAIN):
            pattern = cls.parse(place)
            return cls(pattern.host, pattern.port, api=told)
        pattern = cls.parse(place.removeprefix(_PLAIN).removesuffix("/"))
        return cls(pattern.host, pattern.port or HTTP_PORT, tls=False, api=told)

    @property
    def exact(self) -> bool:
        """Whether the pattern names one host."""
        return self._suffix is None

    @property
    def authority(self) -> Authority:
        """Where base-URL requests go, for a pattern that names one host."""
        return Authority(self.host, self.port or self.default_port)

    @property
    def default_port(self) -> int:
        """The port that URLs leave out."""
        return HTTPS_PORT if self.tls else HTTP_PORT

    def matches(self, host: str, port: int) -> bool:
        """Return True if a normal host and its port match the pattern."""
        if self.port is not None and self.port != port:
            return False
        if self._suffix is None:
            return self.host == host
        return host.endswith(self._suffix)

    def __str__(self) -> str:
        host = self.host if self._suffix is not None else bracketed(self.host)
        scheme = "" if self.tls else _PLAIN
        return scheme + (host if self.port is None else f"{host}:{self.port}")


@frozen
class ConnectTo:
    """Connect to another address, like curl's ``--connect-to``: ``HOST:PORT:ADDRESS:PORT``.

    An empty HOST or PORT on the left matches any; an empty ADDRESS or PORT on the right keeps the
    original.
    """

    host: str | None
    port: int | None
    to_host: str | None
    to_port: int | None

    @classmethod
    def parse(cls, text: str) -> ConnectTo:
        """Read one mapping. Raises `ValueError` with the reason."""
        parts = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*):([^:]*):(\[[^\]]*\]|[^:\[\]]*):([^:]*)", text)
        if parts is None:
            raise ValueError(f"{text!r} is not HOST:PORT:ADDRESS:PORT (IPv6 in brackets)")
        host, port, to_host, to_port = parts.groups()
        return cls(
            normal_host(host) if host else None,
            _port(port) if port else None,
            normal_host(to_host) if to_host else None,
            _port(to_port) if to_port else None,
        )

    def apply(self, authority: Authority) -> Authority | None:
        """Return where to connect for an authority, or None if the mapping is not for it."""
        if self.host not in (None, authority.host) or self.port not in (None, authority.port):
            return None
        return Authority(self.to_host or authority.host, self.to_port or authority.port)
