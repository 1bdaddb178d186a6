"""Digests of the contents of requests, with the run's key. The texts themselves are not kept.

The same body comes again and again where a client tries again, so the latest ones are remembered.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from itertools import islice, zip_longest
from typing import Any

from attrs import define, field, frozen

from faultinject.http.message import RequestHead
from faultinject.matchers import MISSING
from faultinject.observed import MESSAGES
from faultinject.providers.dialogue import CalledTool, Turn, turns_of
from faultinject.providers.provider import Provider
from faultinject.proxy.traffic_copy import BODY_BYTES, TrafficCopy, uncoded
from faultinject.rules.facts import Facts
from faultinject.rules.identity import (
    asked_of,
    canonical,
    content_of,
    credential_of,
    digest,
    identity_of,
    mark_of_message,
)
from faultinject.seen import BodyPart, Digest, HeadPart, Mark, MessagePart, ResultPart

REMEMBERED = 64
"""How many bodies are remembered."""
_FEATURES = (
    b"anthropic-version", b"anthropic-beta", b"openai-beta", b"openai-organization",
    b"openai-project", b"x-goog-user-project", b"content-type", b"content-encoding", b"accept",
)  # fmt: skip
"""Headers that choose a version or a feature of an API: a client that mends one repeats nothing."""
_IDEMPOTENCY = frozenset({b"idempotency-key", b"x-idempotency-key", b"anthropic-idempotency-key"})
_LENGTH = b"content-length"
_SECONDS = re.compile(rb"\d{1,9}(?:\.\d{0,9})?")
_MILLISECONDS_FROM = 10_000
"""Older SDKs for TypeScript stated milliseconds in ``x-stainless-timeout``."""
_GO_ON_WORDS = ("continue", "resume", "interrupted", "incomplete", "truncated")
_GO_ON_ENDS = (" off", " short")
_TO_GO_ON = re.compile(
    rf"\b(?:{'|'.join(_GO_ON_WORDS)}|(?:cut|left|broken?|stopped)(?:{'|'.join(_GO_ON_ENDS)}))\b"
)
"""Words of a message that has a model go on from where an answer broke off, as Anthropic advises:
"Your previous response was interrupted and ended with […]. Continue from where you left off."
"""
_HINTS = (*_GO_ON_WORDS, *_GO_ON_ENDS)
"""One of these is in a text that has them. To look for these takes a twentieth of the time."""
_BEGINNING = 300
"""How many characters of a message are searched for these."""
_LONGEST_MODEL = 200
_LONGEST_TOOL = 200
_NOTHING = hash(())
"""The mark of what was said before a first message."""


def mark_of(body: bytes) -> Mark:
    """Return the mark of a body."""
    return hash(body)


def mark_of_text(text: str) -> int | None:
    """Return the mark of a text; None of an empty one."""
    return hash(text) if text else None


@frozen
class HeadContent:
    """What a request's head says, without what is secret in it."""

    provider: Provider
    bare: Facts = field(eq=False)
    """The facts without the headers, but those that say how the body is coded, and without a key in
    the query; without a body."""
    asked: str
    """See `faultinject.rules.identity.asked_of`."""
    credential: str | None
    """See `faultinject.observed.Observed`."""
    features: bytes
    """Where it goes, and which version and features of the API it asks for."""
    model: str | None
    """The model that the path names."""
    streams: bool
    """Whether the path asks for a stream."""
    retry_count: int | None
    invocation: str
    """See `faultinject.rules.identity.Identity`, as for ``client``."""
    client: str
    part: HeadPart
    """What is kept of it."""

    @property
    def path(self) -> str:
        """The path, without the query."""
        return self.bare.path


@define(eq=False, repr=False)
class RequestDigests:
    """Digests requests of one run."""

    key: bytes
    _heads: OrderedDict[int, HeadContent] = field(factory=OrderedDict)
    """By a hash, so that no credentials are kept."""
    _parts: dict[HeadPart, HeadPart] = field(factory=dict)
    """What is kept of heads: one object for equal ones, since it is kept with each request."""
    _remembered: OrderedDict[tuple[object, ...], BodyPart] = field(factory=OrderedDict)
    _models: dict[str, str] = field(factory=dict)
    """Models that bodies name: one object each."""

    def head(self, facts: Facts, copy: TrafficCopy | None = None) -> HeadContent:
        """Return what a request's head says; a client's heads mostly say the same.

        If only its body tells which API it is for, that is taken from the ``copy``.
        """
        head = facts.head
        key = hash((facts.host, facts.port, head.method, head.target, head.fingerprint))
        return self._heads.get(key) or self._find(facts, copy, key)

    def _find(self, facts: Facts, copy: TrafficCopy | None, key: int) -> HeadContent:
        """Return what a head says that is not remembered by ``key``, and remember it."""
        head = facts.head
        if facts.needs_body_for_api and copy is not None:
            facts.body = uncoded(head, copy.whole_body, BODY_BYTES)
        same = [each for each in head.headers if each[0].lower() != _LENGTH]
        where = facts.host, facts.port, head.method, head.target, facts.is_mcp
        key_of_same = hash((where, *same))  # its body may only have another length
        found = self._heads.get(key_of_same) or self._head(facts)
        self._heads[key_of_same] = found
        if not facts.is_hinted_mcp:  # else not the head alone decides
            self._heads[key] = found
        while len(self._heads) > REMEMBERED:
            self._heads.popitem(last=False)
        return found

    def _head(self, facts: Facts) -> HeadContent:
        head, headers = facts.head, facts.headers
        identity = identity_of(facts, self.key, "")
        path, _, parameters = head.target.partition(b"?")
        api_request = facts.provider.api_request(
            facts.path, MISSING, facts.host, parameters.decode("ascii", "backslashreplace")
        )
        query = sorted((name, values) for name, values in facts.query.items() if name != "key")
        target = _without_key(head.target)
        coding = tuple([each for each in head.headers if each[0].lower() == b"content-encoding"])
        query_bytes = repr(query).encode("utf-8", "backslashreplace")
        chosen = [b"\r".join(headers.get(name, ())) for name in _FEATURES]
        where = f"{facts.host}:{facts.port}".encode()
        bare = facts.with_body(None)
        bare.head = RequestHead(head.method, target, coding)
        features = digest(self.key, head.method, where, path, query_bytes, *chosen).encode()
        credential = credential_of(facts, self.key)
        read_timeout = _stated(facts, b"x-stainless-read-timeout")
        timeout = _stated(facts, b"x-stainless-timeout")
        has_key = not _IDEMPOTENCY.isdisjoint(headers)
        stated = facts.provider.name, facts.retry_count, read_timeout, timeout, has_key
        kept = credential, self.key, features
        return HeadContent(
            provider=facts.provider,
            bare=bare,
            asked=asked_of(facts, self.key),
            credential=credential,
            features=features,
            model=_shortened(api_request.named_model),
            streams=api_request.stream,
            retry_count=facts.retry_count,
            invocation=identity.invocation,
            client=identity.client,
            part=self._part((*stated, bool(identity.invocation), *kept)),
        )

    def _part(self, part: HeadPart) -> HeadPart:
        """Return the same object for equal parts."""
        if len(self._parts) > REMEMBERED:
            self._parts.clear()
        return self._parts.setdefault(part, part)

    def content(self, head: HeadContent, mark: Mark | None, facts: Callable[[], Facts]) -> BodyPart:
        """Return what a request says; ``mark`` is its body's, if that is known.

        ``facts`` are asked for if it is not remembered; without a body they tell nothing.
        """
        key = (mark, head.features, head.credential, head.provider.name)
        found = None if mark is None else self._remembered.get(key)
        if found is not None:
            self._remembered.move_to_end(key)
            return found
        read = facts()
        if read.body is None:
            return None, False, None, mark, None, None, None, ()
        said = self._content(read, head, mark)
        if mark is not None:
            self._remembered[key] = said
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return said

    def _content(self, facts: Facts, head: HeadContent, mark: Mark | None) -> BodyPart:
        request = facts.api_request
        content = content_of(facts, self.key, head.asked)
        try:
            system, prefix, count, messages = _said(facts.json)
        except RecursionError:  # nested by the hundred
            system, prefix, count, messages = None, None, None, ()
        model = self._model(request.named_model)
        return model, request.stream, count, mark, content, system, prefix, messages

    def _model(self, model: str | None) -> str | None:
        """Return the same object for equal models, not too long: they are kept with requests."""
        if model is None:
            return None
        if len(self._models) > REMEMBERED:
            self._models.clear()
        model = model[:_LONGEST_MODEL]
        return self._models.setdefault(model, model)

    def way(self, client: str, agent: tuple[bytes, ...], host: str) -> str:
        """Return a digest of a client (its address and its User-Agents) and a host with port."""
        return digest(self.key, client, host, *agent)


def _shortened(model: str | None) -> str | None:
    return None if model is None else model[:_LONGEST_MODEL]


def _said(document: Any) -> tuple[Digest, Digest, int | None, tuple[MessagePart, ...]]:
    """Return what is kept of a conversation: the last fields of a `BodyPart`, with marks."""
    system, turns = turns_of(document)
    if not turns:
        return mark_of_text(system), None, None, ()
    before = _NOTHING
    calls: dict[str, tuple[CalledTool, int]] = {}
    chain: deque[tuple[Turn, int]] = deque(maxlen=MESSAGES)
    for turn in turns:
        chain.append((turn, before))
        for call in turn.tool_calls:
            calls[call.id] = call, before
        before = hash((before, *map(mark_of_message, turn.values)))
    messages = []
    for (turn, mark), after in zip_longest(chain, islice(chain, 1, None)):
        goes_on = after is not None and _goes_on(turn, after[0])
        results = tuple(_results(turn, calls)) if turn.tool_results else ()
        messages.append((turn.role, None if goes_on else mark_of_text(turn.text), mark, results))
    return mark_of_text(system), before, len(turns), tuple(messages)


def _goes_on(turn: Turn, after: Turn) -> bool:
    """Return True if the user asks the model to finish an answer: so its end is known to lack.

    Such an answer gets no mark: the program did not take a part of it for the whole.
    """
    if turn.role != "assistant" or after.role != "user":
        return False
    beginning = after.text[:_BEGINNING].lower()
    return any(map(beginning.__contains__, _HINTS)) and bool(_TO_GO_ON.search(beginning))


def _results(turn: Turn, calls: dict[str, tuple[CalledTool, int]]) -> Iterator[ResultPart]:
    for call_id, result in turn.tool_results:
        if call_id in calls:
            call, before = calls[call_id]
            arguments = hash(canonical(call.arguments))
            tool = call.tool[:_LONGEST_TOOL]
            yield tool, arguments, hash(call_id), hash(canonical(result)), before


def _without_key(target: bytes) -> bytes:
    path, _, query = target.partition(b"?")
    kept = [each for each in query.split(b"&") if not each.lower().startswith(b"key=")]
    return path + b"?" + b"&".join(kept) if query else path


_TOLD = re.compile(rb'"(model|stream)"(?:\s*:\s*(?:"([^"\\]{1,200})"|(true|false)))?')


def peeked(body: bytes) -> tuple[str | None, bool] | None:
    """Return the model that a JSON body names, and whether it asks for a stream; it is not parsed.

    A quote within a text has a backslash before it, so that what is found is a key or a text of its
    own. None if it is not sure which: it is there twice, or what follows is unusual.
    """
    found = {}
    for told in islice(_TOLD.finditer(body), 3):
        key, name, flag = told.groups()
        if key in found:
            return None
        found[key] = name if key == b"model" else flag
    model, stream = found.get(b"model"), found.get(b"stream", b"false")
    if model is None or stream is None:
        return None
    return model.decode("utf-8", "replace"), stream == b"true"


def _stated(facts: Facts, name: bytes) -> float | None:
    """Return the seconds that a header states; None if it does not."""
    text = facts.headers.get(name, (b"",))[0]
    if not _SECONDS.fullmatch(text):
        return None
    seconds = float(text)
    return seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds
