"""`causa quality --watch`: follows what is coded and decided, lowers automation on an alarm, and keeps the gauges.

One watch is enough for an office; a second does no harm, since an alarm raised twice counts once. It may be stopped and
started at any time: what it knows it reads from the topics.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime

import structlog

from stream import kafka, metrics
from stream import log as logging
from stream.automation import Announcer, Changes, KafkaAnnouncer, KafkaChanges
from stream.certificate import utc_now
from stream.coding import AutomationChange
from stream.errors import BrokerUnavailable, InfrastructureError
from stream.quality.alarms import Alarm, Alarms
from stream.quality.drift import Sensitivity
from stream.quality.figures import measure, publish
from stream.quality.ledger import SUBJECTS
from stream.reader import KafkaReader, Reader
from stream.registry import open_registry
from stream.settings import Settings
from stream.targeting import policy as policies
from stream.targeting.policy import Policy
from stream.wire import Wire
from stream.worker.stages import Rarely
from stream.worker.subjects import subject_topics
from stream.worker.trust import TrustKeeper

log = structlog.get_logger("causa.watch")
LOOK_S = 1.0
PUBLISH_S = 300.0
RETRY_S = 5.0


class Watch:
    """The loop: reads in one task, looks and raises alarms in another.

    Args:
        policy: its promises are watched.
        reader: makes a reader of `coded` and `corrections`; a new one after each fault.
        changes: reads the changes of automation.
        announcer: writes them.
        sensitivity: of the drift detectors.
        clock: now, for tests.
        look_s, publish_s, retry_s: between two looks, two settings of the gauges, two tries, seconds.
    """

    def __init__(
        self,
        policy: Policy,
        reader: Callable[[], Reader],
        changes: Changes,
        announcer: Announcer,
        *,
        sensitivity: Sensitivity | None = None,
        clock: Callable[[], datetime] = utc_now,
        look_s: float = LOOK_S,
        publish_s: float = PUBLISH_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._policy, self._reader, self._announcer = policy, reader, announcer
        self._sensitivity, self._clock = sensitivity, clock
        self._look_s, self._publish_s, self._retry_s = look_s, publish_s, retry_s
        strata = [stratum.name for stratum in policy.rules.strata]
        self._keeper = TrustKeeper(changes, strata, lambda _: None, retry_s=retry_s)
        self._unsent: dict[str, AutomationChange] = {}
        self._rarely = Rarely()

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            InvalidSettings: a topic is missing.
        """
        try:
            await self._keeper.start()
            while True:
                try:
                    await self._watch()
                except InfrastructureError as error:
                    if self._rarely.due(error.code):
                        log.warning("held: the topics cannot be read", code=error.code, reason=error.message)
                await asyncio.sleep(self._retry_s)
        finally:
            await self._keeper.close()

    async def _watch(self) -> None:
        """Read everything from the first record and go on, until a fault."""
        alarms, reader = Alarms(self._policy, self._sensitivity), self._reader()
        tasks = [asyncio.create_task(self._read(alarms, reader)), asyncio.create_task(self._look(alarms, reader))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, alarms: Alarms, reader: Reader) -> None:
        async with aclosing(reader.read(SUBJECTS, follow=True)) as records:
            async for record in records:
                alarms.take(record.subject, record.value)

    async def _look(self, alarms: Alarms, reader: Reader) -> None:
        await reader.caught_up.wait()
        alarms.begin()
        log.info("watching", count=len(alarms.ledger))
        published = -self._publish_s
        while True:
            await self._raise(alarms)
            await self._restate()
            self._tell(alarms)
            if time.monotonic() - published >= self._publish_s:
                publish(measure(alarms.ledger, self._policy.rules, self._clock()))
                published = time.monotonic()
            await asyncio.sleep(self._look_s)

    async def _raise(self, alarms: Alarms) -> None:
        """Announce what is due. A change that was not acknowledged is announced again as it was."""
        due = alarms.due(self._keeper.trust)
        scopes = {alarm.scope for alarm in due}
        self._unsent = {scope: change for scope, change in self._unsent.items() if scope in scopes}
        for alarm in due:
            change = self._unsent.get(alarm.scope)
            if change is None or change.automation is not alarm.automation:
                change = self._unsent[alarm.scope] = self._change(alarm)
            if await self._announced(change):
                del self._unsent[alarm.scope]
                metrics.ALARMS.labels(alarm.kind, "lowered").inc()

    def _change(self, alarm: Alarm) -> AutomationChange:
        return AutomationChange(alarm.scope, alarm.automation, alarm.why, "", self._policy.version, self._clock())

    async def _restate(self) -> None:
        """Announce again what holds where the topic's last record of a scope is one that counts for nothing.

        Compaction keeps the last record alone: after it, a change that an alarm could not undo would be gone.
        """
        for scope, last in list(self._keeper.last.items()):
            held = self._keeper.trust.held.get(scope)
            if held is not None and held != last:
                await self._announced(held)

    async def _announced(self, change: AutomationChange) -> bool:
        try:
            await self._announcer.announce(change)
        except BrokerUnavailable as error:
            if self._rarely.due("ANNOUNCE"):
                log.warning("an alarm cannot be announced yet", code=error.code, reason=error.message, why=change.why)
            return False
        self._keeper.apply(change)
        return True

    def _tell(self, alarms: Alarms) -> None:
        for finding in alarms.news():
            action = "found" if finding.lowers else "warned"
            metrics.ALARMS.labels(finding.measure, action).inc()
            log.warning("drift", why=str(finding), state=action)
        for (source, what), mean in alarms.means().items():
            metrics.DRIFT.labels(source, what).set(mean)
        for stratum in self._policy.rules.strata:
            metrics.EVIDENCE.labels(stratum.name).set(alarms.evidence(stratum, self._keeper.trust).value)
        others = {version for _, version in alarms.policies.values()} - {self._policy.version}
        if others and self._rarely.due("POLICY"):
            log.warning("certificates are coded under another policy than the one watched", count=len(others))


async def watch(settings: Settings, bootstrap: str) -> None:
    """Watch until SIGTERM or Ctrl-C.

    Args:
        settings: all of them.
        bootstrap: where the broker answers.

    Raises:
        InvalidSettings: a topic is missing, or the port of metrics is in use.
        InvalidData: the policy does not pass its validation.
    """
    logging.configure(settings.log_level, settings.log_format)
    metrics.serve(settings.worker.metrics_port)
    topics = subject_topics(settings)
    wire, options = Wire(open_registry(settings.registry, topics)), kafka.client_options(settings, bootstrap)
    found = Watch(
        policies.load(settings.policy, settings.thresholds),
        lambda: KafkaReader(settings, bootstrap),
        KafkaChanges(wire, topics["automation"], options),
        KafkaAnnouncer(wire, topics["automation"], options),
    )
    running = asyncio.create_task(found.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        log.info("the watch has ended")
