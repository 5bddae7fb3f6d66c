"""`causa up`, `down` and `status`: the embedded Kafka and Triton of this machine."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream import kafka
from stream import topics as declared_topics
from stream.embedded.process import State
from stream.embedded.servers import Embedded
from stream.settings import load


def up(
    foreground: Annotated[bool, typer.Option(help="Stay, and stop the servers at Ctrl-C.")] = False,
) -> None:
    """Start the embedded Kafka and Triton and create the topics; they stay until `causa down`.

    The first start installs them (about a minute). A server that the settings place elsewhere is left alone.
    Examples: `causa up`, `causa up --foreground`
    """
    settings = load()
    console = Console(stderr=True)
    embedded = Embedded(settings)
    with console.status("starting Kafka and Triton") as line:
        embedded.up(detached=not foreground, progress=line.update)
    options = kafka.client_options(settings, embedded.bootstrap())
    asyncio.run(declared_topics.create(options, declared_topics.declared(settings), settings.kafka.replication))
    _show(embedded, console)
    if foreground:
        try:
            console.print("Ctrl-C stops both")
            asyncio.run(_for_ever())
        except KeyboardInterrupt:
            pass
        finally:
            embedded.release()


async def _for_ever() -> None:
    await asyncio.Event().wait()


def down() -> None:
    """Stop the embedded servers; their data stay. Example: `causa down`."""
    Embedded(load()).down()


def status() -> None:
    """Show the embedded servers. Exit status 1 when one is not running. Example: `causa status`."""
    embedded = Embedded(load())
    if not _show(embedded, Console()):
        raise typer.Exit(1)


def _show(embedded: Embedded, console: Console) -> bool:
    table = Table("server", "state", "address", "pid", "up for")
    table.add_column("log", overflow="fold")
    servers = embedded.status()
    for server in servers:
        uptime = f"{server.uptime_s:.0f} s" if server.uptime_s is not None else ""
        table.add_row(server.name, str(server.state), server.address, str(server.pid or ""), uptime, str(server.log))
    console.print(table)
    return all(server.state is State.RUNNING for server in servers)
