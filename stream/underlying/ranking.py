"""The ranker's seam: certificates as the rules see them in, likely underlying causes out.

The contract is that of `model_repo/underlying/config.pbtxt`: one row of `stream.underlying.request` a certificate; five bare codes
and their probabilities, best first. `TritonRanker` asks a server, `MemoryRanker` is its twin for tests, `SilentRanker`
leaves the rules alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.errors import ModelFault
from stream.settings import Triton as TritonSettings
from stream.triton import Endpoint, Model
from stream.underlying.request import RankRequest

_OUTPUTS = ("CODES", "PROBS")


@dataclass(frozen=True, slots=True)
class Ranked:
    """Bare codes that may be the underlying cause, best first, with their probabilities; empty says nothing."""

    codes: tuple[str, ...] = ()
    probs: tuple[float, ...] = ()

    def of(self, code: str) -> float:
        """Probability of a bare code; 0 for one that is not among them."""
        return dict(zip(self.codes, self.probs, strict=True)).get(code, 0.0)


SILENT = Ranked()


def by_size(request: RankRequest) -> tuple[int, str]:
    """Order in which certificates of like size stand together."""
    return len(request.codes), request.row


RankModel = Model[RankRequest, Ranked]
"""What the pipeline needs of a ranker."""

CANARY = RankRequest('##6!!#!%!!#!!!!!!J189"#!"11!!!!I64.#"!"?I!!!!!(,!', ("J18.9", "I64"))
"""A certificate that every sound ranker answers: pneumonia after a stroke."""


class TritonRanker(Endpoint):
    """The ranker served by Triton.

    Args:
        url: host and port.
        settings: model name, pinned version, deadline, TLS.
    """

    def __init__(self, url: str, settings: TritonSettings) -> None:
        super().__init__(url, settings.underlying, settings.underlying_version, settings)

    async def ask(self, requests: Sequence[RankRequest]) -> list[Ranked]:
        """See `stream.triton.Model.ask`."""
        if not requests:
            return []
        arrays = await self.infer({"CASE": [r.row for r in requests]}, _OUTPUTS)
        return read_answer(arrays, len(requests))


def read_answer(arrays: Mapping[str, Any], rows: int) -> list[Ranked]:
    """Answers from the output arrays, checked.

    Args:
        arrays: CODES [N, K] bytes (empty ones pad), PROBS [N, K].
        rows: certificates asked for.

    Raises:
        ModelFault: an array is missing, of another shape, or holds what is no probability or no code.
    """
    codes, probs = (arrays.get(name) for name in _OUTPUTS)
    if codes is None or probs is None:
        raise ModelFault("an output is missing")
    if codes.ndim != 2 or codes.shape[0] != rows or probs.shape != codes.shape:
        raise ModelFault("an output has the wrong shape")
    # A NaN fails both comparisons, so it is caught here too.
    if probs.dtype.kind != "f" or not bool(np.all((probs >= 0.0) & (probs <= 1.0))):
        raise ModelFault("a probability is not between 0 and 1")
    answers = []
    for names, chances in zip(codes, probs, strict=True):
        try:
            named = [(c.decode("ascii"), round(float(p), 4)) for c, p in zip(names, chances, strict=True) if c]
        except (UnicodeDecodeError, AttributeError):
            raise ModelFault("a code is no text") from None
        answers.append(Ranked(tuple(c for c, _ in named), tuple(p for _, p in named)))
    return answers


class SilentRanker:
    """A ranker that says nothing: what is selected then is the rules' work alone."""

    version = "none"

    async def ask(self, requests: Sequence[RankRequest]) -> list[Ranked]:
        """See `stream.triton.Model.ask`."""
        return [SILENT for _ in requests]

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryRanker:
    """In-memory twin: prefers the codes that it was given, and can be made to fail.

    Args:
        preferred: bare code to answer, for each bare code that a certificate may hold; first one first.

    Attributes:
        failures: errors to raise on the next calls, first one first.
        calls: number of certificates of every request so far.
    """

    def __init__(self, preferred: Mapping[str, str] | None = None, *, version: str = "memory-1") -> None:
        self._preferred = dict(preferred or {})
        self.version = version
        self.failures: list[Exception] = []
        self.calls: list[int] = []

    async def ask(self, requests: Sequence[RankRequest]) -> list[Ranked]:
        """See `stream.triton.Model.ask`."""
        await asyncio.sleep(0)
        self.calls.append(len(requests))
        if self.failures:
            raise self.failures.pop(0)
        return [self._one(r) for r in requests]

    def _one(self, request: RankRequest) -> Ranked:
        own = [code.replace(".", "") for code in request.codes]
        best = next((answer for code, answer in self._preferred.items() if code in own), None)
        return Ranked((best,), (0.9,)) if best else SILENT

    async def close(self) -> None:
        """Nothing to let go of."""
