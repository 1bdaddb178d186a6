"""Gemini: Google's AI Studio and Vertex AI, and Gemini CLI with a login.

What is known of it, and how, is in docs/providers/gemini.md.
"""

from __future__ import annotations

import re

from attrs import evolve

from faultinject.providers import gateway, generic
from faultinject.providers.anthropic import messages
from faultinject.providers.anthropic import stream as anthropic_stream
from faultinject.providers.anthropic.api import message_usage
from faultinject.providers.gemini import content, errors, stream
from faultinject.providers.openai import chat
from faultinject.providers.openai import usage as openai_usage
from faultinject.providers.provider import EXAMPLE_FUNCTION, Example, Provider
from faultinject.providers.shape import Shape

__all__ = ["GEMINI", "VERTEX"]

_CONTENT = Shape(
    "gemini",
    re.compile(r".*:(?:generateContent|streamGenerateContent)", re.DOTALL),
    content.minimal_response,
    stream.STREAMS,
    stream.usage,
    is_streamed=content.is_streamed,
    model=content.model,
    stream_for=lambda request: 0 if content.is_event_stream(request) else 1,
)
_CHAT = Shape(
    "chat",
    re.compile(r".*/openai/chat/completions"),
    chat.minimal_response,
    (chat.stream({"data": chat.as_data(lambda *of: errors.failure_document(*of)["error"])}),),
    openai_usage,
)
_OTHER = evolve(
    generic.SHAPE, minimal_response=content.minimal_response, model=content.model
)  # among others, the counting of tokens
_CLAUDE = Shape(
    "messages",
    re.compile(r".*:(?:rawPredict|streamRawPredict)"),
    messages.minimal_response,
    (anthropic_stream.STREAM,),
    message_usage,
    is_streamed=content.is_streamed,
    model=content.model,
)
"""Anthropic's models on Vertex."""

_EXAMPLE = {
    "contents": [{"role": "user", "parts": [{"text": "What is the weather in Oslo?"}]}],
    "tools": [{"functionDeclarations": [EXAMPLE_FUNCTION]}],
}
_VERTEX_PATH = "/v1/projects/p/locations/us-east1/publishers/google/models/some-model"

_VERTEX_CHAT = re.compile(r".*/endpoints/[^/]+/chat/completions")
"""Vertex has this at its endpoint ``openapi``, and at those of models that users put there."""

GEMINI = Provider(
    name="gemini",
    hosts=(
        "generativelanguage.googleapis.com",
        "generativelanguage.mtls.googleapis.com",
        "cloudcode-pa.googleapis.com",
    ),
    paths=re.compile(
        r".*:(?:generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)",
        re.DOTALL,
    ),
    draw_fields=generic.draw_fields,
    error_type=errors.error_type,
    error_body=errors.error_body,
    error_content_type="application/json; charset=UTF-8",
    identity_headers=errors.identity_headers,
    shapes=(_CONTENT, _CHAT, _OTHER),
    failures=errors.FAILURES,
    pages=gateway.GOOGLE,
    examples=(
        Example("/v1/models/some-model:generateContent", _EXAMPLE, streamed=False),
        Example("/v1/models/some-model:streamGenerateContent", _EXAMPLE, "alt=sse", streamed=True),
    ),
    model_calls=re.compile(
        r".*(?::(?:generateContent|streamGenerateContent)|/openai/chat/completions)", re.DOTALL
    ),
    # What Gemini CLI asks beside, with a login.
    housekeeping=re.compile(
        r"/v1internal(?::(?:loadCodeAssist|onboardUser|recordCodeAssistMetrics|listExperiments"
        r"|fetchAdminControls|retrieveUserQuota|[gs]etCodeAssistGlobalUserSetting)|/operations/.*)"
    ),
)
"""AI Studio, whose keys are ``AIza…``."""

VERTEX = evolve(
    GEMINI,
    name="vertex",
    hosts=(
        "aiplatform.googleapis.com",
        "*-aiplatform.googleapis.com",
        "aiplatform.*.rep.googleapis.com",
        "aiplatform.mtls.googleapis.com",
        "*-aiplatform.mtls.googleapis.com",
    ),
    paths=re.compile(r".*/publishers/[^/]+/models/[^/]+:[^/]+", re.DOTALL),
    shapes=(_CONTENT, _CLAUDE, evolve(_CHAT, paths=_VERTEX_CHAT), _OTHER),
    failures=errors.VERTEX_FAILURES,
    examples=(
        Example(f"{_VERTEX_PATH}:generateContent", _EXAMPLE, streamed=False),
        Example(f"{_VERTEX_PATH}:streamGenerateContent", _EXAMPLE, "alt=sse", streamed=True),
    ),
    model_calls=re.compile(
        r".*(?::(?:generateContent|streamGenerateContent|rawPredict|streamRawPredict)"
        r"|/endpoints/[^/]+/chat/completions)",
        re.DOTALL,
    ),
)
"""Vertex AI: the same models and Anthropic's, with tokens of Google Cloud."""
