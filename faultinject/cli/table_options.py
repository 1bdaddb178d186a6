"""Click's view of the options of `faultinject.config`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from faultinject.config import Kind, Option
from faultinject.config.presets import NAMES, preset_named


class TableOption(click.Option):
    """An option of `faultinject.config`. Its value stays text until all sources are known.

    Its default and its variable are for the help only: `faultinject.config` applies them.
    """

    def __init__(self, option: Option) -> None:
        """Create Click's option for an option of the table."""
        kind = option.kind
        bare: dict[str, Any] = {} if option.bare is None else {"flag_value": option.bare}
        super().__init__(
            [*_declarations(option), option.parameter],
            type=_click_type(kind),
            default=_default(option),
            show_default=True,
            envvar=option.variable,
            show_envvar=True,
            is_flag=kind.is_flag,
            multiple=kind.repeatable,
            metavar=None if kind.is_flag else kind.metavar,
            help=_help(option),
            **bare,
        )
        self.option = option
        self.sought_as = option.sought_as
        self.panel = option.group
        """Where rich-click shows it in the help."""

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """Return what was given on the command line, or None."""
        if self.name in opts:
            return super().consume_value(ctx, opts)
        return None, ParameterSource.DEFAULT

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete words of a choice, presets, and paths."""
        if words := self.option.kind.choices:
            return [CompletionItem(word) for word in words if word.startswith(incomplete)]
        if self.option.name == "preset":
            if "@" in incomplete:
                return list(_how_often(incomplete))
            return preset_names(ctx, self, incomplete)
        return super().shell_complete(ctx, incomplete)


def preset_names(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the presets whose names begin with the incomplete word, for the shell."""
    return [CompletionItem(name) for name in NAMES if name.startswith(incomplete)]


def _how_often(incomplete: str) -> Iterator[CompletionItem]:
    """Yield completions for what follows a preset's name and ``@``."""
    name = incomplete.partition("@")[0]
    if name in NAMES:
        words = [f"{name}@10%", *([f"{name}@first=2"] if preset_named(name).takes_first else [])]
        yield from (CompletionItem(word) for word in words if word.startswith(incomplete))


def _click_type(kind: Kind) -> click.ParamType[Any]:
    """Return Click's type: paths are completed by the shell, other text is read by us."""
    if kind.is_flag:
        return click.BOOL
    return click.Path() if kind.is_path else click.STRING


def _declarations(option: Option) -> Iterator[str]:
    if option.letter:
        yield "-" + option.letter
    opposite = opposite_flag(option)
    yield f"{option.flag}/{opposite}" if opposite else option.flag


def _default(option: Option) -> str | tuple[str, ...] | None:
    if option.kind.is_flag or option.default is None:
        return None
    return (option.default,) if option.kind.repeatable else option.default


def _help(option: Option) -> str:
    # Among the words: beside the flag it would leave them too narrow a column.
    opposite = opposite_flag(option)
    return option.help + (f" The opposite is {opposite}." if opposite else "")


def opposite_flag(option: Option) -> str | None:
    """Return the option that undoes a flag, if a file or a variable can set the flag."""
    if not option.kind.is_flag or option.command_line_only:
        return None
    return "--" + (option.name[3:] if option.name.startswith("no-") else "no-" + option.name)


def table_options(options: Iterable[Option]) -> list[click.Parameter]:
    """Return Click's options for these options of the table."""
    return [TableOption(option) for option in options]
