"""What answers that are errors say, and how much of it is remembered."""

from __future__ import annotations

import gzip
import json

import pytest

from faultinject.authority import TargetPattern
from faultinject.http.message import ResponseHead
from faultinject.providers.known import PROVIDERS, provider_for
from faultinject.providers.retries import HEADERS_READ
from faultinject.providers.told import Apis
from faultinject.proxy import exchange_end
from faultinject.proxy.exchange_end import LONGEST_ERROR, REMEMBERED, WholeErrors

PROVIDER = provider_for("api.anthropic.com", "/v1/messages")
GOOGLE = provider_for("generativelanguage.googleapis.com", "/v1beta/models/x:generateContent")
UNPAID = json.dumps({"error": {"type": "billing_error", "message": "no credit"}}).encode()
DATE = b"Mon, 30 Nov 2026 12:00:10 GMT"
NOON = 1796040000.0


def head(status: int = 429, **headers: bytes) -> ResponseHead:
    """Return the head of an error; an underscore in a header's name is a dash."""
    named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return ResponseHead(status, b"X", tuple(named))


def test_an_error_says_what_its_head_and_its_body_say() -> None:
    """Each time, also when they come in other pairs."""
    errors = WholeErrors()
    asks = head(Retry_After=b"3", X_Should_Retry=b"true")
    for _ in range(2):
        told = [errors.part_of(PROVIDER, each, UNPAID, NOON)[:6] for each in (asks, head())]
        assert told == [
            ("whole", "answer", "quota", 3.0, "retry-after", True),
            ("whole", "answer", "quota", None, None, None),
        ]
        assert errors.part_of(PROVIDER, head(), b"{}", NOON)[2] == "throttled"
        assert errors.part_of(PROVIDER, head(), None, NOON)[2] == "throttled"
        assert errors.told_by(PROVIDER, asks, NOON) == (False, 3.0)
        assert errors.told_by(PROVIDER, head(400), NOON) == (True, 0.0)


def test_the_same_error_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is one object, for it is kept with each attempt."""
    errors = WholeErrors()
    first = errors.part_of(PROVIDER, head(), UNPAID, NOON)
    monkeypatch.setattr(exchange_end, "failure_kind", None)
    assert errors.part_of(PROVIDER, head(), UNPAID, NOON) is first


def test_an_error_is_the_same_with_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """And with other headers that nobody reads. APIs without ids of requests have errors too."""
    errors = WholeErrors()
    names = ({"Request_Id": b"req_%013d" % 1, "Date": DATE}, {"Request_Id": b"req_%013d" % 2})
    heads = [head(**each) for each in names]
    bodies = [UNPAID[:-1] + b', "request_id": "req_%013d"}' % number for number in (1, 2)]
    first = errors.part_of(PROVIDER, heads[0], bodies[0], NOON)
    other = errors.part_of(GOOGLE, heads[0], UNPAID, NOON)
    told = errors.told_by(PROVIDER, heads[0], NOON)
    monkeypatch.setattr(exchange_end, "failure_kind", None)
    assert errors.part_of(PROVIDER, heads[1], bodies[1], NOON) is first
    assert errors.part_of(GOOGLE, heads[1], UNPAID, NOON) is other
    assert errors.told_by(PROVIDER, heads[1], NOON) is told


class NotingHead(ResponseHead):
    """The head of an error that notes which headers it is asked for."""

    asked: set[bytes]

    def find(self, name: bytes) -> bytes | None:
        """As of the head."""
        self.asked.add(name)
        return super().find(name)

    def has_header(self, name: bytes) -> bool:
        """As of the head."""
        self.asked.add(name)
        return super().has_header(name)


def test_errors_are_told_apart_by_all_headers_that_are_read() -> None:
    """Where they are there, but tell nothing, and where they are not."""
    asked: set[bytes] = set()
    ids = {provider.request_id_header for provider in PROVIDERS}
    waits = tuple((name, b"soon") for name in HEADERS_READ)
    for provider in PROVIDERS:
        for status in (400, 402, 403, 404, 429, 501, 503):
            for headers in (waits, ()):
                told = NotingHead(status, b"X", headers)
                told.asked = asked
                WholeErrors().part_of(provider, told, UNPAID, NOON)
                WholeErrors().told_by(provider, told, NOON)
    assert asked - ids == {*HEADERS_READ, b"content-encoding"}  # a coded one is not remembered


def test_hosts_that_are_told_to_speak_as_apis_have_errors_of_their_own() -> None:
    """They share a name, but not the statuses after which another attempt may help."""
    errors = WholeErrors()
    targets = map(TargetPattern.parse_target, ("a.example=openai", "b.example=gemini"))
    apis = Apis.of(targets)
    hosts = [apis.provider_for(f"{name}.example", 443, "/") for name in "ab"]
    assert len({provider.name for provider in hosts}) == 1
    kinds = [errors.part_of(provider, head(409), b"{}", NOON)[2] for provider in hosts]
    assert kinds == ["transient", "final"]
    assert [errors.told_by(provider, head(409), NOON)[0] for provider in hosts] == [False, True]


def test_an_id_that_may_be_text_by_chance() -> None:
    """A mock that counts its answers: the first asks to wait for 1 s, the second for 2 s."""
    errors = WholeErrors()
    for number in (1, 2):
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{number}s"}
        body = json.dumps({"error": {"details": [retry]}}).encode()
        counted = head(Request_Id=b"%d" % number)
        assert errors.part_of(PROVIDER, counted, body, NOON)[3] == number


UNPAID_TYPE = b'{"error": {"type": "insufficient_quota"}}'
WORDS = b"rate_limit_reached", b"insufficient_quota"
IDS = b"req_%013d" % 1, b"req_%013d" % 2
MEMBER = b'"code": "insufficient_quota", "n": 1, '


@pytest.mark.parametrize(
    ("throttled", "unpaid"),
    [
        ((WORDS[0], UNPAID_TYPE.replace(*WORDS[::-1])), (WORDS[1], UNPAID_TYPE)),
        ((IDS[0], b'{"error": {"m": 1}}'), (MEMBER, b'{"error": {%b"m": 1}}' % MEMBER)),
        ((IDS[0], UNPAID_TYPE.replace(b"_", b"_" + IDS[0])), (IDS[1], UNPAID_TYPE)),
    ],
    ids=["a word", "JSON", "within a word"],
)
def test_an_id_in_what_is_read(throttled: tuple[bytes, bytes], unpaid: tuple[bytes, bytes]) -> None:
    """Such errors are not the same, though they would be without their ids."""
    errors = WholeErrors()
    for (id_, body), kind in ((throttled, "throttled"), (unpaid, "quota")):
        assert errors.part_of(PROVIDER, head(Request_Id=id_), body, NOON)[2] == kind


def test_how_long_it_is_until_a_time_is_never_remembered() -> None:
    """It is another each time."""
    errors = WholeErrors()
    asks = head(Retry_After=DATE)
    for passed in (0.0, 4.0):
        assert errors.part_of(PROVIDER, asks, b"", NOON + passed)[3] == 10.0 - passed
        assert errors.told_by(PROVIDER, asks, NOON + passed) == (False, 10.0 - passed)


def test_errors_are_remembered_in_part() -> None:
    """However many there are, and however long. Of a coded one its id cannot be told apart."""
    errors = WholeErrors()
    for number in range(2 * REMEMBERED + 1):
        asks = head(Retry_After=b"%d" % number)
        assert errors.part_of(PROVIDER, asks, b"", NOON)[3] == number
        assert errors.told_by(PROVIDER, asks, NOON) == (False, number)
        assert len(errors._remembered) <= REMEMBERED
        assert len(errors._told_by_heads) <= REMEMBERED
    errors = WholeErrors()
    assert errors.part_of(PROVIDER, head(), UNPAID + b" " * LONGEST_ERROR, NOON)[2] == "quota"
    coded = head(Content_Encoding=b"gzip")
    assert errors.part_of(PROVIDER, coded, gzip.compress(UNPAID), NOON)[2] == "quota"
    assert not errors._remembered
