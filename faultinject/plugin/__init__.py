"""The second front door: a plugin of Fault's proxy, called over gRPC a chunk at a time.

Words used here, beside those of the rest:

- *host*: who calls, that is Fault's proxy.
- *registration*: one ``--grpc-plugin URL`` of the host. There are two, on two ports: one for the
  client's side of tunnels and one for the upstream's.
- *input*: bytes that a peer sent; *slot*: an occasion to send bytes to a peer.

`front` opens both registrations; `service` answers their calls; `calls` is what they ask of the
tunnels; `wire` alone speaks the words of ``plugin.proto``; `bridge` alone knows asyncio.
"""
