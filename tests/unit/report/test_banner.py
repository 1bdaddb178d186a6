"""The block that opens a run says all that is needed to use it."""

import pytest

from faultinject.events import PluginStarted, ProxyStarted
from faultinject.report.banner import plugin_block, start_block
from tests.support.sample_events import sample


def test_everything_is_there() -> None:
    """Address, targets, probability, status, seed, CA and both ways to point a client."""
    text = start_block(sample(ProxyStarted))
    assert text.startswith("faultinject 1.2.3 listens on http://127.0.0.1:8080\n")
    assert "  targets  api.anthropic.com, *.example.com\n" in text
    assert "  errors   10 % of requests get status 429\n" in text
    assert "  seed     42\n" in text
    assert "  CA       /data/fault-ca.crt\n" in text
    assert (
        "    HTTPS_PROXY=http://127.0.0.1:8080 SSL_CERT_FILE=/data/fault-ca.crt python app.py\n"
        in text
    )
    assert (
        "    HTTPS_PROXY=http://127.0.0.1:8080 NODE_EXTRA_CA_CERTS=/data/fault-ca.crt claude\n"
        in text
    )
    assert "    ANTHROPIC_BASE_URL=http://127.0.0.1:8080 python app.py\n" in text
    assert "export" not in text  # it would reach a proxy that the shell runs later


def test_base_url_stands_for_the_exact_targets() -> None:
    """Patterns cannot be meant by a base URL; some SDKs want a path in theirs."""
    text = start_block(sample(ProxyStarted, targets=("*.example.com", "api.openai.com")))
    assert "instead of api.openai.com" in text
    assert "    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python app.py\n" in text


def test_base_url_of_several_targets() -> None:
    """Each has its own variable; the request says which is meant."""
    targets = ("api.anthropic.com", "api.openai.com", "a.example", "b.example", "c.example")
    text = start_block(sample(ProxyStarted, targets=targets))
    hosts = "api.anthropic.com or api.openai.com or a.example or b.example"
    assert f"instead of {hosts} or another of the targets;" in text
    assert f"instead of {hosts};" in start_block(sample(ProxyStarted, targets=targets[:4]))
    assert text.endswith(
        "    ANTHROPIC_BASE_URL=http://127.0.0.1:8080 python app.py\n"
        "    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python app.py\n"
        "    http://127.0.0.1:8080\n\n"
    )


def test_base_url_of_an_api_without_a_variable() -> None:
    """The URL alone is shown for other targets."""
    text = start_block(sample(ProxyStarted, targets=("api.example.com:8443",)))
    assert (
        "instead of api.example.com:8443; this needs no certificate:\n    http://127.0.0.1:8080\n"
        in text
    )


def test_no_base_url_without_an_exact_target() -> None:
    """The base-URL way is not offered where it would not work."""
    assert "base URL" not in start_block(sample(ProxyStarted, targets=("*.example.com",)))


def test_fake_upstream_is_named() -> None:
    """No one should take the built-in API's answers for the real ones."""
    assert "built-in fake API" in start_block(sample(ProxyStarted, fake_upstream=True))


def test_paths_are_quoted_for_the_shell() -> None:
    """The line can be pasted even if the path has a space."""
    text = start_block(sample(ProxyStarted, ca_cert="/my data/ca.crt"))
    assert "SSL_CERT_FILE='/my data/ca.crt'" in text


def test_without_a_certificate_authority() -> None:
    """Only the way in is shown that works."""
    text = start_block(sample(ProxyStarted, ca_cert=None))
    assert "  CA       none: the proxy works only as base URL, see the warning below\n" in text
    assert "  Give a client the proxy as base URL, instead of " in text
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:8080" in text
    assert "HTTPS_PROXY" not in text
    assert "ca instructions" not in text


@pytest.mark.parametrize(
    ("host", "url", "shown"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080", "0.0.0.0: on every IPv4"),
        ("::", "http://[::1]:8080", "[::]: on every IPv6"),
    ],
)
def test_every_address(host: str, url: str, shown: str) -> None:
    """The URL is one that works here; that others work too is said."""
    text = start_block(sample(ProxyStarted, host=host, url=url))
    title = text.splitlines()[0]
    assert title.endswith(f" listens on {url} ({shown} address of this machine)")
    assert text.count(shown) == 1


def test_looks() -> None:
    """The title's looks are switched on and off around it."""
    title = start_block(sample(ProxyStarted), bold="<b>", plain="</b>").splitlines()[0]
    assert title == "<b>faultinject 1.2.3 listens on http://127.0.0.1:8080</b>"


def test_rules_are_named() -> None:
    """Beside the short form if it is one of them, else in its place; not more than fit."""
    alone = start_block(sample(ProxyStarted, rules=("overloaded", "my rule")))
    assert "  rules    overloaded, my rule\n" in alone
    assert "  errors " not in alone
    both = start_block(sample(ProxyStarted, rules=("overloaded", "options")))
    assert "  errors   10 % of requests get status 429\n  rules    overloaded, options\n" in both
    many = start_block(sample(ProxyStarted, rules=tuple(f"r{n}" for n in range(10))))
    assert "  rules    r0, r1, r2, r3, r4, r5, r6, r7 and 2 more\n" in many
    assert "  rules " not in start_block(sample(ProxyStarted))
    sometimes = sample(ProxyStarted, rules=("a", "b", "c"), chances={"a": 0.3, "c": 0.005})
    assert "  rules    a (30 %), b, c (0.5 %)\n" in start_block(sometimes)
    first = sample(
        ProxyStarted, rules=("a", "b"), chances={"a": 0.3}, first_attempts={"a": 2, "b": 1}
    )
    assert (
        "  rules    a (30 %, first 2 attempts of each call), b (first attempt of each call)\n"
    ) in start_block(first)


@pytest.mark.parametrize("refuses", [True, False])
def test_that_websockets_are_refused(refuses: bool) -> None:
    """A client that gets 426 from nowhere would be a riddle."""
    line = "  refused  WebSockets to a target, with status 426\n"
    assert (line in start_block(sample(ProxyStarted, refuse_websocket=refuses))) is refuses
    assert (line in plugin_block(sample(PluginStarted, refuse_websocket=refuses))) is refuses


def test_the_plugins_block() -> None:
    """How Fault is started, and how a client is pointed at Fault."""
    text = plugin_block(sample(PluginStarted))
    title, *lines = text.splitlines()
    assert title == (
        "faultinject 1.2.3 is a plugin of Fault at http://127.0.0.1:50051 and "
        "http://127.0.0.1:50052"
    )
    assert "    fault run --grpc-plugin http://127.0.0.1:50051 --upstream '*'" in lines
    assert "  errors   10 % of requests get status 429" in lines
    assert (
        "    HTTPS_PROXY=http://127.0.0.1:3180 SSL_CERT_FILE=/data/fault-ca.crt python app.py"
    ) in lines


def test_the_plugins_block_for_another_host() -> None:
    """No command is made up."""
    text = plugin_block(sample(PluginStarted, command="", tunnel="reply"))
    assert "fault run" not in text
    assert "send the reply to a chunk back" in text


@pytest.mark.parametrize(
    ("only", "line"),
    [
        ("model", "  only     calls of a model\n"),
        ("all", "  only     every request, also housekeeping\n"),
        ("api", ""),
    ],
)
def test_what_presets_and_the_options_are_for(only: str, line: str) -> None:
    """It is said if it is not as usual."""
    text = start_block(sample(ProxyStarted, only=only, only_for=("options",)))
    assert line in text
    assert ("  only " in text) is bool(line)
    assert "  only " not in start_block(sample(ProxyStarted, only=only, only_for=()))


def test_a_presets_rules_stand_once() -> None:
    """Unless their chances differ; another preset of one rule, and rules of one's own, as ever."""
    text = start_block(
        sample(
            ProxyStarted,
            rules=("p-frame", "p", "d-one", "d-two", "own", "p2"),
            presets={"p-frame": "p", "p": "p", "d-one": "d", "d-two": "d", "p2": "p2"},
            chances={"p-frame": 0.5, "p": 0.5, "d-two": 0.25},
        )
    )
    assert "  rules    p (50 %), d-one, d-two (25 %), own, p2\n" in text


def test_hosts_whose_api_is_not_known() -> None:
    """Each has a line."""
    for text in (
        start_block(sample(ProxyStarted, unknown_apis=("api.groq.com",))),
        plugin_block(sample(PluginStarted, unknown_apis=("api.groq.com",))),
    ):
        assert "\n           api.groq.com: unknown host: its API is read from each request" in text
    assert "unknown host" not in start_block(sample(ProxyStarted))


def test_hosts_that_were_told_to_speak_as_an_api() -> None:
    """It stands as it was given."""
    given = {
        "targets": ("api.openai.com", "localhost:8000"),
        "told_apis": {"localhost:8000": "cohere"},
    }
    for text in (
        start_block(sample(ProxyStarted, **given)),
        plugin_block(sample(PluginStarted, **given)),
    ):
        assert "  targets  api.openai.com, localhost:8000=cohere" in text


def test_without_the_hints() -> None:
    """What the clients have already been given is not told; the rest is."""
    text = start_block(sample(ProxyStarted), setup_hints=False)
    assert "  targets  " in text
    assert "Point a client" not in text
    assert "base URL" not in text
    assert text.endswith("\n\n")
