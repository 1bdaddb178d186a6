"""One client connection, from accept to close.

The way of a request through the modules: `server` listens and `clients` accepts; `session` runs
the stages of one connection. `http_proxy` is the first stage: it reads CONNECT, absolute-form and
base-URL requests. CONNECT leads to `tunnel`, which looks at the first bytes (`sniff`), decides
(`tls_policy`), and relays them or goes on to `intercept`, which ends the client's TLS. `http1`
reads the requests one after another; for each, `decision` asks the rules and `exchange` carries the
answer out: it forwards (`forward`), or follows the rules' plan (`planned`, `fault_filter`), with
upstream connections from `upstream`.
"""
