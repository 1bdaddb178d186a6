"""proxy.py plugin: answers every intercepted request with the 429 that the benchmark asks for."""

from proxy.http.parser import HttpParser, httpParserTypes
from proxy.http.proxy import HttpProxyBasePlugin
from proxy.http.responses import build_http_response

BODY = b'{"type":"error","error":{"type":"rate_limit_error","message":"Too Many Requests"}}'
ANSWER = memoryview(
    build_http_response(
        429,
        reason=b"Too Many Requests",
        headers={b"Content-Type": b"application/json", b"Content-Length": b"%d" % len(BODY)},
        body=BODY,
    )
)


class TooManyRequests(HttpProxyBasePlugin):
    """Lets CONNECT pass and answers what comes through the tunnel."""

    def handle_client_request(self, request: HttpParser) -> HttpParser | None:
        """Answer in the upstream's place."""
        if request.method == b"CONNECT":
            return request
        self.client.queue(ANSWER)
        # proxy.py keeps the parser of a request that a plugin answered, and would take the next
        # request for more of it: make it new.
        request.__init__(httpParserTypes.REQUEST_PARSER)
        return None
