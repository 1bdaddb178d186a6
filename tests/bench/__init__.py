"""The benchmark: this proxy, mitmproxy and proxy.py, measured side by side in one run.

Run by ``nox -s bench`` or ``python -m tests.bench``; not part of CI. The proxy under test has one
core, the load generator and the origin share another. Proxies take turns within every round, and
medians over the rounds are compared, because only ratios from one run mean anything.

CPU time of the proxy's own process (and its children) per request is the measure that counts:
the load generator is Python too, so a fast proxy waits for it.

======== =====================================================================================
workload what it does
======== =====================================================================================
W1       new connection each time: TCP, CONNECT, full TLS handshake, a POST, an injected 429
W2       keep-alive: many POSTs on each of 32 tunnels, each answered by an injected 429
W3       blind tunnel: bytes from an origin that is not a target
W4       intercepted and passed on: decrypt, forward to a TLS origin, re-encrypt; keep-alive
long     W2 and W4 with bodies of 200 KB (no peers)
base     W2 and W4 through the proxy's own URL: no CONNECT, and no TLS of the client's (no peers)
SSE      what the proxy adds to the time an event takes from the origin to the client
rules    W4 and W2 with 200 rules that do not match, beside the same without them (no peers)
harm     SSE with a stream fault that waits for a point which never comes (no peers)
requests a POST by the library ``requests`` on a new connection, which shows a 40 ms stall
idle     memory that an intercepted tunnel holds after it has served one request
start    from the start of the command to the first accepted connection
======== =====================================================================================

The plugin has a benchmark of its own, ``python -m tests.bench.plugin``.
"""
