"""What the values of options may be: numbers, words, paths, hosts, the body.

Each is a kind (see `faultinject.config.kinds`): it reads text, or a value in a file, and returns a
value for `Settings`.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from faultinject.authority import ConnectTo, TargetPattern, normal_host
from faultinject.config.kinds import (
    Assignments,
    Flag,
    HeaderLines,
    Listed,
    Single,
    Words,
    parsed,
    refusal,
)
from faultinject.config.preset_names import NAMES, why_no_preset
from faultinject.http.message import RequestHead
from faultinject.reading.node import Node
from faultinject.reading.scalars import DURATION, DURATION_PATTERN, seconds_of
from faultinject.reading.shown import shown_text, shown_value
from faultinject.reading.value import CHANCE, Value, any_of, whole, word
from faultinject.reading.value import FLAG as ONE_FLAG
from faultinject.settings import REPORT_ENDINGS, ChosenPreset

T = TypeVar("T")


# -- numbers ------------------------------------------------------------------------------------


def whole_number(lowest: int, highest: int, metavar: str) -> Single[int]:
    """Return the kind of whole numbers from lowest to highest."""
    expected = f"a whole number from {lowest} to {highest}"

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", text) or not lowest <= int(text) <= highest:
            raise refusal(shown_text(text), expected)
        return int(text)

    return Single(parse, whole(lowest, highest), metavar=metavar)


_PROBABILITY = "a number from 0 to 1, or a percentage as in 5%"


def _probability(number: float, shown: str) -> float:
    if not 0 <= number <= 1:  # NaN is not, either
        raise refusal(shown, _PROBABILITY)
    return float(number)


def _parse_probability(text: str) -> float:
    try:
        return _probability(_number(text), shown_text(text))
    except ValueError:
        raise refusal(shown_text(text), _PROBABILITY) from None


def _number(text: str) -> float:
    """Read a number, or a percentage. Raises `ValueError`."""
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


PROBABILITY = Single(_parse_probability, CHANCE, metavar="0-1")

_MOST_SECONDS = 3600.0
_PAUSE = f"{DURATION}; at most 1h"


def _pause(seconds: float | None, shown: str) -> float:
    if seconds is None or not 0 <= seconds <= _MOST_SECONDS:
        raise refusal(shown, _PAUSE)
    return float(seconds)


def _parse_pause(text: str) -> float:
    number = re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text)
    return _pause(float(text) if number else seconds_of(text), shown_text(text))


def _check_pause(node: Node) -> float:
    try:
        if isinstance(node.value, str):
            return _parse_pause(node.value)
        return _pause(node.number(_PAUSE), shown_value(node.value))
    except ValueError as error:
        raise node.problem(str(error)) from None


_SECONDS = {"type": "number", "minimum": 0, "maximum": _MOST_SECONDS}
_SECONDS_OR_TEXT = any_of(
    _SECONDS, {"type": "string", "pattern": f"{DURATION_PATTERN}|^[0-9]+(\\.[0-9]+)?$"}
)
PAUSE = Single(_parse_pause, Value(_check_pause, _SECONDS_OR_TEXT), metavar="DURATION")
"""A time to wait, in seconds; 0 is allowed."""


# -- words --------------------------------------------------------------------------------------


def _text_only(parse: Callable[[str], T], expected: str, metavar: str, **more: Any) -> Single[T]:
    """Return the kind of a value that is a string in a file."""
    return Single(parse, parsed(parse, f"a string ({expected})"), metavar=metavar, **more)


def choice(*words: str) -> Single[str]:
    """Return the kind of one of these words."""
    expected = "one of " + ", ".join(words)

    def parse(text: str) -> str:
        if text not in words:
            raise refusal(shown_text(text), expected)
        return text

    return Single(parse, word(*words), metavar="|".join(words), choices=words)


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise refusal(shown_text(text), "the name of a file or directory")
    try:
        os.fsencode(text)  # a file may have half a surrogate pair, which no path can contain
        return Path(text).expanduser()
    except UnicodeEncodeError:
        raise refusal(shown_text(text), "the name of a file or directory") from None
    except RuntimeError as error:
        raise ValueError(f"{shown_text(text)}: {error}") from None


FILE = _text_only(_path, "a path", "FILE", is_path=True)
DIRECTORY = _text_only(_path, "a path", "DIR", is_path=True)


_REPORT = "a file whose ending says what to write: " + ", ".join(REPORT_ENDINGS)


def _report(text: str) -> Path:
    path = _path(text)
    if path.suffix.lower() not in REPORT_ENDINGS:
        raise refusal(shown_text(text), _REPORT)
    return path


REPORTS = Listed(_report, metavar="FILE", is_path=True)


def _without_user(text: str) -> str:
    if "@" in text:  # what stands before it may be a password: do not repeat it
        raise ValueError("it contains an '@'; write the host alone, without user and password")
    return text


def _listening_host(text: str) -> str:
    try:
        return normal_host(_without_user(text))
    except ValueError as error:
        raise ValueError(f"{error}, such as 127.0.0.1, ::1 or localhost") from None


LISTENING_HOST = _text_only(_listening_host, "an address or host name", "ADDRESS")


def _target(text: str) -> TargetPattern:
    target = TargetPattern.parse_target(_without_user(text))
    if target.api is not None:
        from faultinject.providers.told import why_no_api  # late: it loads all APIs

        if (why := why_no_api(target)) is not None:
            raise ValueError(why)
    return target


def _connect_to(text: str) -> ConnectTo:
    return ConnectTo.parse(_without_user(text))


TARGETS = Listed(_target, may_be_empty=False, metavar="[http://]HOST[:PORT][=API]")
MAPPINGS = Listed(_connect_to, metavar="HOST:PORT:ADDRESS:PORT")
HEADERS = HeaderLines(metavar="'NAME: VALUE'")


_FACTOR = "a chance (a number above 0, or a percentage as in 30%), nor first=N as in first=2"
_UP_TO_100 = "a percentage up to 100%; to make a chance greater give a factor, as in flaky@{:g}"
_PRESET = "the name of a preset, as in overloaded, overloaded@0.3 or overloaded@first=2"
_FIRST = "first=N with a whole number from 1, as in first=2"
_FIRST_KEY = "first"


def _preset(text: str) -> ChosenPreset:
    name, *more = text.split("@")
    firsts = [each for each in more if each.partition("=")[0] == _FIRST_KEY]
    factors = [each for each in more if each not in firsts]
    if not name or len(firsts) > 1 or len(factors) > 1:
        raise refusal(shown_text(text), _PRESET)
    chosen = ChosenPreset(name)
    for factor in factors:
        chosen = evolve(chosen, factor=_factor(factor))
    for first in firsts:
        chosen = evolve(chosen, first=_first(first))
    if (problem := why_no_preset(name)) is not None:
        raise ValueError(problem)
    return chosen


def _first(text: str) -> int:
    """Read how many attempts of each call a preset applies to, as in ``first=2``."""
    number = text.partition("=")[2]
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", number, re.ASCII):
        raise refusal(shown_text(text), _FIRST)
    return int(number)


def _factor(text: str) -> float:
    """Read the factor by which a preset's chances are multiplied."""
    try:
        factor = _number(text)
    except ValueError:
        raise refusal(shown_text(text), _FACTOR) from None
    if not 0 < factor <= 1e6:  # NaN is not, either
        raise refusal(shown_text(text), _FACTOR)
    if text.endswith("%") and factor > 1:
        raise refusal(shown_text(text), _UP_TO_100.format(factor))
    return factor


_NAME_AND_MORE = {"type": "string", "pattern": f"^({'|'.join(NAMES)})@"}
PRESETS = Listed(
    _preset, metavar="NAME[@P][@first=N]", text_schema=any_of({"enum": NAMES}, _NAME_AND_MORE)
)


WORD = _text_only(lambda text: text, "text", "WORD")
IDS = Words(str, metavar="ID,...")
TOOLS = Words(str, metavar="TOOL,...")
ASSIGNMENTS = Assignments(metavar="NAME=VALUE")


# RFC 9110 sections 5.6.2 (token) and 7.1: the method and target of a request to an origin.
_REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(/[\x21-\x7e]*|\*)")
_WITHOUT_REQUEST_BODY = "a method and a path, as in 'HEAD /' or 'GET /health'"


def _carrier(text: str) -> RequestHead:
    parts = _REQUEST.fullmatch(text.strip())
    if parts is None or parts[1] == "CONNECT":
        raise refusal(shown_text(text), _WITHOUT_REQUEST_BODY)
    return RequestHead(parts[1].encode(), parts[2].encode(), ())


CARRIER = _text_only(_carrier, _WITHOUT_REQUEST_BODY, "'METHOD PATH'")


# -- flags --------------------------------------------------------------------------------------

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def _parse_flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise refusal(shown_text(text), "true or false (1 or 0)")
    return word in _TRUE


FLAG = Flag(_parse_flag, ONE_FLAG)


def _negated(kind: Single[bool]) -> Flag:
    return Flag(lambda text: not kind.parse(text), kind.in_file.into(operator.not_))


NEGATED_FLAG = _negated(FLAG)


# -- the body -----------------------------------------------------------------------------------


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it is not valid Unicode: it has half a surrogate pair") from None
    return text


def _check_body(node: Node) -> str:
    if isinstance(node.value, str):
        return node.encodable(node.value)
    if not isinstance(node.value, dict):
        raise node.problem("the body is neither a string nor an object")
    return node.encodable(node.json())


BODY = Single(_encodable, Value(_check_body, {"type": ["string", "object"]}), metavar="TEXT")
