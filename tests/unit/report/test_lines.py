"""Each event is a line that a person can read, and nothing in it can hurt."""

from __future__ import annotations

import re
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject import events
from faultinject.events import (
    ClientHelloRead,
    Event,
    EventsDropped,
    ExchangeEnded,
    FaultBegan,
    HandshakeCompleted,
    HandshakeFailed,
    Outcome,
    PluginStarted,
    ProxyDraining,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    SessionFailed,
    Warned,
)
from faultinject.observed import Observed
from faultinject.report import lines as text_module
from faultinject.report.lines import TextFormat
from faultinject.seen import seen_of
from tests.support.sample_events import SAMPLES, TIME, sample

_TIME = r"\d\d:\d\d:\d\d\.250 "
BLOCKS = (ProxyStarted, PluginStarted)
"""Events that take more lines than one."""
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def line(event: Event, **options: Any) -> str:
    """Return an event's text without its time, which depends on the zone."""
    text = TextFormat(**options)(event)
    assert re.match(_TIME, text)
    assert text.endswith("\n")
    return re.sub(f"^{_TIME}", "", text)[:-1]


def test_exchange() -> None:
    """Outcome, method, host and path, status, bytes, milliseconds, client and rule, in columns."""
    assert line(sample(ExchangeEnded)) == (
        "injected       POST    api.anthropic.com/v1/messages      429    112 B       1.2 ms  "
        "127.0.0.1:53124  rule=error"
    )


@pytest.mark.parametrize(
    ("kind", "end"),
    [("api", "  rule=error"), ("model", "  rule=error"), ("preflight", "  preflight  rule=error"),
     ("housekeeping", "  housekeeping  rule=error")],
)  # fmt: skip
def test_what_a_request_was_for(kind: str, end: str) -> None:
    """It is said of what is no call of the API."""
    assert line(sample(ExchangeEnded, kind=kind)).endswith(f"127.0.0.1:53124{end}")


def test_an_exchange_that_was_harmed() -> None:
    """What was done to it follows its rule."""
    text = line(sample(ExchangeEnded, outcome="harmed", fault="stall after 5 events"))
    assert text.endswith("127.0.0.1:53124  rule=error  stall after 5 events")


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "127.0.0.1:53124  rule=stalls  stall after 5 events (no limit)"),
        ({"seconds": 60.0}, "  rule=stalls  stall after 5 events (60 s at most)"),
        ({"rule": None, "seconds": 1.5}, "127.0.0.1:53124  stall after 5 events (1.5 s at most)"),
    ],
)
def test_a_fault_that_began(changes: dict[str, Any], end: str) -> None:
    """It stands where the exchange's line will stand, without what is not known yet."""
    text = line(sample(FaultBegan, **changes))
    assert text.startswith("fault-began    POST    api.anthropic.com/v1/messages ")
    assert text.endswith(end)
    both = line(sample(FaultBegan)), line(sample(ExchangeEnded))
    assert both[0].index("127.0.0.1") == both[1].index("127.0.0.1")
    debug = TextFormat(level="debug")(sample(FaultBegan))
    assert debug.endswith("  session=3 exchange=1\n")


def test_an_exchange_whose_path_was_mended() -> None:
    """Both paths are told."""
    text = line(sample(ExchangeEnded, path_mended_from="/messages"))
    assert "api.anthropic.com/v1/messages " in text
    assert "  asked for as /messages" in text


def test_exchange_without_status_or_rule() -> None:
    """What there is none of is a dash or absent; the error comes last."""
    event = sample(ExchangeEnded, outcome="client-gone", status=None, rule=None, error="it left")
    text = line(event)
    assert text.startswith("client-gone ")
    assert "   -    112 B" in text
    assert text.endswith("127.0.0.1:53124  it left")


def test_no_blanks_at_the_end() -> None:
    """A short client address does not leave its padding behind."""
    text = line(sample(ExchangeEnded, client="[::1]:5", rule=None))
    assert text.endswith("ms  [::1]:5")


@pytest.mark.parametrize(
    ("scheme", "host", "port", "shown"),
    [
        ("https", "a.example", 443, "a.example/x"),
        ("http", "a.example", 80, "a.example/x"),
        ("https", "a.example", 80, "a.example:80/x"),
        ("http", "2001:db8::1", 8080, "[2001:db8::1]:8080/x"),
        ("https", "2001:db8::1", 443, "[2001:db8::1]/x"),
    ],
)
def test_port_is_shown_if_it_is_not_the_default(
    scheme: str, host: str, port: int, shown: str
) -> None:
    """The scheme is seen by the port's absence."""
    event = sample(ExchangeEnded, scheme=scheme, host=host, port=port, path="/x")
    assert f" {shown} " in line(event)


def test_a_request_that_named_no_host() -> None:
    """It could not be read that far."""
    event = sample(ExchangeEnded, scheme="http", host="", port=0, method="", path="")
    assert "         -   " in line(event)


def test_columns_grow_with_long_urls() -> None:
    """After a longer one the numbers stand where it put them, up to a bound."""
    lines = TextFormat()
    before = lines(sample(ExchangeEnded)).index("429")
    longer = lines(sample(ExchangeEnded, path="/v1/messages/a/longer/one")).index("429")
    after = lines(sample(ExchangeEnded)).index("429")
    assert before < longer == after
    lines(sample(ExchangeEnded, path="/" + "x" * 60))
    assert lines(sample(ExchangeEnded)).index("429") <= 12 + 1 + 14 + 1 + 7 + 1 + 50 + 1


def test_long_paths_are_shortened() -> None:
    """Both ends of a path stay."""
    text = line(sample(ExchangeEnded, path="/first/" + "x" * 9000 + "/last"))
    assert " api.anthropic.com/first/xxx" in text
    assert "xxx/last " in text
    assert len(text) < 160


def test_debug_adds_ids() -> None:
    """At debug level exchanges and relays can be found among their session's events."""
    assert "  session=3 exchange=1" in line(sample(ExchangeEnded), level="debug")
    assert "  session=3 sent=517 B" in line(sample(RelayEnded), level="debug")


def test_debug_adds_what_was_seen_of_an_attempt() -> None:
    """As far as it is for people: no digests, and nothing that is not known."""
    seen = Observed(
        call=7, attempt=2, gap_seconds=0.375, stream=False, model="m\x1b", request="digest"
    )
    event = sample(ExchangeEnded, seen=seen_of(seen))
    words = "  session=3 exchange=1 model=m\\x1b stream=no call=7 attempt=2 gap_seconds=0.375"
    assert line(event, level="debug").endswith(words)
    assert "attempt" not in line(event)


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_has_a_color(outcome: str) -> None:
    """The outcome is coloured, padded within the colour, and the text is else the same."""
    event = sample(ExchangeEnded, outcome=outcome, error="why")
    colored, plain = TextFormat(color=True)(event), TextFormat()(event)
    assert f"m{outcome:<14}\x1b[0m" in colored
    assert "\x1b[31mwhy\x1b[0m\n" in colored
    assert _COLOR.sub("", colored) == plain


def test_relay() -> None:
    """A relay has its bytes and its reason; it has no status."""
    assert line(sample(RelayEnded)) == (
        "relayed        CONNECT pypi.org:443                         -   1.2 MB     345.6 ms  "
        "127.0.0.1:53124  not a target"
    )
    assert line(sample(RelayEnded, error="reset")).endswith("not a target  reset")


def test_a_tunnel_that_could_not_be_opened() -> None:
    """Nothing was relayed: it is an error of the upstream."""
    text = line(sample(RelayEnded, opened=False, received_bytes=0, error="cannot connect"))
    assert text.startswith("upstream-error CONNECT pypi.org:443 ")
    assert text.endswith("not a target  cannot connect")


def test_refused_certificate_names_the_mend_once_a_host() -> None:
    """Each host gets one line, however many clients refuse."""
    lines = TextFormat()
    first = lines(sample(HandshakeFailed))
    assert "not-trusted    api.anthropic.com: 127.0.0.1:53124 refused our certificate" in first
    assert "`faultinject ca instructions`" in first
    assert "base URL" in first
    assert lines(sample(HandshakeFailed, client="127.0.0.1:9")) == ""
    assert "other.example" in lines(sample(HandshakeFailed, host="other.example"))


def test_clients_that_leave_are_told_the_likely_mend_once_a_host() -> None:
    """It is a guess, so a sure refusal still has its line, and other failures have theirs."""
    lines = TextFormat()
    left = {"refused": False, "left": True, "reason": "the peer ended within the handshake"}
    first = lines(sample(HandshakeFailed, **left))
    assert first.endswith(
        "warning        TLS with 127.0.0.1:53124 for api.anthropic.com failed: the peer ended "
        "within the handshake; perhaps it does not trust our certificate: `faultinject ca "
        "instructions`. Further ones for this host are only counted.\n"
    )
    assert lines(sample(HandshakeFailed, client="127.0.0.1:9", **left)) == ""
    assert "other.example" in lines(sample(HandshakeFailed, host="other.example", **left))
    assert "not-trusted" in lines(sample(HandshakeFailed))
    assert lines(sample(HandshakeFailed, refused=False))


def test_refusing_hosts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names from the network do not fill the memory."""
    monkeypatch.setattr(text_module, "MAX_REFUSING_HOSTS", 1)
    lines = TextFormat()
    assert lines(sample(HandshakeFailed, host="one.example"))
    assert lines(sample(HandshakeFailed, host="two.example")) == ""
    assert lines(sample(HandshakeFailed, host="one.example", refused=False, left=True))
    assert lines(sample(HandshakeFailed, host="two.example", refused=False, left=True)) == ""


def test_other_handshake_failures_are_all_shown() -> None:
    """They differ, and so each has its reason."""
    lines = TextFormat()
    event = sample(HandshakeFailed, refused=False, reason="no shared cipher")
    expected = "TLS with 127.0.0.1:53124 for api.anthropic.com failed: no shared cipher\n"
    assert lines(event).endswith(expected)
    assert lines(event).endswith(expected)


def test_session_failed_hides_its_traceback() -> None:
    """The traceback is for who looks for it."""
    assert line(sample(SessionFailed)) == (
        "error          session 3 of 127.0.0.1:53124: AssertionError: no  "
        "(a bug in faultinject; --log-level debug shows the traceback)"
    )


def test_session_failed_shows_its_traceback_at_debug() -> None:
    """Its lines follow, indented."""
    assert line(sample(SessionFailed), level="debug") == (
        "error          session 3 of 127.0.0.1:53124: AssertionError: no\n"
        "    Traceback:\n      line 1\n    AssertionError: no"
    )


def test_short_lines() -> None:
    """Warnings, drops and the stop are a word and a sentence."""
    assert line(sample(Warned)) == "warning        listening on every address"
    assert line(sample(ProxyStopped)) == "stopped        told to stop"
    one = sample(ProxyDraining, exchanges=1, seconds=5.0)
    assert line(one) == "stopping       1 request is open: waiting up to 5 s; Ctrl-C again ends it"
    assert line(one, setup_hints=False) == "stopping       1 request is open: waiting up to 5 s"
    assert line(sample(ProxyDraining, exchanges=0, sessions=2, seconds=0.5)) == (
        "stopping       2 tunnels are open: waiting up to 0.5 s; Ctrl-C again ends them"
    )
    assert line(sample(EventsDropped, count=1)).startswith("warning        1 event dropped: ")


def test_other_events_show_their_fields() -> None:
    """Debug events, and kinds that this room does not know, are name and fields."""
    assert line(sample(ClientHelloRead)) == (
        "client-hello   session=3 authority=api.anthropic.com:443 "
        "server_name=api.anthropic.com alpn=h2,http/1.1"
    )
    assert line(sample(ClientHelloRead, alpn=())).endswith(" alpn=-")
    assert line(sample(HandshakeCompleted)).endswith(" alpn=- milliseconds=2.2")


def test_time_is_local_with_milliseconds() -> None:
    """Two events of one second share its text; the next second has its own."""
    lines = TextFormat()
    times = [lines(sample(Warned, time=TIME + more))[:12] for more in (0, 0.5, 1)]
    assert [time[8:] for time in times] == [".250", ".750", ".250"]
    assert times[0][:8] == times[1][:8] != times[2][:8]


@given(
    data=st.data(), kind=st.sampled_from(list(SAMPLES)), level=st.sampled_from(["info", "debug"])
)
def test_no_control_character_passes(data: st.DataObject, kind: type[Event], level: Any) -> None:
    """Whatever text a peer puts into a field, only our own newlines come out."""
    texts = [name for name, value in SAMPLES[kind].items() if isinstance(value, str)]
    fixed = {"outcome", "scheme"}
    hostile: dict[str, Any] = {
        name: data.draw(st.text(st.characters(codec=None)), name)
        for name in texts
        if name not in fixed
    }
    if kind is ClientHelloRead:
        hostile["alpn"] = tuple(data.draw(st.lists(st.text(st.characters(codec=None))), "alpn"))
    text = TextFormat(level=level)(sample(kind, **hostile))
    assert all(part.isprintable() for part in text.split("\n"))
    if not (kind is SessionFailed and level == "debug") and kind not in BLOCKS:
        assert text.count("\n") == 1


def test_samples_are_complete() -> None:
    """There is a sample of every kind of event, so that these tests miss none."""
    # attrs makes each class anew, and the first one stays until the collector finds it.
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type)} - {Event}
    kinds = {kind for kind in kinds if issubclass(kind, Event) and hasattr(kind, "NAME")}
    assert set(SAMPLES) == kinds
    for kind in SAMPLES:
        assert {"time", *SAMPLES[kind]} >= {
            each.name for each in attrs.fields(kind) if each.default is attrs.NOTHING
        }


def test_relay_of_no_name() -> None:
    """Behind Fault a client that speaks no TLS names no host."""
    assert line(sample(RelayEnded, host="")).startswith("relayed        CONNECT -      ")


@pytest.mark.parametrize("color", [False, True])
def test_a_plugin_offers_no_base_url(color: bool) -> None:
    """Whoever does not trust it must learn to."""
    text = TextFormat(color=color)
    assert text(sample(PluginStarted)).startswith("\x1b[1m" if color else "faultinject ")
    refused = text(sample(HandshakeFailed))
    assert "Make it trust the CA (`faultinject ca instructions`). Further" in refused


@pytest.mark.parametrize("kind", ["housekeeping", "preflight", "websocket", "model", "api", None])
def test_what_is_no_call_of_the_api_is_marked(kind: str | None) -> None:
    """A reader sees why no rule fired for it."""
    text = TextFormat()(sample(ExchangeEnded, rule=None, outcome="forwarded", kind=kind))
    marked = ("housekeeping", "preflight", "websocket")
    assert [word for word in marked if word in text] == [kind] * (kind in marked)
