"""The demonstration as a whole: what it shows, and that it fails if something goes otherwise."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import trio

from faultinject.cli import main
from faultinject.cli.demo import setup, story
from faultinject.cli.demo.screen import Screen, note
from faultinject.cli.demo.setup import TEXT, open_setup, seed_for
from faultinject.events import ExchangeEnded
from faultinject.http.message import ResponseHead
from faultinject.settings import Settings
from tests.support.proxy import clean_environment

FIRST_ACT = r"""
 1  The client sends a request, and gets a failure -+
   > POST https://api\.anthropic\.com/v1/messages
   < 429 Too Many Requests   X-Faultinject: options
     {"type":"error","error":{"type":"rate_limit_error","message":"Simulated
     error: Too Many Requests"}}
     \| CONNECT    api\.anthropic\.com:443 is a target.*
     \| TLS        TLSv1\.3, as api\.anthropic\.com, .*
     \| rule       fires: .*
     \| injected   429, 99 B in .* ms
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the demonstration's temporary directory one of ours, so that what is left is seen."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(setup, "GAP_SECONDS", 0.005)  # nobody reads along
    return tmp_path


async def shown(status: int = 429) -> str:
    """Return what the demonstration shows."""
    stream = io.StringIO()
    await story.run_demo(Screen(stream, 80), status)
    return stream.getvalue()


async def test_it_tells_what_happened(temporary: Path) -> None:
    """Failure, retry and stream are shown with what the proxy did; nothing is left behind."""
    text = await shown()
    assert re.search(FIRST_ACT, text)
    assert text.count("does not fire") == 2
    assert text.count("| forwarded  200") == 2
    assert text.count("CONNECT ") == 1
    words = " ".join(TEXT.split())
    assert " ".join(text.split()).count(words) == 2
    assert "faultinject proxy --status-code 429" in text
    assert "ANTHROPIC_BASE_URL=" in text
    assert "faultinject ca path" in text
    assert list(temporary.iterdir()) == []


async def test_another_status(temporary: Path) -> None:
    """The failure has the status that was asked for."""
    text = await shown(529)
    assert "< 529 Overloaded" in text
    assert '"overloaded_error"' in text
    assert "faultinject proxy --status-code 529" in text


def test_the_seed_gives_the_story() -> None:
    """The seed is the first that lets the requests fail as the story goes."""
    settings = Settings(error_probability=0.5)
    assert seed_for(settings, ()) == 1
    for fails in [(True, False, False), (False,), (True, True, True)]:
        assert seed_for(settings, fails) == seed_for(settings, fails)


async def test_every_stage_fails_as_it_is_told(tmp_path: Path) -> None:
    """What the setup is asked for is what its proxy does, request by request."""
    fails = (False, True, True, False, True)
    async with open_setup(tmp_path, 503, fails) as parts:
        for fail in fails:
            client = await trio.open_tcp_stream("127.0.0.1", parts.proxy.port)
            async with client:
                await client.send_all(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = b""
                while data := await client.receive_some():
                    answer += data
            assert answer.startswith(b"HTTP/1.1 503 " if fail else b"HTTP/1.1 404 ")
            while not isinstance(await parts.events.next(), ExchangeEnded):
                pass


def test_the_note_of_an_answer() -> None:
    """The marker tells most of an answer, then its type; an answer may have neither."""
    typed = ((b"content-type", b"text/plain"),)
    assert note(ResponseHead(200, b"OK", typed)) == "Content-Type: text/plain"
    marked = ResponseHead(429, b"", (*typed, (b"X-Faultinject", b"a-rule")))
    assert note(marked) == "X-Faultinject: a-rule"
    assert note(ResponseHead(204, b"", ())) == ""


# Something goes otherwise


def test_a_request_that_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """If the first request gets a real answer, that is said on one line, with exit code 1."""
    monkeypatch.setattr(story, "FAILS", (False, False, False))
    assert main(["demo"]) == 1
    out, err = capfd.readouterr()
    assert err == (
        "faultinject: the demonstration went wrong: the first request got 200, not 429\n"
    )
    assert "What next" not in out
    assert list(temporary.iterdir()) == []


async def _goes_wrong() -> str:
    with pytest.RaisesGroup(pytest.RaisesExc(story.DemoFailedError), flatten_subgroups=True) as e:
        await shown()
    error: BaseException = e.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


async def test_a_retry_that_fails(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """A failure where the answer should be is found, though its body is no message."""
    monkeypatch.setattr(story, "FAILS", (True, True, False))
    assert "the second request got 429, not 200" in await _goes_wrong()


async def test_another_text(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """The text that arrives must be the one that the API gave."""
    monkeypatch.setattr(story, "TEXT", "something else")
    assert "the second request got another text" in await _goes_wrong()


async def test_a_stream_that_comes_at_once(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    """A stream must come in more than one piece."""
    for module in (story, setup):
        monkeypatch.setattr(module, "TEXT", "Hm.")
    assert "the stream came all at once" in await _goes_wrong()


async def test_a_demonstration_that_hangs(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """It gives up, and cleans up."""
    monkeypatch.setattr(story, "LIMIT_SECONDS", 0.0)
    with pytest.raises(story.DemoFailedError, match="did not end within 0 s"):
        await shown()
    assert list(temporary.iterdir()) == []


# The command


WITHOUT_PAUSES = """
from faultinject.cli import main
from faultinject.cli.demo import setup
setup.GAP_SECONDS = 0.005
raise SystemExit(main(["demo"]))
"""


def _run(folder: Path) -> subprocess.CompletedProcess[str]:
    # Its HOME is empty and must stay so; the proxy that its environment names is dead.
    dead = "http://127.0.0.1:9"
    env = clean_environment(
        HOME=str(folder), TMPDIR=str(folder), HTTPS_PROXY=dead, PYTHONIOENCODING="utf-8"
    )
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_PAUSES],
        env=env,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_command(tmp_path: Path) -> None:
    """As a process: exit code 0, all of the story, nothing on stderr, nothing left behind."""
    run = _run(tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "◀ 429 Too Many Requests" in run.stdout
    assert run.stdout.count("◀ 200 OK") == 2
    assert "\x1b" not in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_command_in_colours(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """FORCE_COLOR colours it, NO_COLOR does not; the status can be chosen."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["demo", "--status-code", "503"]) == 0
    assert "\x1b[1;31m503 Service Unavailable" in capfd.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["demo"]) == 0
    assert "\x1b" not in capfd.readouterr().out


@pytest.mark.parametrize("status", ["200", "600", "many"])
def test_a_status_that_is_no_failure(status: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It is refused on one line, with exit code 2."""
    assert main(["demo", "--status-code", status]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert "--status-code" in line


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    """In front of `head` it ends early, with a word and without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        run = subprocess.run(
            [sys.executable, "-m", "faultinject", "demo"],
            env=clean_environment(TMPDIR=str(tmp_path)),
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr == "faultinject: nobody reads the output any more\n"
    assert list(tmp_path.iterdir()) == []
