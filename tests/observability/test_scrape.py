"""A real worker on real servers, as a probe and Prometheus see it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from worker.certificates import samples, spoiled, words
from worker.worlds import RealWorld

from stream import errors
from stream.certificate import Certificate
from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.worker.app import INPUTS

from . import services
from .collector import Collector, collecting
from .queries import RECORDED, Query, queries

LIMIT_S = 60.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


class Watched(RealWorld):
    """A real world with a worker that serves its pages and traces."""

    def __init__(self, kafka: KafkaServer, triton: TritonServer, folder: Path, collector: Collector) -> None:
        self.port, self.collector = free_port(), collector
        super().__init__(
            kafka, triton, folder, CAUSA_WORKER__METRICS_PORT=str(self.port),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_BSP_SCHEDULE_DELAY="200",
        )  # fmt: skip

    async def publish_traced(self, certificate: Certificate, context: str) -> None:
        """Write a certificate with the context of its producer's trace."""
        key, value = self.record(certificate)
        headers = [("traceparent", context.encode())]
        await self._producer.send_and_wait(self._topics["certificates"], value, key=key, headers=headers)

    async def page(self, path: str) -> tuple[int, str]:
        """Status and body; 0 where nobody listens yet."""
        return await asyncio.to_thread(fetched, f"http://127.0.0.1:{self.port}{path}")

    async def ready_when(self, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll readiness until it is so."""
        body: dict[str, Any] = {}
        async with asyncio.timeout(LIMIT_S):
            while not body or not enough(body):
                await asyncio.sleep(0.2)
                status, text = await self.page("/health/ready")
                if status:
                    body = json.loads(text)
                    assert status == (200 if body["ready"] else 503)
        return body


def fetched(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.fixture
async def world(kafka_server: KafkaServer, triton_server: TritonServer, tmp_path: Path) -> AsyncIterator[Watched]:
    with collecting() as collector:
        world = Watched(kafka_server, triton_server, tmp_path, collector)
        try:
            await world.open()
            yield world
        finally:
            await world.close()


Labels = dict[str, set[str]]
PROMETHEUS_ADDS = {"instance", "job"}
OF_PROMETHEUS = {"up"}
ON_GPUS_ALONE = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes"}
ERRORS = {code for kind in vars(errors).values() if isinstance(kind, type) and (code := getattr(kind, "code", ""))}


def scraped(text: str) -> dict[str, Labels]:
    """Labels and their values of each metric on a page."""
    found: dict[str, Labels] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # The parser gives every counter the ending that Triton leaves out.
            name = sample.name if sample.name in text else sample.name.removesuffix("_total")
            labels = found.setdefault(name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def faults(query: Query, there: dict[str, Labels]) -> list[str]:
    """What an expression names that is not on the pages: metrics, labels, values of labels."""
    found = []
    labels = set(PROMETHEUS_ADDS)
    for selector in query.selectors:
        name = selector.metric
        if name in RECORDED:
            labels |= Query("", RECORDED[name]).kept
            continue
        if name in OF_PROMETHEUS or name in ON_GPUS_ALONE:
            labels |= {"gpu_uuid"}
            continue
        if name not in there:
            found.append(name)
            continue
        labels |= set(there[name])
        for label, values in selector.asked.items():
            known = there[name].get(label, set()) | (ERRORS if label == "error" else set())
            found += [f"{name}{{{label}={v}}}" for v in values if label not in PROMETHEUS_ADDS and v not in known]
    return found + [f"label {label}" for label in query.kept - labels]


@pytest.mark.servers
async def test_a_worker_as_prometheus_and_probes_see_it(world: Watched, triton_server: TritonServer) -> None:
    good = samples()[:150]
    traced = {f"{number:032x}": certificate for number, certificate in enumerate(samples("~traced")[:3], 1)}
    for trace, certificate in traced.items():
        await world.publish_traced(certificate, f"00-{trace}-{'b' * 16}-01")
    await world.publish([*(world.record(c) for c in good[:60]), *((s.key, s.value) for s in spoiled(world.wire))])
    await world.start()
    await world.ready_when(lambda body: body["ready"])
    await world.settled()

    # Triton dies: the worker lives, is not ready, says why, and goes on by itself.
    await world.kill_model()
    await world.publish(world.record(c) for c in good[60:])
    told = await world.ready_when(lambda body: not body["checks"]["coder"]["holds"])
    assert told["live"] and told["checks"]["broker"] == told["checks"]["group"] == {"holds": True}
    assert (await world.page("/health/live"))[0] == 200
    await world.revive_model()
    await world.ready_when(lambda body: body["ready"])
    await world.settled()

    def caught_up(page: str) -> bool:
        lags = re.findall(r"^causa_lag_records\{.*\} (.*)$", page, re.MULTILINE)
        return len(lags) == len(INPUTS) * world.settings.kafka.partitions and set(lags) == {"0.0"}

    page = models = ""
    async with asyncio.timeout(LIMIT_S):
        while not (caught_up(page) and "nv_inference_count{" in models):
            await asyncio.sleep(0.2)
            page = (await world.page("/metrics"))[1]
            models = (await asyncio.to_thread(fetched, triton_server.metrics_url))[1]
    there = {**scraped(services.of_services(services.page())), **scraped(page), **scraped(models)}
    missing = [f"{query.where}: {wrong}" for query in queries() for wrong in faults(query, there)]
    assert missing == []
    assert await world.terminate() == 0
    traced_from_producer_to_result(world, traced)
    for shown in (page, world.collector.told):
        assert not words(good) & set(re.findall(r"[^\W\d_]{6,}", shown.casefold()))


def traced_from_producer_to_result(world: Watched, traced: dict[str, Certificate]) -> None:
    """Each context that came in is gone on with, and stands in the headers of the results."""
    spans = {span.trace_id.hex(): span for span in world.collector.named("certificate")}
    assert set(spans) == set(traced)
    found = {w.key: w.headers for w in world.results["coded"] if w.headers}
    assert found == {
        c.certificate_id.encode(): (("traceparent", f"00-{trace}-{spans[trace].span_id.hex()}-01".encode()),)
        for trace, c in traced.items()
    }
    batches = {span.span_id for span in world.collector.named("batch")}
    for stage in ("read", "ask coder", "word", "ask ranker", "decide", "transaction"):
        assert {span.parent_span_id for span in world.collector.named(stage)} <= batches, stage
        assert world.collector.named(stage)


def test_the_services_serve_what_their_panels_and_rules_name() -> None:
    there = scraped(services.page())
    own = [q for q in queries() if any(s.metric.startswith(services.PREFIXES) for s in q.selectors)]
    assert len(own) > 25
    assert [f"{query.where}: {wrong}" for query in own for wrong in faults(query, there)] == []
    named = {selector.metric for query in own for selector in query.selectors}
    served = {name for name in there if name.startswith(services.PREFIXES)}
    plain = re.compile(r"_(bucket|sum|count|created|total)$")
    # Records that alerts folds are told by the intake of every service alike.
    assert {plain.sub("", n) for n in served} - {"causa_alert_records"} == {plain.sub("", n) for n in named}


def test_what_is_not_scraped_would_be_seen() -> None:
    there: dict[str, Labels] = {"a_total": {"route": {"AUTO"}}}
    assert faults(Query("", 'sum by (route) (rate(a_total{route="AUTO", job="x"}[1m]))'), there) == []
    assert faults(Query("", "rate(b_total[1m])"), there) == ["b_total"]
    assert faults(Query("", 'a_total{route="AUTOMATIC"}'), there) == ["a_total{route=AUTOMATIC}"]
    assert faults(Query("", "sum by (rout) (a_total)", "{{root}}"), there) in (
        ["label rout", "label root"], ["label root", "label rout"],
    )  # fmt: skip
