"""Alerts on real Kafka, with `causa alerts` in processes of its own; once with Triton and the worker before it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from observability import services
from shared import LONG
from worker.certificates import samples
from worker.worlds import RealWorld

from stream import topics
from stream.certificate import Certificate, Line, utc_now
from stream.coding import CodedCertificate, coded_record
from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.registry import LocalRegistry
from stream.settings import REPOSITORY, Settings
from stream.surveillance.alerts.alert import Alert, AlertStatus, read_alert
from stream.wire import Wire
from stream.worker.subjects import subject_topics
from surveillance.alerts.made import MEASLES, STROKE, coded, human

pytestmark = pytest.mark.servers
LIMIT_S = 180.0


class Surveillance:
    """`causa alerts` on a broker, started and killed at will, and what stands in its topic."""

    def __init__(self, settings: Settings, bootstrap: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.settings, self._folder, self._variables = settings, folder, dict(variables)
        self._options = {"bootstrap_servers": bootstrap}
        self.wire = Wire(LocalRegistry(REPOSITORY / "schemas"))
        self._topics = subject_topics(settings)
        self._processes: list[tuple[subprocess.Popen[bytes], Path]] = []
        self.alerts: list[Alert] = []

    @classmethod
    def own(cls, kafka: KafkaServer, folder: Path) -> Surveillance:
        """On topics of its own."""
        run = uuid.uuid4().hex[:8]
        names = {key: f"{run}.{name}" for key, name in Settings().kafka.topics.model_dump().items()}
        settings = Settings(home=folder)
        settings.kafka.topics = type(settings.kafka.topics)(**names)
        settings.worker.group = run
        variables = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CAUSA_")},
            **{f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in names.items()},
            "CAUSA_KAFKA__BOOTSTRAP": kafka.bootstrap, "CAUSA_HOME": str(folder / "home"), "CAUSA_LOG_FORMAT": "json",
            "CAUSA_WORKER__GROUP": run,
        }  # fmt: skip
        return cls(settings, kafka.bootstrap, folder, variables)

    async def open(self) -> None:
        if not await self._there():
            await topics.create(self._options, topics.declared(self.settings), 1)
        self._producer = AIOKafkaProducer(**self._options, linger_ms=2)
        await self._producer.start()
        self._reader = AIOKafkaConsumer(**self._options, isolation_level="read_committed", enable_auto_commit=False)
        await self._reader.start()
        self._place = TopicPartition(self._topics["alerts"], 0)
        self._reader.assign([self._place])
        await self._reader.seek_to_beginning(self._place)

    async def _there(self) -> bool:
        return not await topics.missing(self._options, topics.declared(self.settings))

    async def write(self, *records: CodedCertificate) -> None:
        sent = [
            await self._producer.send(
                self._topics["coded"], self.wire.encode("coded", coded_record(r)), key=r.certificate_id.encode()
            )
            for r in records
        ]
        await asyncio.gather(*sent)

    def start(self, **variables: str) -> subprocess.Popen[bytes]:
        file = self._folder / f"alerts-{len(self._processes)}.log"
        with file.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli.main", "alerts"], env=self._variables | variables, cwd=self._folder,
                stdout=out, stderr=out,
            )  # fmt: skip
        self._processes.append((process, file))
        return process

    async def poll(self) -> None:
        ends = await self._reader.end_offsets([self._place])
        while await self._reader.position(self._place) < ends[self._place]:
            for batch in (await self._reader.getmany(timeout_ms=50)).values():
                self.alerts += [read_alert(self.wire.decode("alerts", record.value)) for record in batch]

    async def until(self, count: int) -> None:
        """So many revisions stand in the topic."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while len(self.alerts) < count:
                    await self.poll()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{len(self.alerts)} of {count} revisions; {self.log()[-3000:]}")

    def log(self) -> str:
        return "".join(file.read_text(encoding="utf-8") for _, file in self._processes)

    async def close(self) -> None:
        for process, _ in self._processes:
            process.kill()
            process.wait()
        await self._producer.stop()
        await self._reader.stop()


@pytest.fixture
async def surveillance(kafka_server: KafkaServer, tmp_path: Path) -> AsyncIterator[Surveillance]:
    made = Surveillance.own(kafka_server, tmp_path)
    await made.open()
    yield made
    await made.close()


def fresh(name: str, cause: str) -> CodedCertificate:
    return coded(name, cause, at=utc_now(), received=utc_now())


def once(alerts: list[Alert]) -> None:
    """No revision twice, and those of an alert in their order."""
    counted = Counter(alert.key for alert in alerts)
    assert set(counted.values()) == {1}, [key for key, count in counted.items() if count > 1]
    last: dict[str, int] = {}
    for alert in alerts:
        assert alert.revision == last.get(alert.alert_id, 0) + 1, alert.key
        last[alert.alert_id] = alert.revision


async def test_a_case_comes_within_seconds_and_a_stop_is_clean(surveillance: Surveillance) -> None:
    port = services.free_port()
    process = surveillance.start(CAUSA_SURVEILLANCE__ALERTS__METRICS_PORT=str(port))
    await surveillance.write(fresh("c0", MEASLES))
    await surveillance.until(1)
    begun = time.monotonic()
    first = fresh("c1", MEASLES)
    await surveillance.write(fresh("c2", STROKE), first)
    await surveillance.until(2)
    assert time.monotonic() - begun < 30, "far above what it takes, on any machine"
    await surveillance.write(human(first, STROKE))
    await surveillance.until(3)
    # What the panels are checked against is what a running process serves.
    assert not await asyncio.to_thread(services.apart, port, "causa_alert", "causa_detection", "causa_intake")
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 30) == 0, surveillance.log()
    assert surveillance.alerts[2].status is AlertStatus.ENDED and surveillance.alerts[2].certificates == ("c1",)
    once(surveillance.alerts)


async def test_processes_that_are_killed_publish_each_revision_once(surveillance: Surveillance, tmp_path: Path) -> None:
    """A SIGKILL amid a transaction, one between its commit and the note of it, one at any moment, and two at one time."""
    plans = (
        {"CAUSA_FAILPOINT": "mid-produce:kill:2"}, {"CAUSA_FAILPOINT": "after-commit:kill:2"}, {"CAUSA_FAILPOINT": "after-commit:kill:1"},
    )  # fmt: skip
    written = 0
    for plan in plans if LONG else plans[1:2]:
        process = surveillance.start(**plan)
        while process.poll() is None:
            await surveillance.write(fresh(f"c{written}", MEASLES))
            written += 1
            await asyncio.sleep(0.3)
        assert process.returncode == -signal.SIGKILL, surveillance.log()
    two = [surveillance.start(), surveillance.start()]
    for _ in range(20):
        await surveillance.write(fresh(f"c{written}", MEASLES))
        written += 1
        await asyncio.sleep(0.05)
    two[0].kill()
    await surveillance.write(fresh("last", MEASLES))
    await surveillance.until(written + 1)
    await asyncio.sleep(1.5)
    await surveillance.poll()
    once(surveillance.alerts)
    assert {alert.certificates[0] for alert in surveillance.alerts} == {f"c{n}" for n in range(written)} | {"last"}
    assert len(surveillance.alerts) == written + 1


async def test_from_a_certificate_to_the_alert(
    kafka_server: KafkaServer, triton_server: TritonServer, tmp_path: Path
) -> None:
    """Certificates with a measles and a meningococcal death go through the worker; the alerts are read from their topic."""
    world = RealWorld(kafka_server, triton_server, tmp_path)
    surveillance = Surveillance(world.settings, kafka_server.bootstrap, tmp_path, world._variables)
    try:
        await world.open()
        await surveillance.open()
        surveillance.start()
        await world.start()
        now = utc_now()
        common = {"received_at": now, "death_date": now.date()}
        cases = [
            Certificate("rougeole", part1=(Line("encéphalite"), Line("rougeole")), **common),  # type: ignore[arg-type]
            Certificate("meningo", part1=(Line("choc septique"), Line("purpura fulminans à méningocoque")), **common),  # type: ignore[arg-type]
        ]
        others = [replace(c, received_at=now) for c in samples() if not c.parts or c.death_date]
        await world.publish(world.record(c) for c in [*others[:40], *cases])
        found: set[tuple[str, str]] = set()
        async with asyncio.timeout(LIMIT_S):
            while not {("rougeole", "measles"), ("meningo", "meningococcal")} <= found:
                await surveillance.poll()
                await world.poll()
                found = {(alert.certificates[0], alert.group) for alert in surveillance.alerts}
                await asyncio.sleep(0.05)
        told = {alert.group: alert for alert in surveillance.alerts}
        assert not told["measles"].verified and told["measles"].level == 8 and told["meningococcal"].level == 9
        assert "rougeole" not in surveillance.log() and "méningocoque" not in surveillance.log()
        # They are the first that a coder gets, too.
        tasks = {
            record.key: world.wire.decode("manual", record.value) for record in world.results["manual"] if record.value
        }  # fmt: skip
        assert tasks[b"rougeole"]["priority"] >= 8 and tasks[b"meningo"]["priority"] >= 9
        once(surveillance.alerts)
    finally:
        await surveillance.close()
        await world.close()
