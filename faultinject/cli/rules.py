"""``faultinject rules``: checks a file of rules, and makes a first one."""

from __future__ import annotations

from pathlib import Path

import click

from faultinject.cli.commands import HelpfulCommand, HelpfulGroup
from faultinject.errors import SettingsError, StartError

_EPILOG = """\
Begin a file of rules, check it, and use it:

  faultinject rules init rules.yaml
  faultinject rules check rules.yaml
  faultinject proxy --config rules.yaml
"""


@click.group("rules", cls=HelpfulGroup, epilog=_EPILOG)
def rules() -> None:
    """Check a file of rules, or make a first one."""


_COUNTED = {0: "there is no rule in it; it", 1: "1 rule, it"}


@rules.command("check", cls=HelpfulCommand)
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> int:
    """Check a configuration file with its rules; say what is wrong, a line each.

    FILE may be - for standard input. The exit code is 2 if anything is wrong.
    """
    from faultinject.cli.checking import checked
    from faultinject.config.file import shown_path

    found = checked(file)
    for line in (*found.problems, *found.notes):
        click.echo(line, err=True)
    if found.problems:
        return 2
    click.echo(
        f"{shown_path(file)}: {_COUNTED.get(found.count, f'{found.count} rules, all')} can be used"
    )
    return 0


@rules.command("init", cls=HelpfulCommand)
@click.argument("file", type=click.Path(path_type=Path), default="-")
def init(file: Path) -> None:
    """Write a commented first file of rules (YAML); without FILE, or as -, to standard output."""
    from importlib import resources

    text = (resources.files("faultinject.cli") / "first_rules.yaml").read_text("utf-8")
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise SettingsError(f"{file}: it is there already; name another file") from None
    except OSError as error:
        raise StartError(f"cannot write {file}: {error.strerror or error}") from None
    click.echo(f"wrote {file}; next: faultinject proxy --config {file}", err=True)
