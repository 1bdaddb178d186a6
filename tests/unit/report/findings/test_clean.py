"""What must stay clean: well-behaved programs, on every kind of failure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.report.finding import Finding
from tests.support.examples import examples
from tests.unit.report.findings.clients import (
    Pause,
    boto3,
    claude_code,
    cohere,
    full_jitter,
    google_genai,
    in_turn,
    once,
    polling,
    retrying,
    stainless,
    steady,
)
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    Client,
    Turn,
    World,
    assistant,
    broken_stream,
    dropped,
    final,
    hang,
    ok,
    overloaded,
    results,
    script,
    stall,
    throttled,
    user,
)

Make = Callable[[Random], Pause]
SDKS: dict[str, tuple[Make, bool]] = {
    # What each does, and whether it counts its attempts in a header.
    "anthropic": (lambda random: stainless(random, longest_wait=1e9), True),
    "anthropic 0.x": (stainless, True),
    "openai": (lambda random: stainless(random, longest_wait=120, refuses_more=True), True),
    "groq": (stainless, True),
    "max_retries=10": (lambda random: stainless(random, max_retries=10), True),
    "max_retries=10 without a count": (lambda random: stainless(random, max_retries=10), False),
    "boto3": (boto3, False),
    "google-genai": (google_genai, False),
    "cohere": (cohere, False),
    "claude-code": (claude_code, False),
    "full jitter": (full_jitter, False),
    "full jitter, longer": (lambda random: full_jitter(random, attempts=12), False),
}
FAILURES: dict[str, tuple[Answer, ...]] = {
    # What the API answers in turn; the last answer stays.
    "529": (overloaded(),),
    "529 twice": (overloaded(), overloaded(), ok()),
    "429": (throttled(),),
    "429, retry-after 2": (throttled(2.0),),
    "429, retry-after 2, twice": (throttled(2.0), throttled(2.0), ok()),
    "429, retry-after-ms": (throttled(0.3, asked_by="retry-after-ms"),),
    "429, retry-after 0": (throttled(0.0),),
    "429, retry-after 300": (throttled(300.0),),
    "429, retry-after 90": (throttled(90.0), ok()),
    "no quota": (throttled(kind="quota", should_retry=True),),
    "400": (final(),),
    "401": (final(401),),
    "529, x-should-retry: false": (overloaded(kind="final", should_retry=False),),
    "dropped": (dropped(),),
    "dropped once": (dropped(), ok()),
    "stream cut": (broken_stream("Hel"),),
    "error event": (broken_stream("Hel", "error-event"),),
    "malformed": (broken_stream("Hel", "malformed"),),
    "slow": (ok(seconds=50),),
    "stalled for 500 s": (stall(1.0, 500.0),),
    "never answered": (hang(),),
    "stalled": (stall(),),
}
FACTS = ("not-tried-again", "client-left", "retry-after-capped")
"""Notes that are true of well-behaved clients too."""
OF_OTHERS = {
    # What an SDK does not do on failures that its own API does not make.
    "boto3": {"retry-after-ignored"},
    "google-genai": {"retry-after-ignored"},
    "cohere": {"not-retried"},  # after a dropped connection; it is so, and worth a warning
}


def found_in(world: World, wait: float = 100.0) -> tuple[Finding, ...]:
    """Return all that is found once the command has ended."""
    return world.wait(wait).end_command().report(ignore=("nothing-tested",)).findings


def assert_clean(world: World, *notes: str, wait: float = 100.0) -> None:
    """Nothing is found, but for some notes."""
    assert not [each for each in found_in(world, wait) if each.id not in notes]


@pytest.mark.parametrize("sdk", SDKS)
def test_sdks_at_their_defaults(sdk: str) -> None:
    """On every failure, whatever their dice say."""
    make, counts = SDKS[sdk]
    notes = {*FACTS, *OF_OTHERS.get(sdk, ())}
    wrong = []
    for failure, answers in FAILURES.items():
        for seed in range(4):
            ask = Ask(patience=600.0, stated=600.0, invocation="i" if sdk == "boto3" else "")
            world = World(script(*answers))
            world.start(retrying(ask, make(Random(seed)), counts=counts)).run()
            wrong += [(failure, seed, each) for each in found_in(world) if each.id not in notes]
    assert wrong == []


@examples(40)
@given(st.integers(0, 2**32), st.integers(1, 30), st.floats(0.0, 0.2))
def test_schedules_whatever_the_dice(seed: int, failures: int, seconds: float) -> None:
    """Of a call with many attempts, and of many calls with few."""
    random = Random(seed)
    schedules = (
        claude_code(random),
        stainless(random, max_retries=10),
        full_jitter(random, attempts=14),
    )
    for pause in schedules:
        world = World(script(*[overloaded(seconds=seconds)] * failures, ok()))
        world.start(retrying(Ask(), pause)).run()
        assert_clean(world)


@pytest.mark.parametrize("pause", [boto3, full_jitter, cohere])
def test_jitter_that_is_short_by_chance(pause: Make) -> None:
    """Of many calls some come back at once, twice: most do not."""
    for seed in range(3):
        random = Random(seed)
        world = World(script(overloaded(seconds=0.02)))
        for place in range(60):
            ask = Ask(more=str(place), invocation=str(place) if pause is boto3 else "")
            world.start(retrying(ask, pause(random)), place * 20.0)
        assert_clean(world.run())


@pytest.mark.parametrize("failure", ["529", "529 twice", "429", "429, retry-after 2", "400"])
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("apart", [0.0, 0.001, 0.04])
def test_a_gather_of_ten_equal_prompts(failure: str, counts: bool, apart: float) -> None:
    """Which of them a request repeats is not known; that must not look like a failing."""
    for seed in range(3):
        random = Random(seed)
        server = partial(answer_after_a_while, FAILURES[failure][0], random)
        world = World(server)
        for place in range(10):
            world.start(retrying(Ask(), stainless(random), counts=counts), place * apart)
        assert_clean(world.run())


def test_equal_prompts_that_never_overlap_on_shared_connections() -> None:
    """As those of ten threads do that a busy machine runs one after another."""
    world = World(script(overloaded(seconds=0.001)))
    for place, pause in enumerate((1.3, 1.6, 1.7, 1.8, 2.0, 2.1)):

        def client(session: int, pause: float) -> Client:
            for _ in range(4):
                yield Ask(session=session)
                yield pause
                session = 0

        world.start(client(place, pause), place * 0.01)
    assert_clean(world.run())


def test_one_that_goes_on_by_other_connections_is_no_crowd() -> None:
    """It is found."""
    world = World(script(overloaded(seconds=0.001)))
    world.start(in_turn(*[once(Ask(session=place // 2)) for place in range(20)])).run()
    assert "no-backoff" in world.end_command().found()


def answer_after_a_while(answer: Answer, random: Random, _: Ask, __: float) -> Answer:
    """Return an answer that takes some time by chance."""
    return evolve(answer, seconds=0.01 + 0.1 * random.random())


@pytest.mark.parametrize("failure", ["529", "429, retry-after 2"])
def test_a_gather_of_ten_equal_prompts_that_are_told_different_waits(failure: str) -> None:
    """One that waits one second is not the one that was told to wait five."""
    waits = iter([5.0, 1.0, 3.0, 2.0] * 100)
    world = World(lambda ask, now: throttled(next(waits), seconds=0.01))
    for place in range(10):
        world.start(retrying(Ask(), stainless(Random(place))), place * 0.001)
    assert_clean(world.run())


def test_a_gather_of_ten_different_prompts() -> None:
    """They fail together, and their jitter parts them."""
    for seed in range(20):
        random = Random(seed)
        world = World(script(overloaded(seconds=0.02)))
        for place in range(10):
            world.start(retrying(Ask(more=str(place)), stainless(random), counts=True))
        assert_clean(world.run())


def test_a_gather_that_obeys_the_same_wait() -> None:
    """Who is told to come back together may."""
    world = World(script(*[throttled(2.0)] * 20, ok()))
    for place in range(10):
        world.start(retrying(Ask(more=str(place)), stainless(Random(place))))
    assert_clean(world.run())


@pytest.mark.parametrize("model", ["m", "another"])
def test_a_hedger(model: str) -> None:
    """The request that is not needed any more is left, and that is no time-out."""
    quick = ok(seconds=0.5, head=0.1)
    world = World(script(ok(seconds=9.0, head=8.0), quick))
    world.start(once(Ask(patience=1.15)))
    world.start(once(Ask(model=model)), 1.0)
    assert_clean(world.run())


def test_a_token_refresher() -> None:
    """It is told that its token is over, asks for another, and sends the same again."""

    def client(credential: str) -> Client:
        yield Ask(credential="old")
        yield Ask(path="/v1/oauth/token", kind="api", turns=(), credential=None)
        yield Ask(credential=credential)

    for credential in ("new", "old"):  # whether the proxy knows the header or not
        world = World(script(final(401), ok(), ok()))
        assert_clean(world.start(client(credential)).run())


def test_a_batch_poller() -> None:
    """The same is asked again and again, and fails now and then, and asks for a wait."""
    answers = [ok(), ok(), overloaded(), ok(), overloaded(), overloaded(), ok()] * 5
    ask = Ask(method="GET", path="/v1/messages/batches/b", kind="api", turns=())
    for every in (1.0, 5.0, 30.0):
        assert_clean(World(script(*answers)).start(polling(ask, every=every, times=35)).run())


@pytest.mark.parametrize("failures", [2, 16, 31, 200])
def test_a_probe_each_10_seconds(failures: int) -> None:
    """It goes on as before, whether what it looks at lives or not."""
    answers = [ok(), ok(), *[overloaded()] * failures, ok()]
    probe = polling(Ask(), every=10.0, times=failures + 3)
    assert_clean(World(script(*answers)).start(probe).run())


def test_a_prefill_resume() -> None:
    """What had come is the last message of the next request, for the model to go on from."""
    ask = (user("Count"),)

    def client() -> Client:
        yield Ask(turns=ask, stream=True)
        yield Ask(turns=(*ask, assistant("1 2")), stream=True)
        yield Ask(turns=(*ask, assistant("1 2 3 4"), user("More")), stream=True)

    world = World(script(broken_stream("1 2 "), ok("3 4"), ok("5")))
    assert_clean(world.start(client()).run(), "resumed")


def test_a_client_under_its_own_limiter() -> None:
    """Its requests come at the limiter's pace, the repeats among them."""
    every = 0.2
    answers = iter([ok()] * 5 + [overloaded()] * 6 + [ok()] * 100)
    # One request at a time, each at its turn: those that failed come again at the next.
    world = World(lambda ask, now: next(answers))

    def client() -> Client:
        for prompt in range(20):
            while True:
                result = yield Ask(more=str(prompt))
                assert result is not None
                yield every - result.answer.seconds
                if result.good:
                    break

    assert_clean(world.start(client()).run())


def test_many_calls_under_one_limiter() -> None:
    """Three calls take turns: each comes at three times the limiter's pace."""
    world = World(script(overloaded(seconds=0.01)))
    for place in range(3):
        world.start(retrying(Ask(more=str(place)), steady(0.29, attempts=9)), place * 0.1)
    assert_clean(world.run())


def test_a_compacting_agent() -> None:
    """It cuts down old results and asks again, since its request was too long."""
    start = (user("Do"), assistant(a=("read", "x")))

    def client() -> Client:
        yield Ask(turns=start[:1])
        yield Ask(turns=(*start, results(a="long " * 100)))
        shorter = Ask(turns=(*start, results(a="long ...")))
        yield from retrying(shorter, stainless(Random(1)))
        yield Ask(turns=(user("Summary: it was read. Do"),))
        yield Ask(turns=(user("Summary: it was read. Do"), assistant("Done"), user("And?")))

    world = World(script(ok(), final(413), overloaded(), ok(), ok(), ok("Done")))
    assert_clean(world.start(client()).run())


def test_a_title_call_beside_the_main_one() -> None:
    """Another model is asked about the same message, for something else."""
    title = Ask(model="small", system="Write a title.", stream=True)
    for begins in (0.0, 0.2, 0.7):
        main = script(overloaded(), overloaded(), ok("Hello"))
        world = World(lambda ask, now, main=main: main(ask, now) if ask.model == "m" else ok("T"))
        world.start(retrying(Ask(stream=True), claude_code(Random(1))))
        world.start(once(title), begins)
        assert_clean(world.run())


@pytest.mark.parametrize("signal", [2, None])
def test_ctrl_c_in_a_stall(signal: int | None) -> None:
    """Who ends a program that waits is a person."""
    for answer in (stall(), hang()):
        world = World(script(answer)).start(once(Ask(stream=True))).run(until=60.0)
        world.now = 45.0
        report = world.end_command(None if signal else 130, signal).report(
            ignore=("nothing-tested",)
        )
        assert not report.findings


def test_ctrl_c_at_the_proxy_in_a_stall() -> None:
    """Nothing is said of a client that the proxy leaves."""
    world = World(script(stall())).start(once(Ask())).run()
    world.now = 45.0
    assert not world.stop().report(ignore=("nothing-tested",)).findings


def test_polling_with_a_tool() -> None:
    """An agent calls the same tool turn by turn, also in spite of failures between."""
    turns = [user("Wait")]
    every: list[Ask] = [Ask(turns=tuple(turns))]
    for place in range(6):
        turns += [assistant(**{f"c{place}": ("status", "job")}), results(**{f"c{place}": "busy"})]
        every += [Ask(turns=tuple(turns))] * 2
    answers = [ok(), *[overloaded(), ok()] * 6]
    assert_clean(World(script(*answers)).start(in_turn(*map(once, every))).run())


def test_polling_with_a_history_that_is_cut() -> None:
    """As above, of an agent that drops the old results."""
    every = [Ask(turns=(user("Wait"),))]
    for place in range(6):
        call = {f"c{place}": ("status", "job")}
        turns = (user("Wait"), assistant(**call), results(**{f"c{place}": f"busy {place}"}))
        every += [Ask(turns=turns)] * 2
    answers = [ok(), *[overloaded(), ok()] * 6]
    assert_clean(World(script(*answers)).start(in_turn(*map(once, every))).run())


def test_equal_conversations_one_after_another() -> None:
    """Each runs its tool, and one of them meets a failure."""
    start = (user("Do"), assistant(a=("write", "x")))
    other = (user("Do"), assistant(b=("write", "x")))

    def one(turns: tuple[Turn, ...], id_: str) -> Client:
        yield from retrying(Ask(turns=turns[:1]), stainless(Random(1)))
        yield from retrying(Ask(turns=(*turns, results(**{id_: "ok"}))), stainless(Random(1)))

    answers = [ok(), ok(), overloaded(), ok(), overloaded(), ok()]
    world = World(script(*answers)).start(in_turn(one(start, "a"), 1.0, one(other, "b")))
    assert_clean(world.run())


def test_the_same_asked_again_after_a_good_answer() -> None:
    """A loop over equal prompts is no second layer of retries."""
    ask, pause = Ask(), stainless(Random(3))
    world = World(script(*[overloaded()] * 3, ok(), ok(), *[overloaded()] * 3, ok()))
    calls = in_turn(*[retrying(ask, pause, counts=True) for _ in range(5)])
    assert_clean(world.start(calls).run())


def test_a_request_that_is_mended() -> None:
    """It failed for good, and is sent again otherwise."""
    answers = (final(400), ok(), final(404), ok())
    changed = in_turn(
        once(Ask(more="temperature")), once(Ask()), once(Ask(model="gone")), once(Ask(model="m2"))
    )
    assert_clean(World(script(*answers)).start(changed).run(), "fallback")


def test_the_end_of_an_answer_that_is_whole_but_for_its_last_event() -> None:
    """The next attempt says the same, whole: that is what the program carries on with."""
    turns = (user("Hi"),)

    def client() -> Client:
        yield Ask(turns=turns, stream=True)
        yield Ask(turns=turns, stream=True)
        yield Ask(turns=(*turns, assistant("Hello"), user("Bye")), stream=True)

    world = World(script(broken_stream("Hello"), ok("Hello"), ok("Bye")))
    assert_clean(world.start(client()).run())
