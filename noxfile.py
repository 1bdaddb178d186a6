"""The project's chores. ``nox`` alone runs what CI runs; ``nox -l`` lists all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|venv"  # uv, if it is there, takes seconds; pip a minute
nox.options.error_on_missing_interpreters = False
# Tests start hundreds of processes, which would compile what they import again and again.
os.environ["UV_COMPILE_BYTECODE"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
nox.options.sessions = [
    "lint", "types", "proto", "coverage", "pythons", "interop", "docs", "fault",
]  # fmt: skip

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OWN = "{}.{}".format(*sys.version_info)  # the one that runs nox
PROJECT = nox.project.load_toml("pyproject.toml")


def works(python: str) -> bool:
    """Say whether a command is a Python that runs; pyenv's stand-ins often are not."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def interpreters(version: str) -> list[str]:
    """Return the command of one Python version, from PATH or else from pyenv's folder, if any."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    return [python for python in candidates if works(python)][:1]


OTHERS = [python for version in PYTHONS if version != OWN for python in interpreters(version)]

WORKERS = ("--numprocesses", "logical")
# Else each worker loads what is installed, and pytest rewrites the asserts of a plugin's package.
PLUGINS = (
    "--disable-plugin-autoload",
    "-p", "xdist", "-p", "trio", "-p", "pytest_cov", "-p", "hypothesispytest",
)  # fmt: skip
# What hypothesis tries is the same each time.
IN_PARALLEL = (*PLUGINS, *WORKERS, "--dist", "worksteal", "--hypothesis-profile", "ci")
# The tests of a file share what it has started.
FILES_IN_PARALLEL = (*WORKERS, "--dist", "loadfile")
MINUTES = ("-o", "faulthandler_timeout=1200")


def install(session: nox.Session, *groups: str) -> None:
    """Install the package and the groups of pyproject.toml that a session needs."""
    requirements = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    session.install("-e", ".", *requirements)


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting and lint."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, and those of the examples in docs/library.md as their readers would."""
    session.env["UV_COMPILE_BYTECODE"] = "0"  # mypy reads sources, and many libraries are installed
    install(session, "types")
    session.run("mypy")
    folder = session.create_tmp()
    session.run("python", "-m", "tests.behaviour.library.examples", folder)
    session.run("mypy", "--strict", "--config-file=", folder)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the unit tests, on the Python that runs nox."""
    install(session, "test")
    session.run("pytest", *IN_PARALLEL, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the unit tests too, and count: they have to cover every line and branch."""
    install(session, "test")
    session.run("pytest", *IN_PARALLEL, "--cov", "--cov-report=term")


@nox.session(python=OTHERS or False)
def pythons(session: nox.Session) -> None:
    """Run the unit tests on every other Python found; properties with fewer examples."""
    if not OTHERS:
        session.skip("no other Python is found")
    install(session, "test")
    session.run("pytest", *IN_PARALLEL, "--hypothesis-profile", "few", *session.posargs)


@nox.session
def interop(session: nox.Session) -> None:
    """Real clients against proxies of their own processes; `-- tests/interop/...` runs a part."""
    install(session, "test", "interop")
    if shutil.which("npm"):
        session.run(
            "npm", "install", "--no-audit", "--no-fund", "--prefix", "tests/interop/node",
            external=True, silent=True,
        )  # fmt: skip
    else:
        session.log("npm is not installed: the clients in Node are skipped")
    named = [word for word in session.posargs if word.startswith("tests/interop")]
    chosen = session.posargs if named else ["tests/interop", *session.posargs]
    session.run("pytest", *FILES_IN_PARALLEL, *MINUTES, *chosen)


@nox.session(default=False)
def agents(session: nox.Session) -> None:
    """Real coding agents in front of the proxy, in an empty environment. Not for CI: minutes each.

    An agent that cannot be installed here is skipped with the reason. `-- --write` writes the
    table of docs/agents.md; `-- --agent codex` tries one alone.
    """
    install(session, "test")
    cache = session.cache_dir / "agents"
    session.run("python", "-m", "tests.agents", "--cache", str(cache), *session.posargs)


@nox.session
def fault(session: nox.Session) -> None:
    """Test the plugin behind the real Fault, if that is at hand; `-- --install` builds it."""
    arguments = [each for each in session.posargs if each != "--install"]
    session.install("platformdirs")
    command = asked_of_fault(session, "--command")
    if "--install" in session.posargs and not command:
        install_fault(session, asked_of_fault(session, "--cache"))
    elif not command:
        session.skip("there is no `fault` 0.x here: `nox -s fault -- --install` builds it")
    install(session, "test", "clients")
    # Each worker has a Fault of its own, and most tests wait for it: more of them than processors.
    workers = ("--numprocesses", str((os.cpu_count() or 1) * 3 // 2))
    session.run("pytest", *workers, "--dist", "worksteal", "tests/fault", *arguments)


def asked_of_fault(session: nox.Session, what: str) -> str:
    """Return what the tests know of where Fault is."""
    said = session.run("python", "-m", "tests.support.fault", what, silent=True)
    return str(said).strip()


def install_fault(session: nox.Session, folder: str) -> None:
    """Build Fault, once, into a cache directory of the user's."""
    for tool in ("cargo", "protoc"):
        if shutil.which(tool) is None:
            session.error(f"{tool} is not installed, and Fault cannot be built without it")
    session.log(f"building Fault into {folder}: this takes some minutes, once")
    session.run(
        "cargo", "install", "fault-cli@0.16.0", "--locked", "--root", folder, external=True,
        env={
            "RUSTC_BOOTSTRAP": "1",  # it uses two features that stable Rust keeps for itself
            "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
            "CARGO_PROFILE_RELEASE_LTO": "off",
            "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
        },
    )  # fmt: skip


@nox.session
def proto(session: nox.Session) -> None:
    """Check that the message classes are those of plugin.proto; `-- --write` makes them so."""
    session.install(*nox.project.dependency_groups(PROJECT, "plugin"), "protobuf")
    if "--write" in session.posargs:
        session.run("python", "-m", "tests.plugin.generate_proto")
    session.run("python", "-m", "tests.plugin.generate_proto", "--check")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, without warnings; it loads nothing from other hosts."""
    install(session, "docs")
    site = session.create_tmp()
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # the theme's word on a MkDocs that is not out
    session.run("mkdocs", "build", "--strict", "--site-dir", site, env=quiet)
    session.run("python", "tools/site_check.py", site)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Speed, beside mitmproxy and proxy.py, and the plugin's. Not for CI: it wants quiet."""
    install(session, "bench")
    session.run("python", "-m", "tests.bench", *session.posargs)
    session.run("python", "-m", "tests.bench.plugin")


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Try a seeded sample of mutants of rules, faults and framing. Not for CI: it takes long."""
    install(session, "mutants")
    session.run("python", "-m", "tools.mutants", *session.posargs)
