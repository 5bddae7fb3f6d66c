"""`causa topics create`, `check` and `acl`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from stream import acl as rights
from stream import kafka
from stream import topics as declared_topics
from stream.embedded.servers import Embedded
from stream.settings import load

app = typer.Typer(help="The topics, as stream/topics.yaml declares them.", no_args_is_help=True)


@app.command()
def create() -> None:
    """Create the topics that are missing; existing ones are left as they are. Example: `causa topics create`."""
    settings = load()
    options = kafka.client_options(settings, Embedded(settings).bootstrap())
    topics = declared_topics.declared(settings)
    made = asyncio.run(declared_topics.create(options, topics, settings.kafka.replication))
    typer.echo(f"created: {', '.join(made)}" if made else "all topics were there")


@app.command()
def check() -> None:
    """Compare the broker's topics with their declaration. Exit status 1 when they differ. Example: `causa topics check`."""
    settings = load()
    options = kafka.client_options(settings, Embedded(settings).bootstrap())
    faults = asyncio.run(declared_topics.check(options, declared_topics.declared(settings)))
    for fault in faults:
        typer.echo(fault)
    if faults:
        raise typer.Exit(1)
    typer.echo("all topics are as declared")


@app.command()
def acl(apply: Annotated[bool, typer.Option(help="Give the rights that are missing to the broker.")] = False) -> None:
    """Print who may do what (stream/acl.tsv); with --apply, give what is missing, and tell what nobody declared.

    Nothing is taken away. Example: `causa topics acl --apply`
    """
    settings = load()
    declared = rights.declared(settings)
    if not apply:
        for right in declared:
            typer.echo(right)
        return
    options = kafka.client_options(settings, Embedded(settings).bootstrap())
    present = asyncio.run(rights.present(options))
    missing = [right for right in declared if right not in present]
    asyncio.run(rights.grant(options, missing))
    typer.echo(f"{len(missing)} rights given, {len(declared) - len(missing)} were there")
    for right in sorted(present - set(declared)):
        typer.echo(f"not declared: {right}")
