"""The options that make a Java program use the proxy and trust it.

Java reads no variable for either, but puts the options of JAVA_TOOL_OPTIONS before its own. It says
so on standard error: https://docs.oracle.com/javase/8/docs/technotes/guides/net/proxies.html and
https://docs.oracle.com/en/java/javase/21/docs/specs/jvmti.html#tooloptions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from urllib.parse import urlsplit

PASSWORD = "changeit"  # noqa: S105 -- the usual one of stores that hold no secret
_TOOLS = {"java", "mvn", "mvnw", "mvnd", "gradle", "gradlew", "sbt", "jshell", "kotlin", "scala"}


def is_java(program: str) -> bool:
    """Return True for Java and the tools that start it, by their names."""
    return PurePath(program).name.lower().removesuffix(".exe").removesuffix(".cmd") in _TOOLS


def java_options(url: str, exceptions: Iterable[str], trust_store: Path) -> list[str]:
    """Return the options, as JAVA_TOOL_OPTIONS has them.

    ``exceptions`` are the entries of NO_PROXY.
    """
    proxy = urlsplit(url)
    hosts = "|".join(dict.fromkeys(pattern for each in exceptions for pattern in _patterns(each)))
    options = [
        f"-D{scheme}.proxy{what}={value}"
        for scheme in ("https", "http")
        for what, value in (("Host", proxy.hostname), ("Port", proxy.port))
    ]
    options += [
        f"-Dhttp.nonProxyHosts={hosts}",
        f"-Djavax.net.ssl.trustStore={trust_store}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
        f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
    ]
    return [_quoted(option) for option in options]


def _patterns(entry: str) -> Iterator[str]:
    """Yield an entry of NO_PROXY as Java's patterns; a range of addresses or a port has none."""
    host = entry.strip("[]").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if entry == "*":
            yield "*"
        elif not set(host) & set("/:"):
            name = host.removeprefix("*").removeprefix(".")
            yield from (name, f"*.{name}")
    else:
        yield f"[{host}]" if address.version == 6 else host


def _quoted(option: str) -> str:
    """Return an option so that the JVM takes it for one.

    Spaces need quotes, of which it has two kinds and no escape.
    """
    if not set(option) & set(" \t\"'"):
        return option
    quote = "'" if '"' in option else '"'
    return f"{quote}{option}{quote}"
