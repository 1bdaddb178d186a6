"""A host of one's own, of which the user says what is spoken there."""

from __future__ import annotations

import json

import pytest

from faultinject.authority import TargetPattern
from faultinject.errors import SettingsError
from faultinject.faults.respond import Respond
from faultinject.http.message import RequestHead
from faultinject.providers.shape import Failure
from faultinject.providers.told import KNOWN, NAMES, Apis
from faultinject.rules.facts import Facts
from tests.unit.providers.support import documents_of, fields_of, passed, uniform

APIS = Apis.of([TargetPattern.parse_target("http://localhost:8000=openai")])
CHAT = "/v1/chat/completions"


def test_a_told_host_speaks_in_generic_words() -> None:
    """The form is that of the API, the words are those of nobody, and no header is OpenAI's."""
    provider = APIS.provider_for("localhost", 8000, CHAT)
    assert (provider.name, provider.shape_of(CHAT).name) == ("plain", "chat")
    assert provider.shape_of("/responses").name == "responses"
    request = provider.api_request(CHAT, {"model": "m"}, "localhost")
    fields = fields_of(provider, request)
    error = json.loads(provider.error_body(Failure(404), fields))["error"]
    assert error["message"] == "Not Found"
    assert (
        json.loads(provider.error_body(Failure(404, message="own"), fields))["error"]["message"]
        == "own"
    )
    assert [name for name, _ in provider.identity_headers(fields, 500)] == [b"X-Request-Id"]
    assert provider.pages["bad-gateway"].body(fields).count(b"nginx") == 1


def test_its_streams_are_followed() -> None:
    """Usage, errors and early ends are those of the API."""
    provider = APIS.provider_for("localhost", 8000, CHAT)
    request = provider.api_request(
        CHAT, {"model": "m", "stream_options": {"include_usage": True}}, "localhost"
    )
    stream, fields = provider.shape_of(CHAT).stream, fields_of(provider, request)
    pieces = stream.minimal(request, fields, uniform())
    progress = passed(stream.progress(), *pieces[:3])
    assert progress.usage is None
    [error] = documents_of(progress.error(Failure(503), fields, uniform()))
    assert error["error"]["message"] == "Service Unavailable"
    assert progress.end_early(uniform())[-1] == b"data: [DONE]\n\n"
    usage = passed(stream.progress(), *pieces).usage
    assert usage is not None
    assert usage.output_tokens


@pytest.mark.parametrize("name", NAMES)
def test_each_api_can_be_told(name: str) -> None:
    """Its failures are the general ones."""
    apis = Apis.of([TargetPattern.parse_target(f"*.example.com={name}")])
    provider = apis.provider_for("a.example.com", 443, "/x")
    assert json.loads(provider.error_body(Failure(500), fields_of(provider)))
    assert "spend-cap" not in provider.failures


def test_other_hosts_and_ports_are_as_ever() -> None:
    """Also for facts, which know nothing that is told unless they are made with it."""
    assert APIS.provider_for("localhost", 8001, CHAT).name == "openai"
    assert KNOWN.provider_for("localhost", 8000, CHAT).name == "openai"
    assert APIS.kind_of("localhost", 8000, "GET", "/") == "housekeeping"
    assert APIS.kind_of("localhost", 8001, "GET", "/") == "api"
    head = RequestHead(b"POST", CHAT.encode(), ())
    facts = Facts("localhost", 8000, head, apis=APIS)
    assert (facts.provider.name, facts.shape, facts.kind) == ("plain", "chat", "model")
    assert facts.counted(1, "c").provider is facts.provider


def test_an_api_that_is_unknown() -> None:
    """The error lists those that there are."""
    with pytest.raises(SettingsError) as caught:
        Apis.of([TargetPattern.parse_target("localhost=opnai")])
    message = str(caught.value)
    start = "target_host: localhost=opnai: no API has this name; did you mean openai? There are ant"
    assert message.startswith(start)
    assert all(name in message for name in NAMES)
    with pytest.raises(SettingsError, match="this name; there are anthropic"):
        Apis.of([TargetPattern.parse_target("localhost=9")])


@pytest.mark.parametrize("name", NAMES)
def test_what_it_is_called_where_it_lacks_something(name: str) -> None:
    """By what the user wrote, and not by its name in rules."""
    provider = Apis.of([TargetPattern.parse_target(f"localhost={name}")]).provider_for(
        "localhost", 443, "/x"
    )
    why = provider.why_no_failure("credit-empty")
    assert why is not None
    assert why.startswith(f"a host told to be ={name} has no failure credit-empty; it has ")
    assert Respond(None, page="x").why_unfit(provider) == (
        f"a host told to be ={name} has no page x; every API has bad-gateway, gateway-unavailable,"
        " gateway-timeout, or give status and body"
    )
