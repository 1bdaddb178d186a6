"""mcp, which calls tools of an MCP server over streamable HTTP."""

from __future__ import annotations

import ssl
from typing import Any

import httpx2
from anyio.from_thread import start_blocking_portal
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.interop.presets.asking import Seen, failure


class McpApi:
    """One session: it begins before the first call, and each call is of the tool ``echo``."""

    def __init__(self, case: dict[str, Any]) -> None:
        trusted = ssl.create_default_context(cafile=case["ca_file"])
        self.timeout = case["timeout"]
        self._opening = start_blocking_portal()
        self.portal = self._opening.__enter__()
        self.client = self.portal.call(self._open, case, trusted)

    async def _open(self, case: dict[str, Any], trusted: ssl.SSLContext) -> Client:
        http_client = httpx2.AsyncClient(
            proxy=case["proxy"], verify=trusted, timeout=case["timeout"]
        )
        transport = streamable_http_client(f"{case['base_url']}/mcp", http_client=http_client)
        return Client(transport, mode="legacy", read_timeout_seconds=case["timeout"])

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        if not hasattr(self, "session"):
            self._session = self.portal.wrap_async_context_manager(self.client)
            self.session = self._session.__enter__()
        result = self.portal.call(lambda: self.session.call_tool(**request))
        seen["text"] = "".join(getattr(part, "text", "") for part in result.content)
        seen["stop"] = "isError" if result.is_error else "stop"

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        return {"name": "echo", "arguments": {"text": "hi there", "case": prompt}}

    def failure(self, error: Exception) -> Seen:
        return failure(error) | {"status": None, "type": getattr(error, "code", None)}


def open_api(client: str, case: dict[str, Any]) -> McpApi:
    return McpApi(case)
