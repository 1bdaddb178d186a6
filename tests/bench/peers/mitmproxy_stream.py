"""mitmproxy add-on: passes event streams on as they arrive instead of gathering them."""

from mitmproxy import http


def responseheaders(flow: http.HTTPFlow) -> None:
    """Stream what is an event stream."""
    if flow.response and "event-stream" in flow.response.headers.get("content-type", ""):
        flow.response.stream = True
