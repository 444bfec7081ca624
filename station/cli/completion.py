"""`hardbin completion`: the script by which a shell completes commands and options."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script for a SHELL: `source <(hardbin completion bash)`, or keep it where it looks."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the shells are those that click knows
    made = kind(context.find_root().command, {}, "hardbin", "_HARDBIN_COMPLETE")
    click.echo(kind.source_template % made.source_vars())
