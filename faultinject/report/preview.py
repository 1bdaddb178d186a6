"""Shows what a rule's faults would send, without a connection.

The same code as in a run makes the bytes, with fixed random numbers and a fixed time. Stream faults
harm the smallest answer that the API could give.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count

from attrs import frozen

from faultinject.faults import transform
from faultinject.faults.breaks import Break, break_words
from faultinject.faults.build import build_faults
from faultinject.faults.delay import Delay, Fixed
from faultinject.faults.fault import Fault
from faultinject.faults.place import Stage
from faultinject.faults.render import render_proxy_reply, render_reply
from faultinject.faults.respond import Respond
from faultinject.faults.stream.stream_action import ResponseInfo
from faultinject.faults.transform import ENDINGS, TICK, Act, Received, Transform
from faultinject.http.h1.framing import last_of_connection
from faultinject.http.message import End, Headers, Part, ResponseHead
from faultinject.providers.provider import Example, Provider
from faultinject.providers.shape import ApiRequest
from faultinject.providers.synthetic import SPACING_SECONDS, synthetic_response
from faultinject.rules.draws import Draws
from faultinject.rules.match import Match
from faultinject.rules.model import Rule

NOW_SECONDS = 1_800_000_000
"""The time that is shown: 2027-01-15T08:00:00Z."""
_DATE = b"Fri, 15 Jan 2027 08:00:00 GMT"
_MOST_WAITS = 12
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal may obey: frames of the AWS event stream are full of them."""
_MOST_LONG_WAITS = 2


_ELSEWHERE = (Example("/orders", {}),)


@frozen(eq=False, repr=False)
class Shown:
    """What happens to one request."""

    path: str
    stream: bool
    """Whether the request asks for a stream."""
    text: str
    """The bytes, with CR as ␍. What happens between them is in brackets."""


def shown(rule: Rule, provider: Provider) -> Iterator[Shown]:
    """Yield what each fault of a rule does to requests to an API that the rule matches."""
    for choice in rule.faults:
        seen: set[str] = set()
        for example in provider.examples or _ELSEWHERE:
            if (one := _shown(rule, choice.fault, provider, example)) and one.text not in seen:
                seen.add(one.text)
                yield one


def _shown(rule: Rule, fault: Fault, provider: Provider, example: Example) -> Shown | None:
    within = bool(fault.stream) or (fault.breaks is not None and fault.breaks.point is not None)
    stream = within and rule.match.stream is not False
    if fault.why_unfit(provider, provider.shape_of(example.path)) is not None:
        return None
    wrong_kind = example.streamed is not None and example.streamed is not stream
    if wrong_kind or not _fits(rule.match, provider, example.path):
        return None
    document = {"model": "some-model", "stream": stream, **example.document}
    if rule.match.tools is None or not rule.match.tools:
        for name in ("tools", "toolConfig"):
            document.pop(name, None)
    request = provider.api_request(example.path, document, provider.example_host, example.query)
    return Shown(example.path, stream, "".join(_Preview(rule, fault, provider, request).lines()))


def _fits(match: Match, provider: Provider, path: str) -> bool:
    return (
        (match.providers is None or provider.name in match.providers)
        and (match.shapes is None or provider.shape_of(path).name in match.shapes)
        and (match.path is None or match.path.holds(path))
    )


# -- one answer ---------------------------------------------------------------------------------


@frozen(eq=False, repr=False)
class _Preview:
    rule: Rule
    fault: Fault
    provider: Provider
    request: ApiRequest

    def lines(self) -> Iterator[str]:
        """Yield the text, piece by piece."""
        fault = self.fault
        for delay in fault.delays:
            yield f"[{_wait(delay)}]\n"
        if fault.respond is not None:
            yield from self._respond(fault.respond)
        elif fault.breaks is not None and fault.breaks.point is None:
            yield from self._broken(fault.breaks)
        elif fault.stream or fault.breaks is not None:
            yield from self._harmed()
        else:
            yield "[the API is asked, and its answer passes]\n"

    def _numbers(self, purpose: str) -> Callable[[], float]:
        return Draws(1, self.rule.id, 1).fork(purpose).uniform

    def _respond(self, fault: Respond) -> Iterator[str]:
        fields = self.provider.draw_fields(self._numbers("fields"), NOW_SECONDS, self.request)
        if fault.at is Stage.CONNECT:
            response = render_proxy_reply(fault, fields, self.rule.id)
        else:
            response = render_reply(fault, self.provider, fields, self.rule.id)
        for part in response.parts(_DATE):
            yield from _part(part if fault.keep_open else last_of_connection(part))

    def _broken(self, breaks: Break) -> Iterator[str]:
        yield f"[{break_words(breaks)}]\n"
        if breaks.at is Stage.HANDSHAKE:
            for act in breaks.how.acts(0.0, self._numbers("break")):
                if isinstance(act, transform.Garbage):
                    yield f"[bytes {act.data.hex(' ')}]\n"

    def _harmed(self) -> Iterator[str]:
        fields = self.provider.draw_fields(self._numbers("fields"), NOW_SECONDS, self.request)
        uniform = self._numbers("made answer")
        marker = self.rule.id if self.fault.made_stream else None  # a real answer has none
        made = synthetic_response(self.provider, self.request, fields, uniform, marker)
        shape = self.provider.shape_of(self.request.path).stream_of(made.head, self.request)
        answer = ResponseInfo(self.provider, shape, False, fields, self._numbers)
        what = build_faults(self.fault.stream, self.fault.breaks, answer)
        yield from _part(made.head)
        yield from (f"[{words}]\n" for words in what.undone)
        if what.transform is not None:
            yield from _Run(what.transform).texts(made.pieces)


@frozen(eq=False, repr=False)
class _Run:
    """A stream that passes a transform, with the times at which it would."""

    transform: Transform

    def texts(self, pieces: list[bytes]) -> Iterator[str]:
        """Yield what comes out, up to the end."""
        now, waits, long_waits, places = 0.0, 0, 0, count()
        rest: deque[Received] = deque((*pieces, End()))
        while True:  # at the latest, the body's end brings an ending
            now = max(now, next(places) * SPACING_SECONDS)
            received = TICK if self.transform.wake_at <= now else rest.popleft()
            for act in self.transform.step(received, now):
                yield from _act(act, now)
                later = transform.later(now, act)
                waits, long_waits = waits + (later > now), long_waits + (later > now + 1)
                now = later
                if isinstance(act, ENDINGS):
                    return
                if waits > _MOST_WAITS or long_waits > _MOST_LONG_WAITS:
                    yield "[and so on]\n"
                    return


def _act(act: Act, now_seconds: float) -> Iterator[str]:
    match act:
        case transform.Send(data):
            yield visible(data)
        case transform.WaitUntil(seconds) if seconds > now_seconds:
            yield f"[{seconds - now_seconds:.3g} s pass]\n"
        case transform.Finish():
            yield "[the body's proper end]\n"
        case transform.Cut():
            yield "[FIN, without the body's proper end]\n"
        case transform.Reset():
            yield "[RST]\n"
        case transform.Hang():
            yield "[nothing more, until the client leaves]\n"
        case transform.Garbage(data):
            yield f"[{len(data)} bytes of garbage, then FIN]\n"


def _wait(delay: Delay) -> str:
    if isinstance(delay.length, Fixed):
        return f"{delay.length.seconds:g} s pass before the {delay.before.value}"
    kind = type(delay.length).__name__.lower()
    middle = delay.length.quantile(0.5)
    return f"a {kind} time passes before the {delay.before.value}, half of the times {middle:.3g} s"


# -- bytes --------------------------------------------------------------------------------------


def _part(part: Part) -> Iterator[str]:
    if isinstance(part, ResponseHead):
        status = f"HTTP/1.1 {part.status} {part.reason.decode()}\n"
        yield status + _headers(part.headers) + "\n"
    elif isinstance(part, bytes):
        yield visible(part)


def _headers(headers: Headers) -> str:
    return "".join(f"{name.decode()}: {value.decode()}\n" for name, value in headers)


def visible(data: bytes) -> str:
    """Return bytes as text, with CR as ␍ and an end without a line end as ␃.

    Bytes that are not UTF-8 are escaped as in Python.
    """
    text = data.decode("utf-8", "backslashreplace").replace("\r", "␍")
    text = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return text if text.endswith("\n") or not text else text + "␃\n"
