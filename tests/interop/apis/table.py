"""The tables of what a program sees of each preset at the other APIs: one for each API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from faultinject.config.presets import preset_named
from tests.interop.apis.cases import SHOWINGS
from tests.interop.apis.running import ApiResult
from tests.interop.apis.sdks import APIS, BY_NAME, SDKS, Api
from tests.interop.presets.cases import MODES
from tests.interop.presets.table import NONE, in_order, line, put, taken

BEGIN, END = "<!-- the other APIs: begin -->", "<!-- the other APIs: end -->"
LONGEST_TEXT, LONGEST_MESSAGE = 30, 60
GOOD_ENDS = ("end_turn", "stop", "STOP", "COMPLETE")
CALLS = ("tool_use", "tool_calls", "TOOL_CALL", *GOOD_ENDS)
Key = tuple[str, str, str, str]
"""An API, a preset, a mode and the SDK's column."""


def applies(result: ApiResult) -> bool:
    """Return whether the preset did anything to the call."""
    return any(e["rule"] is not None for e in result.attempts)


def warned(result: ApiResult) -> bool:
    """Return whether the proxy said that the preset means nothing for this API."""
    api = BY_NAME[result.sdk].api
    return any(
        event["rule"].startswith(result.showing.preset)
        and (event["provider"], event["shape"]) == (api.provider, api.shape)
        for event in result.unfit
    )


def is_for_others(result: ApiResult) -> bool:
    """Return whether each rule of the preset names other APIs, or other shapes, than this one's."""
    api, rules = BY_NAME[result.sdk].api, preset_named(result.showing.preset).rules
    return not any(rule.match.names_api(api.provider, api.shape) for rule in rules)


def cell(result: ApiResult) -> str:
    """Return in words what a program sees."""
    if not applies(result):
        return "passes, with a warning" if warned(result) else "passes: its rules are for others"
    words = [_end(result), *_text(result)]
    if (count := len(result.attempts)) > 1:
        words.append(f"{count} attempts" if BY_NAME[result.sdk].counts else "several attempts")
    return ", ".join(words)


def ends_well(outcome: dict[str, object]) -> bool:
    """Return True if a call gave a whole answer, or says that it did."""
    return outcome["stop"] in CALLS and "error" not in outcome and not outcome["hangs"]


def _end(result: ApiResult) -> str:
    seen = result.shown
    if seen["hangs"]:
        return "no end" if seen["text"] else "waits on"
    if "error" in seen:
        return " ".join(_error(seen))
    if "returned" in seen:
        return f"success, {seen['returned']}"
    return "success" if ends_well(seen) else f"success, stop reason `{seen['stop']}`"


def _error(seen: dict[str, object]) -> Iterator[str]:
    name = str(seen["error"]).removeprefix("builtins.")
    yield f"`{name}`"
    facts = dict.fromkeys(str(seen[key]) for key in ("status", "type") if seen[key])
    yield from (f"`{fact}`" for fact in facts)
    if facts and seen["message"]:
        message = str(seen["message"])
        if "<html" in message.lower():
            yield "(an HTML page)"
        elif not message.startswith("headers:"):  # cohere's words of a document without a message
            yield f"“{_short(message)}”"


IDS = re.compile(r"\b(?:org_\w+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def _short(message: str) -> str:
    message = IDS.sub("(id)", message)
    first = re.sub(r"[|`]", "", re.split(r"[\r\n]|\\n", message.strip())[0])
    return first if len(first) <= LONGEST_MESSAGE else first[:LONGEST_MESSAGE].rstrip() + "…"


def _text(result: ApiResult) -> Iterator[str]:
    seen, whole = result.shown, result.last["text"]
    if len(result.outcomes) == 1 or result.showing.tools:
        whole = None
    if seen["text"] and seen["text"] != whole:
        text = seen["text"]
        if ends_well(seen) and result.mode == "raw" and whole and not whole.startswith(text):
            yield "**a piece of the text is missing**"
        elif not result.showing.tools:
            yield f"text “{text[:LONGEST_TEXT]}{'…' if len(text) > LONGEST_TEXT else ''}”"
    elif not seen["text"] and "error" not in seen and not (seen["hangs"] or seen["arguments"]):
        yield "no text"
    if seen["arguments"]:
        yield f"arguments `{seen['arguments']}`"


def key(result: ApiResult) -> Key:
    """Return where a result stands in the tables."""
    sdk = BY_NAME[result.sdk]
    return sdk.api.heading, result.showing.preset, result.mode, sdk.heading


def written(results: Iterable[ApiResult]) -> str:
    """Return the lines of all tables."""
    cells = {key(result): cell(result) for result in results}
    return "\n\n".join("\n".join(_table(api, cells)) for api in APIS)


def _table(api: Api, cells: dict[Key, str]) -> Iterator[str]:
    columns = [sdk.heading for sdk in SDKS if sdk.api == api]
    heads = ["preset", "call", *columns]
    yield from (f"### {api.heading}", "", line(heads), line(["---"] * len(heads)))
    for showing in in_order(SHOWINGS):
        for mode in showing.modes:
            row = [
                cells.get((api.heading, showing.preset, mode, column), NONE) for column in columns
            ]
            if set(row) != {NONE}:
                yield line([f"`{showing.preset}`", MODES[mode], *row])


def write(results: Iterable[ApiResult]) -> None:
    """Put the tables into the page."""
    put(BEGIN, f"\n{written(results)}\n", END)


def committed() -> dict[Key, str]:
    """Return the cells that the page has."""
    modes = {words: mode for mode, words in MODES.items()}
    cells: dict[Key, str] = {}
    for section in taken(BEGIN, END).split("### ")[1:]:
        api, *lines = (each for each in section.splitlines() if each)
        _, _, *columns = _words(lines[0])
        for preset, mode, *row in map(_words, lines[2:]):
            for column, word in zip(columns, row, strict=True):
                cells[api, preset.strip("`"), modes[mode], column] = word
    return cells


def _words(row: str) -> list[str]:
    return [word.strip() for word in row.strip("|").split("|")]
