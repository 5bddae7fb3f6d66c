"""Alarms: what is due, that each is raised once whatever dies in between, and that only a person takes it back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from worker.certificates import samples
from worker.worlds import RealWorld

from stream import kafka, log
from stream.automation import ALL, KafkaAnnouncer, KafkaChanges, MemoryChanges, MemoryTopic, Trust, fold
from stream.certificate import Source
from stream.coding import (
    Automation,
    AutomationChange,
    CodedCertificate,
    Correction,
    DecisionKind,
    Origin,
    Route,
    coded_record,
    correction_record,
    read_coded,
)
from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.errors import BrokerUnavailable
from stream.quality.alarms import Alarms
from stream.quality.watch import Watch
from stream.reader import KafkaReader, MemoryReader, Read
from stream.targeting import policy as policies
from stream.targeting.policy import Policy, Rules, Stratum
from stream.targeting.thresholds import Thresholds
from stream.worker.subjects import subject_topics

from .records import T0, coded, decision, shuffled

NORMAL, STRICT, HALTED = Automation.NORMAL, Automation.STRICT, Automation.HALTED
FITTED = Thresholds(certified=True, source="tests", made_at=T0, versions={}, strata={})
RULES = Rules(
    version="1",
    strata=(
        Stratum(name="paper", source=Source.PAPER, error=0.05, audit_rate=0.1),
        Stratum(name="rest", error=0.05, audit_rate=0.1),
    ),
)
POLICY = Policy(RULES, FITTED, "p")
Record = CodedCertificate | Correction


def audits(
    wrong: str, *, since: float = 0.0, automation: Automation = NORMAL, policy: str = "p", **fields: Any
) -> list[Record]:
    """Automatic certificates drawn by the audit and their decisions: x for wrong, . for right; an hour apart."""
    found: list[Record] = []
    for i, one in enumerate(wrong):
        name, hours = f"{since}-{automation}-{policy}-{i}", since + i / 60
        record = coded(name, audit=True, hours=hours, **fields)
        targeting = replace(record.targeting, automation=automation, policy=policy)
        found.append(replace(record, targeting=targeting))
        found.append(decision(name, "C34.9" if one == "x" else "I21.9", hours=hours + 24))
    return found


def value(record: Record) -> tuple[str, dict[str, Any]]:
    if isinstance(record, Correction):
        return "corrections", correction_record(record)
    return "coded", coded_record(record)


def taken(records: Sequence[Record], policy: Policy = POLICY) -> Alarms:
    alarms = Alarms(policy)
    for record in records:
        alarms.take(*value(record))
    alarms.begin()
    return alarms


def at(hours: float) -> datetime:
    return T0 + timedelta(hours=hours)


BAD = "x.x..xx.x.x...xx"


def test_a_broken_promise_is_due_until_it_lowers_automation_and_again_when_it_goes_on() -> None:
    alarms = taken(audits(BAD))
    trust = Trust()
    (alarm,) = alarms.due(trust)
    assert (alarm.kind, alarm.scope, alarm.automation) == ("ERROR", "rest", STRICT)
    assert alarm.why == "ERROR in rest: 8 of 16 audits wrong, 5.0% promised; evidence passed 20 at audit 6"

    trust = trust.after(AutomationChange("rest", STRICT, alarm.why, "", "p", at(30)))
    assert alarms.due(trust) == []
    for record in audits(BAD, since=30, automation=NORMAL):  # coded before the worker heard of it
        alarms.take(*value(record))
    assert alarms.due(trust) == []
    for record in audits(BAD, since=40, automation=STRICT):
        alarms.take(*value(record))
    assert [(a.scope, a.automation) for a in alarms.due(trust)] == [("rest", HALTED)]

    trust = trust.after(AutomationChange("rest", NORMAL, "mended", "p1", "p", at(80)))
    assert alarms.due(trust) == []
    for record in audits(BAD, since=90):
        alarms.take(*value(record))
    assert [(a.scope, a.automation) for a in alarms.due(trust)] == [("rest", STRICT)]


def test_a_promise_kept_is_never_due() -> None:
    assert taken(audits(("." * 30 + "x") * 60)).due(Trust()) == []


@pytest.mark.parametrize(
    "records",
    [
        [replace(r, blind=False) if isinstance(r, Correction) else r for r in audits(BAD)],
        audits(BAD, route=Route.MANUAL),
        [
            replace(r, targeting=replace(r.targeting, audit=False)) if isinstance(r, CodedCertificate) else r
            for r in audits(BAD)
        ],
        [*audits(BAD, policy="old"), coded("z", hours=5)],
        [
            *audits(BAD),
            *(decision(f"0.0-NORMAL-p-{i}", None, kind=DecisionKind.UNDO, hours=99, supersedes=f"0.0-NORMAL-p-{i}-FIRST-{i / 60 + 24}")
              for i in range(len(BAD))),
        ],
    ],
    ids=["not blind", "manual", "not drawn", "another policy", "undone"],
)  # fmt: skip
def test_only_blind_audits_of_the_automatic_route_under_the_policy_in_force_count(records: list[Record]) -> None:
    assert taken(records).due(Trust()) == []


@pytest.mark.parametrize("seed", range(5))
def test_what_is_due_depends_on_no_order(seed: int) -> None:
    records = [*audits(BAD), *audits("....x....", since=10), coded("z", hours=1)]
    assert taken(shuffled(records, seed)).due(Trust()) == taken(records).due(Trust())


def test_a_verdict_goes_with_its_certificate_s_newer_version() -> None:
    records = audits(BAD)
    newer = [replace(r, version=2) for r in records if isinstance(r, CodedCertificate)]
    assert taken([*records, *newer]).due(Trust()) == []


def drifting(source: Source = Source.ELECTRONIC, rise: float = 0.3, late: float = 0.0) -> list[Record]:
    return [
        coded(
            f"{source}-{i}", hours=late + i / 60, source=source, unknown=0.01 + (rise if i >= 2_000 and i % 2 else 0.0)
        )
        for i in range(2_600)
    ]


def test_new_words_lower_what_their_source_reaches() -> None:
    alarms = taken(drifting()[::-1])  # a topic's partitions come one after the other
    (alarm,) = alarms.due(Trust())
    assert (alarm.kind, alarm.scope, alarm.automation) == ("UNKNOWN_WORDS", "rest", STRICT)
    assert alarm.why.startswith("DRIFT UNKNOWN_WORDS in ELECTRONIC: 0.0100 before, 0.")
    scopes = [a.scope for a in taken(drifting(Source.PAPER)).due(Trust())]
    assert scopes == [ALL]
    held = fold([AutomationChange("rest", STRICT, alarm.why, "", "p", at(50))])
    assert alarms.due(held) == []
    restored = held.after(AutomationChange("rest", NORMAL, "learned", "p1", "p", at(60)))
    assert alarms.due(restored) == []
    assert alarms.news() == []  # all of it was there before anybody watched
    assert taken(drifting(rise=0.0)).due(Trust()) == []


def test_what_drifted_under_versions_of_yesterday_is_past() -> None:
    newer = coded("z", hours=99)
    newer = replace(newer, versions=replace(newer.versions, lexicon="lexicon-2"))
    assert taken([*drifting(), newer]).due(Trust()) == []


# The loop


@asynccontextmanager
async def watching(
    reader: Callable[[], Any], topic: MemoryTopic, policy: Policy = POLICY, now: float = 30
) -> AsyncIterator[Watch]:
    watch = Watch(
        policy, reader, MemoryChanges(topic), topic, clock=lambda: at(now), look_s=0.002, publish_s=0.05, retry_s=0.001
    )
    task = asyncio.create_task(watch.run())
    try:
        yield watch
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def reads(records: Sequence[Record]) -> list[Read]:
    return [Read(*value(record), Origin(offset=i)) for i, record in enumerate(records)]


async def until(enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not enough():  # noqa: ASYNC110 - a topic sets no event
            await asyncio.sleep(0.002)


async def rounds(n: int = 20) -> None:
    await asyncio.sleep(0.005 * n)


async def test_an_alarm_is_announced_once_through_faults_and_restarts() -> None:
    reader, topic = MemoryReader(reads(audits(BAD))), MemoryTopic()
    with capture_logs() as logs:
        async with watching(lambda: reader, topic):
            await until(lambda: bool(topic.records))
            await rounds()
        async with watching(lambda: reader, topic):
            await rounds()
        (change,) = topic.records
        assert (change.scope, change.automation, change.who, change.policy) == ("rest", STRICT, "", "p")
        assert change.at == at(30)

        # What comes while it runs: the machine goes on being wrong under its stricter thresholds.
        async with watching(lambda: reader, topic, now=80):
            reader.write(*reads(audits(BAD, since=40, automation=STRICT)))
            await until(lambda: len(topic.records) > 1)
            topic.failures = 5
            await rounds()
        assert [c.automation for c in topic.records] == [STRICT, HALTED]
        assert REGISTRY.get_sample_value("causa_automation", {"stratum": "rest"}) == 2
        assert REGISTRY.get_sample_value("causa_promised_error", {"stratum": "rest"}) == 0.05  # `publish` was called
    told = [e["why"] for e in logs if e["event"] == "automation changed"]
    assert change.why in told and "I21" not in str(logs) and "C34" not in str(logs)
    assert {key for entry in logs for key in entry} <= log.ALLOWED | {"log_level", "exc_info"}


async def test_an_alarm_that_is_not_acknowledged_is_announced_again_as_it_was() -> None:
    class Forgetful(MemoryTopic):
        """Takes a record and breaks down before it says so."""

        lost = 2

        async def announce(self, change: AutomationChange) -> None:
            await super().announce(change)
            if self.lost:
                self.lost -= 1
                self.failures = 1
                self.answer()

    reader, topic = MemoryReader(reads(audits(BAD))), Forgetful()
    with capture_logs():
        async with watching(lambda: reader, topic):
            await until(lambda: bool(topic.records))
            await rounds()
    assert all(change == topic.records[0] for change in topic.records)
    assert fold(topic.records).held == {"rest": topic.records[0]}


async def test_a_reader_that_fails_is_begun_anew() -> None:
    class Broken(MemoryReader):
        """Breaks down behind its first record."""

        async def read(self, *_: Any, **__: Any) -> Any:
            for record in reads(audits(BAD)):
                yield record
                raise BrokerUnavailable("down")

    sound, topic = MemoryReader(reads(audits(BAD))), MemoryTopic()
    readers: list[MemoryReader] = [Broken(), Broken(), sound]
    with capture_logs() as logs:
        async with watching(lambda: readers.pop(0), topic):
            await until(lambda: bool(topic.records))
    assert "held: the topics cannot be read" in [e["event"] for e in logs]


async def test_what_compaction_would_lose_is_said_again() -> None:
    halted = AutomationChange(ALL, HALTED, "fire drill", "p1", "p", at(1))
    stray = AutomationChange(ALL, STRICT, "ERROR", "", "p", at(2))
    topic = MemoryTopic([halted, stray])
    with capture_logs():
        async with watching(MemoryReader, topic):
            await until(lambda: len(topic.records) > 2)
            await rounds()
    assert topic.records == [halted, stray, halted]


# Real Kafka, a real worker, the real command


@pytest.mark.servers
async def test_wrong_certificates_lower_a_real_worker_and_a_person_raises_it_again(
    kafka_server: KafkaServer, triton_server: TritonServer, tmp_path: Path
) -> None:
    world = RealWorld(kafka_server, triton_server, tmp_path)
    settings, names = world.settings, subject_topics(world.settings)
    policy = policies.load(settings.policy, settings.thresholds)
    options = kafka.client_options(settings, kafka_server.bootstrap)
    good = samples()[:40]
    strata = [stratum.name for stratum in policy.rules.strata]

    async def automations(certificates: Sequence[Any]) -> dict[str, set[Automation]]:
        """What the worker says held, by stratum."""
        await world.publish(world.record(c) for c in certificates)
        await world.settled()
        ids, found = {c.certificate_id for c in certificates}, dict[str, set[Automation]]()
        for written in world.results["coded"]:
            record = read_coded(world.wire.decode("coded", written.value))
            if record.certificate_id in ids:
                found.setdefault(record.targeting.stratum, set()).add(record.targeting.automation)
        return found

    async def automation(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stream.cli.main", "automation", *arguments]
        run = subprocess.run
        return await asyncio.to_thread(
            run, command, env={**world._variables, "COLUMNS": "200"}, capture_output=True, text=True, check=False
        )

    changes = KafkaChanges(world.wire, names["automation"], options)
    watch = Watch(
        policy, lambda: KafkaReader(settings, kafka_server.bootstrap), changes,
        KafkaAnnouncer(world.wire, names["automation"], options), look_s=0.1,
    )  # fmt: skip
    await world.open()
    running = asyncio.create_task(watch.run())
    try:
        await world.start()
        before = await automations(good[:20])
        assert "rest" in before and set.union(*before.values()) == {NORMAL}

        for record in audits(BAD, policy=policy.version):
            subject, mapping = value(record)
            await world._producer.send(names[subject], world.wire.encode(subject, mapping), key=b"a")
        await world._producer.flush()
        await world.until(lambda w: "ERROR in rest" in w.log())
        lowered = await automations(good[20:30])
        assert lowered.pop("rest") == {STRICT}
        assert not lowered or set.union(*lowered.values()) == {NORMAL}

        told = await automation("status")
        assert told.returncode == 0 and "ERROR in rest" in told.stdout and "alarm" in told.stdout
        assert all(name in told.stdout for name in strata)
        assert (await automation("restore", "rest")).returncode == 2
        restored = await automation("restore", "rest", "--who", "p1", "--why", "lexicon mended")
        assert restored.returncode == 0 and "lexicon mended" in restored.stdout
        await world.until(lambda w: "lexicon mended" in w.log())
        after = await automations(good[30:])
        assert set.union(*after.values()) == {NORMAL}
        reread = fold(await changes_of(world, options))
        assert list(reread.held) == ["rest"] and reread.held["rest"].who == "p1"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await world.close()


async def changes_of(world: RealWorld, options: dict[str, Any]) -> Sequence[AutomationChange]:
    changes = KafkaChanges(world.wire, subject_topics(world.settings)["automation"], options)
    try:
        return await changes.read()
    finally:
        await changes.close()
