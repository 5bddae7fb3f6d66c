"""`causa schemas check` and `freeze`: the Avro schemas and their frozen versions."""

from __future__ import annotations

import typer

from stream import registry
from stream.settings import load

app = typer.Typer(help="The Avro schemas and their frozen versions.", no_args_is_help=True)


@app.command()
def check() -> None:
    """Check that each schema is its newest frozen version. Example: `causa schemas check`."""
    registry.LocalRegistry(load().registry.schemas)
    typer.echo("every schema is its newest frozen version")


@app.command()
def freeze() -> None:
    """Give an id to each schema that changed, if readers of the version before can follow. Example: `causa schemas freeze`."""
    frozen = registry.freeze(load().registry.schemas)
    typer.echo(f"frozen: {', '.join(frozen)}" if frozen else "no schema changed")
