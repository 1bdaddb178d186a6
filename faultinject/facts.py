"""What rules may ask of a request.

Knows nothing of streams and rules; it reads the head it is given, once, when asked.
"""

from __future__ import annotations

from attrs import frozen

from faultinject.http.message import RequestHead


@frozen
class Facts:
    """One request as rules see it."""

    host: str
    """The upstream's name or address, normal (see `faultinject.authority.normal_host`)."""
    port: int
    head: RequestHead

    @property
    def method(self) -> str:
        """The request's method, as sent."""
        return self.head.method.decode("ascii")

    @property
    def path(self) -> str:
        """The path of the request's target, without its query."""
        return self.head.target.partition(b"?")[0].decode("ascii", "backslashreplace")
