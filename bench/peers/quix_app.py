"""Quix Streams: `apply` on each certificate, at least once or exactly once (``BENCH_GUARANTEE``).

``BENCH_SINK=1`` gathers certificates in a `BatchingSink` instead, which asks the models for a batch and produces the
results itself: Quix's only batching that needs no state, at least once.
"""

from __future__ import annotations

import asyncio
import os

from quixstreams import Application
from quixstreams.sinks.base import BatchingSink, SinkBatch

from bench.peers.job import Job, opened
from stream.pipeline.record import Incoming, Outgoing
from stream.settings import load
from stream.worker.subjects import subject_topics

COMMIT_S = 0.5
settings = load()
topics = subject_topics(settings)
sinking = os.environ.get("BENCH_SINK") == "1"
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


async def ready() -> Job:
    """The models' clients belong to this loop."""
    return opened(settings)


job = loop.run_until_complete(ready())
app = Application(
    settings.kafka.bootstrap,
    consumer_group=settings.worker.group,
    auto_offset_reset="earliest",
    auto_create_topics=False,
    processing_guarantee=os.environ.get("BENCH_GUARANTEE", "at-least-once"),
    commit_interval=COMMIT_S,
    # The sink gets what lies between two commits, for each partition apart.
    commit_every=settings.worker.batch_max * settings.kafka.partitions if sinking else 0,
    producer_extra_config={"acks": "all", "enable.idempotence": True},
    loglevel="WARNING",
)


def code(value: bytes, key: bytes, *_: object) -> list[Outgoing]:
    """One certificate: what it answers, record by record."""
    return loop.run_until_complete(job.code([Incoming(value, key)]))


class Coding(BatchingSink):  # type: ignore[misc]
    """Codes what lies between two commits."""

    def setup(self) -> None:
        """Open a producer of its own: a sink is where Quix's own topics end."""
        self._producer = app.get_producer().__enter__()

    def write(self, batch: SinkBatch) -> None:
        """Code one partition's batch; it is committed once this returns."""
        for chunk in batch.iter_chunks(settings.worker.batch_max):
            for record in loop.run_until_complete(job.code([Incoming(item.value, item.key) for item in chunk])):
                self._producer.produce(topic=topics[record.subject], key=record.key, value=record.value)
        self._producer.flush()


sdf = app.dataframe(app.topic(topics["certificates"], value_deserializer="bytes"))
if sinking:
    sdf.sink(Coding())
else:
    sdf = sdf.apply(code, expand=True, metadata=True)
    for subject in ("coded", "manual", "dead-letters"):
        results = sdf[sdf.apply(lambda record, subject=subject: record.subject == subject)]
        results.apply(lambda record: record.value).to_topic(app.topic(topics[subject], value_serializer="bytes"))

if __name__ == "__main__":
    app.run()
