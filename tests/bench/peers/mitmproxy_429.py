"""mitmproxy add-on: answers every request with the 429 that the benchmark asks for."""

from mitmproxy import http

BODY = b'{"type":"error","error":{"type":"rate_limit_error","message":"Too Many Requests"}}'


def request(flow: http.HTTPFlow) -> None:
    """Answer in the upstream's place."""
    flow.response = http.Response.make(429, BODY, {"Content-Type": "application/json"})
