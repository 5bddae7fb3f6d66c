"""What a desk does beside answering people: it reads the topics into its database, and sends decisions."""

from __future__ import annotations

import asyncio

import structlog

from stream import kafka
from stream.desk import rebuild
from stream.desk.desk import Desk
from stream.desk.folding import SUBJECTS
from stream.desk.outbox import SUBJECT, KafkaTopic, Sender
from stream.errors import InfrastructureError
from stream.intake import Intake
from stream.reader import KafkaReader
from stream.registry import open_registry
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

log = structlog.get_logger("causa.desk")
LOOK_S = 1.0
"""Between two looks whether work may be given again."""


class DeskService:
    """The desk's own work, in the background of its pages.

    Args:
        settings: topics, registry, connection.
        desk: the desk.
        bootstrap: where Kafka answers.

    Attributes:
        intake: reads the topics.
        sender: sends decisions.
    """

    def __init__(self, settings: Settings, desk: Desk, bootstrap: str) -> None:
        """Raises InvalidSettings, DatabaseUnavailable."""
        topics = subject_topics(settings)
        wire = Wire(open_registry(settings.registry, topics))
        topic = KafkaTopic(
            wire, topics[SUBJECT], f"{settings.worker.group}-desk", kafka.client_options(settings, bootstrap)
        )
        self._desk = desk
        self._open_reader = lambda: KafkaReader(settings, bootstrap)
        self.intake = Intake(desk.engine, rebuild.SERVICE, SUBJECTS, desk.fold)
        self.sender = Sender(desk.context, topic, self._open_reader)

    async def run(self) -> None:
        """Read and send until cancelled.

        Raises:
            InvalidSettings: a topic is missing, or was made anew behind the database's back.
        """
        context = self._desk.context
        await asyncio.to_thread(context.write, lambda connection: rebuild.begin(connection, context.clock()))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.intake.run(self._open_reader, follow=True))
            group.create_task(self.sender.run())
            group.create_task(self._told())

    async def _told(self) -> None:
        """Give work again whenever the topics have been read: another process may have them begun anew at any time."""
        context = self._desk.context
        while True:
            await self.intake.caught_up.wait()
            kept = dict(self.intake.kept)
            try:
                if await asyncio.to_thread(context.read, rebuild.catching_up):
                    await asyncio.to_thread(context.write, lambda c, kept=kept: rebuild.caught_up(c, kept))
            except InfrastructureError as error:
                log.warning("work is not given again yet", code=error.code, reason=error.message)
            await asyncio.sleep(LOOK_S)

    def ready(self) -> str:
        """Why nobody can work just now; empty where one can."""
        if not self.intake.caught_up.is_set():
            return "the topics are still being read"
        return self.intake.against or self.sender.against
