"""The worker: raw topics of certificates and of coders' decisions in, micro-batches, results and offsets out together.

Faust assigns partitions and delivers; it never decodes (a codec's error would acknowledge the record), and `noack_take`
is its only batching that does not acknowledge on an exception. `flow` keeps the order, `batch` codes certificates,
`folding` makes records of decisions, `courier` brings them to the broker with the offsets.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any, NoReturn

import structlog

from stream import kafka, metrics, tracing
from stream import topics as declared_topics
from stream.automation import KafkaChanges, Trust
from stream.coder.model import CANARY, TritonModel, by_length
from stream.health import Health
from stream.pipeline.core import Core
from stream.registry import open_registry
from stream.sealing.vault import open_vault
from stream.settings import Settings
from stream.targeting import policy
from stream.underlying import ranking
from stream.underlying.ranking import TritonRanker
from stream.wire import Wire
from stream.worker import ground
from stream.worker.asking import Guarded
from stream.worker.batch import BatchProcessor
from stream.worker.courier import AtLeastOnce, Courier, ExactlyOnce
from stream.worker.faust_app import acknowledge, incoming, make_app
from stream.worker.flow import Flow
from stream.worker.folding import ByTopic, Folder
from stream.worker.lag import KafkaLag
from stream.worker.observer import CONDITIONS, Observer, Watched
from stream.worker.outbox import KafkaOutbox
from stream.worker.stages import BreakerModel
from stream.worker.subjects import subject_topics
from stream.worker.transactions import KafkaTransactions
from stream.worker.trust import TrustKeeper

log = structlog.get_logger("causa.worker")
LAST_RESORT_S = 3.0
BLOCKED_S = 0.5
INPUTS = ("certificates", "corrections")
"""Subjects that the worker reads; their topics have as many partitions, and those of one number share a lane."""


class Worker:
    """One worker process.

    Args:
        settings: all of them.
        bootstrap: Kafka's address.
        triton: Triton's gRPC address.
    """

    def __init__(self, settings: Settings, bootstrap: str, triton: str) -> None:
        self._settings = settings
        self._topics = topics = subject_topics(settings)
        self._wire = wire = Wire(open_registry(settings.registry, topics))
        wire.warm((*INPUTS, "coded", "manual", "dead-letters", "automation"))
        self._core = core = Core(wire, settings)
        # Lexicon and tables live as long as the process: half a million objects that no collection need look at again.
        gc.collect()
        gc.freeze()
        options = settings.worker
        self._models = (TritonModel(triton, settings.triton), TritonRanker(triton, settings.triton))
        self._address = triton
        coder = Guarded(self._models[0], options, CANARY, by_length)
        ranker = Guarded(self._models[1], options, ranking.CANARY, ranking.by_size)
        self._breakers: tuple[BreakerModel[Any, Any], ...] = (coder.breaker, ranker.breaker)
        self._options = kafka.client_options(settings, bootstrap)
        self._inputs = tuple(topics[subject] for subject in INPUTS)
        self._courier = _courier(settings, self._inputs, topics, self._options)
        self._strata = [s.name for s in policy.load(settings.policy, settings.thresholds).rules.strata]
        changes = KafkaChanges(wire, topics["automation"], self._options)
        self._trust = TrustKeeper(changes, self._strata, self._trusted)
        self._vault = open_vault(settings)
        certificates, corrections = self._inputs
        processor = ByTopic({
            certificates: BatchProcessor(core, coder.asker(), ranker.asker(), keys=self._vault),
            corrections: Folder(core, keys=self._vault),
        })  # fmt: skip
        self._flow = Flow(processor, self._courier, options.in_flight)
        self._observer = self._observing()
        self._app = make_app(settings, bootstrap)
        self._shared = asyncio.Event()
        self._app.on_partitions_assigned.connect(self._assigned)
        self._app.on_partitions_revoked.connect(self._revoked)
        for name, topic in zip(("coder", "folder"), self._inputs, strict=True):
            # Without acknowledgements Faust commits nothing: offsets move inside the transactions.
            source = self._app.topic(
                topic, value_type=bytes, value_serializer="raw", key_serializer="raw",
                acks=options.delivery == "at_least_once",
            )  # fmt: skip
            self._app.agent(source, concurrency=1, name=name)(self._take)

    def _trusted(self, trust: Trust) -> None:
        """From the next certificate on."""
        self._core.automation = trust.over(self._strata)

    def _observing(self) -> Observer:
        settings = self._settings
        declared = [topic.name for topic in declared_topics.declared(settings)]
        watched = [
            Watched(condition, model, breaker)
            for condition, model, breaker in zip(("coder", "ranker"), self._models, self._breakers, strict=True)
        ]
        lag = KafkaLag(self._inputs, declared, settings.worker.group, self._options)
        return Observer(Health(CONDITIONS), watched, lag, self._versions, keys=self._vault)

    def _served(self) -> str:
        return " ".join(model.version for model in self._models)

    def _versions(self) -> dict[str, str]:
        """Of all that could change an answer, as they are now."""
        coder, ranker = (model.version for model in self._models)
        return {**asdict(self._core.versions), "coder": coder, "ranker": ranker}

    async def _assigned(self, _app: Any, assigned: Iterable[Any], **_: Any) -> None:
        places = [(place.topic, place.partition) for place in assigned]
        self._courier.keep(partition for _, partition in places)
        self._shared.set()
        self._observer.assigned(places)

    async def _revoked(self, _app: Any, revoked: Iterable[Any], **_: Any) -> None:
        """Faust lets go of partitions, all of them at each rebalance: those that come back are begun anew."""
        self._shared.clear()
        self._courier.lose()
        self._observer.revoked((place.topic, place.partition) for place in revoked)

    async def _take(self, stream: Any) -> None:
        """An agent: batches of raw events into the flow."""
        options = self._settings.worker
        async for events in stream.noack_take(options.batch_max, within=options.batch_wait_s):
            await self._flow.room(full=2 * len(events) >= options.batch_max)
            while not self._shared.is_set():
                await self._shared.wait()
            now = self._current(events)
            self._flow.put([incoming(event) for event in now], partial(acknowledge, now))

    def _current(self, events: Sequence[Any]) -> Sequence[Any]:
        """Without what was read before partitions were shared out anew: it comes again, in its place, to who has them now.

        At least once keeps it: Faust waits there for the acknowledgement of each record that it has given.
        """
        if self._settings.worker.delivery == "at_least_once":
            return events
        return [event for event in events if event.message.generation_id == self._app.consumer_generation_id]

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; the exit status (0: all that was finished was delivered).

        Raises:
            InvalidSettings: a topic is missing; Kafka or Triton and the settings do not agree on TLS or the login.
                A server that only does not answer is waited for, at the start as later.
        """
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        tracing.start("causa-worker")
        if port := self._settings.worker.metrics_port:
            metrics.serve(port, self._observer.health.pages())
            self._observer.start()
        stop = asyncio.create_task(stopping.wait())
        if not self._settings.audit_key.get_secret_value():
            log.warning("the audit's key is empty: whoever knows the ids can tell what is drawn")
        log.info("worker starting", group=self._settings.worker.group, model=self._served())
        prepared = asyncio.create_task(self._prepare())
        await asyncio.wait({stop, prepared}, return_when=asyncio.FIRST_COMPLETED)
        if not prepared.done():
            prepared.cancel()
            log.info("worker stopped", state="never started")
            return 0
        prepared.result()
        courier = self._flow.start()
        crash = asyncio.create_task(self._join())
        await asyncio.wait({stop, courier, crash}, return_when=asyncio.FIRST_COMPLETED)
        fault = next((t.exception() for t in (courier, crash) if t.done() and not t.cancelled()), None)
        crashed = courier.done() or crash.done()  # asked now: closing ends the app as well
        if crashed:
            log.error("worker crashed; what is not acknowledged will be read again", exc_info=fault)
        drained = False if courier.done() else await self._flow.drain(self._settings.worker.stop_s)
        status = 0 if drained and not crashed else 1
        await self._close(status)
        log.info("worker stopped", state="drained" if drained else "not drained")
        return status

    async def _prepare(self) -> None:
        """All that comes before the group is joined."""
        await ground.topics_in_order(self._settings, self._options, self._inputs, self._topics, self._wire)
        # Before the group is joined: no certificate is coded by a worker that does not know how far it is trusted.
        await self._trust.start()
        self._observer.health.tell("trust")
        await ground.models_served(self._models, self._address)
        await ground.connected(self._courier.start)

    async def _join(self) -> None:
        """Join the group and stay until the app ends by itself."""
        await self._app.start()
        log.info("worker started", group=self._settings.worker.group, model=self._served())
        await self._app.wait_until_stopped()

    async def _close(self, status: int) -> None:
        """Side by side: one that does not close must not take its time from the others."""
        # Faust joins its threads without a deadline and in the loop itself: no timeout of the loop's would then run.
        blocked = threading.Timer(LAST_RESORT_S + BLOCKED_S, _leave_blocked, (status,))
        blocked.daemon = True
        blocked.start()
        ends = (
            self._app.stop(),
            self._courier.stop(),
            self._trust.close(),
            self._observer.close(),
            asyncio.to_thread(tracing.stop),
            *(breaker.close() for breaker in self._breakers),
        )
        parts = [asyncio.create_task(part) for part in ends]
        done, late = await asyncio.wait(parts, timeout=LAST_RESORT_S)
        for part in late:
            log.warning("a connection did not close in time")
            part.cancel()
        for part in done:
            if (fault := part.exception()) is not None:
                log.warning("a connection did not close cleanly", exc_info=fault)
        blocked.cancel()


def _courier(
    settings: Settings, inputs: Sequence[str], topics: Mapping[str, str], options: Mapping[str, Any]
) -> Courier:
    """How results go out, as the settings say."""
    if settings.worker.delivery == "at_least_once":
        return AtLeastOnce(KafkaOutbox(topics, options))
    group = settings.worker.group
    return ExactlyOnce(lambda partition: KafkaTransactions(inputs, partition, group, topics, options))


def leave(status: int) -> NoReturn:
    """End this process now, whatever its threads and tasks wait for; what was said is written out first."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a closed pipe keeps nobody here
            stream.flush()
    logging.shutdown()
    os._exit(status)


def _leave_blocked(status: int) -> None:
    log.warning("a connection did not close in time")
    log.info("worker stopped", state="blocked")
    leave(status)
