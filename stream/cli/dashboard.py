"""`causa dashboard`: counts, baselines and alerts as pages."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from stream.settings import load


def command(
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 is any that is free.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
) -> None:
    """Serve the dashboard of surveillance: what is unusual, where, and how sure.

    It reads the surveillance database (CAUSA_SURVEILLANCE__DATABASE__URL, else the file in CAUSA_HOME) that `causa alerts`
    keeps. People log in with an account (`causa accounts add NAME --service dashboard --role epidemiologist`) or at an
    OpenID provider. Who lacks the right to small counts (role viewer) is not shown them (docs/dashboard.md).
    Examples: `causa dashboard`, `causa dashboard --port 8000`

    Exit status: 0 when stopped; 2 settings or data that do not fit; 3 the database is away.
    """
    settings = load()
    where = settings.surveillance.pages
    changed = {name: value for name, value in (("port", port), ("host", host)) if value is not None}
    # The groups and statsmodels take seconds to load: only this command waits for them.
    from stream.surveillance.dashboard.serving import serve

    asyncio.run(serve(settings, where.model_copy(update=changed), typer.echo))
