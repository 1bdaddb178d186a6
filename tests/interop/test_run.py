"""`faultinject run` with real commands, of which none is told of the proxy in any other way.

Each asks for a page of a host that does not exist and prints (somewhere) the status of the answer:
only the proxy can have answered, over TLS that the command has verified.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from tests.support.proxy import clean_environment

HERE = Path(__file__).parent
HOST = "api.not-there.example"
URL = f"https://{HOST}/v1/thing"
STATUS = "418"
SECONDS = 120.0
MADE_FOR_TESTS = "interop-run"
_OF_MACHINE = ("ssl_", "requests_", "curl_", "pip_cert", "node_extra", "git_ssl", "java_tool")


@frozen
class Command:
    """A command, and where it says the status."""

    words: tuple[str, ...]
    needs: str | None = None
    """The program without which it is skipped."""
    module: str | None = None
    """The module of Python's without which it is skipped."""
    says: str = STATUS
    options: tuple[str, ...] = ()


def python(program: str, module: str | None = None) -> Command:
    """Return a program in Python."""
    return Command((sys.executable, "-c", program), module=module)


_URLLIB = f"""
import urllib.request, urllib.error
try:
    urllib.request.urlopen("{URL}")
except urllib.error.HTTPError as error:
    print(error.code)
"""
_AIOHTTP = f"""
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.get("{URL}") as answer:
        print(answer.status)
asyncio.run(main())
"""
_JAVA = f"""
import java.net.*;
import java.net.http.*;
public class Asks {{
    public static void main(String[] arguments) throws Exception {{
        var old = (HttpURLConnection) new URL("{URL}").openConnection();
        var request = HttpRequest.newBuilder(URI.create("{URL}")).build();
        var body = HttpResponse.BodyHandlers.ofString();
        var now = HttpClient.newHttpClient().send(request, body);
        System.out.println(old.getResponseCode() + " " + now.statusCode());
    }}
}}
"""
_GO = f"""
package main
import ("fmt"; "net/http")
func main() {{
    answer, err := http.Get("{URL}")
    if err != nil {{ panic(err) }}
    fmt.Println(answer.StatusCode)
}}
"""
_FETCH = f"fetch('{URL}').then(answer => console.log(answer.status))"

COMMANDS = {
    "curl": Command(("curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", URL), needs="curl"),
    "wget": Command(("wget", "-S", "-O", os.devnull, URL), needs="wget"),
    "urllib": python(_URLLIB),
    "requests": python(f"import requests; print(requests.get('{URL}').status_code)", "requests"),
    "httpx": python(f"import httpx; print(httpx.get('{URL}').status_code)", "httpx"),
    "aiohttp": python(_AIOHTTP, "aiohttp"),
    "git": Command(("git", "ls-remote", f"https://{HOST}/x.git"), needs="git"),
    "pip": Command(
        (sys.executable, "-m", "pip", "download", "--no-cache-dir", "--retries", "0",
         "--index-url", f"https://{HOST}/simple", "--trusted-host", "other.example", "nothing"),
        module="pip",
        says="No matching distribution",
    ),
    "npm": Command(
        ("npm", "view", "nothing", "--fetch-retries", "0", "--registry", f"https://{HOST}/"),
        needs="npm",
    ),
    "shell": Command(
        ("sh", "-c", f"curl -sS -o {os.devnull} -w '%{{http_code}}' {URL} | cat"), needs="curl"
    ),
    "cargo": Command(
        ("cargo", "search", "nothing", "--index", f"sparse+https://{HOST}/"), needs="cargo"
    ),
    "bun": Command(("bun", "-e", _FETCH), needs="bun"),
    "deno": Command(("deno", "eval", _FETCH), needs="deno"),
    "ruby": Command(
        ("ruby", "-rnet/http", "-e", f"puts Net::HTTP.get_response(URI('{URL}')).code"),
        needs="ruby",
    ),
    "php": Command(
        ("php", "-r", f"$c = curl_init('{URL}'); curl_exec($c); echo curl_getinfo($c, 2097154);"),
        needs="php",
    ),
}  # fmt: skip


def environment() -> dict[str, str]:
    """Return an environment that says nothing of certificates and proxies."""
    return {
        name: value
        for name, value in clean_environment().items()
        if not name.lower().startswith(_OF_MACHINE)
    }


def run(
    folder: Path, words: tuple[str, ...], *options: str, **more: object
) -> subprocess.CompletedProcess[str]:
    """Run a command behind the proxy, which answers for the host."""
    line = [
        sys.executable, "-m", "faultinject", "run", "--fake-upstream", "--target-host", HOST,
        "--error-probability", "1", "--status-code", STATUS, "--only", "all", "--fail-on", "none",
        "--data-dir", str(folder / "data"), "--summary", str(folder / "summary.json"), *options,
        "--", *words,
    ]  # fmt: skip
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        line, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=folder,
        env=environment(), **more,
    )  # fmt: skip


def injected(folder: Path) -> int:
    """Return how many requests got the error."""
    [target] = json.loads((folder / "summary.json").read_text())["targets"]
    count: int = target["injected"]
    return count


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_led_to_the_proxy_and_trusts_it(tmp_path: Path, name: str) -> None:
    """By its environment alone."""
    command = COMMANDS[name]
    if command.needs is not None and shutil.which(command.needs) is None:
        pytest.skip(f"there is no {command.needs} here")
    if command.module is not None:
        pytest.importorskip(command.module)
    ended = run(tmp_path, command.words, *command.options)
    assert command.says in ended.stdout + ended.stderr.partition("Summary")[0], ended
    assert injected(tmp_path) >= 1, ended.stderr


def node_version() -> tuple[int, ...]:
    """Return Node's version; nothing if there is none."""
    if shutil.which("node") is None:
        return ()
    text = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, text.strip().removeprefix("v").split(".")))


@pytest.mark.skipif(not node_version(), reason="there is no node here")
def test_node(tmp_path: Path) -> None:
    """A newer one's fetch heeds the proxy; with an older one the base URL leads there."""
    old = node_version() < (22, 21) or (23,) <= node_version() < (24, 5)
    if old:
        program = (
            "fetch(process.env.ANTHROPIC_BASE_URL + '/v1/messages', {method: 'POST', body: '{}'})"
            ".then(answer => console.log(answer.status))"
        )
        ended = run(tmp_path, ("node", "-e", program), "--target-host", "api.anthropic.com")
        targets = json.loads((tmp_path / "summary.json").read_text())["targets"]
        assert [t["injected"] for t in targets if t["target"] == "api.anthropic.com"] == [1]
    else:
        ended = run(tmp_path, ("node", "-e", _FETCH))
        assert injected(tmp_path) == 1
    assert ended.stdout == STATUS + "\n", ended.stderr


@pytest.mark.skipif(shutil.which("java") is None, reason="there is no java here")
def test_java(tmp_path: Path) -> None:
    """Both of its clients, with the proxy and the trust store of JAVA_TOOL_OPTIONS."""
    (tmp_path / "Asks.java").write_text(_JAVA)
    ended = run(tmp_path, ("java", "Asks.java"))
    assert ended.stdout == f"{STATUS} {STATUS}\n", ended.stderr


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here")
@pytest.mark.skipif(sys.platform != "linux", reason="Go asks the system's store elsewhere")
def test_go(tmp_path: Path) -> None:
    """On Linux it reads SSL_CERT_FILE."""
    (tmp_path / "main.go").write_text(_GO)
    program = tmp_path / "asks"
    subprocess.run(["go", "build", "-o", program, "main.go"], cwd=tmp_path, check=True)
    ended = run(tmp_path, (str(program),))
    assert ended.stdout == STATUS + "\n", ended.stderr


def test_other_hosts_are_trusted_as_before(tmp_path: Path) -> None:
    """The bundle has the system's roots, and this is how a program looks for one of them."""
    program = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    with_run = run(tmp_path, (sys.executable, "-c", program))
    alone = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=environment(),
    )  # fmt: skip
    assert int(with_run.stdout) == int(alone.stdout) + 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent death signal")
def test_a_command_outlives_the_thread_that_waits_for_it(tmp_path: Path) -> None:
    """A worker thread of Trio's ends after 10 s without work."""
    ended = run(tmp_path, ("sleep", "13"))
    assert ended.returncode == 0


READS_A_TERMINAL = """
import os, signal, sys, time
count = 0
def note(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, note)
signal.signal(signal.SIGQUIT, note)
print("tty", os.isatty(0), os.isatty(1), flush=True)
print("read", input(), flush=True)
while not count:
    time.sleep(0.01)
time.sleep(0.3)
print("signals", count, flush=True)
sys.exit(6)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("key", [b"\x03", b"\x1c"], ids=["Ctrl-C", "Ctrl-backslash"])
def test_keys_of_the_terminal_are_the_commands(tmp_path: Path, key: bytes) -> None:
    """They reach it once; it reads the terminal, and we wait for what it does."""
    import pty

    line = [
        sys.executable, "-m", "faultinject", "run", "--fake-upstream", "--data-dir",
        str(tmp_path / "data"), "--", sys.executable, "-c", READS_A_TERMINAL,
    ]  # fmt: skip
    pid, master = pty.fork()
    if pid == 0:
        os.execve(line[0], line, environment())
    seen = b""
    to_type = [(b"tty True True", b"hello\n"), (b"read hello", key)]
    while piece := _read(master):
        seen += piece
        if to_type and to_type[0][0] in seen:
            os.write(master, to_type.pop(0)[1])
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert b"signals 1" in seen, seen
    assert b"Summary" in seen, seen
    assert os.waitstatus_to_exitcode(status) == 6


def _read(terminal: int) -> bytes:
    """Return what comes next from a terminal; nothing once its other end is closed."""
    readable, _, _ = select.select([terminal], [], [], SECONDS)
    assert readable, "the terminal is silent"
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says EIO
        return b""
