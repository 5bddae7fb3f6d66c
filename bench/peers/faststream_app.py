"""FastStream: a batch subscriber with manual acknowledgement; results are confirmed by the broker before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from faststream import Context, ContextRepo, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.middlewares import AckPolicy

from bench.peers.job import Job, opened
from stream.pipeline.record import Incoming
from stream.settings import load
from stream.worker.subjects import subject_topics

settings = load()
topics = subject_topics(settings)
broker = KafkaBroker(settings.kafka.bootstrap, acks="all", enable_idempotence=True, linger_ms=5)
publishers = {subject: broker.publisher(topics[subject]) for subject in ("coded", "manual", "dead-letters")}


@asynccontextmanager
async def lifespan(context: ContextRepo) -> AsyncIterator[None]:
    """The models' clients belong to the app's loop."""
    context.set_global("job", opened(settings))
    yield


app = FastStream(broker, lifespan=lifespan)


async def raw(message: KafkaMessage) -> list[bytes]:
    """Avro is the core's business."""
    return [record.value for record in message.raw_message]


@broker.subscriber(  # type: ignore[untyped-decorator]
    topics["certificates"], batch=True, group_id=settings.worker.group, auto_offset_reset="earliest",
    max_records=settings.worker.batch_max, batch_timeout_ms=round(settings.worker.batch_wait_s * 1000),
    ack_policy=AckPolicy.MANUAL, decoder=raw,
)  # fmt: skip
async def code(values: list[bytes], message: KafkaMessage, job: Annotated[Job, Context()]) -> None:
    """A batch, its results, its offsets."""
    keys = [record.key for record in message.raw_message]
    batch = [Incoming(value, key) for value, key in zip(values, keys, strict=True)]
    records = await job.code(batch)
    await asyncio.gather(*(publishers[r.subject].publish(r.value, key=r.key) for r in records))
    await message.ack()


if __name__ == "__main__":
    asyncio.run(app.run())
