"""The report as a page: what it says, to whom, and that it cannot be made to do anything."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.report.as_html import DRAWN, html_report
from faultinject.report.call_picture import attempts_table, look, picture
from faultinject.report.findings import KNOWN
from faultinject.report.judge import OLDER, Judge, Report
from faultinject.report.markup import element, page
from tests.support.chromium import Page, chromium
from tests.support.examples import examples
from tests.unit.report.findings.clients import once, pauses, retrying
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    World,
    broken_stream,
    dropped,
    hang,
    ok,
    overloaded,
    script,
    throttled,
    user,
)
from tests.unit.report.findings.test_judge import random_client, random_server
from tests.unit.report.findings.test_outputs import hasty, hostile, quiet

VOID = {"meta", "link"}
HARM = "<script>alert(1)</script>\"'&`\x1b[31m\u202e"


class Outline(HTMLParser):
    """What a page has: its elements with their attributes, and its text but for its style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Each ends what began last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take text."""
        if "style" not in self.open:
            self.text += data.replace("\N{NO-BREAK SPACE}", " ")

    def having(self, class_: str) -> list[dict[str, str]]:
        """Return the attributes of the elements of a class."""
        return [
            found for _, found in self.elements if class_ in found.get("class", "").split()
        ]  # fmt: skip


def shown(told: Report) -> Outline:
    """Return the outline of a report's page."""
    return Outline(html_report(told))


def varied() -> Report:
    """Calls that end in all ways, and errors, warnings and notes."""
    answers = (overloaded(), throttled(2.0), ok(), broken_stream("Hel"), dropped(), hang(), ok())
    world = World(script(*answers, ok(seconds=1000.0)))
    for place, pause in enumerate((pauses(0.0, 0.1), pauses(0.5), pauses(0.5), pauses())):
        ask = Ask(turns=(user(str(place)),), patience=10, stream=True)
        world.start(retrying(ask, pause), place * 100.0)
    return world.start(once(Ask(stream=True)), 500.0).run(550.0).stop().report()


# -- what it says -------------------------------------------------------------------------------


def test_what_stands_at_the_top() -> None:
    """The worst, and the totals."""
    told = shown(hasty())
    assert "Began 2027-01-15 08:00:00 UTC · 168 min long · seed 42" in told.text
    assert "1 error, 1 warning" in told.text
    assert "calls3succeeded1failed2" in told.text
    assert "time added1.65 stokens lost14" in told.text
    assert [each["class"] for each in told.having("short")] == ["short error"]


def test_findings_come_worst_first_with_their_calls() -> None:
    """Each links to the picture of its call, and says what a good client does."""
    told = hasty()
    seen = shown(told)
    ids = [found["id"] for _, found in seen.elements if "id" in found]
    assert ids[:2] == ["no-backoff", "not-retried"]
    (link, *_) = [found["href"] for tag, found in seen.elements if tag == "a"]
    assert link == "#call-2"
    assert "call-2" in ids
    assert "call 2: 3 of its attempts came less than 0.1 s after an error" in seen.text
    assert "▶ 529 · 0 s · 529 · 0 s · 529 · 0 s · 529" in seen.text
    assert "A good client waits before each further attempt" in seen.text
    assert "docs/findings.md#no-backoff" in seen.text


def test_a_timeline_stands_once() -> None:
    """A call with several findings has it at the first of them."""
    world = World(script(overloaded())).start(retrying(Ask(), pauses(*[0.01] * 29)))
    told = world.run().end_command().report()
    assert [each.id for each in told.findings] == ["no-backoff", "retry-storm", "endless-retry"]
    assert shown(told).text.count("… 22 more …") == 1
    assert shown(told).text.count("18 more") == 1  # in the picture


def test_a_finding_names_all_its_calls() -> None:
    """Each leads to its picture, if it has one."""
    failing = World(lambda ask, now: overloaded() if now < 3.0 else ok())
    for place in range(5):
        failing.start(retrying(Ask(turns=(user(str(place)),)), pauses(1.0, 2.0)), 0.01 * place)
    told = failing.run().end_command().report(only=["no-jitter"])
    (only,) = told.findings
    assert len(only.calls) == 5
    seen = shown(told)
    assert "(with call 2, call 3, call 4, call 5)" in seen.text
    assert [found["href"] for tag, found in seen.elements if tag == "a"] == [
        f"#call-{number}" for number in range(1, 6)
    ]


def test_of_many_findings_some() -> None:
    """And how many more there are."""
    seen = shown(hasty(120))
    assert "and 100 more" in seen.text
    assert len(seen.having("call")) == 122


def test_of_many_calls_those_that_tell_most() -> None:
    """Those with findings, then those that failed, then those that took several attempts."""
    answers = [*[ok()] * 300, overloaded(), ok(), *[overloaded()] * 4, ok()]
    world = World(script(*answers))
    for place in range(300):
        world.start(once(Ask(turns=(user(str(place)),))), float(place))
    world.start(retrying(Ask(more="x"), pauses(0.5)), 400.0)
    world.start(retrying(Ask(more="y"), pauses(0, 0, 0)), 500.0)
    told = world.run().wait(90).stop().report()
    assert [each.id for each in told.findings] == ["no-backoff"]
    seen = shown(told)
    drawn = [found["id"] for found in seen.having("call")]
    assert len(drawn) == DRAWN
    assert drawn[-2:] == ["call-301", "call-302"]
    assert drawn[0] == "call-1"
    assert f"{302 - DRAWN} calls more are not drawn" in seen.text


def test_one_call_that_is_not_drawn() -> None:
    """One of each."""
    world = World(script(ok()))
    for place in range(DRAWN + 1):
        world.start(once(Ask(turns=(user(str(place)),))), float(place))
    assert "1 call more is not drawn" in shown(world.run().end_command().report()).text


def test_a_run_without_a_call() -> None:
    """It says that nothing was tested, and draws nothing."""
    seen = shown(quiet())
    assert "the program was not tested: no request" in seen.text
    assert f"No verdict: {len(KNOWN) - 1}" in seen.text
    assert "A good test sees to it" in seen.text
    assert "`" not in seen.text
    assert "svg" not in {tag for tag, _ in seen.elements}


def test_a_log_without_a_beginning() -> None:
    """When it began is not told."""
    seen = shown(Judge().report())
    assert "0 s long" in seen.text
    assert "Began" not in seen.text


def test_a_run_without_a_finding() -> None:
    """What was looked for and not found stands there, too."""
    world = World(script(overloaded(), ok())).start(retrying(Ask(), pauses(0.5)))
    seen = shown(world.run().end_command().report())
    assert "Nothing found in 1 call" in seen.text
    assert "no-backoff: judged 1 time" in seen.text
    assert "<h2>Findings" not in html_report(world.report())


def test_what_was_not_judged() -> None:
    """Housekeeping is counted, and what cannot be followed."""
    world = World(script(ok())).start(once(Ask(kind="housekeeping", model=None)))
    world.start(once(Ask(turns=(user("x"),))), 5.0)
    seen = shown(world.run().end_command().report())
    assert "Not judged: 1 request of housekeeping." in seen.text


# -- pictures -----------------------------------------------------------------------------------


def test_the_colours() -> None:
    """Each way to end has one, and each colour is explained."""
    told = varied()
    looks = {look(each) for told_call in told.calls for each in told_call.call.attempts}
    assert looks == {"good", "error", "broken", "left", "stopped"}
    keys = {found["class"].split()[1] for found in shown(told).having("key")}
    assert keys == looks | {"asked"}


def drawn(*answers: Answer, waits: tuple[float, ...]) -> Outline:
    """Return the picture of one call."""
    world = World(script(*answers)).start(retrying(Ask(), pauses(*waits)))
    (only,) = world.run().end_command().report().calls
    return Outline(page(picture(only.call, words="Call 1")))


def test_bars_stand_where_the_attempts_were() -> None:
    """As parts of the axis, from the first to the end of the last."""
    told = drawn(overloaded(seconds=1), overloaded(seconds=2), ok(seconds=4), waits=(1.0, 2.0))
    bars = [found for tag, found in told.elements if tag == "rect"]
    assert [(each["x"], each["width"], each["class"]) for each in bars] == [
        ("0.0%", "10.0%", "error"), ("20.0%", "20.0%", "error"), ("60.0%", "40.0%", "good"),
    ]  # fmt: skip
    assert [found["value"] for tag, found in told.elements if tag == "li"] == ["1", "2", "3"]
    assert told.text.strip().startswith("529529 after 1 s")  # the first follows nothing
    assert "200 after 2 s" in told.text
    assert "attempt 3: 200, took 4 s" in told.text


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (0.0, ["0 s", "0.005 s", "0.01 s"]),
        (0.04, ["0 s", "0.01 s", "0.02 s", "0.03 s", "0.04 s"]),
        (1.0, ["0 s", "0.5 s", "1 s"]),
        (9.0, ["0 s", "5 s"]),
        (110.0, ["0 s", "50 s", "100 s"]),
        (480.0, ["0 s", "2 min", "4 min", "6 min", "8 min"]),
    ],
)
def test_the_axis_has_round_numbers(seconds: float, ticks: list[str]) -> None:
    """Some of them, in minutes if it is long."""
    (only,) = World(script(ok(seconds=seconds))).start(once(Ask())).run().report().calls
    texts = [each.text for each in picture(only.call, words="").iter("text")]
    assert texts == ticks


def test_a_wait_that_was_asked_for_is_marked() -> None:
    """From the failure on; the next attempt stands before its end if it came too soon."""
    told = drawn(throttled(4.0, seconds=1.0), ok(seconds=8.0), waits=(1.0,))
    line, end = told.having("asked")
    assert (line["x1"], line["x2"]) == ("10.0%", "50.0%")
    assert end["class"] == "asked end"
    assert "asked to wait 4 s" in told.text


def test_a_long_wait_leads_out_of_the_picture() -> None:
    """The attempts would be too small to see."""
    told = drawn(throttled(3600.0, seconds=1.0), waits=())
    line, arrow = told.having("asked")
    assert (line["x1"], line["x2"]) == ("80.0%", "100.0%")
    assert arrow["x"] == "100%"
    assert "→" in told.text


def test_a_short_attempt_is_seen() -> None:
    """However long the others are."""
    told = drawn(overloaded(seconds=0.0), ok(seconds=1000.0), waits=(0.5,))
    first, _ = [found for tag, found in told.elements if tag == "rect"]
    assert first["width"] == "0.2%"


def test_the_numbers_of_a_call() -> None:
    """The same, for those who see no picture."""
    world = World(script(throttled(0.5), dropped(), ok(seconds=3.0, head=1.0)))
    (only,) = world.start(retrying(Ask(), pauses(0.5, 1.0))).run().report().calls
    told = Outline(page(attempts_table(only.call)))
    assert [tag for tag, _ in told.elements].count("tr") == 4
    for text in ("429", "no answer", "3 s", "0.5 s"):
        assert text in told.text
    world = World(script(overloaded())).start(retrying(Ask(), pauses(*[1.0] * 49)))
    (many,) = world.run().report().calls
    assert "38 attempts left out" in Outline(page(attempts_table(many.call))).text


def test_those_who_do_not_see_are_told() -> None:
    """Each picture has words, its table heads, and the page a language."""
    seen = shown(varied())
    pictures = [found for tag, found in seen.elements if tag == "svg"]
    assert all(each.get("aria-label") or each.get("aria-hidden") == "true" for each in pictures)
    assert "Call 4: ▶ client left" in {each.get("aria-label") for each in pictures}
    assert all(found["scope"] == "col" for tag, found in seen.elements if tag == "th")
    assert ("html", {"lang": "en"}) in seen.elements
    levels = [int(tag[1]) for tag, _ in seen.elements if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


# -- older calls --------------------------------------------------------------------------------


def test_older_calls_are_drawn_if_a_finding_is_about_them() -> None:
    """Of those that were judged already a few are kept."""
    told = folded(12)
    assert {each.call.number for each in told.calls} >= {1, 2, 3}
    assert "call-1" in {found.get("id") for _, found in shown(told).elements}


def test_older_calls_are_bounded() -> None:
    """However many findings there are."""
    told = folded(3 * OLDER)
    assert len(told.calls) <= OLDER + 10


def folded(calls: int) -> Report:
    """Hasty calls, of which a judge keeps ten."""
    world = World(script(overloaded()))
    for place in range(calls):
        world.start(retrying(Ask(turns=(user(str(place)),)), pauses(0, 0, 0)), 100.0 * place)
    return world.run().wait(90).stop().report(calls=10)


# -- harm ---------------------------------------------------------------------------------------


@examples(30)
@given(st.text(min_size=1))
def test_names_that_mean_harm(name: str) -> None:
    """The page has the same elements whatever strangers name things."""
    plain = [tag for tag, _ in shown(hostile("x")).elements]
    seen = shown(hostile(name))
    assert [tag for tag, _ in seen.elements] == plain
    assert seen.text.replace("\n", "").isprintable()


def test_requests_that_mean_harm() -> None:
    """Hosts, paths, methods and models are text, and no more of them than fits."""
    ask = Ask(host=f"{HARM}.example", path=f"/{HARM}" + "x" * 10_000, model=HARM, method="PO<b>")
    text = html_report(World(script(ok())).start(once(ask)).run().report())
    seen = Outline(text)
    assert "script" not in {tag for tag, _ in seen.elements}
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "PO<b>" in seen.text
    assert len(text) < 30_000


@examples(10)
@given(st.integers(0, 2**32))
def test_every_page_is_well_formed(seed: int) -> None:
    """Whatever happened."""
    world = World(random_server(seed))
    for prompt in "abcde":
        world.start(random_client(seed, prompt))
    told = shown(world.run(until=5000.0).end_command().report())
    assert "What the program did" in told.text


def test_the_page_is_bounded() -> None:
    """Many calls of many attempts, all of them findings."""
    world = World(script(throttled(0.5)))
    for place in range(40):
        ask = Ask(turns=(user(str(place)),), path="/v1/" + "y" * 500, model="z" * 500)
        world.start(retrying(ask, pauses(*[0.0] * 13)), 100.0 * place)
    text = html_report(world.run().wait(90).stop().report())
    assert len(text.encode()) < 40 * 12_000  # no more for each of the `DRAWN`


def test_elements_escape_all() -> None:
    """Text and attributes; what follows an element is text, too."""
    made = element("p", "<", element("b", "&"), ">", "<", title='"', class_="x", stroke_width=1)
    assert page(made).splitlines() == [
        "<!DOCTYPE html>",
        '<p title="&quot;" class="x" stroke-width="1">&lt;<b>&amp;</b>&gt;&lt;</p>',
    ]


# -- a browser ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Return a page of Chromium."""
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1200])
def test_in_chromium(browser: Page, tmp_path: Path, width: int, *, dark: bool) -> None:
    """It loads nothing, complains of nothing, fits, and has a dark side."""
    file = tmp_path / "report.html"
    file.write_text(html_report(varied()), encoding="utf-8")
    browser.open(file, width=width, dark=dark)
    assert browser.requested == [file.as_uri()]
    assert browser.trouble == []
    assert browser.ask("document.documentElement.scrollWidth") <= width
    color = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert (color == "rgb(13, 17, 23)") is dark
    assert browser.ask("[...document.querySelectorAll('rect')].every(r => r.getBBox().width > 0)")
    assert browser.ask("document.querySelector('.picture svg').getBBox().width") > 150


def test_chromium_would_tell(browser: Page, tmp_path: Path) -> None:
    """What the test above looks for is seen where it is."""
    file = tmp_path / "bad.html"
    file.write_text("<img src='http://127.0.0.1:9/x.png'><script>nothing.at.all</script>")
    browser.open(file, width=390, dark=False)
    assert "http://127.0.0.1:9/x.png" in browser.requested
    assert browser.trouble
