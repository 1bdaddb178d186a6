"""Whose a host is, and whose a key is by its form."""

import pytest

from faultinject.http.message import RequestHead
from faultinject.providers.known import PROVIDERS
from faultinject.providers.vendors import VENDORS, named_vendors, vendor_of, vendors_of_keys


def asking(target: bytes = b"/", *headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"POST", target, headers)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.anthropic.com", "Anthropic"),
        ("api.openai.com", "OpenAI"),
        ("eu.api.openai.com", "OpenAI"),
        ("openrouter.ai", "OpenRouter"),
        ("api.groq.com", "Groq"),
        ("api.x.ai", "xAI"),
        ("api.deepseek.com", "DeepSeek"),
        ("chatgpt.com", "ChatGPT"),
        ("api.githubcopilot.com", "GitHub Copilot"),
        ("api.eu.mistral.ai", "Mistral"),
        ("my-resource.openai.azure.com", "Azure"),
        ("generativelanguage.googleapis.com", "Google"),
        ("us-central1-aiplatform.googleapis.com", "Google"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "Amazon Bedrock"),
        ("bedrock.eu-west-1.amazonaws.com", "Amazon Bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", "Amazon Bedrock"),
    ],
)
def test_hosts_of_a_vendor(host, name):
    """Regions of a vendor's API are hosts of its own."""
    assert vendor_of(host).name == name


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "localhost",
        "127.0.0.1",
        "openai.com.example",
        "notopenai.com",
        "max.ai",
        "my-resource.azure-api.net",
        "abc123.execute-api.us-east-1.amazonaws.com",
        "evil.bedrock-runtime.us-east-1.amazonaws.com",
        "gateway.ai.cloudflare.com",
    ],
)
def test_hosts_that_are_nobodys(host):
    """A gateway on somebody's cloud, or a name that only looks like a vendor's."""
    assert vendor_of(host) is None


def test_each_provider_has_its_host_among_the_vendors():
    """Hosts whose API is known are known here too."""
    assert all(
        vendor_of(host.replace("*", "us-east-1"))
        for provider in PROVIDERS
        for host in provider.hosts
    )


KEYS = [
    (b"sk-ant-api03-abc", "Anthropic"),
    (b"sk-ant-oat01-abc", "Anthropic"),
    (b"sk-proj-abc", "OpenAI"),
    (b"sk-svcacct-abc", "OpenAI"),
    (b"sk-or-v1-abc", "OpenRouter"),
    (b"gsk_abc", "Groq"),
    (b"xai-abc", "xAI"),
    (b"ghu_abc", "GitHub Copilot"),
    (b"AIzaSyabc", "Google"),
    (b"ABSKabc", "Amazon Bedrock"),
]


@pytest.mark.parametrize(("key", "name"), KEYS)
def test_a_key_is_known_by_its_form(key, name):
    """Wherever clients put keys, in whatever case the header is."""
    places = [
        asking(b"/", (b"Authorization", b"Bearer " + key)),
        asking(b"/", (b"authorization", b"bearer  " + key)),
        asking(b"/", (b"Authorization", key)),
        asking(b"/", (b"X-Api-Key", key)),
        asking(b"/", (b"api-key", key)),
        asking(b"/", (b"x-goog-api-key", key)),
        asking(b"/", (b"X-Auth-Token", key)),
        asking(b"/v1?key=" + key),
        asking(b"/v1?a=b&api_key=" + key.replace(b"-", b"%2D")),
        asking(b"/v1?%6bey=Bearer+" + key),
        asking(b"/", (b"Authorization", b'Bearer "' + key + b'"')),
        asking(b"/", (b"Authorization", b"Bearer," + key)),
        asking(b"/", (b"Sec-WebSocket-Protocol", b"a, openai-insecure-api-key." + key)),
    ]
    for head in places:
        assert [vendor.name for vendor in vendors_of_keys(head)] == [name], head
        assert name in named_vendors(head)


def test_a_key_in_a_websockets_protocols():
    """A browser's WebSocket has no other place for it."""
    protocols = b"realtime, openai-insecure-api-key.sk-proj-abc, openai-beta.realtime-v1"
    head = asking(b"/v1/realtime", (b"Sec-WebSocket-Protocol", protocols))
    assert [vendor.name for vendor in vendors_of_keys(head)] == ["OpenAI"]


@pytest.mark.parametrize(
    "head",
    [
        asking(b"/"),
        asking(b"/?text=sk-ant-1&key&key="),
        asking(b"/sk-ant-1?"),
        asking(b"/", (b"Authorization", b"Bearer sk-1234")),
        asking(b"/", (b"Authorization", b"Bearer")),
        asking(b"/", (b"Authorization", b"")),
        asking(b"/", (b"User-Agent", b"xai-sdk/1.0")),
        asking(b"/", (b"X-Note", b"gsk_")),
    ],
)
def test_what_is_no_key_of_a_vendors_form(head):
    """Other keys, and words elsewhere that only begin like one."""
    assert vendors_of_keys(head) == []


def test_several_keys_have_several_owners():
    """Each is told once."""
    head = asking(b"/?key=AIza1", (b"x-api-key", b"sk-ant-1"), (b"Authorization", b"sk-ant-2"))
    assert {vendor.name for vendor in vendors_of_keys(head)} == {"Anthropic", "Google"}


def test_vendors_that_headers_name():
    """Those that only one API's clients send, or are going to send by a preflight."""
    assert named_vendors(asking(b"/", (b"Anthropic-Version", b"2023-06-01"))) == {"Anthropic"}
    assert named_vendors(asking(b"/", (b"OpenAI-Beta", b"assistants=v2"))) == {"OpenAI"}
    wishes = (b"Access-Control-Request-Headers", b"content-type,anthropic-version,x-api-key")
    assert named_vendors(asking(b"/", wishes)) == {"Anthropic"}
    assert named_vendors(asking(b"/", (b"Accept", b"*/*"))) == set()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/messages", {"Anthropic", "xAI"}),
        ("/v1/messages/count_tokens", {"Anthropic", "xAI"}),
        ("/v1/messagesx", set()),
        ("/v1/chat/completions", {"OpenAI", "xAI", "DeepSeek", "Mistral"}),
        ("/v1/responses/resp_1", {"OpenAI", "xAI", "DeepSeek", "Mistral"}),
        ("/v1/models", {"Anthropic", "OpenAI", "xAI", "DeepSeek", "Mistral", "Google"}),
        ("/chat/completions", {"GitHub Copilot", "DeepSeek"}),
        ("/openai/v1/chat/completions", {"Groq", "Azure", "Amazon Bedrock"}),
        ("/api/v1/chat/completions", {"OpenRouter"}),
        ("/v1beta/models/gemini-2.5-pro:generateContent", {"Google"}),
        ("/model/anthropic.claude/invoke", {"Amazon Bedrock"}),
        ("/openai/deployments/d/chat/completions", {"Azure"}),
        ("/anthropic/v1/messages", {"DeepSeek", "Azure"}),
        ("/", set()),
        ("*", set()),
    ],
)
def test_paths_of_the_apis(path, names):
    """Without a base URL's mistakes."""
    assert {vendor.name for vendor in VENDORS if vendor.has(path)} == names


@pytest.mark.parametrize(
    ("host", "sent", "meant"),
    [
        ("api.anthropic.com", "/messages", "/v1/messages"),
        ("api.anthropic.com", "/v1/v1/messages", "/v1/messages"),
        ("api.anthropic.com", "/v1/v1/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("api.anthropic.com", "/messages/batches/b_1", "/v1/messages/batches/b_1"),
        ("api.openai.com", "/chat/completions", "/v1/chat/completions"),
        ("api.openai.com", "/v1/v1/chat/completions", "/v1/chat/completions"),
        ("api.openai.com", "/responses", "/v1/responses"),
        ("api.openai.com", "/models", "/v1/models"),
        ("api.x.ai", "/chat/completions", "/v1/chat/completions"),
        ("api.groq.com", "/v1/chat/completions", "/openai/v1/chat/completions"),
        ("api.groq.com", "/chat/completions", "/openai/v1/chat/completions"),
        ("openrouter.ai", "/v1/chat/completions", "/api/v1/chat/completions"),
    ],
)
def test_a_path_with_v1_missing_or_doubled(host, sent, meant):
    """Is taken for the one that the API has."""
    assert vendor_of(host).corrected(sent) == meant


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("api.anthropic.com", "/v1/messages"),
        ("api.anthropic.com", "/v1/chat/completions"),
        ("api.anthropic.com", "/chat/completions"),
        ("api.anthropic.com", "/v1messages"),
        ("api.anthropic.com", "/v1/v1"),
        ("api.anthropic.com", "/"),
        ("api.anthropic.com", "*"),
        ("api.openai.com", "/v1/responses/resp_1"),
        ("api.openai.com", "/messages"),
        ("api.openai.com", "/v2/models"),
        ("api.deepseek.com", "/chat/completions"),
        ("api.deepseek.com", "/v1/chat/completions"),
        ("api.deepseek.com", "/v1/v1/chat/completions"),
        ("openrouter.ai", "/api/v1/chat/completions"),
        ("generativelanguage.googleapis.com", "/models/gemini:generateContent"),
    ],
)
def test_paths_that_stay(host, path):
    """The API has them, or would not have them either way."""
    assert vendor_of(host).corrected(path) == path
