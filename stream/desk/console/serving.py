"""The desk as one process: topics in, decisions out, pages for people, metrics, health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from stream import metrics
from stream.desk.console import gauges, search
from stream.desk.console.live import Live
from stream.desk.console.site import site
from stream.desk.desk import Desk, open_desk
from stream.desk.life import Stage
from stream.desk.service import DeskService
from stream.desk.values import Coder
from stream.errors import InfrastructureError
from stream.health import Health, beating
from stream.services import Pages
from stream.settings import Settings
from stream.underlying.ranking import TritonRanker
from stream.web import application, serving

log = structlog.get_logger("causa.desk")
GAUGES_S = 15.0
_EVERYBODY = Coder("", senior=True)
"""Nobody's pseudonym: may do whatever a senior may, and has decided nothing."""


async def serve(
    settings: Settings, where: Pages, bootstrap: str, triton: str, told: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve until SIGTERM or SIGINT, or until something that the desk cannot do without fails for good.

    Args:
        settings: of the machine.
        where: the pages' address.
        bootstrap: where Kafka answers; a broker that is away is waited for.
        triton: where Triton answers; empty: the rules alone select the underlying cause as people edit.
        told: gets the pages' address once they are there.

    Raises:
        InvalidSettings, InvalidData: settings, tables or rules that do not fit.
        DatabaseUnavailable: the database is away at the start.
    """
    desk = await asyncio.to_thread(open_desk, settings)
    service = DeskService(settings, desk, bootstrap)
    live = Live(TritonRanker(triton, settings.triton) if triton else None)
    health = Health(("topics",))

    async def topics() -> str:
        return service.ready()

    try:
        index = await asyncio.to_thread(search.load)
        app = application.create_app(
            site(desk, index, live, {"topics": topics}), settings.web, where, desk.engine, clock=desk.context.clock
        )
        metrics.serve(settings.desk.metrics_port, health.pages())
        background = [service.run, live.warm, lambda: beating(health), lambda: _measured(desk, service, health)]
        await serving.serve(app, settings.web, where, background=background, told=told)
    finally:
        await live.close()
        desk.engine.dispose()


async def _measured(desk: Desk, service: DeskService, health: Health) -> None:
    """Keep the gauges, and what speaks against being ready."""
    while True:
        health.tell("topics", service.ready())
        try:
            status = await asyncio.to_thread(desk.status, _EVERYBODY)
        except InfrastructureError as fault:
            log.warning("the backlog is not known", code=fault.code)
        else:
            for stage, number in (
                (Stage.OPEN, status.open), (Stage.ESCALATED, status.escalated), (Stage.SECOND, status.second),
                (Stage.DISPUTED, status.disputed),
            ):  # fmt: skip
                gauges.WAITING.labels(stage.value).set(number)
            gauges.OLDEST.set(status.oldest_s or 0.0)
            gauges.UNSENT.set(status.unsent)
        await asyncio.sleep(GAUGES_S)
