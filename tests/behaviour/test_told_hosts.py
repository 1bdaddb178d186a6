"""Rules at a host of one's own, of which the user says what is spoken there."""

from __future__ import annotations

import json

import pytest

from tests.support.bench import TARGET, answers, ok, open_bench, post
from tests.support.llm_api import completion_events

CHAT = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
STREAM = ok(b"".join(completion_events()), b"Content-Type: text/event-stream")


@pytest.mark.parametrize("targets", [(TARGET,), (f"{TARGET}=openai",)])
async def test_whose_words_come(targets, autojump_clock):
    """The path alone makes it OpenAI's; the user's word makes it nobody's, in the same form."""
    rules = [
        {"match": {"provider": name}, "fault": {"respond": {"failure": "overloaded"}}}
        for name in ("openai", "plain")
    ]
    async with open_bench(targets=targets) as bench:
        bench.rules(*rules)
        client = await bench.tls()
        answer = await client.ask(post("/v1/chat/completions", CHAT))
        error = answer.json()["error"]
        is_told = targets != (TARGET,)
        assert error["message"].startswith("Service Unav" if is_told else "Our servers")
        assert (answer.header(b"openai-version") is None) == is_told


async def test_a_stream_is_ended_as_the_api_would(autojump_clock):
    """Also at a path that only the user's word makes one of OpenAI's."""
    rule = {
        "match": {"shape": "chat", "stream": True},
        "fault": {"stream": {"after": {"count": 1}, "end_early": "max_tokens"}},
    }
    async with open_bench(targets=(f"{TARGET}=openai",), upstream=answers(STREAM)) as bench:
        bench.rules(rule)
        client = await bench.tls()
        answer = await client.ask(post("/v1/chat/completions", CHAT))
        assert answer.body.endswith(b'"finish_reason":"length"}]}\n\ndata: [DONE]\n\n')
