"""Real TLS peers in memory: ClientHellos as OpenSSL writes them, and whole handshakes."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import trio
from attrs import frozen


def client_context(
    *,
    ca_pem: str | None = None,
    alpn: Sequence[str] = (),
    version: ssl.TLSVersion | None = None,
    strict: bool = True,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """Return a client's context that trusts `ca_pem` only, and verifies strictly by RFC 5280."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    if ca_pem is not None:
        context.load_verify_locations(cadata=ca_pem)
    if alpn:
        context.set_alpn_protocols(alpn)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    return context


def client_hello(context: ssl.SSLContext, server_name: str | None) -> bytes:
    """Return the first flight of a client: a ClientHello in one record."""
    if server_name is None:
        context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a peer cannot succeed")


@frozen
class Handshake:
    """Both ends after a handshake that succeeded."""

    client: ssl.SSLObject
    server: ssl.SSLObject


def handshake(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, host: str
) -> Handshake:
    """Shake hands in memory. Raises `ssl.SSLError` as the client or the server does."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(8):  # more flights than any handshake has
        for peer in tuple(waiting):
            try:
                peer.do_handshake()
                waiting.remove(peer)
            except ssl.SSLWantReadError:
                pass
        if not waiting:
            return Handshake(client, server)
    raise AssertionError("the handshake does not end")


class ByHand:
    """A client that makes its records one by one, so that a test can cut and join them."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)

    async def shake_hands(self, stream: trio.abc.Stream) -> None:
        """Do the handshake over a stream."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await stream.send_all(self.outgoing.read())
                self.incoming.write(await stream.receive_some())
            else:
                await stream.send_all(self.outgoing.read())
                return

    def record(self, data: bytes) -> bytes:
        """Return a record with these bytes."""
        self.tls.write(data)
        return self.outgoing.read()

    def close_notify(self) -> bytes:
        """Return the record that ends our side."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            return self.outgoing.read()
        raise AssertionError("the peer has ended its side already")

    def decrypt(self, data: bytes | bytearray) -> bytes:
        """Return what is in the records of these bytes."""
        self.incoming.write(data)
        text = b""
        try:
            while part := self.tls.read():
                text += part
        except ssl.SSLWantReadError:
            pass
        return text
