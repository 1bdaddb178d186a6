"""A plugin of Fault's proxy, which calls it over gRPC with each chunk of a tunnel.

Words that are used only here:

- *host*: the program that calls the plugin, which is Fault's proxy.
- *registration*: one ``--grpc-plugin URL`` of the host. There are two, on two ports: one for the
  client's side of tunnels and one for the upstream's.
- *input*: bytes that a peer sent; *slot*: an opportunity to send bytes to a peer.

`serving` opens both registrations, and `service` answers their calls. `interface` has the calls
about tunnels as values. Only `wire` uses the words of ``plugin.proto``, and only `bridge` uses
asyncio.
"""
