"""The variables by which APIs' clients take a base URL and a key, by API.

They are what the clients themselves read: the SDKs of Anthropic, OpenAI (also for Azure), Google
(google-genai), Groq, Cohere and Ollama, LiteLLM (``*_API_BASE``) and boto3. Those of Mistral and
OpenRouter have none for their URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from faultinject.authority import TargetPattern, normal_host

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- looked for
"""What Ollama's server listens on, and its clients take for this machine."""


@frozen(eq=False, repr=False)
class BaseUrl:
    """A variable for a base URL, and the path that its client expects there."""

    name: str
    path: str = ""
    default_port: int | None = None
    """The port that is meant if none is given; None for that of the scheme."""


@frozen(eq=False, repr=False)
class ApiVariables:
    """What the clients of one API read."""

    hosts: re.Pattern[str]
    """The API's own hosts."""
    urls: tuple[BaseUrl, ...]
    keys: Mapping[str, str]
    """The variables for a key, and a value that no API takes."""
    other_keys: tuple[str, ...] = ()
    """Other variables that a client may have its key from."""
    signs_host: bool = False
    """Whether requests are signed with the host that the client asks, so that an upstream refuses
    what was sent by base URL."""


def _one(host: str) -> re.Pattern[str]:
    return re.compile(re.escape(host))


_NONE = re.compile(r"(?!)")

APIS = (
    ApiVariables(
        _one("api.anthropic.com"),
        (BaseUrl("ANTHROPIC_BASE_URL"), BaseUrl("ANTHROPIC_API_BASE")),
        {"ANTHROPIC_API_KEY": "sk-ant-faultinject-no-key"},
        ("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    ),
    ApiVariables(
        _one("api.openai.com"),
        (BaseUrl("OPENAI_BASE_URL", "/v1"), BaseUrl("OPENAI_API_BASE", "/v1")),
        {"OPENAI_API_KEY": "sk-faultinject-no-key"},
    ),
    ApiVariables(
        _one("generativelanguage.googleapis.com"),
        (BaseUrl("GOOGLE_GEMINI_BASE_URL"), BaseUrl("GEMINI_API_BASE")),
        {"GEMINI_API_KEY": "faultinject-no-key"},
        ("GOOGLE_API_KEY",),
    ),
    ApiVariables(
        _one("api.mistral.ai"),
        (BaseUrl("MISTRAL_API_BASE", "/v1"),),
        {"MISTRAL_API_KEY": "faultinject-no-key"},
    ),
    ApiVariables(
        _one("api.groq.com"),
        (BaseUrl("GROQ_BASE_URL"), BaseUrl("GROQ_API_BASE", "/openai/v1")),
        {"GROQ_API_KEY": "gsk_faultinject-no-key"},
    ),
    ApiVariables(
        _one("openrouter.ai"),
        (BaseUrl("OPENROUTER_API_BASE", "/api/v1"),),
        {"OPENROUTER_API_KEY": "sk-or-faultinject-no-key"},
    ),
    ApiVariables(
        _one("api.x.ai"),
        (BaseUrl("XAI_API_BASE", "/v1"),),
        {"XAI_API_KEY": "xai-faultinject-no-key"},
    ),
    ApiVariables(
        _one("api.deepseek.com"),
        (BaseUrl("DEEPSEEK_API_BASE"),),
        {"DEEPSEEK_API_KEY": "faultinject-no-key"},
    ),
    ApiVariables(
        re.compile(r"[a-z0-9-]+\.(?:openai|cognitiveservices)\.azure\.com"),
        (BaseUrl("AZURE_OPENAI_ENDPOINT"), BaseUrl("AZURE_API_BASE")),
        {"AZURE_OPENAI_API_KEY": "faultinject-no-key", "AZURE_API_KEY": "faultinject-no-key"},
        ("AZURE_OPENAI_AD_TOKEN",),
    ),
    # Only where the user sets it: Foundry's client refuses it beside ANTHROPIC_FOUNDRY_RESOURCE.
    ApiVariables(_NONE, (BaseUrl("ANTHROPIC_FOUNDRY_BASE_URL"),), {}),
    ApiVariables(
        re.compile(r"api\.cohere\.(?:com|ai)"),
        (BaseUrl("CO_API_URL"),),
        {"CO_API_KEY": "faultinject-no-key"},
        ("COHERE_API_KEY",),
    ),
    ApiVariables(
        _NONE,
        (BaseUrl("OLLAMA_HOST", default_port=11434), BaseUrl("OLLAMA_API_BASE")),
        {},
    ),
    ApiVariables(_NONE, (BaseUrl("LITELLM_PROXY_API_BASE"),), {}),
    ApiVariables(
        re.compile(r"bedrock-runtime(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"),
        (BaseUrl("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),),
        {"AWS_ACCESS_KEY_ID": "AKIAFAULTINJECTNOKEY", "AWS_SECRET_ACCESS_KEY": "no-key"},
        ("AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        signs_host=True,
    ),
)
_OLLAMA_PORT = 11434


@frozen(eq=False, repr=False)
class OwnUrl:
    """A base URL that the user has set."""

    variable: BaseUrl
    api: ApiVariables
    target: TargetPattern
    path: str


def own_urls(environment: Mapping[str, str]) -> Iterator[OwnUrl]:
    """Yield the base URLs that the user has set; what is no URL of a host is left to its client."""
    for api in APIS:
        for variable in api.urls:
            text = environment.get(variable.name, "").strip()
            with suppress(ValueError):
                if text and (found := _own_url(text, variable, api)) is not None:
                    yield found


def _own_url(text: str, variable: BaseUrl, api: ApiVariables) -> OwnUrl | None:
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme not in ("http", "https") or not url.hostname:
        return None
    host = normal_host(_EVERY_ADDRESS.get(url.hostname, url.hostname))
    tls = url.scheme == "https"
    target = TargetPattern(host, _port(url, variable), tls)
    return OwnUrl(variable, api, target, url.path.removesuffix("/"))


def _port(url: SplitResult, variable: BaseUrl) -> int | None:
    """Return the port to match: for https:// none means any, as for other targets."""
    if url.port is not None or url.scheme == "https":
        return url.port
    return variable.default_port or 80


def _apis_of(target: TargetPattern) -> Iterator[ApiVariables]:
    if not target.tls and target.port == _OLLAMA_PORT:
        yield next(api for api in APIS if api.urls[0].name == "OLLAMA_HOST")
    yield from (api for api in APIS if api.hosts.fullmatch(target.host))


def base_urls(
    environment: Mapping[str, str], urls: Mapping[TargetPattern, str], *, fake: bool
) -> dict[str, str]:
    """Return the variables that make clients take us for their APIs.

    ``urls`` is where each target is; ``fake`` is whether the fake API answers. A base URL of the
    user's is replaced by that of its own target, and by no other.
    """
    own = {each.variable.name: each for each in own_urls(environment)}
    changes = {}
    for target, url in urls.items():
        for api in _apis_of(target):
            for variable in api.urls:
                if variable.name not in own and (fake or not api.signs_host):
                    changes[variable.name] = url + variable.path
    for name, each in own.items():
        if each.target in urls and (fake or not each.api.signs_host):
            changes[name] = urls[each.target] + each.path
    return changes


def without_variable(
    environment: Mapping[str, str], targets: Iterable[TargetPattern], *, fake: bool
) -> list[TargetPattern]:
    """Return the targets that no variable leads to, by base URL."""
    own = {each.target for each in own_urls(environment)}
    return [
        target
        for target in targets
        if target not in own
        and not (target.exact and any(fake or not api.signs_host for api in _apis_of(target)))
    ]


def dummy_keys(environment: Mapping[str, str], targets: Iterable[TargetPattern]) -> dict[str, str]:
    """Return keys that are none for the targets' clients, where the user has set no key.

    With the fake API: a client that misses it then fails at the real API, and spends nothing.
    """
    own = list(own_urls(environment))
    changes: dict[str, str] = {}
    for target in targets:
        apis = [*_apis_of(target), *(each.api for each in own if each.target == target)]
        for api in apis:
            if not any(environment.get(name) for name in (*api.keys, *api.other_keys)):
                changes.update(api.keys)
    return changes
