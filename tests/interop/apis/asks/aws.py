"""boto3, for Bedrock's converse and invoke operations."""

from __future__ import annotations

import json
import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from tests.interop.presets.asking import CITY, Seen, failure

_SESSION = boto3.session.Session(
    aws_access_key_id="AKIATEST", aws_secret_access_key="test", region_name="us-east-1"
)
_OPENING = threading.Lock()
"""A session may not make clients in several threads."""


class BedrockApi:
    """What both operations have in common."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def failure(self, error: Exception) -> Seen:
        seen = failure(error)
        if isinstance(error, ClientError):
            told = error.response.get("Error", {})
            seen["status"] = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            seen["message"] = told.get("Message")
            if type(error) in (ClientError, EventStreamError):  # the rest have it in their names
                seen["type"] = told.get("Code")
        return seen


class ConverseApi(BedrockApi):
    """Converse and ConverseStream."""

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        answer = self.client.converse(**request)
        if "output" not in answer:
            seen["returned"] = "no output"
            return
        content = answer["output"]["message"]["content"]
        seen["text"] = "".join(block.get("text", "") for block in content)
        seen["stop"] = answer["stopReason"]

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for event in self.client.converse_stream(**request)["stream"]:
            delta = event.get("contentBlockDelta", {}).get("delta", {})
            seen["text"] += delta.get("text", "")
            seen["arguments"] += delta.get("toolUse", {}).get("input", "")
            seen["stop"] = event.get("messageStop", {}).get("stopReason", seen["stop"])

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        tool = {"toolSpec": {"name": "weather", "inputSchema": {"json": CITY}}}
        return {
            "modelId": prompt,
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            **({"toolConfig": {"tools": [tool]}} if tools else {}),
        }


class InvokeApi(BedrockApi):
    """InvokeModel and InvokeModelWithResponseStream, for a model of Anthropic's."""

    def create(self, request: dict[str, Any], seen: Seen) -> None:
        message = json.loads(self.client.invoke_model(**request)["body"].read())
        if "content" not in message:
            seen["returned"] = "no content"
            return
        seen["text"] = "".join(block.get("text", "") for block in message["content"])
        seen["stop"] = message["stop_reason"]

    def raw(self, request: dict[str, Any], seen: Seen) -> None:
        for frame in self.client.invoke_model_with_response_stream(**request)["body"]:
            delta = json.loads(frame["chunk"]["bytes"]).get("delta", {})
            seen["text"] += delta.get("text", "")
            seen["arguments"] += delta.get("partial_json", "")
            seen["stop"] = delta.get("stop_reason") or seen["stop"]

    def request(self, prompt: str, tools: bool) -> dict[str, Any]:
        body = {
            "anthropic_version": "bedrock-2023-05-31", "max_tokens": 64,
            "messages": [{"role": "user", "content": "hi"}],
            **({"tools": [{"name": "weather", "input_schema": CITY}]} if tools else {}),
        }  # fmt: skip
        return {"modelId": f"anthropic.{prompt}", "body": json.dumps(body)}


def open_api(client: str, case: dict[str, Any]) -> BedrockApi:
    config = Config(
        proxies={"https": case["proxy"]}, read_timeout=case["timeout"],
        connect_timeout=case["timeout"],
    )  # fmt: skip
    with _OPENING:
        made = _SESSION.client(
            "bedrock-runtime", endpoint_url=case["base_url"], verify=case["ca_file"], config=config
        )
    return ConverseApi(made) if client == "converse" else InvokeApi(made)
