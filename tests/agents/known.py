"""The agents that are tried, how each is installed, and its command for both ways in.

Words in braces stand for what differs from run to run: ``{url}`` is the proxy's, ``{ca}`` the file
of its certificate.
"""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

WAYS = ("base URL", "proxy")
PROMPT = "Say hello."


@frozen
class Way:
    """One way in: what is set, and what the agent is given besides."""

    variables: dict[str, str]
    arguments: tuple[str, ...] = ()
    files: dict[str, str] = field(factory=dict)
    """Files in the agent's home, by path."""


@frozen
class Agent:
    """One agent."""

    name: str
    registry: Literal["npm", "PyPI"]
    package: str
    executable: str
    target: str
    """The API that it asks."""
    key: tuple[str, str]
    """The variable of its key, and a key that no API would take."""
    arguments: tuple[str, ...]
    base_url: Way
    proxy: Way
    setup: str | None = None
    """A script of the npm package that puts its executable in place, where npm may not run it."""

    def way(self, name: str) -> Way:
        """Return one of `WAYS`."""
        return self.base_url if name == WAYS[0] else self.proxy


_NODE = {"HTTPS_PROXY": "{url}", "NODE_EXTRA_CA_CERTS": "{ca}"}
_GEMINI_KEY_FROM_VARIABLE = {
    ".gemini/settings.json": '{"security": {"auth": {"selectedType": "gemini-api-key"}}}'
}
_OPENCODE = '{"provider": {"anthropic": {"options": {"baseURL": "{url}/v1"}}}}'

AGENTS = (
    Agent(
        "Claude Code",
        "npm",
        "@anthropic-ai/claude-code",
        "claude",
        "api.anthropic.com",
        ("ANTHROPIC_API_KEY", "sk-ant-not-a-key"),
        ("-p", PROMPT),
        Way({"ANTHROPIC_BASE_URL": "{url}"}),
        Way(_NODE),
        setup="install.cjs",
    ),
    Agent(
        "Codex",
        "npm",
        "@openai/codex",
        "codex",
        "api.openai.com",
        ("OPENAI_API_KEY", "sk-proj-not-a-key"),
        ("exec", "--skip-git-repo-check", PROMPT),
        Way({}, ("-c", 'openai_base_url="{url}/v1"')),
        Way({"HTTPS_PROXY": "{url}", "SSL_CERT_FILE": "{ca}"}),
    ),
    Agent(
        "Gemini CLI",
        "npm",
        "@google/gemini-cli",
        "gemini",
        "generativelanguage.googleapis.com",
        ("GEMINI_API_KEY", "AIza-not-a-key"),
        ("--skip-trust", "-p", PROMPT),
        Way({"GOOGLE_GEMINI_BASE_URL": "{url}"}, files=_GEMINI_KEY_FROM_VARIABLE),
        Way(_NODE, files=_GEMINI_KEY_FROM_VARIABLE),
    ),
    Agent(
        "opencode",
        "npm",
        "opencode-ai",
        "opencode",
        "api.anthropic.com",
        ("ANTHROPIC_API_KEY", "sk-ant-not-a-key"),
        ("run", "--model", "anthropic/claude-sonnet-4-5", PROMPT),
        Way({}, files={".config/opencode/opencode.json": _OPENCODE}),
        Way(_NODE),
        setup="postinstall.mjs",
    ),
    Agent(
        "aider",
        "PyPI",
        "aider-chat",
        "aider",
        "api.openai.com",
        ("OPENAI_API_KEY", "sk-proj-not-a-key"),
        (
            "--no-git",
            "--yes-always",
            "--no-check-update",
            "--no-show-model-warnings",
            "--no-analytics",
            "--model",
            "openai/gpt-4o",
            "--message",
            PROMPT,
        ),
        Way({"OPENAI_API_BASE": "{url}/v1"}),
        Way({"HTTPS_PROXY": "{url}", "SSL_CERT_FILE": "{ca}"}),
    ),
)
"""All of them."""
