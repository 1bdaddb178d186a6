"""Which SDKs ask which APIs: a line an SDK. They reach the APIs' own hosts, through the proxy."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

Shown = Literal["every", "main", "tools"]
"""All presets but those of MCP; those that differ most between programs; or those of MCP."""


@frozen
class Api:
    """An API at one of its hosts."""

    heading: str
    """That of its table."""
    host: str
    provider: str
    """Whose API the proxy takes it for, by host and path."""
    shape: str
    """What is spoken there."""


@frozen
class Sdk:
    """One SDK, as it asks one API."""

    api: Api
    heading: str
    """That of its column."""
    module: str
    """The module of ``asks`` that asks by it; Node's end in ``.mjs``."""
    client: str
    """The module's name for the client."""
    presets: Shown = "every"
    counts: bool = True
    """Whether it makes a fixed number of attempts, and not as many as fit into a time."""

    @property
    def name(self) -> str:
        """A name that no other has."""
        return f"{self.module}-{self.client}"


ANTHROPIC = Api("Anthropic", "api.anthropic.com", "anthropic", "messages")
OPENAI = Api("OpenAI", "api.openai.com", "openai", "chat")
GEMINI = Api("Gemini", "generativelanguage.googleapis.com", "gemini", "gemini")
VERTEX = Api("Vertex AI", "us-central1-aiplatform.googleapis.com", "vertex", "gemini")
CLAUDE_ON_VERTEX = Api("Claude on Vertex AI", VERTEX.host, "vertex", "messages")
BEDROCK = Api("Bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "bedrock", "converse")
INVOKE = Api("Bedrock, by invoke", BEDROCK.host, "bedrock", "invoke")
AZURE = Api("Azure OpenAI", "test.openai.azure.com", "azure", "chat")
FOUNDRY = Api("Claude in Foundry", "test.services.ai.azure.com", "azure", "messages")
MISTRAL = Api("Mistral", "api.mistral.ai", "mistral", "chat")
COHERE = Api("Cohere", "api.cohere.com", "cohere", "cohere")
GROQ = Api("Groq", "api.groq.com", "groq", "chat")
OPENROUTER = Api("OpenRouter", "openrouter.ai", "openrouter", "chat")
OLLAMA = Api("Ollama", "ollama.com", "ollama", "ollama")
XAI = Api("xAI", "api.x.ai", "xai", "chat")
DEEPSEEK = Api("DeepSeek", "api.deepseek.com", "deepseek", "chat")
MCP = Api("MCP servers", "mcp.example.com", "mcp", "mcp")

VERCEL = "Node `ai` 6"
SDKS = (
    Sdk(ANTHROPIC, "Python `litellm` 1", "lite", "anthropic", "main"),
    Sdk(OPENAI, "Python `litellm` 1", "lite", "openai", "main"),
    Sdk(GEMINI, "Python `google-genai` 3", "google", "gemini"),
    Sdk(GEMINI, "Node `@google/genai` 2", "google.mjs", "gemini"),
    Sdk(GEMINI, VERCEL, "vercel.mjs", "gemini", "main"),
    Sdk(GEMINI, "Python `litellm` 1", "lite", "gemini", "main"),
    Sdk(VERTEX, "Python `google-genai` 3", "google", "vertex", "main"),
    Sdk(CLAUDE_ON_VERTEX, "Python `anthropic` 2, `AnthropicVertex`", "clouds", "vertex"),
    Sdk(BEDROCK, "Python `boto3` 1, `converse`", "aws", "converse"),
    Sdk(BEDROCK, VERCEL, "vercel.mjs", "bedrock", "main"),
    Sdk(BEDROCK, "Python `litellm` 1", "lite", "bedrock", "main"),
    Sdk(INVOKE, "Python `boto3` 1, `invoke_model`", "aws", "invoke"),
    Sdk(INVOKE, "Python `anthropic` 2, `AnthropicBedrock`", "clouds", "bedrock"),
    Sdk(AZURE, "Python `openai` 3, `AzureOpenAI`", "clouds", "azure"),
    Sdk(AZURE, VERCEL, "vercel.mjs", "azure", "main"),
    Sdk(FOUNDRY, "Python `anthropic` 2, `AnthropicFoundry`", "clouds", "foundry"),
    Sdk(MISTRAL, "Python `mistralai` 3", "own", "mistral"),
    Sdk(MISTRAL, "Node `@mistralai/mistralai` 2", "own.mjs", "mistral", "main"),
    Sdk(MISTRAL, VERCEL, "vercel.mjs", "mistral", "main"),
    Sdk(MISTRAL, "Python `litellm` 1", "lite", "mistral", "main"),
    Sdk(COHERE, "Python `cohere` 7", "own", "cohere"),
    Sdk(COHERE, "Node `cohere-ai` 8", "own.mjs", "cohere", "main"),
    Sdk(COHERE, VERCEL, "vercel.mjs", "cohere", "main"),
    Sdk(GROQ, "Python `groq` 1", "chat", "groq"),
    Sdk(GROQ, VERCEL, "vercel.mjs", "groq", "main"),
    Sdk(GROQ, "Python `litellm` 1", "lite", "groq", "main"),
    Sdk(OPENROUTER, "Python `openrouter` 1", "own", "openrouter", counts=False),
    Sdk(OPENROUTER, "Python `openai` 3", "chat", "openrouter", "main"),
    Sdk(OPENROUTER, VERCEL, "vercel.mjs", "openrouter", "main"),
    Sdk(OPENROUTER, "Python `litellm` 1", "lite", "openrouter", "main"),
    Sdk(OLLAMA, "Python `ollama` 0", "local", "ollama"),
    Sdk(OLLAMA, "Node `ollama` 0", "local.mjs", "ollama"),
    Sdk(XAI, "Python `openai` 3", "chat", "xai"),
    Sdk(XAI, VERCEL, "vercel.mjs", "xai", "main"),
    Sdk(XAI, "Python `litellm` 1", "lite", "xai", "main"),
    Sdk(DEEPSEEK, "Python `openai` 3", "chat", "deepseek"),
    Sdk(DEEPSEEK, VERCEL, "vercel.mjs", "deepseek", "main"),
    Sdk(DEEPSEEK, "Python `litellm` 1", "lite", "deepseek", "main"),
    Sdk(MCP, "Python `mcp` 2", "servers", "tools", "tools"),
    Sdk(MCP, "Node `@modelcontextprotocol/sdk` 1", "servers.mjs", "tools", "tools"),
)
BY_NAME = {sdk.name: sdk for sdk in SDKS}
APIS = tuple(dict.fromkeys(sdk.api for sdk in SDKS))
FIRST_PORT, PORTS = 20_000, 200


def port_of(name: str, preset_index: int, mode_index: int) -> int:
    """Return the port of a target: it tells apart an SDK's calls at each preset in each mode."""
    return FIRST_PORT + list(BY_NAME).index(name) * PORTS + preset_index * 3 + mode_index
