"""One client connection, from accept to close.

The way of a request through the modules: `server` listens and `acceptor` accepts; `session` runs
the stages of one connection. `http_proxy` is the first stage: it reads CONNECT, absolute-form and
base-URL requests. CONNECT leads to `tunnel`, which looks at the first bytes (`sniff`), decides
(`tls_policy`), and relays them or goes on to `intercept`, which ends the client's TLS. `http1`
reads the requests one after another, and `serve_request` serves each: `decision` asks the rules,
and `carry_out` chooses the source of the answer: the upstream (`forward`, with connections from
`upstream`) or ourselves (`own_sources`). `pump` passes it on, through a filter (`fault_filter`) if
the plan has one.
"""
