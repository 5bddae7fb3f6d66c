"""Rungs without Kafka: what Triton gives when nothing else is done, and the core with the models offline."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton

from bench.figures import Rung, steady_rate
from bench.usage import CODES, Roots, metered
from stream.certificate import Certificate
from stream.cli.serving import models
from stream.coder.model import LineRequest, by_length
from stream.offline.answers import BATCH, code_rows
from stream.offline.rows import Row
from stream.pipeline.core import Core
from stream.pipeline.record import Incoming
from stream.settings import Settings
from stream.underlying.ranking import by_size
from stream.underlying.request import RankRequest

CHUNKS = (32, 64, 200)
"""Certificates asked for at once: a request of their lines, then one of their cases."""
IN_FLIGHT = 4
ROWS = 512
LEAST = 8
"""Batches of the offline core from which on both ends can be left out."""
_CODER = ("CODES", "STARTS", "ENDS", "PROBS")
_RANKER = ("CODES", "PROBS")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one certificate asks: its lines of the coder, then at most one case of the ranker."""

    lines: tuple[LineRequest, ...]
    cases: tuple[RankRequest, ...]


async def asked(url: str, settings: Settings, core: Core, certificates: Sequence[Certificate]) -> list[Asked]:
    """What each certificate asks of the models. Lines of every length go through the coder, so that it is warm after.

    Raises:
        InfrastructureError: a model does not answer.
    """
    nothing = Incoming(None)
    prepared = [core.prepare_certificate(c, nothing) for c in certificates]
    both = models(url, settings)
    try:
        lines = [r for p in prepared for r in p.requests]
        answers = dict(zip(lines, await both.coder.ask(lines), strict=True))
        found = [Asked(p.requests, core.worded(p, answers, both.coder.version).requests) for p in prepared]
        await both.ranker.ask([case for a in found for case in a.cases])
        return found
    finally:
        await both.close()


async def served(url: str, settings: Settings) -> dict[str, str]:
    """Version of the server and its models."""
    client = triton.InferenceServerClient(url)
    try:
        metadata = await client.get_server_metadata()
    finally:
        await client.close()
    options = settings.triton
    named = {"coder": options.coder_version, "underlying": options.underlying_version}
    return {"triton": str(metadata.version), **{f"model {name}": version for name, version in named.items()}}


async def ceiling(
    url: str, settings: Settings, asked: Sequence[Asked], roots: Roots, *, chunk: int, in_flight: int = IN_FLIGHT
) -> Rung:
    """Certificates a second of bare clients: requests made beforehand, answers unpacked and forgotten.

    Both models are asked as often as certificates ask them. A chunk asks for a line once and sends lines of like length
    side by side, as the pipeline does; several chunks are under way.
    """
    parts = [asked[at : at + chunk] for at in range(0, len(asked), chunk)]
    waiting = iter([_requests(settings, part) for part in parts])
    client = triton.InferenceServerClient(url)

    async def ask() -> None:
        for requests in waiting:
            for name, version, inputs, outputs in requests:
                answer = await client.infer(name, inputs, model_version=version, client_timeout=60.0)
                for output in outputs:
                    answer.as_numpy(output)

    try:
        async with metered(roots) as meter:
            # The server is busy from the first moment to the last: nothing need be left out.
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(in_flight):
                    group.create_task(ask())
            rate = len(asked) / (time.perf_counter() - began)
            cpu = meter.per(len(asked))
    finally:
        await client.close()
    return Rung(
        f"triton_{chunk}", f"raw Triton, both models, {chunk} certificates at once, {in_flight} in flight", len(asked),
        rate, rate * sum(len(a.lines) for a in asked) / len(asked), cpu_ms=cpu, memory_mib=meter.peak,
    )  # fmt: skip


def _requests(settings: Settings, chunk: Sequence[Asked]) -> list[tuple[str, str, list[Any], Sequence[str]]]:
    options = settings.triton
    lines = sorted({line for one in chunk for line in one.lines}, key=by_length)
    cases = sorted({case for one in chunk for case in one.cases}, key=by_size)
    requests: list[tuple[str, str, list[Any], Sequence[str]]] = []
    for at in range(0, len(lines), ROWS):
        part = lines[at : at + ROWS]
        inputs = [_tensor("TEXT", [r.text for r in part]), _tensor("CONTEXT", [r.context for r in part])]
        requests.append((options.coder, options.coder_version, inputs, _CODER))
    if cases:
        inputs = [_tensor("CASE", [r.row for r in cases])]
        requests.append((options.underlying, options.underlying_version, inputs, _RANKER))
    return requests


def _tensor(name: str, column: Sequence[str]) -> Any:
    tensor = triton.InferInput(name, [len(column), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([c.encode() for c in column], object).reshape(-1, 1))
    return tensor


async def offline(
    url: str, settings: Settings, core: Core, certificates: Sequence[Certificate], lines: int, servers: Roots
) -> Rung:
    """`causa code` without files: the core and the models, nothing remembered from one batch to the next."""
    dead = 0
    both = models(url, settings.model_copy(update={"worker": settings.worker.model_copy(update={"cache_lines": 0})}))
    try:
        async with metered([*servers, (CODES, os.getpid())]) as meter:
            began, stamps, answers = time.perf_counter(), list[float](), 0
            async for answer in code_rows(_rows(certificates), core, both):
                # The answers of a batch come together, and count from its first one on.
                stamps.append(stamps[-1] if answers % BATCH else time.perf_counter())
                answers += 1
                dead += "error" in answer
            whole = answers / (time.perf_counter() - began)
            cpu = meter.per(len(certificates))
    finally:
        await both.close()
    rate = steady_rate(stamps) if answers >= LEAST * BATCH else whole
    return Rung(
        "offline", "offline core (code_rows) with Triton, no Kafka", answers, rate, rate * lines / len(certificates),
        cpu_ms=cpu, memory_mib=meter.peak, notes={"dead": float(dead)},
    )  # fmt: skip


def _rows(certificates: Sequence[Certificate]) -> Iterator[Row]:
    return (Row(number, c) for number, c in enumerate(certificates, start=1))
