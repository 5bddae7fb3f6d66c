"""Rungs without Kafka: what Triton gives when nothing else is done, and the core with the model offline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import tritonclient.grpc.aio as triton

from bench.figures import Rung
from stream.certificate import Certificate
from stream.cli.serving import models
from stream.coder.model import LineRequest
from stream.offline.answers import code_rows
from stream.offline.rows import Row
from stream.pipeline.core import Core
from stream.settings import Settings

OUTPUTS = ("CODES", "STARTS", "ENDS", "PROBS")
WARM_LINES = 1024


def _inputs(lines: Sequence[LineRequest]) -> list[triton.InferInput]:
    made = []
    for name, column in (("TEXT", [r.text for r in lines]), ("CONTEXT", [r.context for r in lines])):
        tensor = triton.InferInput(name, [len(lines), 1], "BYTES")
        tensor.set_data_from_numpy(np.array([c.encode() for c in column], object).reshape(-1, 1))
        made.append(tensor)
    return made


async def warm(url: str, settings: Settings, requests: Sequence[LineRequest]) -> dict[str, str]:
    """Lines of every length through the model, so that no rung pays for compiling; the server's name and version."""
    by_length = sorted(requests, key=lambda r: len(r.text))
    chosen = by_length[:: max(1, len(by_length) // WARM_LINES)] + by_length[-16:]
    client = triton.InferenceServerClient(url)
    try:
        for at in range(0, len(chosen), 64):
            await client.infer(
                settings.triton.coder, _inputs(chosen[at : at + 64]), model_version=settings.triton.coder_version
            )
        metadata = await client.get_server_metadata()
        return {"triton": f"{metadata.version}", "model": f"{settings.triton.coder}-{settings.triton.coder_version}"}
    finally:
        await client.close()


async def ceiling(
    url: str, settings: Settings, requests: Sequence[LineRequest], certificates: int, *, batch: int, in_flight: int
) -> Rung:
    """Lines a second of the bare client: requests made beforehand, answers unpacked and forgotten."""
    made = [_inputs(requests[at : at + batch]) for at in range(0, len(requests), batch)]
    waiting = iter(made)
    client = triton.InferenceServerClient(url)

    async def ask() -> None:
        for inputs in waiting:
            answer = await client.infer(
                settings.triton.coder, inputs, model_version=settings.triton.coder_version, client_timeout=60.0
            )
            for name in OUTPUTS:
                answer.as_numpy(name)

    try:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(ask())
        seconds = time.perf_counter() - began
    finally:
        await client.close()
    return Rung(
        f"triton_{batch}", f"raw Triton, {batch} lines a request, {in_flight} in flight", certificates,
        certificates / seconds, len(requests) / seconds,
    )  # fmt: skip


async def offline(url: str, settings: Settings, core: Core, certificates: Sequence[Certificate], lines: int) -> Rung:
    """`causa code` without files: the core and the model, nothing remembered from one batch to the next."""
    asked = models(url, settings.model_copy(update={"worker": settings.worker.model_copy(update={"cache_lines": 0})}))
    rows = [Row(number, c) for number, c in enumerate(certificates, start=1)]
    try:
        began = time.perf_counter()
        cpu = time.process_time()
        answers = 0
        async for answer in code_rows(rows, core, asked):
            answers += "error" not in answer
        seconds = time.perf_counter() - began
        cpu = time.process_time() - cpu
    finally:
        await asked.close()
    return Rung(
        "offline", "offline core (code_rows) with Triton, no Kafka", answers, answers / seconds,
        lines / seconds, cores={"core": round(cpu / seconds, 2)},
    )  # fmt: skip
