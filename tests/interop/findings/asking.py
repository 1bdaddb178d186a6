"""A program that asks once, with the arguments SDK MODE. It catches what the SDK raises.

The SDKs are as their users have them by default, but for boto3 (retries in standard mode) and
google-genai (retry options), which else do not retry, or not as documented. MODE is `plain`,
`stream`, or `together`: ten equal calls at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

QUESTION: Any = [{"role": "user", "content": "Say hello."}]
TOGETHER = 10
Ask = Callable[[bool], Any]
"""Asks once, streamed or not, and returns the answer, or what is to be read to its end."""


def with_anthropic() -> Ask:
    """Return Anthropic's SDK."""
    import anthropic

    client = anthropic.Anthropic(api_key="k")
    return lambda stream: client.messages.create(
        model="claude-sonnet-4-5", max_tokens=64, messages=QUESTION, stream=stream
    )


def with_openai() -> Ask:
    """Return OpenAI's SDK."""
    import openai

    client = openai.OpenAI(api_key="k")
    return lambda stream: client.chat.completions.create(
        model="gpt-5", messages=QUESTION, stream=stream
    )


def with_groq() -> Ask:
    """Return Groq's SDK."""
    import groq

    client = groq.Groq(api_key="k")
    return lambda stream: client.chat.completions.create(
        model="llama-3.3-70b-versatile", messages=QUESTION, stream=stream
    )


def with_cohere() -> Ask:
    """Return Cohere's SDK."""
    import cohere

    client = cohere.ClientV2(api_key="k")

    def ask(stream: bool) -> Any:
        call = client.chat_stream if stream else client.chat
        return call(model="command-a-03-2025", messages=QUESTION)

    return ask


def with_google() -> Ask:
    """Return Google's SDK, with its retry options."""
    from google import genai
    from google.genai import types

    retry = types.HttpRetryOptions(attempts=3)
    client = genai.Client(api_key="k", http_options=types.HttpOptions(retry_options=retry))

    def ask(stream: bool) -> Any:
        models = client.models
        call = models.generate_content_stream if stream else models.generate_content
        return call(model="gemini-2.5-flash", contents="Say hello.")

    return ask


def with_boto3() -> Ask:
    """Return Amazon's SDK, in its standard mode."""
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "k", "region_name": "us-east-1"}
    config = Config(retries={"mode": "standard"})
    client = boto3.client("bedrock-runtime", config=config, **keys)
    model = "anthropic.claude-sonnet-4-20250514-v1:0"
    question = [{"role": "user", "content": [{"text": "Say hello."}]}]

    def ask(stream: bool) -> Any:
        if stream:
            return client.converse_stream(modelId=model, messages=question)["stream"]
        return client.converse(modelId=model, messages=question)

    return ask


SDKS = {
    "anthropic": with_anthropic,
    "openai": with_openai,
    "boto3": with_boto3,
    "google-genai": with_google,
    "cohere": with_cohere,
    "groq": with_groq,
}


def ask_once(ask: Ask, *, stream: bool) -> str:
    """Ask, read the answer to its end, and return what came of it."""
    try:
        answer = ask(stream)
        if stream:
            for _ in answer:
                pass
    except Exception as error:  # whatever an SDK raises
        return type(error).__name__
    return "an answer"


def main() -> None:
    """Ask as the arguments say."""
    sdk, mode = sys.argv[1:]
    ask = SDKS[sdk]()
    times = TOGETHER if mode == "together" else 1
    with ThreadPoolExecutor(times) as pool:
        stream = mode == "stream"
        asked = [pool.submit(ask_once, ask, stream=stream) for _ in range(times)]
    print(*(each.result() for each in asked), sep=", ")


if __name__ == "__main__":
    main()
