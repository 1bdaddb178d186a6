"""OpenAI's two kinds of stream: what is in them, and how they end early."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faultinject.providers.documents import TEXT, event
from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.sse import encode
from faultinject.providers.openai import PROVIDER, chat, responses
from faultinject.providers.openai.chat import called
from faultinject.providers.openai.responses import KEPT_BYTES, numbered
from faultinject.providers.shape import ApiRequest, Failure, Progress, StreamShape, Usage
from tests.unit.providers.support import (
    MESSAGES,
    SCHEMA,
    documents_of,
    events_of,
    fields_of,
    passed,
    uniform,
)

FIELDS = fields_of(PROVIDER)
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
TOOL = {"type": "function", "name": "weather", "parameters": SCHEMA}
ARGUMENTS = {"city": "example", "days": 1}


def minimal(shape: StreamShape, **document: Any) -> list[bytes]:
    """Return the smallest stream for a request."""
    asked = ApiRequest("", {"model": "m", "messages": MESSAGES, "input": "How are you?"} | document)
    return shape.minimal(asked, FIELDS, uniform())


def ended(progress: Progress) -> list[Any]:
    """Return the events of an early end."""
    return documents_of(*progress.end_early(uniform()))


# Tools


@pytest.mark.parametrize("tool", [CHAT_TOOL, TOOL], ids=["chat", "responses"])
def test_which_function_is_called(tool: dict[str, Any]) -> None:
    """The first, or the one that is wanted, unless none may be or the last message answers."""
    other = json.loads(json.dumps(tool).replace("weather", "time"))
    both = {"tools": [{"type": "web_search"}, tool, other]}

    def name(**more: Any) -> str | None:
        call = called(ApiRequest("", both | more))
        return None if call is None else call.name

    assert name() == "weather"
    assert name(tool_choice="auto") == "weather"
    chosen = json.loads(json.dumps(tool).replace("weather", "time"))
    assert name(tool_choice=chosen) == "time"
    assert name(tool_choice="none") is None
    assert name(messages=[{"role": "tool"}]) is None
    assert name(input=[{"role": "user"}, {"type": "function_call_output"}]) is None
    assert name(messages=[{"role": "tool"}, {"role": "user"}]) == "weather"
    assert name(tools=[]) is None
    assert name(tools=[{"type": "function"}]) is None


# Chat Completions


def test_a_chat_stream_of_text() -> None:
    """Chunks without names share an id, begin with a role, and end with a reason and [DONE]."""
    pieces = minimal(chat.STREAM)
    assert pieces[-1] == b"data: [DONE]\n\n"
    chunks = documents_of(*pieces[:-1])
    assert {event.name for event in events_of(*pieces)} == {None}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert "usage" not in chunks[0]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == TEXT
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:] == [None, "stop"]


def test_a_chat_stream_of_a_call() -> None:
    """The first delta has the call's id and name, the others its arguments."""
    chunks = documents_of(*minimal(chat.STREAM, tools=[CHAT_TOOL])[:-1])
    calls = [
        chunk["choices"][0]["delta"]["tool_calls"][0]
        for chunk in chunks
        if chunk["choices"][0]["delta"]
    ]
    assert calls[0]["function"] == {"name": "weather", "arguments": ""}
    assert calls[0]["id"].startswith("call_")
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == ARGUMENTS
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_usage_in_a_chat_stream() -> None:
    """If the request wants it, a last chunk without choices has it, and all others a null."""
    pieces = minimal(chat.STREAM, stream_options={"include_usage": True})
    chunks = documents_of(*pieces[:-1])
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert passed(chat.STREAM.progress(), *pieces).usage == Usage(5, 16)
    end = ended(passed(chat.STREAM.progress(), *pieces[:6]))
    assert end[0]["choices"][0]["finish_reason"] == "length"
    assert end[1]["usage"]["completion_tokens"] == 6
    assert end[2] is None
    assert len(end) == 3


def test_the_early_end_of_a_chat_stream() -> None:
    """Every choice that is open gets its reason, in chunks like those that passed."""
    first = {"id": "x", "system_fingerprint": "fp", "choices": [{"index": 0, "delta": {}}]}
    progress = chat.STREAM.progress()
    for choices in [[{"index": 0}], [{"index": 2}], [{"index": 1}, {"delta": {}}]]:
        passed(progress, event(first | {"choices": choices}))
    passed(progress, event({"choices": [{"index": 2, "finish_reason": "stop"}]}))
    *chunks, done = progress.end_early(uniform())
    assert done == chat.DONE
    assert [document["choices"][0]["index"] for document in documents_of(*chunks)] == [0, 1]
    assert {document["system_fingerprint"] for document in documents_of(*chunks)} == {"fp"}


def test_choices_are_bounded() -> None:
    """An origin that goes mad does not fill the memory."""
    progress = chat.STREAM.progress()
    for index in range(chat.MOST_CHOICES + 50):
        passed(progress, event({"choices": [{"index": index}]}))
    assert len(progress.end_early(uniform())) == chat.MOST_CHOICES + 1


def test_errors_in_a_chat_stream() -> None:
    """They are data without a name, and nothing follows them."""
    progress = passed(chat.STREAM.progress(), *minimal(chat.STREAM)[:3])
    raw = progress.error(Failure(503), FIELDS, uniform())
    assert raw.startswith(b'data: {"error":{"message":"Our servers are currently overloaded.')
    assert raw.count(b"\n") == 2
    assert passed(progress, raw).end_early(uniform()) == []


# Responses


def test_a_stream_of_a_response() -> None:
    """Events are numbered from 0 and named in their data; the last has the whole response."""
    pieces = minimal(responses.STREAM)
    events = events_of(*pieces)
    assert [event.json["type"] for event in events] == [event.name for event in events]
    assert [event.json["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1].name == "response.completed"
    [item] = events[-1].json["response"]["output"]
    assert item["content"][0]["text"] == TEXT
    assert passed(responses.STREAM.progress(), *pieces).usage == Usage(3, 16)


def test_a_stream_of_a_response_with_a_call() -> None:
    """Its arguments come as fragments."""
    documents = documents_of(*minimal(responses.STREAM, tools=[TOOL]))
    name = "response.function_call_arguments.delta"
    fragments = [one["delta"] for one in documents if one["type"] == name]
    assert json.loads("".join(fragments)) == ARGUMENTS
    [item] = documents[-1]["response"]["output"]
    assert json.loads(item["arguments"]) == ARGUMENTS


def test_the_early_end_of_a_text() -> None:
    """What was said is repeated, and the numbers go on."""
    pieces = minimal(responses.STREAM)
    progress = passed(responses.STREAM.progress(), *pieces[:7])
    end = ended(progress)
    assert [one["type"] for one in end] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    assert [one["sequence_number"] for one in end] == [7, 8, 9, 10]
    response = end[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["status"] == response["output"][0]["status"] == "incomplete"
    assert response["output"][0]["content"][0]["text"] == end[0]["text"] == "This answer was"
    assert response["usage"]["output_tokens"] == 3


def test_the_early_end_of_a_call() -> None:
    """The arguments stay as they came: incomplete."""
    pieces = minimal(responses.STREAM, tools=[TOOL])
    arguments, done, incomplete = ended(passed(responses.STREAM.progress(), *pieces[:5]))
    assert arguments["type"] == "response.function_call_arguments.done"
    assert arguments["arguments"] == done["item"]["arguments"] == '{"city":'
    assert incomplete["response"]["output"] == [done["item"]]


def test_items_that_are_done_stay_in_the_early_end() -> None:
    """In their order, with what is open as it is: an item of another kind too."""
    added, done = "response.output_item.added", "response.output_item.done"
    progress = passed(
        responses.STREAM.progress(),
        numbered("response.created", 0, {"response": {"id": "r"}}),
        numbered(added, 1, {"output_index": 0, "item": {"id": "a"}}),
        numbered(done, 2, {"output_index": 0, "item": {"id": "a", "status": "completed"}}),
        numbered(added, 3, {"output_index": 1, "item": {"id": "b", "type": "reasoning"}}),
        numbered("response.reasoning.delta", 4, {"output_index": 1}),
        numbered("response.odd", 5, {"output_index": 7}),
        encode(None, b"[DONE]"),
    )
    closed, incomplete = ended(progress)
    assert closed["item"] == {"id": "b", "type": "reasoning", "status": "incomplete"}
    assert closed["sequence_number"] == 6
    assert [item["id"] for item in incomplete["response"]["output"]] == ["a", "b"]
    assert incomplete["response"]["id"] == "r"


def test_an_answer_that_is_too_large_to_be_repeated() -> None:
    """Its end lacks what came later, and memory stays bounded."""
    added, done = "response.output_item.added", "response.output_item.done"
    progress = passed(
        responses.STREAM.progress(),
        numbered("response.created", 0, {"response": {"id": "r"}}),
        numbered(added, 1, {"output_index": 0, "item": {"id": "a", "type": "message"}}),
        numbered("response.content_part.added", 2, {"output_index": 0, "content_index": "x"}),
    )
    for delta in ("kept", "x" * KEPT_BYTES, "lost"):
        document = {"output_index": 0, "delta": delta}
        passed(progress, numbered("response.output_text.delta", 3, document))
    for index, name in enumerate("bc", start=1):
        item = {"output_index": index, "item": {"id": name}}
        passed(progress, numbered(added, 4, item), numbered(done, 5, item))
    end = ended(progress)
    assert end[0]["text"] == "kept"
    assert end[0]["content_index"] == 0
    assert [one["id"] for one in end[-1]["response"]["output"]] == ["a"]
    assert end[-1]["response"]["usage"]["output_tokens"] == 3


def test_errors_in_a_stream_of_a_response() -> None:
    """Each form has the next number, and the usual one is two of them in turn."""
    progress = passed(responses.STREAM.progress(), *minimal(responses.STREAM)[:4])
    forms = {
        form: documents_of(progress.error(Failure(503), FIELDS, uniform(), form))[0]
        for form in ("nested", "flat", "failed")
    }
    assert {one["sequence_number"] for one in forms.values()} == {4}
    error = {
        "type": "service_unavailable_error",
        "code": "server_is_overloaded",
        "message": "Our servers are currently overloaded. Please try again later.",
        "param": None,
    }
    assert forms["nested"] == {"type": "error", "error": error, "sequence_number": 4}
    assert forms["flat"] == error | {"type": "error", "sequence_number": 4}
    response = forms["failed"]["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": error["code"], "message": error["message"]}
    assert response["object"] == "response"
    assert documents_of(progress.error(Failure(503), FIELDS, uniform())) == [
        forms["nested"],
        forms["failed"] | {"sequence_number": 5},
    ]


def test_a_response_that_fails_before_it_began() -> None:
    """Is whole all the same, as clients read its id."""
    error, failed = documents_of(responses.STREAM.progress().error(Failure(503), FIELDS, uniform()))
    assert [error["sequence_number"], failed["sequence_number"]] == [0, 1]
    assert failed["response"]["id"].startswith("resp_")
    assert failed["response"]["status"] == "failed"


def test_an_error_ends_a_stream_of_a_response() -> None:
    """Nothing follows it, in any form; a failure without a code has its type for one."""
    for form in responses.STREAM.error_forms:
        progress = passed(responses.STREAM.progress(), *minimal(responses.STREAM)[:4])
        raw = progress.error(Failure(500), FIELDS, uniform(), form)
        found = events_of(raw)[-1]
        assert responses.STREAM.is_terminator(found) == (form in ("failed", "both"))
        assert passed(progress, raw).end_early(uniform()) == []
    assert b'"code":"server_error"' in raw


def test_a_stream_without_numbers() -> None:
    """They are counted then, as other APIs that speak alike may leave them out."""
    progress = responses.STREAM.progress()
    for _ in range(3):
        progress.observe(StreamEvent(b"", None, b'{"type":"response.created","response":{}}'))
    assert ended(progress)[0]["sequence_number"] == 3
