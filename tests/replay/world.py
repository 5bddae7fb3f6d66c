"""A broker in memory with what live workers have made of some certificates, and voices to code them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pipeline.core import PLAIN, WIRE
from worker import askers
from worker.certificates import samples

from stream.certificate import Certificate, certificate_record
from stream.coder.model import MemoryModel
from stream.coding import (
    Automation,
    CodedCertificate,
    CodedStatus,
    DeadLetter,
    Modality,
    coded_record,
    read_coded,
    read_dead_letter,
)
from stream.pipeline.record import Incoming
from stream.replay.broker import Broker, Record
from stream.replay.feed import Feed
from stream.replay.memory import MemoryBroker
from stream.replay.plan import Plan, Range
from stream.replay.player import Player
from stream.replay.reconciling import Reconciled, reconcile
from stream.replay.run import Run
from stream.replay.selection import Selection
from stream.replay.shell import Desk, begin, planned, player
from stream.replay.versions import Speaking
from stream.replay.voice import OwnVoice
from stream.settings import Settings
from stream.targeting import policy
from stream.worker.holding import Keys
from stream.worker.subjects import subject_topics

WORDS = {"insuffisance cardiaque": "I50.9", "cancer": "C80.9", "hypertension": "I10"}
OTHER_WORDS = {"insuffisance cardiaque": "I50.0", "cancer": "C34.9", "hypertension": "I10"}
NOW = datetime(2026, 2, 1, tzinfo=UTC)
STRATA = [s.name for s in policy.load(Settings().policy, Settings().thresholds).rules.strata]
RUN = Run("one", "causa")
ALL, WHOLE, AS_SET = Selection(), Range(), Speaking()


def voice(
    words: dict[str, str] = WORDS, *, version: str = "memory-1", now: datetime = NOW, keys: Keys | None = None
) -> OwnVoice:
    """The core over models in memory."""
    coder = askers.coder(MemoryModel(words, version=version))
    return OwnVoice(PLAIN, coder, askers.ranker(), STRATA, keys=keys, clock=lambda: now)


@dataclass
class World:
    """Topics in memory, and what was done with them."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    settings: Settings = field(default_factory=Settings)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.settings, self.broker, WIRE, subject_topics(self.settings))
        for topic in self.desk.topics.values():
            number = 1 if topic in ("dead-letters", "automation", "alerts") else 2
            self.broker.logs |= {(topic, partition): [] for partition in range(number)}

    def publish(self, certificates: Sequence[Certificate]) -> list[Record]:
        """Certificates as producers write them."""
        return [
            self.broker.write(
                "certificates", WIRE.encode("certificates", certificate_record(c)), c.certificate_id.encode()
            )
            for c in certificates
        ]

    async def live(
        self, records: Sequence[Record], level: Automation | None = None, speaker: OwnVoice | None = None
    ) -> None:
        """What workers make of records."""
        decisions = await (speaker or voice(now=datetime(2026, 1, 1, tzinfo=UTC))).code(
            [Incoming(r.value, r.key, r.origin) for r in records], [level] * len(records)
        )
        for decision in decisions:
            for out in decision.outgoing:
                self.broker.write(out.subject, out.value, out.key)

    async def recorded(self, number: int = 30) -> list[Certificate]:
        """Sample certificates, published and coded."""
        certificates = samples()[:number]
        await self.live(self.publish(certificates))
        return certificates

    def coded(self, topic: str = "coded") -> list[CodedCertificate]:
        """Results of a topic."""
        return [read_coded(WIRE.decode("coded", record.value)) for record in self.broker.all(topic)]

    def dead(self, topic: str) -> list[DeadLetter]:
        """Dead letters of a topic."""
        return [read_dead_letter(WIRE.decode("dead-letters", record.value)) for record in self.broker.all(topic)]

    def decide(self, coded: CodedCertificate, code: str) -> None:
        """A person's result of a certificate version."""
        human = replace(
            coded, modality=Modality.HUMAN, status=CodedStatus.FINAL, underlying=replace(coded.underlying, code=code),
            coded_at=NOW,
        )  # fmt: skip
        self.broker.write("coded", WIRE.encode("coded", coded_record(human)), coded.certificate_id.encode())

    async def plan(
        self, source: str = "certificates", selection: Selection = ALL, wanted: Range = WHOLE,
        speaking: Speaking = AS_SET, run: Run = RUN,
    ) -> tuple[Plan, Feed]:  # fmt: skip
        """A plan and its feed."""
        return await planned(self.desk, run, source, wanted, selection, speaking, rate=None, who="op")

    async def play(self, plan: Plan, feed: Feed, speaker: OwnVoice | None = None, run: Run = RUN) -> Reconciled:
        """Play a plan to its end."""
        await begin(self.desk, run, plan, "op")
        assert await self.player(plan, feed, speaker, run).play()
        return await reconcile(self.broker, run, plan.topic, plan.bounds, plan.records)

    def player(self, plan: Plan, feed: Feed, speaker: OwnVoice | None = None, run: Run = RUN) -> Player:
        """What plays a plan, five records at a time."""
        playing = player(self.desk, run, plan, feed, speaker or voice())
        playing._at_once, playing._retry_s = 5, 0.001
        return playing

    async def replayed(self, speaker: OwnVoice | None = None, run: Run = RUN) -> Reconciled:
        """All certificates coded again."""
        plan, feed = await self.plan(run=run)
        return await self.play(plan, feed, speaker, run)


def is_broker(broker: MemoryBroker) -> Broker:
    """The twin has the shape of the real one; mypy checks it here."""
    return broker
