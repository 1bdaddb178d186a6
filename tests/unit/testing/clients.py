"""A program that calls an API through a proxy, as one under test would."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request

import faultinject

BODY = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}


def proxies() -> list[threading.Thread]:
    """Return the threads in which proxies run."""
    return [each for each in threading.enumerate() if each.name == "faultinject"]


def ask(
    proxy: faultinject.Proxy,
    *,
    host: str = "api.anthropic.com",
    model: str = "m",
    stream: bool = False,
) -> int:
    """Ask once by HTTPS through the proxy, and return the status."""
    handlers = (
        urllib.request.ProxyHandler({"https": proxy.url}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=proxy.ca_cert)),
    )
    body = json.dumps({**BODY, "model": model, "stream": stream}).encode()
    headers = {"content-type": "application/json", "x-api-key": "k"}
    request = urllib.request.Request(f"https://{host}/v1/messages", body, headers)
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=60) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            error.read()
        return error.code
