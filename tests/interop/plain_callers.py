"""HTTP clients of Python as callers."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request

import aiohttp
import httpx
import requests

from tests.interop.caller import (
    TIMEOUT_SECONDS,
    AsyncCaller,
    Caller,
    Outcome,
    failed,
    message_text,
    request_json,
)


class RequestsCaller(Caller):
    name = "requests"
    errors = dict.fromkeys((429, 529), "requests.HTTPError")

    def _open(self) -> None:
        self.client = self.stack.enter_context(requests.Session())
        self.client.trust_env = False
        self.client.verify = str(self.route.ca_file) if self.route.ca_file else True
        if self.route.proxy_url:
            self.client.proxies = {"https": self.route.proxy_url}

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        body = request_json(prompt, stream=stream)
        answer = self.client.post(self._url(), json=body, stream=stream, timeout=TIMEOUT_SECONDS)
        with answer:
            try:
                answer.raise_for_status()
            except requests.HTTPError as error:
                return failed(error, answer.status_code, answer.headers, answer.text)
            data = b"".join(answer.iter_content(None))
            return Outcome(message_text(data, answer.headers["content-type"]))


class HttpxCaller(Caller):
    name = "httpx"
    errors = dict.fromkeys((429, 529), "httpx.HTTPStatusError")

    def _open(self) -> None:
        client = httpx.Client(
            proxy=self.route.proxy_url, verify=self._tls(), trust_env=False, timeout=TIMEOUT_SECONDS
        )
        self.client = self.stack.enter_context(client)

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        body = request_json(prompt, stream=stream)
        with self.client.stream("POST", self._url(), json=body) as answer:
            data = b"".join(answer.iter_bytes())
        try:
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            return failed(error, answer.status_code, answer.headers, data)
        return Outcome(message_text(data, answer.headers["content-type"]))


class UrllibCaller(Caller):
    name = "urllib"
    errors = dict.fromkeys((429, 529), "urllib.HTTPError")

    def _open(self) -> None:
        proxies = {"https": self.route.proxy_url} if self.route.proxy_url else {}
        tls = self._tls()
        https = urllib.request.HTTPSHandler(
            context=tls if isinstance(tls, ssl.SSLContext) else None
        )
        self.client = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), https)

    def ask(self, *, stream: bool = False, prompt: str = "hi") -> Outcome:
        body = json.dumps(request_json(prompt, stream=stream)).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self._url(), body, headers)
        try:
            with self.client.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return Outcome(message_text(answer.read(), answer.headers["content-type"]))
        except urllib.error.HTTPError as error:
            with error:
                return failed(error, error.code, error.headers, error.read())


class AiohttpCaller(AsyncCaller):
    name = "aiohttp"
    errors = dict.fromkeys((429, 529), "aiohttp.ClientResponseError")

    async def _open_client(self) -> None:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls()),
            timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS),
        )
        self.client = await self.async_stack.enter_async_context(session)

    async def _ask(self, stream: bool, prompt: str) -> Outcome:
        body = request_json(prompt, stream=stream)
        async with self.client.post(self._url(), json=body, proxy=self.route.proxy_url) as answer:
            data = b"".join([piece async for piece in answer.content.iter_any()])
            try:
                answer.raise_for_status()
            except aiohttp.ClientResponseError as error:
                return failed(error, answer.status, answer.headers, data)
            return Outcome(message_text(data, answer.headers["content-type"]))


PLAIN_CALLERS: list[type[Caller]] = [RequestsCaller, HttpxCaller, AiohttpCaller, UrllibCaller]
