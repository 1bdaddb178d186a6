"""The exact bytes that each preset sends for each API, as text files to be read and compared.

``python -m tests.unit.config.presets.golden`` writes them anew;
look at what changed before it is committed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from faultinject.cli.presets import sections
from faultinject.config.presets import NAMES, preset_named
from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import Provider

FOLDER = Path(__file__).parent / "golden"
NOTHING = "the preset is not for this API: its requests pass\n"
IN_ONE_FILE = ("azure", "openrouter", "groq", "mistral", "deepseek", "xai")
"""APIs that are shaped like OpenAI's: what they say themselves is in one file each."""
_SAME_AS_OTHERS = {
    *("overload-storm", "rate-limited-long", "stream-overloaded-first"),
    *("flaky", "bad-day", "retry-torture"),
}


@cache
def files() -> dict[str, str]:
    """Return the golden files: their names and what must be in them."""
    made = {
        f"{name}.{provider.name}.txt": _of(name, provider)
        for name in NAMES
        for provider in PROVIDERS
        if provider.name not in IN_ONE_FILE
    }
    for provider in PROVIDERS:
        if provider.name in IN_ONE_FILE:
            parts = (f"==== {n}\n{_of(n, provider)}" for n in NAMES if _own(n))
            made[f"all.{provider.name}.txt"] = "".join(parts)
    return made


def _of(name: str, provider: Provider) -> str:
    return "".join(sections(preset_named(name), provider)) or NOTHING


def _own(name: str) -> bool:
    """Return True if an API decides what a preset sends, and no other shows the same."""
    rules = preset_named(name).rules
    return name not in _SAME_AS_OTHERS and any(rule.depends_on_api for rule in rules)


def main() -> None:
    """Write the files, and remove those that are no more."""
    made = files()
    for path in FOLDER.glob("*.txt"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
