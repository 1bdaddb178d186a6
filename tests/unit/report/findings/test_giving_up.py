"""When a program gives up: what is found, at its threshold and just below."""

from __future__ import annotations

import pytest
from attrs import evolve

from faultinject.events import CommandEnded, ExchangeEnded
from faultinject.observed import FailureKind, Observed
from faultinject.report.judge import Judge
from faultinject.report.words import seconds
from faultinject.seen import seen_of
from tests.support.sample_events import TIME, sample
from tests.unit.report.findings.clients import in_turn, once, pauses, retrying
from tests.unit.report.findings.simulator import (
    HOST,
    Answer,
    Ask,
    Client,
    Turn,
    World,
    assistant,
    broken_stream,
    dropped,
    final,
    finding,
    found,
    hang,
    ok,
    overloaded,
    refused,
    report,
    script,
    stall,
    throttled,
    unseen,
    user,
)

# -- not-retried --------------------------------------------------------------------------------


def judged(world: World, id_: str) -> str:
    """Return in a word what is said of a finding."""
    (verdict,) = world.report(only=(id_,)).verdicts
    return verdict.findings[0].severity if verdict.findings else verdict.word


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (overloaded(), "warning"),
        (throttled(), "warning"),
        (throttled(60.0), "warning"),
        (throttled(60.1), "no verdict"),  # who will not wait so long may give up
        (dropped(), "warning"),
        (dropped(failure="connect"), "warning"),
        (dropped(failure="handshake"), "warning"),
        (final(), "no verdict"),
        (throttled(kind="quota"), "no verdict"),
        (broken_stream("Hel"), "no verdict"),  # no SDK tries again after a head
        (broken_stream("Hel", "error-event"), "no verdict"),
        (ok(), "no verdict"),
    ],
)
def test_not_retried(answer: Answer, expected: str) -> None:
    """One attempt, which failed in a way that another may help against, and the program is over."""
    world = World(script(answer)).start(once(Ask())).run().end_command()
    assert judged(world, "not-retried") == expected


@pytest.mark.parametrize(("seconds", "expected"), [(60.0, "warning"), (59.9, "no verdict")])
def test_not_retried_while_the_run_goes_on(seconds: float, expected: str) -> None:
    """A minute has to pass: the pause may not be over."""
    world = World(script(overloaded())).start(once(Ask())).run().wait(seconds).stop()
    assert judged(world, "not-retried") == expected


def test_not_retried_by_a_program_that_was_ended() -> None:
    """Who knows what it would have done."""
    world = World(script(overloaded())).start(once(Ask())).run()
    assert judged(world.end_command(None, 2), "not-retried") == "no verdict"


@pytest.mark.parametrize(
    ("follows", "expected"),
    [
        ((Ask(),), "passed"),
        ((Ask(more="other words"),), "no verdict"),  # another attempt, perhaps
        ((60.1, Ask(more="other words")), "warning"),
        ((Ask(turns=(user("Else"),)),), "warning"),
        ((Ask(model="other"),), "no verdict"),
        ((Ask(host="other.example", model="other"),), "passed"),  # a fallback
    ],
)
def test_what_follows_a_failure(follows: tuple[Ask | float, ...], expected: str) -> None:
    """Another attempt, a fallback, or something else."""
    rest = [once(each) if isinstance(each, Ask) else each for each in follows]
    world = World(script(overloaded(), ok())).start(in_turn(once(Ask()), 0.5, *rest))
    assert judged(world.run().end_command(), "not-retried") == expected


@pytest.mark.parametrize(
    ("follows", "expected"),
    [
        ((user("Hi"),), "no verdict"),
        ((user("Hi"), assistant("Hello")), "no verdict"),
        ((user("Else"),), "warning"),
        ((user("Hi"), assistant("Hm")), "warning"),
    ],
)
def test_a_conversation_that_is_begun_again(follows: tuple[Turn, ...], expected: str) -> None:
    """That is no giving up, from whatever turn it goes on."""
    long = Ask(turns=(user("Hi"), assistant("Hello"), user("Go on")))
    world = World(script(overloaded(), ok()))
    world.start(in_turn(once(long), 0.5, once(Ask(turns=follows))))
    assert judged(world.run().end_command(), "not-retried") == expected


def test_what_follows_a_failure_at_once() -> None:
    """Times are told in milliseconds: an end may seem to be later than what follows it."""
    world = World(script(evolve(overloaded(), seconds=0.05, head=0.051), ok()))
    world.start(in_turn(once(Ask()), once(Ask(more="other words")))).run()
    assert judged(world.end_command(), "not-retried") == "no verdict"


@pytest.mark.parametrize(
    ("follows", "expected"),
    [(Ask(turns=(), more="else"), "no verdict"), (Ask(turns=(), path="/v1/else"), "warning")],
)
def test_what_follows_a_request_without_messages(follows: Ask, expected: str) -> None:
    """Whether it is another attempt of the first cannot be told at the same path."""
    first = once(Ask(turns=(), more="text"))
    world = World(script(overloaded(), ok())).start(in_turn(first, 0.5, once(follows)))
    assert judged(world.run().end_command(), "not-retried") == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ((overloaded(), overloaded(), final(), overloaded()), "passed"),
        ((final(), overloaded()), "no verdict"),
        ((ok(), overloaded()), "warning"),
    ],
)
def test_what_was_tried_before(before: tuple[Answer, ...], expected: str) -> None:
    """A final failure ends a call, but not the trying: what follows is one more attempt."""
    client = retrying(Ask(), pauses(*[0.5] * (len(before) - 1)))
    if before[0].failure is None:
        client = in_turn(once(Ask()), 0.5, once(Ask()))
    world = World(script(*before)).start(client).run().end_command()
    assert judged(world, "not-retried") == expected


@pytest.mark.parametrize(("pause", "expected"), [(60.0, "no verdict"), (60.1, "warning")])
def test_how_long_ago_it_was_tried_before(pause: float, expected: str) -> None:
    """A minute, and it is another call."""
    world = World(script(final(), overloaded())).start(in_turn(once(Ask()), pause, once(Ask())))
    assert judged(world.run().end_command(), "not-retried") == expected


@pytest.mark.parametrize(
    ("follows", "expected"),
    [
        (once(Ask()), "passed"),
        (once(Ask(host="other.example")), "no verdict"),  # a fallback, perhaps
        (in_turn(60.1, once(Ask(host="other.example"))), "warning"),
    ],
)
def test_what_follows_a_broken_connection(follows: Client, expected: str) -> None:
    """Whatever it was for may have been asked then."""
    world = World(script(refused(), ok()))
    world.start(in_turn(once(Ask()), 0.5, follows)).run()
    assert judged(world.end_command(), "not-retried") == expected


@pytest.mark.parametrize(("host", "expected"), [(HOST, "no verdict"), ("b.example", "warning")])
def test_a_broken_connection_to_a_host_of_housekeeping(host: str, expected: str) -> None:
    """It may have been for that."""
    world = World(script(refused())).start(once(Ask()), at=100.0)
    world.events.append(sample(ExchangeEnded, host=host, kind="housekeeping", seen=None))
    assert judged(world.run().end_command(), "not-retried") == expected


def test_a_spare_connection_that_breaks() -> None:
    """Nothing is missing where another is in use."""
    world = World(script(ok(seconds=100.0), refused()))
    world.start(once(Ask())).start(once(Ask(more="else")), at=1.0).run()
    assert judged(world.end_command(), "not-retried") == "no verdict"


def test_connections_that_break_at_once() -> None:
    """Which of them is tried again cannot be told."""
    world = World(script(refused(), refused(), ok()))
    world.start(retrying(Ask(), pauses(0.5))).start(once(Ask(more="else")), at=0.01).run()
    told = world.end_command().report()
    assert not told.findings
    assert (told.totals.calls, told.totals.attempts) == (2, 3)


@pytest.mark.parametrize("kind", ["transient", "final"])
def test_a_connection_that_always_breaks(kind: FailureKind) -> None:
    """Each item of a list may have been asked once, or one of them often: neither is claimed."""
    asks = [once(Ask(more=str(number))) for number in range(40)]
    world = World(script(refused(kind=kind))).start(in_turn(*asks)).run()
    told = world.end_command().report()
    assert not told.findings
    assert (told.totals.calls, told.totals.attempts) == (1, 40)


def test_a_client_that_left_is_not_asked_to_try_again() -> None:
    """It may have been told to."""
    world = World(script(hang())).start(once(Ask(patience=5.0))).run()
    assert judged(world.end_command(), "not-retried") == "no verdict"


# -- hung ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "stated", "expected"),
    [
        (stall(1.0, 121.0), None, "error"),
        (stall(1.0, 120.9), None, "no verdict"),
        (stall(1.0, 121.0), 100.0, "error"),
        (stall(1.0, 121.0), 600.0, "no verdict"),  # it would have ended it
        (stall(1.0, 631.0), 600.0, "error"),
        (stall(1.0, 630.9), 600.0, "no verdict"),
        (hang(600.0), None, "error"),
        (hang(599.9), None, "no verdict"),
        (hang(629.9), 600.0, "no verdict"),
        (hang(630.0), 600.0, "error"),
        (ok(seconds=1000.0, head=999.0), None, "no verdict"),  # a delay that ended by itself
        (broken_stream("Hel", seconds=200.0, silent_after=10.0), None, "error"),
    ],
)
def test_hung(answer: Answer, stated: float | None, expected: str) -> None:
    """Two minutes of silence within an answer, or ten before it, that the client does not end."""
    world = World(script(answer)).start(once(Ask(stated=stated))).run().end_command()
    assert judged(world, "hung") == expected


@pytest.mark.parametrize(
    ("silent", "why"),
    [
        (0.9, "no answer fell silent"),
        (1.0, "1 s of silence within an answer, too short to tell"),
    ],
)
def test_an_answer_that_breaks_off(silent: float, why: str) -> None:
    """If it does so at once, no client could have ended a silence."""
    broken = broken_stream("Hel", seconds=10.0 + silent, silent_after=10.0)
    world = World(script(broken)).start(once(Ask())).run().end_command()
    (verdict,) = world.report(only=("hung",)).verdicts
    assert (verdict.word, verdict.why_not) == ("no verdict", why)


def test_a_silence_that_the_client_ends() -> None:
    """As it should."""
    for answer in (stall(), hang()):
        world = World(script(answer)).start(once(Ask(patience=900.0))).run().wait(1.01)
        assert judged(world.end_command(), "hung") == "passed"


@pytest.mark.parametrize(
    ("code", "signal", "passes", "silent", "expected"),
    [
        (None, 2, 0.0, 3.0, "no verdict"),  # Ctrl-C
        (130, None, 0.0, 3.0, "no verdict"),
        (137, None, 0.0, 119.9, "no verdict"),
        (None, 2, 4.9, 3.0, "no verdict"),  # it takes a while to end
        (124, None, 4.9, 3.0, "no verdict"),  # ended by `timeout`
        (None, 2, 5.1, 3.0, "passed"),
        (None, 9, 0.0, 120.0, "error"),
        (137, None, 1.0, 120.0, "error"),
        (None, 9, 1.1, 120.0, "no verdict"),  # it may have left by itself, and have been ended then
        (0, None, 1.0, 3.0, "no verdict"),
        (1, None, 0.0, 500.0, "no verdict"),  # a limit, perhaps, that it does not survive
        (1, None, 1.1, 3.0, "passed"),
    ],
)
def test_a_silence_that_ends_with_the_program(
    code: int | None, signal: int | None, passes: float, silent: float, expected: str
) -> None:
    """Whether the client has a time limit is not known; that it had none below the silence is."""
    world = World(script(stall(1.0))).start(once(Ask(patience=1.0 + silent))).run().wait(passes)
    world.end_command(code, signal)
    assert judged(world, "hung") == expected
    (verdict,) = world.report(only=("hung",)).verdicts
    if expected == "no verdict":
        assert verdict.why_not.startswith(f"{seconds(silent)} of silence within an answer")


def test_a_silence_that_ends_as_the_run_is_stopped() -> None:
    """Who stops a proxy may have stopped its client just before; after a while it was a limit."""
    for passes, expected in ((4.9, "no verdict"), (5.1, "passed")):
        world = World(script(stall(1.0))).start(once(Ask(patience=200.0))).run().wait(passes)
        assert judged(world.stop(), "hung") == expected


@pytest.mark.parametrize(("seconds", "expected"), [(121.0, "error"), (120.9, "no verdict")])
def test_a_silence_at_the_end_of_the_run(seconds: float, expected: str) -> None:
    """The run ended sooner: no verdict, with the seconds."""
    world = World(script(stall(1.0))).start(once(Ask())).run().wait(seconds).stop()
    assert judged(world, "hung") == expected
    (verdict,) = world.report(only=("hung",)).verdicts
    if expected == "error":
        assert verdict.findings[0].evidence == (
            "2 min of silence within an answer; the client did not end it"
        )
    else:
        assert verdict.why_not == "120 s of silence within an answer, too short to tell"


BEFORE_HEAD = ok(seconds=1e6, head=1e6)
WITHIN = ok(seconds=1e6, head=0.01)


@pytest.mark.parametrize(
    ("answer", "lasts", "stated", "expected"),
    [
        (BEFORE_HEAD, 600.0, None, "error"),
        (BEFORE_HEAD, 599.9, None, "no verdict"),
        (BEFORE_HEAD, 630.0, 600.0, "error"),
        (BEFORE_HEAD, 629.9, 600.0, "no verdict"),
        (WITHIN, 120.01, None, "error"),
        (WITHIN, 120.0, None, "no verdict"),
    ],
)
def test_a_delay_that_ends_with_the_program(
    answer: Answer, lasts: float, stated: float | None, expected: str
) -> None:
    """A signal, or the run's end, cuts it short: the client would have waited on."""
    ask = Ask(patience=lasts, stated=stated)
    killed = World(script(answer)).start(once(ask)).run().end_command(None, 9)
    stopped = World(script(answer)).start(once(evolve(ask, patience=1e9))).run().wait(lasts).stop()
    for world in (killed, stopped):
        assert judged(world, "hung") == expected
        (verdict,) = world.report(only=("hung",)).verdicts
        if expected == "error":
            assert verdict.findings[0].evidence.endswith("the client did not end it")
        else:
            assert verdict.why_not == "no answer fell silent"


@pytest.mark.parametrize(
    ("lasts", "hung"), [(599.9, "no verdict"), (600.0, "passed"), (5.0, "no verdict")]
)
def test_a_delay_that_the_client_ends(lasts: float, hung: str) -> None:
    """It has a time limit, which is told as a fact."""
    world = World(script(BEFORE_HEAD)).start(once(Ask(patience=lasts))).run().wait(1.01)
    world.end_command()
    assert judged(world, "hung") == hung
    assert judged(world, "client-left") == "note"


def test_a_delay_that_ends_as_the_program_does() -> None:
    """By itself: it may have a time limit, or not. Of a short one nothing is said."""
    for lasts, why in (
        (600.0, "10 min of silence before an answer, till the program ended: it may have no time"),
        (599.9, "no answer fell silent"),
    ):
        world = World(script(BEFORE_HEAD)).start(once(Ask(patience=lasts))).run().end_command()
        (verdict,) = world.report(only=("hung",)).verdicts
        assert verdict.word == "no verdict"
        assert verdict.why_not.startswith(why)


# -- client-left --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "answer", "evidence"),
    [
        (Ask(patience=5.0), hang(), "left before the answer's head, after 5 s"),
        (
            Ask(patience=5.0, stated=4.0),
            stall(1.0),
            "left within the answer, after 5 s (it states a time-out of 4 s)",
        ),
        (Ask(patience=5.0), ok(seconds=9.0, head=1.0), "left within the answer, after 5 s"),
    ],
)
def test_client_left(ask: Ask, answer: Answer, evidence: str) -> None:
    """Its time-out is told as a fact."""
    world = World(script(answer)).start(once(ask)).run().wait(1.01).end_command()
    assert finding(world.report(only=("client-left",)), "client-left").evidence == evidence


def test_a_client_that_left_with_its_program() -> None:
    """It did not leave by itself."""
    world = World(script(hang())).start(once(Ask(patience=5.0))).run().wait(1.0).end_command()
    assert judged(world, "client-left") == "no verdict"
    (verdict,) = world.report(only=("client-left",)).verdicts
    assert verdict.why_not == "left before the answer's head, after 5 s, as the program ended"


@pytest.mark.parametrize(
    ("ask", "answer", "by_limit"),
    [
        (Ask(stated=5.0), stall(0.01), True),
        (Ask(stated=5.0), hang(), True),
        (Ask(stated_for_all=5.0), hang(), True),
        (Ask(stated_for_all=5.0), stall(0.01), False),  # it may end with the head
        (Ask(stated=4.9), hang(), True),
        (Ask(stated=4.8), hang(), False),
        (Ask(stated=5.2), hang(), False),
        (Ask(), hang(), False),
    ],
)
def test_a_client_that_left_at_its_stated_limit(
    ask: Ask, answer: Answer, *, by_limit: bool
) -> None:
    """Many programs end for that: it left by itself, and does not wait without an end."""
    world = World(script(answer)).start(once(evolve(ask, patience=5.0))).run().end_command()
    assert judged(world, "client-left") == ("note" if by_limit else "no verdict")
    assert judged(world, "hung") == ("passed" if by_limit else "no verdict")


@pytest.mark.parametrize(("passes", "expected"), [(5.0, "no verdict"), (5.1, "note")])
def test_a_client_that_left_as_its_program_was_told_to_stop(passes: float, expected: str) -> None:
    """An interpreter may take a while to end."""
    world = World(script(hang())).start(once(Ask(patience=5.0))).run().wait(passes)
    assert judged(world.end_command(None, 2), "client-left") == expected


@pytest.mark.parametrize(("began", "expected"), [(-1.0, True), (4.0, False)])
def test_a_client_that_a_request_may_have_answered_which_was_not_seen(
    began: float, expected: bool
) -> None:
    """A hedge whose body is not known."""
    world = World(script(hang())).start(once(Ask(patience=5.0))).run().wait(9.0)
    told = report([*world.events, unseen(began)], only=("client-left",))
    assert found(told) == ({"client-left": "note"} if expected else {})


@pytest.mark.parametrize(
    ("other", "begins", "expected"),
    [
        (Ask(), 4.0, "passed"),
        (Ask(model="m2"), 4.0, "passed"),
        (Ask(host="other.example"), 4.0, "passed"),
        (Ask(), 4.96, "note"),  # it was not answered yet
        (Ask(turns=(user("Else"),)), 4.0, "note"),
        (Ask(system="Else"), 4.0, "note"),
    ],
)
def test_a_client_that_another_request_answered(other: Ask, begins: float, expected: str) -> None:
    """A hedge, or a fallback: then the first is not needed any more."""
    world = World(script(hang(), ok(seconds=0.2, head=0.1)))
    world.start(once(Ask(patience=5.0))).start(once(other), begins).run().wait(9.0).end_command()
    assert judged(world, "client-left") == expected


def test_a_hedge_without_messages() -> None:
    """The same body is the same request, whatever is in it."""
    ask = Ask(turns=(), more="embed")
    world = World(script(hang(), ok())).start(once(evolve(ask, patience=5.0)))
    assert judged(world.start(once(ask), 4.0).run().wait(9.0).end_command(), "client-left") == (
        "passed"
    )


# -- fallback -----------------------------------------------------------------------------------

LONG = (user("One"), assistant("Two"), user("Three"))


@pytest.mark.parametrize(
    ("other", "after", "expected"),
    [
        (Ask(turns=LONG, model="m2"), 60.0, "note"),
        (Ask(turns=LONG, model="m2"), 60.1, "passed"),
        (Ask(turns=LONG, host="other.example"), 1.0, "note"),
        (Ask(turns=LONG[2:], model="m2"), 1.0, "note"),  # fewer
        (Ask(turns=LONG, more="else"), 1.0, "passed"),  # the same model
        (Ask(turns=(*LONG, assistant("4"), user("Three")), model="m2"), 1.0, "passed"),
        (Ask(turns=(user("Three, in other words"),), model="m2"), 1.0, "passed"),
        (Ask(turns=(user("0"), user("Three")), model="m2"), 1.0, "passed"),
        (Ask(turns=LONG, model="m2", system="Write a title."), 1.0, "passed"),
        (Ask(turns=(), model="m2"), 1.0, "passed"),
    ],
)
def test_fallback(other: Ask, after: float, expected: str) -> None:
    """The same messages or fewer, none else, are put to another model or host."""
    world = World(script(overloaded(), overloaded(), ok()))
    world.start(in_turn(retrying(Ask(turns=LONG), pauses(0.5)), after, once(other)))
    assert judged(world.run().end_command(), "fallback") == expected


def test_what_fallback_says() -> None:
    """What failed, and who was asked then."""
    world = World(script(dropped(), ok()))
    world.start(in_turn(once(Ask()), 1.0, once(Ask(host="other.example", model="m2")))).run()
    one = finding(world.report(only=("fallback",)), "fallback")
    assert one.evidence == (
        "no answer (transient) from m at api.anthropic.com, then m2 at other.example was asked"
    )
    assert one.calls == (1, 2)


def test_no_fallback_without_a_question() -> None:
    """Requests without messages cannot be compared."""
    world = World(script(overloaded(), ok()))
    world.start(in_turn(once(Ask(turns=())), once(Ask(turns=(), model=None)))).run()
    assert judged(world, "fallback") == "passed"


def test_a_request_that_was_not_seen_may_have_been_the_next_attempt() -> None:
    """Then nothing is said of a call that failed before it."""
    failed = Observed(
        call=1, attempt=1, request="r", body="b", failure="answer", failure_kind="transient",
        taken="whole", began_seconds=1.0, first_byte_seconds=0.01,
    )  # fmt: skip
    unseen = Observed(began_seconds=2.0)
    found = {}
    for began in (0.5, 2.0):
        judge = Judge()
        for seen in (failed, evolve(unseen, began_seconds=began)):
            judge.listen(sample(ExchangeEnded, seen=seen_of(seen), milliseconds=10.0, kind="model"))
        judge.listen(CommandEnded(time=TIME + 5, code=0, signal=None))
        report = judge.report()
        found[began] = [each.id for each in report.findings if each.id == "not-retried"]
    assert found == {0.5: ["not-retried"], 2.0: []}
