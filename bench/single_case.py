"""From the publishing of a certificate to the alert of its single case: p50, p90, p99.

Real Kafka, real Triton, `causa worker` and `causa alerts` in processes of their own, on topics of the run's own. The
samples go by at a steady rate; among them, at random moments, deaths of measles. The time runs from the send of the
certificate until a reader of committed records has the alert.

    python -m bench.single_case [--cases 100] [--rate 20]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import TopicPartition

from bench import broker
from bench.figures import percentile
from stream import kafka
from stream.certificate import Certificate, Line, certificate_record, utc_now
from stream.demo.run import samples
from stream.embedded.servers import Embedded
from stream.registry import open_registry
from stream.settings import Settings, load
from stream.wire import Wire
from stream.worker.subjects import subject_topics

TEXTS = ("rougeole", "rougeole avec pneumopathie", "encéphalite, rougeole")
START_S, PATIENCE_S = 180.0, 60.0


def main() -> None:
    """Measure, and print one line for each figure."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cases", type=int, default=100, help="deaths of measles")
    asked.add_argument("--rate", type=float, default=20.0, help="certificates a second, cases among them")
    asked.add_argument("--among", type=int, default=10, help="one certificate in so many is a case")
    given = asked.parse_args()
    settings = load()
    with Embedded(settings) as embedded:
        embedded.up()
        ends = embedded.endpoints()
        took = asyncio.run(measured(settings, ends.bootstrap, ends.triton, given.cases, given.rate, given.among))
    told = ", ".join(f"p{share:.0f} {percentile(took, share / 100):.3f} s" for share in (50, 90, 99))
    print(f"{len(took)} alerts of {given.cases} cases at {given.rate:g} certificates/s: {told}, most {max(took):.3f} s")


async def measured(
    settings: Settings, bootstrap: str, triton: str, cases: int, rate: float, among: int
) -> Sequence[float]:  # fmt: skip
    """Seconds from certificate to alert, one for each case."""
    run = f"case-{uuid.uuid4().hex[:8]}"
    names = {key: f"{run}.{name}" for key, name in settings.kafka.topics.model_dump().items()}
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    options = kafka.client_options(settings, bootstrap)
    topics = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, topics))
    with TemporaryDirectory(prefix="causa-case-") as folder:
        variables = {
            **os.environ, **{f"CAUSA_KAFKA__TOPICS__{key.upper()}": name for key, name in names.items()},
            "CAUSA_KAFKA__BOOTSTRAP": bootstrap, "CAUSA_TRITON__URL": triton, "CAUSA_HOME": folder,
            "CAUSA_WORKER__GROUP": run, "CAUSA_LOG_LEVEL": "warning",
        }  # fmt: skip
        place = TopicPartition(topics["alerts"], 0)
        async with (
            broker.created(settings, options, run), broker.producer(options) as producer,
            broker.reader(options, [place]) as reader,
        ):  # fmt: skip
            processes = [_started(name, variables, Path(folder)) for name in ("worker", "alerts")]
            try:
                return await _timed(wire, topics["certificates"], producer, reader, cases, rate, among)
            finally:
                for process in processes:
                    process.send_signal(signal.SIGTERM)
                for process in processes:
                    process.wait()


def _started(name: str, variables: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "stream.cli.main", name], env=dict(variables), cwd=folder)


async def _timed(
    wire: Wire, topic: str, producer: Any, reader: Any, cases: int, rate: float, among: int
) -> Sequence[float]:  # fmt: skip
    sent: dict[str, float] = {}
    took: dict[str, float] = {}
    texts: dict[str, str] = {}
    usual = samples()
    rng = random.Random(1)

    async def send(certificate: Certificate) -> None:
        now = utc_now()
        made = replace(certificate, received_at=now, death_date=now.date())
        value = wire.encode("certificates", certificate_record(made))
        await producer.send(topic, value, key=made.certificate_id.encode())

    async def case(name: str) -> None:
        sent[name], texts[name] = time.monotonic(), rng.choice(TEXTS)
        await send(replace(rng.choice(usual), certificate_id=name, part1=(Line(texts[name]),), part2=()))

    async def seen(patience_s: float, names: set[str]) -> None:
        until = time.monotonic() + patience_s
        while not names <= took.keys() and time.monotonic() < until:
            for batch in (await reader.getmany(timeout_ms=20)).values():
                at = time.monotonic()
                for record in batch:
                    (name,) = wire.decode("alerts", record.value)["certificates"][:1] or [""]
                    if name in sent:
                        took.setdefault(name, at - sent[name])

    await case("first")  # cold: its time is that of two processes and their models
    await seen(START_S, {"first"})
    del took["first"]
    names = {f"case-{k}" for k in range(cases)}
    watching = asyncio.create_task(seen(cases * among / rate + PATIENCE_S, names))
    waiting = sorted(names)
    begun, number = time.monotonic(), 0
    while waiting:
        if rng.random() < 1 / among:
            await case(waiting.pop())
        else:
            await send(replace(usual[number % len(usual)], certificate_id=f"usual-{number}"))
        number += 1
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
    await watching
    missing = sorted({texts[name] for name in names - took.keys()})
    if missing:
        print(f"no alert for: {'; '.join(missing)}")
    return list(took.values())


if __name__ == "__main__":
    main()
