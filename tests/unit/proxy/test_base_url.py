"""Which target a request without a host is for, and which keys it may bring."""

import pytest

from faultinject.authority import Authority, TargetPattern
from faultinject.errors import ClientProtocolError
from faultinject.http.message import RequestHead
from faultinject.proxy.base_url import check_keys, corrected, single_targets, target_meant

ANTHROPIC, OPENAI = "api.anthropic.com", "api.openai.com"
GOOGLE = "generativelanguage.googleapis.com"
BOTH = (ANTHROPIC, OPENAI)
VERSION = (b"anthropic-version", b"2023-06-01")
BEARER = (b"Authorization", b"Bearer fake")
X_API_KEY = (b"x-api-key", b"fake")


def asking(path: str, *headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"POST", path.encode(), ((b"Host", b"127.0.0.1:8080"), *headers))


def meant(targets: tuple[str, ...], head: RequestHead) -> str:
    single = single_targets(map(TargetPattern.parse, targets))
    return str(target_meant(single, head).authority)


@pytest.mark.parametrize("targets", [BOTH, BOTH[::-1], (*BOTH, "*.example.com", OPENAI)])
@pytest.mark.parametrize(
    ("head", "host"),
    [
        (asking("/v1/messages"), ANTHROPIC),
        (asking("/v1/messages?beta=true", VERSION, X_API_KEY), ANTHROPIC),
        (asking("/v1/messages/count_tokens", BEARER), ANTHROPIC),
        (asking("/v1/chat/completions", BEARER), OPENAI),
        (asking("/v1/responses"), OPENAI),
        (asking("/v1/embeddings", (b"api-key", b"x")), OPENAI),
        (asking("/v1/models", VERSION, BEARER), ANTHROPIC),
        (asking("/v1/models", X_API_KEY), ANTHROPIC),
        (asking("/v1/models", BEARER), OPENAI),
        (asking("/v1/models/x", (b"Authorization", b"Bearer sk-ant-oat01-x")), ANTHROPIC),
        (asking("/v1/files", BEARER, (b"OpenAI-Organization", b"org")), OPENAI),
        (asking("/v1/files", X_API_KEY), ANTHROPIC),
        (asking("/new", (b"x-api-key", b"sk-ant-x")), ANTHROPIC),
        (asking("/new", (b"Authorization", b"Bearer sk-proj-x")), OPENAI),
    ],
)
def test_path_and_headers_say_which_of_two_is_meant(targets, head, host):
    """Whatever the order of the targets."""
    assert meant(targets, head) == f"{host}:443"


@pytest.mark.parametrize(
    ("targets", "head"),
    [
        # neither path nor headers say it
        (BOTH, asking("/")),
        (BOTH, asking("*")),
        (BOTH, asking("/new", X_API_KEY)),
        (BOTH, asking("/v1/models")),
        (BOTH, asking("/v1/models", X_API_KEY, BEARER)),
        (BOTH, asking("/v1/messagesx", BEARER)),
        # they contradict each other
        (BOTH, asking("/v1/messages", (b"Authorization", b"Bearer sk-proj-x"))),
        (BOTH, asking("/v1/chat/completions", (b"Authorization", b"Bearer sk-ant-x"))),
        (BOTH, asking("/v1/chat/completions", VERSION)),
        (BOTH, asking("/v1/models", (b"x-api-key", b"sk-ant-x"), (b"OpenAI-Project", b"p"))),
        # two of one shape
        ((OPENAI, "eu.api.openai.com"), asking("/v1/chat/completions", BEARER)),
        ((OPENAI, "api.x.ai"), asking("/v1/chat/completions", BEARER)),
        (("a.example", "b.example"), asking("/v1/messages", VERSION)),
        ((f"{OPENAI}:443", f"{OPENAI}:8443"), asking("/v1/chat/completions", BEARER)),
        # a host of which nothing is known may have any path
        ((ANTHROPIC, "gateway.example"), asking("/v1/messages", X_API_KEY)),
        (("gateway.example", ANTHROPIC), asking("/v1/chat/completions", BEARER)),
    ],
)
def test_what_cannot_be_told_is_refused(targets, head):
    """It is never guessed: there may be a key in it."""
    with pytest.raises(ClientProtocolError, match="which target") as refusal:
        meant(targets, head)
    assert refusal.value.status == 421


@pytest.mark.parametrize(
    ("targets", "head", "host"),
    [
        ((OPENAI, "api.groq.com"), asking("/openai/v1/chat/completions"), "api.groq.com"),
        ((OPENAI, "api.groq.com"), asking("/v1/chat/completions"), OPENAI),
        ((OPENAI, "api.x.ai"), asking("/v1/responses", (b"Authorization", b"xai-1")), "api.x.ai"),
        ((ANTHROPIC, "openrouter.ai"), asking("/api/v1/messages", BEARER), "openrouter.ai"),
        (
            (ANTHROPIC, "gateway.example"),
            asking("/v1/messages", (b"x-api-key", b"sk-ant-1")),
            ANTHROPIC,
        ),
        ((GOOGLE, OPENAI), asking("/v1/models?key=AIza1"), GOOGLE),
        (("gateway.example",), asking("/anything", (b"x-api-key", b"sk-ant-1")), "gateway.example"),
        ((ANTHROPIC,), asking("/anything"), ANTHROPIC),
        (("*.example.com", OPENAI, f"{OPENAI}:443"), asking("/v1/messages", VERSION), OPENAI),
    ],
)
def test_other_targets(targets, head, host):
    """Vendors whose paths differ, keys that tell, and single targets, which get everything."""
    assert meant(targets, head) == f"{host}:443"


def test_a_target_keeps_its_port():
    """443 is meant where none is given."""
    assert meant((f"{ANTHROPIC}:8443", OPENAI), asking("/v1/messages")) == f"{ANTHROPIC}:8443"


def test_without_a_single_host_there_is_no_base_url_mode():
    """A pattern says nothing of where to send it."""
    with pytest.raises(ClientProtocolError, match="--target-host that is a single host") as refusal:
        meant(("*.anthropic.com",), asking("/v1/messages", VERSION))
    assert refusal.value.status == 400


# Keys


@pytest.mark.parametrize(
    ("host", "head", "owner"),
    [
        (OPENAI, asking("/", (b"x-api-key", b"sk-ant-secret")), "Anthropic"),
        (OPENAI, asking("/", (b"Authorization", b"Bearer sk-or-secret")), "OpenRouter"),
        (ANTHROPIC, asking("/", (b"Authorization", b"Bearer sk-proj-secret")), "OpenAI"),
        (ANTHROPIC, asking("/?key=AIzasecret"), "Google"),
        (
            "api.deepseek.com",
            asking("/anthropic/v1/messages", (b"x-api-key", b"sk-ant-secret")),
            "Anthropic",
        ),
        ("api.x.ai", asking("/", (b"api-key", b"gsk_secret")), "Groq"),
        ("api.groq.com", asking("/", (b"api-key", b"xai-secret")), "xAI"),
        ("openrouter.ai", asking("/", (b"Authorization", b"Bearer ABSKsecret")), "Amazon Bedrock"),
        (
            OPENAI,
            asking("/", (b"api-key", b"sk-proj-1"), (b"x-api-key", b"sk-ant-secret")),
            "Anthropic",
        ),
    ],
)
def test_a_key_of_another_vendors_form_is_refused(host, head, owner):
    """The refusal names both vendors, and no part of the key."""
    with pytest.raises(ClientProtocolError, match=f"a key of {owner}'s form") as refusal:
        check_keys(head, Authority(host, 443))
    assert refusal.value.status == 421
    assert "secret" not in str(refusal.value)
    assert "--allow-foreign-keys" in str(refusal.value)


@pytest.mark.parametrize(
    ("host", "head"),
    [
        (ANTHROPIC, asking("/", (b"x-api-key", b"sk-ant-1"))),
        (ANTHROPIC, asking("/", X_API_KEY)),
        (ANTHROPIC, asking("/")),
        (OPENAI, asking("/", (b"Authorization", b"Bearer sk-1234"))),
        ("gateway.example", asking("/", (b"x-api-key", b"sk-ant-1"))),
        ("127.0.0.1", asking("/", (b"Authorization", b"Bearer sk-proj-1"))),
        (GOOGLE, asking("/?key=AIza1")),
    ],
)
def test_keys_that_pass(host, head):
    """The vendor's own, those without a form, and any to a host that is nobody's that we know."""
    check_keys(head, Authority(host, 443))


# Paths


@pytest.mark.parametrize(
    ("host", "target", "asked"),
    [
        (ANTHROPIC, "/messages?beta=true", "/v1/messages?beta=true"),
        (OPENAI, "/v1/v1/chat/completions?", "/v1/chat/completions?"),
        (OPENAI, "/v1/responses?a=/messages", "/v1/responses?a=/messages"),
        ("api.deepseek.com", "/chat/completions", "/chat/completions"),
        ("gateway.example", "/messages", "/messages"),
    ],
)
def test_the_path_that_the_api_has(host, target, asked):
    """The query stays as it is, and hosts that are not known get what was sent."""
    head = corrected(asking(target, VERSION), Authority(host, 443))
    assert head == asking(asked, VERSION)


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/messages", ANTHROPIC),
        ("/v1/v1/messages", ANTHROPIC),
        ("/chat/completions", OPENAI),
        ("/responses", OPENAI),
    ],
)
def test_such_a_path_says_which_target_is_meant(path, host):
    """As the right one would."""
    assert meant(BOTH, asking(path)) == f"{host}:443"
    with pytest.raises(ClientProtocolError, match="which target"):
        meant(BOTH, asking("/models"))


def test_the_path_of_an_api_counts_before_one_that_is_mended():
    """DeepSeek has it as it is."""
    path = asking("/chat/completions", BEARER)
    assert meant((OPENAI, "api.deepseek.com"), path) == "api.deepseek.com:443"
