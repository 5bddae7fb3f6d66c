"""Serves the dashboard by the settings of the machine."""

from __future__ import annotations

from collections.abc import Callable

from stream.database import open_database
from stream.services import Pages
from stream.settings import Settings
from stream.surveillance.alerts import rules
from stream.surveillance.alerts.register import Register
from stream.surveillance.counts import Counts
from stream.surveillance.dashboard.figures import Figures
from stream.surveillance.dashboard.site import app, warming
from stream.surveillance.groups import load as load_groups
from stream.web import serving


async def serve(settings: Settings, where: Pages, told: Callable[[str], None]) -> None:
    """Serve until the process is told to stop.

    Raises:
        InvalidSettings, InvalidData: settings, tables or rules that do not fit.
        DatabaseUnavailable: the database is away.
    """
    engine = open_database(settings.surveillance.database, settings.root / "surveillance.sqlite")
    alerting = rules.load(settings.surveillance.alerts.rules)
    figures = Figures(Counts(engine, load_groups()), Register(engine, rules=alerting), alerting)
    try:
        await serving.serve(
            app(figures, settings.web, where, engine), settings.web, where, background=[warming(figures)], told=told
        )
    finally:
        figures.close()
        engine.dispose()
