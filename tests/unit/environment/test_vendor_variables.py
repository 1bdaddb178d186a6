"""The variables for base URLs and keys, by API."""

import pytest

from faultinject.authority import TargetPattern
from faultinject.environment.vendor_variables import (
    APIS,
    base_urls,
    dummy_keys,
    own_urls,
    without_variable,
)

URL = "http://127.0.0.1:5"
BEDROCK = "bedrock-runtime.eu-west-1.amazonaws.com"


def target(text):
    """Return a target."""
    return TargetPattern.parse_target(text)


@pytest.mark.parametrize(
    ("host", "changes"),
    [
        ("api.anthropic.com", {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_API_BASE": URL}),
        ("api.openai.com", {"OPENAI_BASE_URL": URL + "/v1", "OPENAI_API_BASE": URL + "/v1"}),
        (
            "generativelanguage.googleapis.com",
            {"GOOGLE_GEMINI_BASE_URL": URL, "GEMINI_API_BASE": URL},
        ),
        ("api.mistral.ai", {"MISTRAL_API_BASE": URL + "/v1"}),
        ("api.groq.com", {"GROQ_BASE_URL": URL, "GROQ_API_BASE": URL + "/openai/v1"}),
        ("openrouter.ai", {"OPENROUTER_API_BASE": URL + "/api/v1"}),
        ("api.x.ai", {"XAI_API_BASE": URL + "/v1"}),
        ("api.deepseek.com", {"DEEPSEEK_API_BASE": URL}),
        ("x.openai.azure.com", {"AZURE_OPENAI_ENDPOINT": URL, "AZURE_API_BASE": URL}),
        ("api.cohere.com", {"CO_API_URL": URL}),
        ("http://127.0.0.1:11434", {"OLLAMA_HOST": URL, "OLLAMA_API_BASE": URL}),
        ("api.example.com", {}),
    ],
)
def test_a_targets_clients_are_told_its_url(host, changes):
    """Each by its own variable, with the path that it expects."""
    assert base_urls({}, {target(host): URL}, fake=False) == changes


def test_an_url_of_the_users_is_replaced_by_its_own_target_only():
    """The gateway's key goes to the gateway, whatever vendor's API it speaks."""
    user = {"ANTHROPIC_BASE_URL": "https://gateway.example/anthropic/"}
    urls = {target("api.anthropic.com"): "http://127.0.0.1:1", target("gateway.example"): URL}
    changes = base_urls(user, urls, fake=False)
    assert changes["ANTHROPIC_BASE_URL"] == URL + "/anthropic"
    assert changes["ANTHROPIC_API_BASE"] == "http://127.0.0.1:1"
    del urls[target("gateway.example")]
    assert "ANTHROPIC_BASE_URL" not in base_urls(user, urls, fake=False)


def test_bedrocks_clients_sign_the_host():
    """The real one would refuse the signature; the fake one does not look."""
    urls = {target(BEDROCK): URL}
    assert base_urls({}, urls, fake=True) == {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": URL}
    assert base_urls({}, urls, fake=False) == {}
    user = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"https://{BEDROCK}"}
    assert base_urls(user, urls, fake=False) == {}
    assert base_urls(user, urls, fake=True) == {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": URL}


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("ANTHROPIC_BASE_URL", "https://gateway.example/v1", "gateway.example"),
        ("OPENAI_BASE_URL", "https://gateway.example:8443", "gateway.example:8443"),
        ("OPENAI_BASE_URL", "http://localhost:4000/v1", "http://localhost:4000"),
        ("OPENAI_API_BASE", "http://gateway.example", "http://gateway.example:80"),
        ("OLLAMA_HOST", "0.0.0.0", "http://127.0.0.1:11434"),
        ("OLLAMA_HOST", "box:1234", "http://box:1234"),
        ("OLLAMA_HOST", "https://ollama.example", "ollama.example"),
        ("LITELLM_PROXY_API_BASE", " http://127.0.0.1:4000 ", "http://127.0.0.1:4000"),
        ("ANTHROPIC_BASE_URL", "", None),
        ("ANTHROPIC_BASE_URL", "ftp://a.example", None),
        ("ANTHROPIC_BASE_URL", "http://", None),
        ("ANTHROPIC_BASE_URL", "http://a.example:99999", None),
        ("ANTHROPIC_BASE_URL", "http://[::1", None),
        ("ANTHROPIC_BASE_URL", "http://a b", None),
    ],
)
def test_an_url_of_the_users_is_a_target(name, text, found):
    """What is no URL is left to the client, which will say so."""
    assert [str(each.target) for each in own_urls({name: text})] == ([found] if found else [])


def test_which_targets_no_variable_leads_to():
    """A name for many hosts, a host that is nobody's we know, and one whose requests are signed."""
    targets = [target(text) for text in ("api.openai.com", "*.openai.com", "a.example", BEDROCK)]
    assert without_variable({}, targets, fake=True) == targets[1:3]
    assert without_variable({}, targets, fake=False) == targets[1:]
    assert without_variable({"OPENAI_BASE_URL": "https://a.example"}, targets, fake=True) == [
        targets[1]
    ]


def test_keys_that_are_none():
    """For the targets, and only where the user has none by whatever variable."""
    targets = [target("api.anthropic.com"), target("api.openai.com"), target("a.example")]
    keys = dummy_keys({}, targets)
    assert set(keys) == {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"}
    user = {"ANTHROPIC_AUTH_TOKEN": "mine", "OPENAI_API_KEY": ""}
    assert set(dummy_keys(user, targets)) == {"OPENAI_API_KEY"}
    gateway = {"GROQ_BASE_URL": "https://a.example"}
    assert "GROQ_API_KEY" in dummy_keys(gateway, targets)


def test_no_variable_is_two_apis():
    """Or one of them would overwrite the other's."""
    names = [name for api in APIS for name in (*(url.name for url in api.urls), *api.keys)]
    assert len(names) == len(set(names))
