"""Bytewax: batches from the source to `flat_map_batch`, a flush for each; its own store of offsets, at least once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.job import Job, opened
from stream.pipeline.record import Incoming
from stream.settings import load
from stream.worker.subjects import subject_topics

settings = load()
topics = subject_topics(settings)
brokers = settings.kafka.bootstrap.split(",")
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


async def ready() -> Job:
    """The models' clients belong to this loop."""
    return opened(settings)


job = loop.run_until_complete(ready())


def code(batch: list[Any]) -> Iterable[Any]:
    """A batch as the source gives it, of one partition."""
    records = loop.run_until_complete(job.code([Incoming(message.value, message.key) for message in batch]))
    return [KafkaSinkMessage(r.key, r.value, topic=topics[r.subject]) for r in records]


flow = Dataflow("causa")
source = KafkaSource(brokers, [topics["certificates"]], batch_size=settings.worker.batch_max)
results = op.flat_map_batch("code", op.input("certificates", flow, source), code)
op.output("results", results, KafkaSink(brokers, None, {"acks": "all", "enable.idempotence": "true"}))

if __name__ == "__main__":
    store = settings.root / "bench" / "bytewax"
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    init_db_dir(store, 1)
    cli_main(flow, recovery_config=RecoveryConfig(store))
