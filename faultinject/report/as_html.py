"""A report as one page of HTML: no network, no script, light and dark.

Bounded: so many findings of an id are listed (`SHOWN`), and so many calls drawn (`DRAWN`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from xml.etree.ElementTree import Element

from faultinject.report.call_picture import LEGEND, attempts_table, picture
from faultinject.report.client_calls import OUTCOMES, Outcome
from faultinject.report.display import brief, times
from faultinject.report.finding import SEVERITIES, Finding
from faultinject.report.judge import Report, ShownCall, Verdict
from faultinject.report.markup import Content, element, page
from faultinject.report.run_facts import run_in_words
from faultinject.report.words import seconds, timeline

TITLE = "What the program did when its API failed"
SHOWN = 20
"""So many findings of an id are listed; of more only how many there are."""
DRAWN = 200
"""So many calls are drawn, at most."""
NAME = 120
"""So many characters of what a stranger named are shown."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_OF_INTEREST: tuple[Outcome, ...] = ("failed", "abandoned", "unfinished", "succeeded")


def html_report(report: Report) -> str:
    """Return the report as a page: totals, findings, calls as pictures."""
    drawn = _drawn(report)
    numbers = frozenset(each.call.number for each in drawn)
    style = (resources.files("faultinject.report") / "page.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", **{"http-equiv": "Content-Security-Policy"}, content=_POLICY),
        element("link", rel="icon", href="data:,"),
        element("title", f"{_in_short(report)}: faultinject"),
        element("style", style),
    )
    main = element("main", *_findings(report, numbers), *_calls(report, drawn))
    body = element("body", element("header", *_top(report)), main)
    return page(element("html", head, body, lang="en"))


# -- the top ------------------------------------------------------------------------------------


def _in_short(report: Report) -> str:
    """Return what was found, in a few words."""
    found = [each.severity for each in report.findings]
    counts = [(found.count(severity), severity) for severity in SEVERITIES]
    return ", ".join(times(count, severity) for count, severity in counts if count) or (
        f"Nothing found in {times(report.totals.calls, 'call')}"
    )


def _top(report: Report) -> Iterator[Element]:
    facts, totals = report.facts, report.totals
    yield element("h1", TITLE)
    run = [f"{seconds(facts.now)} long"]
    if (started := facts.started) is not None:
        began = datetime.fromtimestamp(started.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        run = [f"Began {began}", *run, f"seed {started.seed}"]
    yield element("p", " · ".join(run), class_="run")
    if words := run_in_words(facts):
        yield element("p", " · ".join(words), class_="run")
    yield element("p", _in_short(report), class_=f"short {_worst(report.findings)}")
    tiles: list[tuple[str, str, str]] = [("calls", str(totals.calls), "")]
    tiles += [(name, str(totals.outcomes[name]), name) for name in OUTCOMES]
    tiles.append(("attempts", str(totals.attempts), ""))
    tiles.append(("time added", seconds(totals.added_seconds), ""))
    if lost := totals.lost_input_tokens + totals.lost_output_tokens:
        tiles.append(("tokens lost", str(lost), ""))
    yield element("dl", *(_tile(*each) for each in tiles), class_="totals")
    if totals.calls:
        yield _share(report)
    beside = [
        f"{times(number, one)} {rest}"
        for number, one, rest in (
            (facts.housekeeping, "request", "of housekeeping"),
            (facts.dropped, "event", "missing from the log"),
        )
        if number
    ]
    if beside:
        yield element("p", f"Not judged: {'; '.join(beside)}.", class_="beside")


def _worst(findings: list[Finding]) -> str:
    return findings[0].severity if findings else "none"


def _tile(name: str, number: str, class_: str) -> Element:
    return element("div", element("dt", name), element("dd", number), class_=f"tile {class_}")


def _share(report: Report) -> Element:
    """Return a bar of all calls, parted by how they ended: the numbers above as a picture."""
    bars, start = [], 0.0
    for name in OUTCOMES:
        part = report.totals.outcomes[name] / report.totals.calls * 100
        where = {"x": f"{start:.2f}%", "width": f"{part:.2f}%"}
        if part:
            bars.append(element("rect", **where, height=8, class_=name))
        start += part
    return element("svg", *bars, class_="share", height=8, aria_hidden="true")


# -- findings -----------------------------------------------------------------------------------


def _findings(report: Report, drawn: frozenset[int]) -> Iterator[Element]:
    if found := report.worst_first(SHOWN):
        articles = (_found(verdict, some, drawn) for verdict, some in found)
        yield element("section", element("h2", "Findings"), *articles)
    for line in report.not_judged:
        yield element("p", line, class_="beside")
    for word, title in (("no verdict", "No verdict"), ("passed", "Passed")):
        verdicts = [each for each in report.verdicts if each.word == word]
        if verdicts:
            yield element(
                "details",
                element("summary", f"{title}: {len(verdicts)}"),
                element("ul", *map(_without_finding, verdicts)),
            )


def _found(verdict: Verdict, findings: list[Finding], drawn: frozenset[int]) -> Element:
    known, severity = verdict.known, findings[0].severity
    items = [_evidence(each, drawn) for each in findings]
    if (more := verdict.found - len(items)) > 0:
        items.append(element("li", f"and {more} more"))
    return element(
        "article",
        element(
            "h3",
            element("span", severity, class_=f"badge {severity}"),
            f" The program {known.title} ",
            element("code", known.id),
        ),
        element("ul", *items),
        element("p", *_prose(known.advice), " ", element("small", f"docs/{known.anchor}")),
        class_=severity,
        id=known.id,
    )


def _prose(text: str) -> Iterator[Content]:
    """Return a sentence in which code stands between backticks."""
    for place, piece in enumerate(text.split("`")):
        yield element("code", piece) if place % 2 else piece


def _evidence(finding: Finding, drawn: frozenset[int]) -> Element:
    item = element("li")
    calls = [_link(number, drawn) for number in finding.calls]
    if finding.of_calls > 1:
        item.append(element("span", f"{finding.of_calls} calls: {finding.evidence}"))
        item.append(element("small", " (", *_with_commas(calls), ")"))
        return item
    if calls:
        item.extend((calls[0], element("span", ": ")))
    item.append(element("span", finding.evidence))
    if calls[1:]:
        item.append(element("small", " (with ", *_with_commas(calls[1:]), ")"))
    if finding.timeline:
        item.append(element("div", _unbroken(finding.timeline), class_="timeline"))
    return item


def _link(number: int, drawn: frozenset[int]) -> Element:
    """Return the name of a call, which leads to its picture if it is drawn."""
    name = f"call {number}"
    return element("a", name, href=f"#call-{number}") if number in drawn else element("span", name)


def _with_commas(names: list[Element]) -> Iterator[Content]:
    for place, name in enumerate(names):
        if place:
            yield ", "
        yield name


def _unbroken(line: str) -> str:
    """Return a timeline whose lines end between its pieces only."""
    return " · ".join(piece.replace(" ", "\N{NO-BREAK SPACE}") for piece in line.split(" · "))


def _without_finding(verdict: Verdict) -> Element:
    name = element("code", verdict.known.id)
    if verdict.word == "passed":
        return element("li", name, f": judged {times(verdict.judged, 'time')}")
    return element("li", name, f": {verdict.why_not}")


# -- calls --------------------------------------------------------------------------------------


def _drawn(report: Report) -> list[ShownCall]:
    """Return the calls that are drawn, in order: of too many those that tell most."""
    named = {number: place for place, each in enumerate(report.findings) for number in each.calls}

    def interest(each: ShownCall) -> tuple[int, int, int, int]:
        call = each.call
        place = named.get(call.number, len(named) + len(report.findings))
        return place, _OF_INTEREST.index(each.outcome), -call.count, call.number

    chosen = sorted(report.calls, key=interest)[:DRAWN]
    return sorted(chosen, key=lambda each: each.call.number)


def _calls(report: Report, drawn: list[ShownCall]) -> Iterator[Element]:
    if not drawn:
        return
    more = report.totals.calls - len(drawn)
    left_out = (
        [
            element(
                "p",
                f"{times(more, 'call')} more {'is' if more == 1 else 'are'} not drawn:"
                " those are shown that tell most.",
            )
        ]
        if more > 0
        else []
    )
    keys = (element("li", element("span", class_=f"key {name}"), what) for name, what in LEGEND)
    yield element(
        "section",
        element("h2", "Calls"),
        element("ul", *keys, class_="legend"),
        *left_out,
        *map(_call, drawn),
    )


def _call(shown_call: ShownCall) -> Element:
    call, first = shown_call.call, shown_call.call.attempts[0]
    what = [f"{first.method} {first.host}{first.path}"]
    if first.seen.model is not None:
        what.append(first.seen.model)
    return element(
        "article",
        element(
            "h3",
            f"Call {call.number} ",
            element("span", shown_call.outcome, class_=f"badge {shown_call.outcome}"),
            element("small", f" {times(call.count, 'attempt')}"),
        ),
        element("p", " · ".join(brief(each, NAME) for each in what), class_="what"),
        picture(call, words=f"Call {call.number}: {timeline(call)}"),
        element("details", element("summary", "Numbers"), attempts_table(call)),
        class_="call",
        id=f"call-{call.number}",
    )
