"""What the README and docs/ promise: links lead somewhere, commands parse, examples are true."""

from __future__ import annotations

import ast
import html
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

import faultinject
from faultinject.cli.commands import texts_given
from faultinject.cli.entry import PROGRAM, root
from faultinject.cli.old_forms import current_form
from faultinject.cli.table_options import TableOption
from faultinject.config import (
    CA_OPTIONS,
    PLUGIN_OPTIONS,
    PROXY_OPTIONS,
    RUN_OPTIONS,
    load_settings,
)
from faultinject.config.options import FILE_OPTIONS
from faultinject.config.rule_set import rule_set_of
from faultinject.errors import FaultinjectError
from faultinject.faults.respond import Respond, injected_response
from faultinject.providers.anthropic.errors import error_body, error_type
from faultinject.report.as_lines import end_line
from faultinject.report.findings import KNOWN
from faultinject.rules import Draws
from faultinject.settings import Limits, Settings
from tools import preset_page, rule_tables
from tools.option_table import END, START, page_with, tables
from tools.site_check import loaded_from_elsewhere

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
EXAMPLE = DOCS / "config.example.json"

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
every_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def read(name: str) -> str:
    """Return a page's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, *languages: str) -> list[str]:
    """Return the fenced blocks of some languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows."""
    lines = re.findall(r"^\|(.*)\|$", text, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


# -- links --------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return what a page's headings are called in links, by GitHub as by MkDocs."""
    headings = re.findall(r"^#+ (.*)$", prose(page.read_text("utf-8")), flags=re.MULTILINE)
    return {
        re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
        for heading in headings
    }


def links(page: Path) -> list[str]:
    """Return a page's links and pictures that are not to the web."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text("utf-8")))
    return [link for link in found if not link.startswith("https://")]


@every_page
def test_links(page: Path) -> None:
    """Each relative link names a file that is there, and a heading in it."""
    for link in links(page):
        name, _, anchor = link.partition("#")
        aim = (page.parent / name) if name else page
        assert aim.is_file(), link
        assert not anchor or anchor in anchors(aim), link


def test_site_has_all_pages() -> None:
    """The site's index names each page once, and no other."""
    named = re.findall(r"^ +- [^:]+: (\S+\.md)$", read("mkdocs.yml"), flags=re.MULTILINE)
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_what_a_site_loads_from_elsewhere(tmp_path: Path) -> None:
    """The check of the built site sees styles, scripts, fonts and pictures, and no mere links."""
    page = (
        '<link href="style.css"><link href="https://a.test/style.css"><img src=//b.test/b.png>'
        '<style>@import "https://c.test/c.css";</style><p style="background: url(//d.test/d)">'
        '<a href="https://e.test">https://f.test</a><script src="/own.js">"//g.test"</script>'
    )
    (tmp_path / "index.html").write_text(page, "utf-8")
    (tmp_path / "style.css").write_text("a { src: url('https://h.test/h.woff2') url(own.png) }")
    assert [*loaded_from_elsewhere(tmp_path)] == [
        "index.html loads https://a.test/style.css",
        "index.html loads //b.test/b.png",
        "index.html loads https://c.test/c.css",
        "index.html loads //d.test/d",
        "style.css loads https://h.test/h.woff2",
    ]


def test_a_site_without_pages(tmp_path: Path) -> None:
    """The check of the built site does not pass where there is nothing to check."""
    with pytest.raises(FileNotFoundError):
        next(loaded_from_elsewhere(tmp_path))


# -- commands -----------------------------------------------------------------------------------


def shell_lines(text: str) -> Iterator[str]:
    """Return the lines of a page that a shell would run, and the commands within its prose."""
    for block in blocks(text, "bash"):
        yield from block.replace("\\\n", " ").splitlines()
    for code in re.findall(r"`([^`\n]+)`", prose(text)):
        if code.startswith(PROGRAM + " "):
            yield code


def commands(line: str) -> Iterator[list[str]]:
    """Return the arguments of each call of the program in a line, in $(...) too."""
    for inner in re.findall(r"\$\(([^)]*)\)", line):
        yield from commands(inner)
    words = shlex.split(re.sub(r"\$\([^)]*\)", "IT", line), comments=True)
    call: list[str] | None = None
    for word in [*words, ";"]:
        if word in (";", "&&", "|", "&", ">", "<", "2>"):
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(word)
        elif word == PROGRAM or word.endswith("/" + PROGRAM):
            call = []


def shown_commands(page: Path) -> list[list[str]]:
    """Return the arguments of every call of the program that a page shows."""
    lines = shell_lines(page.read_text("utf-8"))
    return [arguments for line in lines for arguments in commands(line)]


def parse(arguments: list[str]) -> None:
    """Parse arguments as the program does, and run nothing. Raises `click.UsageError`."""
    command: click.Command = root
    parent: click.Context | None = None
    rest = current_form(arguments)
    while True:
        try:
            context = command.make_context(command.name, list(rest), parent=parent)
        except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
            return  # --help, --version, or a group that is named in prose
        command = context.command  # in place of what stands for it until it is imported
        if not isinstance(command, click.Group):
            break
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        if found.name == "run" and not rest:
            return  # named in prose
        command, parent = found, context
    if any(isinstance(param, TableOption) for param in command.params):
        check_values(command, context.params)


def check_values(command: click.Command, given: dict[str, Any]) -> None:
    """Check the values of the table's options. Raises `SettingsError`."""
    by_command = {"proxy": PROXY_OPTIONS, "plugin": PLUGIN_OPTIONS, "run": RUN_OPTIONS}
    options = by_command.get(command.name or "", CA_OPTIONS)
    known = {option.parameter for option in options} - {"config"}  # files are tested by themselves
    texts = texts_given({name: value for name, value in given.items() if name in known})
    rule_set_of(load_settings(texts, {}, options))


@every_page
def test_commands(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each call of the program that is shown would be accepted."""
    for arguments in shown_commands(page):
        try:
            parse(arguments)
        except (click.ClickException, FaultinjectError) as error:
            pytest.fail(f"{PROGRAM} {shlex.join(arguments)}: {error}")
    capsys.readouterr()  # --help prints


@pytest.mark.parametrize(
    "wrong",
    [
        "proxy --no-such",
        "proxi",
        "proxy --status-code 99",
        "ca export",
        "--target-host x",
        "proxy --preset flakey",
        "proxy --rule 'respond 99'",
    ],
)
def test_commands_that_are_wrong(wrong: str) -> None:
    """The check would see a command that is not accepted."""
    with pytest.raises((click.ClickException, FaultinjectError)):
        parse(shlex.split(wrong))


def test_commands_are_found() -> None:
    """The check sees calls in blocks, in substitutions, behind others, and in prose."""
    text = '```bash\nA=1 .venv/bin/faultinject demo && x\nc "$(faultinject ca path)" | d # e\n```'
    lines = [*shell_lines(text + "\nand `faultinject --help` too")]
    found = [arguments for line in lines for arguments in commands(line)]
    assert found == [["demo"], ["ca", "path"], ["--help"]]
    assert len(shown_commands(README)) >= 10


def test_the_test_command_is_what_ci_runs() -> None:
    """The README's second command is that of CI, step by step; CI counts what it covers, too."""
    _, tests = (block.strip() for block in blocks(read("README.md"), "bash")[:2])
    steps = read(".ci/run").splitlines()
    *set_up, run = tests.split(" && ")
    assert steps[-2 - len(set_up) : -1] == [*set_up, f"{run} -- --cov --cov-report=term"]


def test_ci_runs_what_nox_alone_runs() -> None:
    """But that its coverage is counted by the step before, with the same options."""
    (sessions,) = re.findall(r"nox\.options\.sessions = \[(.*?)\]", read("noxfile.py"), re.DOTALL)
    *_, last = read(".ci/run").splitlines()
    names = re.findall(r"\w+", sessions)
    names.remove("coverage")
    assert last == f".venv/bin/nox -s {' '.join(names)}"
    assert '*IN_PARALLEL, "--cov", "--cov-report=term"' in read("noxfile.py")


# -- options ------------------------------------------------------------------------------------


def test_option_tables_are_current() -> None:
    """The page of options has what tools/option_table.py makes."""
    text = read("docs/options.md")
    assert text.count(START) == text.count(END) == 1
    assert page_with(text, tables()) == text, "run: python tools/option_table.py"


def test_presets_are_current() -> None:
    """The page of presets has what tools/preset_page.py makes."""
    text = read("docs/presets.md")
    assert text.count(preset_page.START) == text.count(preset_page.END) == 1
    assert preset_page.page_with(text, preset_page.made()) == text, (
        "run: python tools/preset_page.py"
    )


@pytest.mark.parametrize("head", rule_tables.TABLES)
def test_what_the_keys_of_rules_are_is_told_once(head: str) -> None:
    """The page of rules has what editors are told, and a row for each key that has such words."""
    text = read("docs/rules.md")
    assert rule_tables.page_of(text) == text, "run: python tools/rule_tables.py"
    assert text.count(f"\n{head}\n") == 1
    keys, elsewhere = rule_tables.keys_of(text, head), rule_tables.ELSEWHERE.get(head, set())
    assert len(keys) == len(set(keys))
    assert {*keys} == {*rule_tables.TABLES[head][1]} - elsewhere


def all_options(command: click.Command) -> Iterator[str]:
    """Return the options of a command and of those below it."""
    for param in command.params:
        if isinstance(param, click.Option):
            yield from (name for name in param.opts if name.startswith("--"))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from all_options(inner.make_context(name, [], resilient_parsing=True).command)


def test_every_option_is_documented() -> None:
    """The page of options names each option of each command."""
    text = read("docs/options.md")
    options = {*all_options(root), "--help"}
    assert len(options) > 20
    assert {option for option in options if not re.search(rf"`{option}[ `]", text)} == set()


def test_options_of_the_readme() -> None:
    """Each option in the README's table is one of the proxy's, with its default."""
    known = {option.flag: option for option in PROXY_OPTIONS}
    section = read("README.md").split("\n## Options\n")[1].split("\n## ")[0]
    shown = rows(section)[1:]
    assert len(shown) > 8
    for flags, default, _ in (row for row in shown if row[0].startswith("`")):
        for flag in re.findall(r"`(--[\w-]+)`", flags):
            option = known[flag]
            assert default in ("", "drawn, and printed", "the API's own words") or (
                default == ("off" if option.kind.is_flag else option.default)
            )


# -- configuration ------------------------------------------------------------------------------


def settings_of(path: Path) -> Settings:
    """Return what a configuration file alone says."""
    return load_settings({"config": [str(path)]}, {}, PROXY_OPTIONS)


def test_example_configuration() -> None:
    """It is shown whole on its page, and it loads."""
    shown = blocks(read("docs/config.md"), "json")[0]
    assert shown == EXAMPLE.read_text("utf-8")
    settings = settings_of(EXAMPLE)
    assert (settings.status_code, settings.error_probability) == (429, 0.25)
    assert settings.headers == (("Retry-After", "1"), ("X-Should-Retry", "true"))
    assert json.loads(settings.error_body or "") == json.loads(error_body(429))


def test_example_configuration_in_toml(tmp_path: Path) -> None:
    """It says the same as the one in JSON."""
    (shown,) = blocks(read("docs/config.md"), "toml")
    assert tomllib.loads(shown) == json.loads(EXAMPLE.read_text("utf-8"))
    path = tmp_path / "config.toml"
    path.write_text(shown, encoding="utf-8")
    assert settings_of(path) == settings_of(EXAMPLE)


def test_every_key_is_documented() -> None:
    """The page of the configuration file says what each key takes."""
    named = {key for row in rows(read("docs/config.md")) for key in re.findall(r"`(\w+)`", row[0])}
    assert named == set(FILE_OPTIONS)


# -- what is said of the program ----------------------------------------------------------------


def test_error_types() -> None:
    """The table of statuses has the types that are sent."""
    section = read("docs/options.md").split("## What the client gets\n")[1].split("\n## ")[0]
    shown = {row[0]: row[1].strip("`") for row in rows(section) if re.match(r"\d{3}$", row[0])}
    assert len(shown) > 10
    assert shown == {status: error_type(int(status)) for status in shown}


@pytest.mark.parametrize("name", ["README.md", "docs/options.md"])
def test_error_examples(name: str) -> None:
    """A shown answer has the head, in order, and the body that the proxy would send."""
    for block in blocks(read(name), "http"):
        head, _, body = block.rstrip("\n").partition("\n\n")
        status_line, *lines = head.splitlines()
        status = int(status_line.split()[1])
        own = tuple(
            (key.encode(), value.encode())
            for key, value in (line.split(": ", 1) for line in lines)
            if key == "Retry-After"
        )
        response = injected_response(Respond(status, None, own), "options")
        assert status_line == f"HTTP/1.1 {status} {response.reason.decode()}"
        shown = [line for line in lines if not line.startswith("Date: ")]
        assert shown == [f"{key.decode()}: {value.decode()}" for key, value in response.headers]
        assert body == response.body.decode()
    if name == "README.md":
        assert error_body(529).decode() in read(name)


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_seed_of_the_first_steps(name: str) -> None:
    """The first commands that a reader types fail, pass and fail, as the text says."""
    assert "--error-probability 0.5 --seed 1\n" in read(name)
    draws = (Draws(1, "options", number) for number in (1, 2, 3))
    assert [draw.chance(0.5) for draw in draws] == [True, False, True]


def test_limits() -> None:
    """The table of limits has them all, with their defaults."""
    section = read("docs/security.md").split("## Limits\n")[1].split("\n## ")[0]
    shown = {row[0].strip("`"): row[1].replace(",", "") for row in rows(section)[2:]}
    assert {name: float(value) for name, value in shown.items()} == attrs.asdict(Limits())


def test_version() -> None:
    """The changelog begins with the version that the package has."""
    headings = re.findall(r"^## (.*)$", read("docs/changelog.md"), flags=re.MULTILINE)
    assert faultinject.__version__ in headings[0]


@every_page
def test_python_blocks(page: Path) -> None:
    """Python that is shown is Python."""
    for block in blocks(page.read_text("utf-8"), "python"):
        ast.parse(block)


def test_embedding_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example that embeds the proxy runs."""
    (block,) = (b for b in blocks(read("docs/quickstart.md"), "python") if "serve" in b)
    said: list[object] = []
    monkeypatch.setattr("faultinject.tls.certificate_authority.default_data_dir", lambda: tmp_path)
    exec(compile(block, "quickstart.md", "exec"), {"print": lambda *words: said.extend(words)})
    assert said[0] == "base URL:"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", str(said[1]))


def test_pytest_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example that tests a program runs, with a program that tries again as SDKs do."""
    (block,) = (b for b in blocks(read("docs/quickstart.md"), "python") if "def test_" in b)
    (tmp_path / "app.py").write_text(PROGRAM_WITH_RETRIES, "utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block, "quickstart.md", "exec"), names)
    with faultinject.Proxy() as proxy:
        for name, value in proxy.variables.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        names["test_two_failures_a_call_are_survived"](proxy)


PROGRAM_WITH_RETRIES = """
import urllib.error, urllib.request

def attempt(count):
    headers = {"x-stainless-retry-count": str(count)}
    url = "https://api.anthropic.com/v1/messages"
    request = urllib.request.Request(url, b"{}", headers)
    try:
        with urllib.request.urlopen(request) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            error.read()
        return error.code

for call in range(4):
    for count in range(3):
        status = attempt(count)
    assert status == 200
"""


@pytest.mark.parametrize("picture", sorted((DOCS / "images").glob("*.svg")), ids=lambda p: p.name)
def test_pictures_fetch_nothing(picture: Path) -> None:
    """No font, style or image comes from elsewhere."""
    text = picture.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(href|src|url)\s*[=(]\s*[\"']?(https?:)?//|@import", text)


def test_the_picture_of_a_run_ends_as_a_run_does() -> None:
    """Its last line is what a command prints today, for as many checks as there are today."""
    picture = (DOCS / "images" / "judged.svg").read_text("utf-8")
    lines = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    words = " ".join(html.unescape("".join(lines)).replace("\N{NO-BREAK SPACE}", " ").split())
    last = words[words.rindex(")") + 1 :].strip()
    numbers = [int(number) for number in re.findall(r"[0-9]+", last)]
    assert last == end_line(*numbers), "run: python tools/pictures.py"
    assert sum(numbers) == len(KNOWN), "run: python tools/pictures.py"
