"""``faultinject completion``: prints a script that completes our commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from faultinject.cli.commands import HelpfulCommand

_EPILOG = """\
Put one of these in the file that your shell reads when it starts:

  source <(faultinject completion bash)
  source <(faultinject completion zsh)
  faultinject completion fish | source
"""


@click.command("completion", cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print a script for your shell that completes commands and options."""
    root = ctx.find_root()
    program = str(root.info_name)
    script = get_completion_class(shell)
    if script is None:  # pragma: no cover - Click has the three
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(script(root.command, {}, program, f"_{program.upper()}_COMPLETE").source())
    return 0
