"""The classes of commands and groups that the command line is built of."""

from __future__ import annotations

import gc
import linecache
import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from faultinject.cli.warning import warn
from faultinject.config import Option, load_settings_as, unknown_variables
from faultinject.config.file import read_config_file
from faultinject.errors import SettingsError
from faultinject.reading.node import MistakesError, Node, lines_of
from faultinject.reading.shown import nearest
from faultinject.settings import Settings


def collect_again() -> None:
    """Switch the garbage collector on, which was off while modules were loaded.

    They stay to the end, so from now on it can skip them.
    """
    gc.freeze()
    gc.enable()


def stop_collecting() -> None:
    """Switch the garbage collector off while more is loaded, until `settle`."""
    gc.disable()
    gc.unfreeze()


def make_room() -> None:
    """Collect the garbage that loading has left; skip what is there from now on.

    It is each class as it was before attrs gave it its slots, and the text of the methods that
    attrs wrote, which a traceback does without: 3 MiB. What is loaded next finds room there.
    """
    linecache.clearcache()
    gc.collect()
    gc.freeze()


def settle() -> None:
    """Make room, and collect again.

    A program that serves for long does so once it serves, and its clients know that.
    """
    make_room()
    gc.enable()


class HelpfulCommand(click.Command):
    """A command with an epilog of examples that can be copied."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help."""
        from faultinject.cli.help_page import help_page

        return help_page(self, ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. If there is no such option, the error names what may be meant."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            meant = " or ".join(f"'{each}'" for each in options_meant(name, self.get_params(ctx)))
            hint = f"; did you mean {meant}?" if meant else ""
            raise click.UsageError(f"no such option '{name}'{hint}", ctx) from None


def options_meant(typed: str, params: Iterable[click.Parameter]) -> list[str]:
    """Return the options that may be meant by one that does not exist.

    These are, in this order: those that people look for under this name, one that is written nearly
    alike, those with the same words in their names, and the one that is most alike.
    """
    word = typed.lstrip("-").replace("_", "-").lower()
    flags = {each.opts[-1]: each for each in params if isinstance(each, click.Option)}
    sought = [flag for flag, each in flags.items() if word in getattr(each, "sought_as", ())]
    if sought:
        return sought
    near = nearest(f"--{word}", flags, least=0.85)
    words = _words(word)
    akin = [flag for flag in flags if words <= _words(flag) or words >= _words(flag)]
    if near is None and akin:
        return akin
    near = near or nearest(f"--{word}", flags)
    return [] if near is None else [near]


def _words(name: str) -> set[str]:
    """Return the words of an option's name, in the singular."""
    return {each.removesuffix("s") for each in name.lstrip("-").split("-")}


class LateCommand(HelpfulCommand):
    """Stands for a command, and imports it only when it is used.

    The help of its group shows ``short_help``, the first line of the command's own help.
    """

    def __init__(self, place: str, short_help: str) -> None:
        """Stand for the command at ``place`` (``module:function``), which has its module's name."""
        self._module, _, self._function = place.partition(":")
        super().__init__(name=self._module.rpartition(".")[2], short_help=short_help)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Import the command and return its context."""
        command: click.Command = getattr(import_module(self._module), self._function)
        collect_again()
        return command.make_context(info_name, args, parent, **extra)


class HelpfulGroup(HelpfulCommand, click.Group):
    """A group that keeps the order of its commands, and suggests one for a wrong name."""

    command_class = HelpfulCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the given order."""
        del ctx
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. If there is none of this name, the error names the most similar one."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            near = nearest(name, known)
            hint = f"did you mean '{near}'?" if near else "the commands are " + ", ".join(known)
            raise click.UsageError(f"no such command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


S = TypeVar("S", bound=Settings)


def settings_of(values: dict[str, Any], options: Iterable[Option]) -> Settings:
    """Return the settings of the proxy for a command; see `settings_as`."""
    return settings_as(Settings, values, options)


def settings_as(kind: type[S], values: dict[str, Any], options: Iterable[Option]) -> S:
    """Return the settings for a command, from its options, the environment and the file.

    Warns of variables that look like an option's but are not. Raises `SettingsError`, which counts
    the mistakes in the file's rules too.
    """
    for message in unknown_variables(os.environ):
        warn(message)
    read: dict[Path, Node] = {}

    def read_file(path: Path) -> Node:
        read[path] = document = read_config_file(path)
        return document

    try:
        return load_settings_as(kind, texts_given(values), os.environ, options, read_file)
    except SettingsError as error:
        if not read:
            raise
        from faultinject.config.rule_set import rule_problems  # late, for a mistake alone

        more = [line for path, document in read.items() for line in rule_problems(path, document)]
        raise MistakesError((*lines_of(error), *more)) if more else error from None


def texts_given(values: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the texts of the options that were given, as `load_settings` takes them."""
    return {
        name: (
            tuple(value)
            if isinstance(value, (list, tuple))
            else (str(value).lower() if isinstance(value, bool) else value,)
        )
        for name, value in values.items()
        if value is not None and value != ()
    }
