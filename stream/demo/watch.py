"""What the demonstration counts: a consumer of the result topics, as surveillance would be, and its latencies."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from stream.coding import CodedCertificate, Route, read_coded
from stream.wire import Wire


@dataclass
class Tally:
    """Counts so far; `sent` holds the moment at which each certificate was given to Kafka, in seconds."""

    sent: dict[str, float] = field(default_factory=dict)
    coded: dict[str, CodedCertificate] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    auto: int = 0
    manual: int = 0
    audit: int = 0
    open_tasks: int = 0
    repeated: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    first_at: float = 0.0
    last_at: float = 0.0

    @property
    def results(self) -> int:
        """Certificates and bad records that have their result."""
        return len(self.latencies) + self.dead.total()

    @property
    def rate(self) -> float:
        """Results a second since the first."""
        return len(self.latencies) / max(0.001, self.last_at - self.first_at)

    def percentile(self, share: float, last: int = 2000) -> float:
        """Latency of the last results at a share of them, seconds."""
        recent = sorted(self.latencies[-last:])
        return recent[min(len(recent) - 1, int(share * len(recent)))] if recent else 0.0

    def add_coded(self, record: CodedCertificate, at: float) -> None:
        """Count a coded record that appeared at `at`."""
        began = self.sent.get(record.certificate_id)
        if began is None or record.certificate_id in self.coded:
            self.repeated += began is not None
            return
        self.first_at = self.first_at or at
        self.last_at = at
        self.latencies.append(at - began)
        self.coded[record.certificate_id] = record
        if record.targeting.route is Route.AUTO:
            self.auto += 1
            self.audit += record.targeting.audit
        else:
            self.manual += 1


class Watcher:
    """Reads coded, manual and dead-letters from where they stood at the start.

    Args:
        options: connection options of aiokafka.
        topics: topic of each subject.
        wire: codec.
        tally: filled as records come.
    """

    def __init__(self, options: Mapping[str, Any], topics: Mapping[str, str], wire: Wire, tally: Tally) -> None:
        self._consumer = AIOKafkaConsumer(
            **options, group_id=None, enable_auto_commit=False, isolation_level="read_committed", fetch_max_wait_ms=50
        )
        self._subjects = {topics[s]: s for s in ("coded", "manual", "dead-letters")}
        self._wire = wire
        self._tally = tally

    async def start(self, partitions: Mapping[str, int]) -> None:
        """Connect and take the end of every partition as the beginning."""
        await self._consumer.start()
        parts = [TopicPartition(t, p) for t in self._subjects for p in range(partitions[self._subjects[t]])]
        self._consumer.assign(parts)
        for part, end in (await self._consumer.end_offsets(parts)).items():
            self._consumer.seek(part, end)

    async def follow(self) -> None:
        """Count until cancelled."""
        while True:
            for part, records in (await self._consumer.getmany(timeout_ms=100)).items():
                at = time.time()
                subject = self._subjects[part.topic]
                for record in records:
                    value = self._wire.decode(subject, record.value)
                    if subject == "coded":
                        self._tally.add_coded(read_coded(value), at)
                    elif subject == "manual":
                        self._tally.open_tasks += value["state"] == "OPEN"
                    else:
                        self._tally.dead[value["error"]] += 1

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
