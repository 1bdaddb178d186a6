"""Which faults say the model's name, so that it must be known."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.config.rules import read_rules
from faultinject.faults.render import names_model
from faultinject.providers.known import provider_named

ALL = ["anthropic", "openai", "plain"]


def named(fault: dict[str, Any], api: str) -> bool:
    """Return whether a fault, as it is written in a rule, names the model."""
    [rule] = read_rules([{"fault": fault}], "test").rules
    described = rule.faults[0].fault
    provider = provider_named(api)
    assert provider is not None
    return names_model(described.respond, described.stream, provider)


@pytest.mark.parametrize(
    ("fault", "apis"),
    [
        ({"respond": {"failure": "rate-limited"}}, ["openai"]),
        ({"respond": {"status": 429, "retry_after": 1}}, ["openai"]),
        ({"respond": {"status": 404, "error": "not_found_error"}}, ["anthropic", "openai"]),
        (
            {"respond": {"status": 500, "message": "{model} is ill"}},
            ALL,
        ),
        ({"respond": {"status": 500, "body": "{model}"}}, ALL),
        (
            {"respond": {"status": 503, "body": "", "headers": {"x-model": "{model}"}}},
            ALL,
        ),
        ({"stream": {"error": {"status": 429}}}, ["openai"]),
        ({"stream": {"error": {"message": "{model} is ill"}}}, ALL),
        ({"stream": [{"chunks": "split"}, {"error": {"status": 429}}]}, ["openai"]),
        ({"respond": 529}, []),
        ({"respond": {"status": 500, "message": "ill"}}, []),
        ({"respond": {"status": 500, "body": "{models} {request_id}"}}, []),
        ({"respond": {"page": "cloudflare-520"}}, []),
        ({"stream": {"error": True}}, []),
        ({"stream": {"cut": True}}, []),
        ({"delay": "1s"}, []),
    ],
)
def test_what_names_the_model(fault: dict[str, Any], apis: list[str]) -> None:
    """By the API's own words, or the rule's."""
    assert [api for api in ALL if named(fault, api)] == apis
