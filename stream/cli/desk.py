"""`causa desk`: the coding office's queue and console."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from stream.errors import EmbeddedServerError
from stream.settings import load


def command(
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 is any that is free.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    rules_only: Annotated[
        bool, typer.Option("--rules-only", help="Underlying cause by WHO's rules alone: no model server is asked.")
    ] = False,
) -> None:
    """Serve the coding desk: the queue of what the machine leaves to people, and the console to code it.

    It reads `manual`, `coded` and `corrections` into its database (CAUSA_DESK__DATABASE__URL, else a file in CAUSA_HOME)
    and sends decisions to `corrections`; it may be killed at any moment. People log in with an account (`causa accounts
    add NAME --service desk --role coder`) or at an OpenID provider. A broker that is away is waited for; without a model
    server the rules alone tell the underlying cause as people edit. docs/console.md tells the screens and the keys.
    Examples: `causa desk`, `causa desk --port 8000`, `CAUSA_DESK__METRICS_PORT=9102 causa desk`

    Exit status: 0 when stopped; 2 settings or data that do not fit; 3 the database is away.
    """
    settings = load()
    changed = {name: value for name, value in (("port", port), ("host", host)) if value is not None}
    from stream import log
    from stream.embedded.servers import Embedded

    log.configure(settings.log_level, settings.log_format)
    embedded = Embedded(settings)
    bootstrap = embedded.bootstrap()
    triton = ""
    if not rules_only:
        try:
            triton = embedded.triton_url()
        except EmbeddedServerError as fault:
            typer.echo(f"no model server: the rules alone select the underlying cause ({fault.message})", err=True)
    # The lexicon and the rules' tables take seconds to load: only this command waits for them.
    from stream.desk.console.serving import serve

    where = settings.desk.pages.model_copy(update=changed)
    asyncio.run(serve(settings, where, bootstrap, triton, typer.echo))
