"""Asks an API by a Python SDK, many calls at a time: a program of its own, driven by lines of JSON.

It runs in any virtual environment that has the SDK and imports nothing else, so that several
majors of an SDK can be tried by one test run. Each line is a case; each answer is a line with what
each of the case's calls, all on one client, came to.
"""

from __future__ import annotations

import importlib
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

AT_A_TIME = 6
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
Seen = dict[str, Any]


class AnthropicApi:
    """The Messages API."""

    def __init__(self, client: Any) -> None:
        self.messages = client.messages

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        """Ask for a whole answer."""
        message = self.messages.create(**request)
        if not hasattr(message, "content"):
            seen["returned"] = type(message).__name__
            return
        seen["text"] = "".join(block.text for block in message.content if block.type == "text")
        seen["stop"] = message.stop_reason

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        """Ask for a stream, and go through its events."""
        for event in self.messages.create(**request, stream=True):
            delta = getattr(event, "delta", None)
            seen["text"] += getattr(delta, "text", None) or ""
            seen["arguments"] += getattr(delta, "partial_json", None) or ""
            seen["stop"] = getattr(delta, "stop_reason", None) or seen["stop"]

    def helped(self, request: dict[str, Any], seen: Seen) -> None:
        """Ask for a stream by the SDK's helper, and for the final message."""
        with self.messages.stream(**request) as stream:
            for text in stream.text_stream:
                seen["text"] += text
            final = stream.get_final_message()
        seen["stop"] = final.stop_reason
        inputs = [block.input for block in final.content if block.type == "tool_use"]
        seen["arguments"] = json.dumps(inputs[0]) if inputs else ""

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        """Return the arguments of a call."""
        tool = {"tools": [{"name": "weather", "input_schema": CITY}]} if tools else {}
        return {"model": prompt, "max_tokens": 64, "messages": _said(prompt), **tool}


class CompletionsApi:
    """OpenAI's Chat Completions."""

    def __init__(self, client: Any) -> None:
        self.completions = client.chat.completions

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        """Ask for a whole answer."""
        answer = self.completions.create(**request)
        if not hasattr(answer, "choices"):
            seen["returned"] = type(answer).__name__
            return
        seen["text"] = answer.choices[0].message.content
        seen["stop"] = answer.choices[0].finish_reason

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        """Ask for a stream, and go through its events."""
        for chunk in self.completions.create(**request, stream=True):
            for choice in chunk.choices:
                self._note(choice, seen)

    def helped(self, request: dict[str, Any], seen: Seen) -> None:
        """Ask for a stream by the SDK's helper, and for the final message."""
        with self.completions.stream(**request) as stream:
            for event in stream:
                if event.type == "chunk":
                    self._note(event.chunk.choices[0], seen)
            final = stream.get_final_completion()
        seen["stop"] = final.choices[0].finish_reason

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        """Return the arguments of a call."""
        function = {"name": "weather", "parameters": CITY}
        tool = {"tools": [{"type": "function", "function": function}]} if tools else {}
        return {"model": prompt, "messages": _said(prompt), **tool}

    def _note(self, choice: Any, seen: Seen) -> None:
        seen["text"] += choice.delta.content or ""
        for call in choice.delta.tool_calls or ():
            seen["arguments"] += call.function.arguments or ""
        seen["stop"] = choice.finish_reason or seen["stop"]


def _said(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def client_of(sdk: Any, case: dict[str, Any]) -> Any:
    """Return a client that goes through the case's proxy."""
    trusted = ssl.create_default_context(cafile=case["ca_file"])
    http_client = sdk.DefaultHttpxClient(proxy=case["proxy"], verify=trusted)
    options: dict[str, Any] = {"api_key": "sk-test", "timeout": case["timeout"]}
    if sdk.__name__ == "anthropic":
        return sdk.Anthropic(base_url=case["base_url"], http_client=http_client, **options)
    base_url = case["base_url"] + "/v1"
    return sdk.OpenAI(base_url=base_url, http_client=http_client, **options)


def ask(api: Any, case: dict[str, Any], prompt: str) -> Seen:
    """Make a call, and say what came of it; after the deadline, that it did not end."""
    seen: Seen = {"text": "", "arguments": "", "stop": None}

    def call() -> None:
        try:
            getattr(api, case["mode"])(api.request(prompt, case["tools"]), seen)
        except Exception as error:
            seen.update(getattr(api, "failure", failure)(error))

    began = time.monotonic()
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(case["deadline"])
    outcome = dict(seen)
    outcome["hangs"] = thread.is_alive()
    return outcome | {"seconds": time.monotonic() - began}


def failure(error: Exception) -> Seen:
    """Return what an application can see of an exception."""
    kind = type(error)
    return {
        "error": f"{kind.__module__.split('.')[0]}.{kind.__name__}",
        "status": getattr(error, "status_code", None),
        "type": getattr(error, "code", None) or getattr(error, "type", None),
        "message": told(error) or str(error),
    }


def told(error: Exception) -> str | None:
    """Return the API's own message, if the exception has the document that says it."""
    body: Any = getattr(error, "body", None)
    try:
        document = json.loads(body) if isinstance(body, str) else body
    except ValueError:
        return body
    inner = document.get("error", document) if isinstance(document, dict) else None
    message = (inner.get("message") or inner.get("detail")) if isinstance(inner, dict) else inner
    return message if isinstance(message, str) else None


def main() -> None:
    """Answer the cases by an SDK whose name is the program's argument."""
    sdk = importlib.import_module(sys.argv[1])
    kind = AnthropicApi if sdk.__name__ == "anthropic" else CompletionsApi
    answer_cases(lambda case: kind(client_of(sdk, case)), AT_A_TIME)


def end(of: threading.ExceptHookArgs) -> None:
    """End the program with a defect of its own: the answer would be waited for."""
    threading.__excepthook__(of)
    os._exit(1)


def answer_cases(open_api: Callable[[dict[str, Any]], Any], at_a_time: int) -> None:
    """Answer the cases on standard input, with a client for each, until it ends."""
    threading.excepthook = end
    places, writing = threading.Semaphore(at_a_time), threading.Lock()
    answers, sys.stdout = sys.stdout, sys.stderr  # an SDK's words are no answers

    def run(case: dict[str, Any]) -> None:
        with places:
            api = open_api(case)
            outcomes = [ask(api, case, prompt) for prompt in case["prompts"]]
        with writing:
            line = json.dumps({"id": case["id"], "outcomes": outcomes})
            print(line, file=answers, flush=True)

    for line in sys.stdin:
        threading.Thread(target=run, args=(json.loads(line),)).start()
    os._exit(0)  # calls that never end would keep it


if __name__ == "__main__":
    main()
