"""The vendors of APIs: their hosts, their paths, and the forms of key that only they use.

There is one `Vendor` for each. `providers.known` has the forms of APIs, which several vendors may
share. A host that is not listed may belong to anyone, so any path and any key may be meant for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from faultinject.http.message import RequestHead, header_tokens

_KEY_NAMES = (b"authorization", b"auth", b"key", b"token")
"""How the names of headers and query parameters end whose value may be a key:
``Authorization``, ``x-api-key``, ``x-goog-api-key``, ``api-key``, ``key``, ``access_token``."""
_IN_WEBSOCKET = b"openai-insecure-api-key."
"""The prefix of a key that a browser sends as a subprotocol, because it cannot set headers.
https://platform.openai.com/docs/guides/realtime-websocket"""
_PREFIXES = re.compile(r"\A(?:/v1(?=/))+")
"""What both the base URL and the client may have put in front of an endpoint."""


@frozen
class Vendor:
    """One vendor."""

    name: str
    hosts: re.Pattern[str] = field(repr=False)
    paths: re.Pattern[str] = field(repr=False)
    """The paths of its API that clients use."""
    key_forms: tuple[bytes, ...] = ()
    """How keys begin that only this vendor uses."""
    headers: frozenset[bytes] = frozenset()
    """Headers that only clients of this API send, in lower case."""
    key_header: bytes = b"authorization"
    """The header with the client's key, in lower case."""
    prefix: str | None = None
    """How its paths begin, if clients are known to leave out ``/v1`` or to repeat it."""

    def has(self, path: str) -> bool:
        """Return True if the API has a path (without its query)."""
        return self.paths.fullmatch(path) is not None

    def corrected(self, path: str) -> str:
        """Return the path that is meant if ``/v1`` is missing, or there too often.

        Return the path itself if the API has it, or if neither is a path of the API.
        """
        if self.prefix is None or self.has(path):
            return path
        meant = self.prefix + _PREFIXES.sub("", path)
        return meant if self.has(meant) else path


def _below(*domains: str) -> re.Pattern[str]:
    names = "|".join(map(re.escape, domains))
    return re.compile(rf"(?:.+\.)?(?:{names})")


def _paths(prefix: str, *endpoints: str) -> re.Pattern[str]:
    return re.compile(rf"{prefix}/(?:{'|'.join(endpoints)})(?:/.*)?", re.DOTALL)


_CHAT = ("chat/completions", "completions", "embeddings", "models", "responses")
_MORE = ("audio", "batches", "files", "images", "moderations", "videos")

VENDORS = (
    Vendor(
        "Anthropic",
        _below("anthropic.com"),
        _paths("/v1", "complete", "files", "messages", "models", "organizations", "skills"),
        key_forms=(b"sk-ant-",),
        headers=frozenset(
            (b"anthropic-version", b"anthropic-beta", b"anthropic-dangerous-direct-browser-access")
        ),
        key_header=b"x-api-key",
        prefix="/v1",
    ),
    Vendor(
        "OpenAI",
        _below("openai.com"),
        _paths(
            "/v1", *_CHAT, *_MORE, "assistants", "containers", "conversations", "evals",
            "fine_tuning", "organization", "projects", "realtime", "threads", "traces", "uploads",
            "vector_stores",
        ),
        # https://platform.openai.com/docs/api-reference: of projects, service accounts and admins
        key_forms=(b"sk-proj-", b"sk-svcacct-", b"sk-admin-"),
        headers=frozenset((b"openai-organization", b"openai-project", b"openai-beta")),
        prefix="/v1",
    ),
    Vendor("ChatGPT", _below("chatgpt.com"), _paths("", "backend-api")),
    Vendor(
        "GitHub Copilot",
        _below("githubcopilot.com"),
        _paths("", *_CHAT, "agents"),
        # https://docs.github.com/authentication: the formats of GitHub's tokens
        key_forms=(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"github_pat_"),
    ),
    Vendor(
        "OpenRouter",
        _below("openrouter.ai"),
        _paths("/api/v1", *_CHAT, "credits", "generation", "key", "keys", "messages", "providers"),
        key_forms=(b"sk-or-",),
        prefix="/api/v1",
    ),
    Vendor(
        "Groq",
        _below("groq.com"),
        _paths("/openai/v1", *_CHAT, *_MORE),
        key_forms=(b"gsk_",),
        prefix="/openai/v1",
    ),
    Vendor(
        "xAI",
        _below("x.ai"),
        _paths("/v1", *_CHAT, *_MORE, "messages"),
        key_forms=(b"xai-",),
        prefix="/v1",
    ),
    Vendor(
        "DeepSeek",
        _below("deepseek.com"),
        _paths("(?:/v1|/beta)?", *_CHAT, "user/balance", "anthropic/v1/messages"),
    ),
    Vendor(
        "Mistral",
        _below("mistral.ai"),
        _paths(
            "/v1", *_CHAT, *_MORE, "agents", "chat", "classifications", "conversations", "fim",
            "fine_tuning", "libraries", "ocr",
        ),
        prefix="/v1",
    ),
    Vendor(
        "Azure",
        # https://learn.microsoft.com/azure/ai-foundry/openai/reference; its keys have no form
        _below("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
        re.compile(r"(?:/openai|/anthropic|/models)/.*", re.DOTALL),
        headers=frozenset((b"api-key",)),
        key_header=b"api-key",
    ),
    Vendor(
        "Google",
        _below("googleapis.com"),
        re.compile(
            r"(?:/upload)?/v1(?:alpha|beta)?/(?:batches|cachedContents|files|models|openai|projects"
            r"|publishers|tunedModels)(?:[/:].*)?",
            re.DOTALL,
        ),
        key_forms=(b"AIza",),
        headers=frozenset((b"x-goog-api-key", b"x-goog-api-client")),
        key_header=b"x-goog-api-key",
    ),
    Vendor(
        "Ollama",
        _below("ollama.com"),
        _paths("/api", "chat", "embed", "generate", "ps", "show", "tags", "version"),
    ),
    Vendor(
        "Cohere",
        _below("cohere.com", "cohere.ai"),
        re.compile(
            r"/v2/(?:chat|embed|parse|rerank)|/v1/(?:chat|classify|detokenize|rerank|tokenize)"
            r"|/compatibility/v1/.*",
            re.DOTALL,
        ),
    ),
    Vendor(
        "Amazon Bedrock",
        # https://docs.aws.amazon.com/general/latest/gr/bedrock.html
        re.compile(r"bedrock(?:-[a-z-]+)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)"),
        _paths("", "async-invoke", "guardrail", "model", "openai/v1"),
        # https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html: long-lived, and short
        key_forms=(b"ABSK", b"bedrock-api-key-"),
    ),
)  # fmt: skip


_ALL_FORMS = tuple(form for vendor in VENDORS for form in vendor.key_forms)


@lru_cache(maxsize=256)  # it is asked twice of each request that names no host
def vendor_of(host: str) -> Vendor | None:
    """Return the vendor of a (normal) host; None if it is unknown."""
    return next((vendor for vendor in VENDORS if vendor.hosts.fullmatch(host)), None)


def vendors_of_keys(head: RequestHead) -> list[Vendor]:
    """Return the vendors, each once, whose form of key is in a request's head or query."""
    keys = [key for key in _keys(head) if key.startswith(_ALL_FORMS)]
    return [v for v in VENDORS if any(key.startswith(v.key_forms) for key in keys)]


_BETWEEN_WORDS = re.compile(rb"[\s,\"']+")
"""The characters between a scheme and a key, or around a key, in all ways of writing them."""


def _keys(head: RequestHead) -> Iterator[bytes]:
    for name, value in head.headers:
        lower = name.lower()
        if lower.endswith(_KEY_NAMES):
            yield from _BETWEEN_WORDS.split(value)  # "Bearer", and the key
        elif lower == b"sec-websocket-protocol":
            yield from (word.removeprefix(_IN_WEBSOCKET) for word in _BETWEEN_WORDS.split(value))
    for item in head.target.partition(b"?")[2].split(b"&"):
        name, _, value = item.partition(b"=")
        if unquote_to_bytes(name).lower().endswith(_KEY_NAMES):
            yield from _BETWEEN_WORDS.split(unquote_to_bytes(value.replace(b"+", b" ")))


def named_vendors(head: RequestHead) -> set[str]:
    """Return the names of the vendors that a request's headers or keys show it to be for."""
    sent = {name.lower() for name, _ in head.headers}
    # Headers that a browser asks permission for, before it sends them (CORS preflight).
    sent |= header_tokens(head.headers, b"access-control-request-headers")
    by_header = {vendor.name for vendor in VENDORS if vendor.headers & sent}
    return by_header | {vendor.name for vendor in vendors_of_keys(head)}
