"""What docs/providers promises of each provider."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faultinject.config.file import from_yaml
from faultinject.config.rules import read_rules
from faultinject.providers import gateway
from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Failure
from faultinject.report.preview import shown
from tests.unit.providers.support import fields_of

DOCS = Path(__file__).parents[3] / "docs" / "providers"
SHARED = {"vertex": "gemini"}
"""Providers that are described on another's page."""
every_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)


def page(name: str) -> str:
    """Return a page's text."""
    name = SHARED.get(name, name)
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables' rows."""
    lines = re.findall(r"^\|(.*)\|$", text, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines if " | " in line]


def test_each_provider_has_a_page() -> None:
    """And no other page is there."""
    names = {SHARED.get(provider.name, provider.name) for provider in PROVIDERS}
    assert {path.stem for path in DOCS.iterdir()} == names


@every_provider
def test_failures_have_the_status_that_is_shown(provider: Provider) -> None:
    """Every failure is named on its page, with its status."""
    text = page(provider.name)
    shown = {row[0].strip("`"): row[1] for row in rows(text) if len(row) > 2}
    listed = dict(re.findall(r"`([\w-]+)` \((\d{3})", text))
    for name, failure in provider.failures.items():
        assert str(failure.status) in ({**shown, **listed}[name]).split(", ")


@every_provider
def test_types_are_those_that_are_shown(provider: Provider) -> None:
    """Statuses and types in the table of errors are what is sent."""
    statuses = [row for row in rows(page(provider.name)) if re.fullmatch(r"\d{3}", row[0])]
    assert len(statuses) > 5 or provider.name == "plain"
    for row in statuses:
        assert f"`{provider.error_type(int(row[0]))}`" in row[1]


def test_messages_are_those_that_are_shown() -> None:
    """The messages of Anthropic's table are what is sent."""
    provider = PROVIDERS[0]
    checked = 0
    for row in rows(page("anthropic")):
        if re.fullmatch(r"\d{3}", row[0]) and (words := re.fullmatch(r"`([^`]+)`", row[2])):
            body = provider.error_body(Failure(int(row[0])), fields_of(provider))
            assert words[1].encode() in body
            checked += 1
    assert checked >= 7


def test_pages_of_gateways() -> None:
    """Each is named, with its status."""
    text = page("anthropic")
    shown = {row[0].strip("`"): row[1] for row in rows(text)}
    for name, answer in {**gateway.PAGES, **PROVIDERS[0].pages}.items():
        assert f"`{name}` ({answer.status})" in text or shown[name] == str(answer.status)


@every_provider
def test_what_is_in_front_of_the_api(provider: Provider) -> None:
    """The page that each part is for an API is in the table."""
    parts = [provider.pages[part] for part in gateway.PARTS]
    names = [
        next(name for name, known in gateway.PAGES.items() if known.body is part.body)
        for part in parts
    ]  # fmt: skip
    assert f"| {' | '.join(f'`{name}`' for name in names)} |" in page("anthropic")


@every_provider
def test_rules_on_its_page_do_something(provider: Provider) -> None:
    """Each can be read, and makes bytes for a request to this API."""
    for text in re.findall(r"```yaml\n(.*?)```", page(provider.name), flags=re.DOTALL):
        for rule in read_rules(from_yaml(text)["rules"], "page").rules:
            assert any(one.text for one in shown(rule, provider)), rule.id


@every_provider
def test_headers_are_those_that_are_named(provider: Provider) -> None:
    """Each header that an error has is on the provider's page."""
    fields = fields_of(provider)
    for name, _ in provider.identity_headers(fields, 500):
        assert f"`{name.decode()}" in page(provider.name)


@every_provider
def test_forms_of_errors_in_streams(provider: Provider) -> None:
    """Where there are several, each is named."""
    for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses"):
        forms = provider.shape_of(path).stream.error_forms
        assert len(forms) == 1 or all(f"`{form}`" in page(provider.name) for form in forms)
