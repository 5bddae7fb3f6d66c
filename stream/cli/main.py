"""The command `causa`: one typer app, one way to tell errors.

An error is one line and, where there is one, a hint. Exit status: 0 done; 1 some input could not be read; 2 a person
must act (settings, data, a server that is not there); 3 a server failed on the way; 70 a fault
of Causa itself; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import traceback

import typer
from rich.console import Console

import stream
from stream import log
from stream.cli.commands import Group
from stream.errors import CausaError, InfrastructureError, SetupError

app = typer.Typer(
    cls=Group,
    help="Codes causes of death from French certificates, as a stream of events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with locals would show certificates
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(stream.__version__)
        raise typer.Exit


@app.callback(cls=Group)
def main(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it.")) -> None:
    """Codes causes of death from French certificates, as a stream of events."""


def run() -> None:
    """Entry point of the command."""
    log.configure("warning", "auto")  # on stderr: standard output is for answers; `worker` sets its own level
    try:
        app()
    except CausaError as error:
        console = Console(stderr=True)
        # One line each, however narrow the terminal is thought to be.
        console.print(f"{error.code}: {error.message}", style="red", markup=False, highlight=False, soft_wrap=True)
        if error.hint:
            console.print(f"hint: {error.hint}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, SetupError) else 3 if isinstance(error, InfrastructureError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("CAUSA_DEBUG"):
            raise
        # Its message might quote a certificate: only its type and place are told.
        frames = traceback.extract_tb(error.__traceback__)
        at = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
        typer.echo(f"INTERNAL: {type(error).__name__} at {at}", err=True)
        typer.echo("hint: this is a fault of Causa; CAUSA_DEBUG=1 shows where, and may show certificates", err=True)
        sys.exit(70)


if __name__ == "__main__":
    run()
