"""The underlying cause as the coder edits: the same core as the worker's, on the codes as they stand on the screen.

The rules are always asked; the ranker too where Triton answers in time. A coder who waits loses the thread: an answer that
is late is done without, and the page says that it is the rules' alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from stream.certificate import Certificate, Line
from stream.coding import CodedLine, Underlying
from stream.errors import InfrastructureError
from stream.pipeline.lines import causes_of
from stream.targeting import certainty, edits
from stream.targeting.edits import Edit
from stream.targeting.target import unknown_share
from stream.underlying import load, together
from stream.underlying.ranking import CANARY, SILENT, Ranked, RankModel
from stream.underlying.request import Considered, consider

log = structlog.get_logger("causa.desk")
PATIENCE_S = 0.06
"""Longest wait for the ranker; rules, edits and the way to the browser and back need the rest of a tenth of a second."""
LATE = 3
"""Late answers in a row after which the ranker is left alone for a while: each of them is time that a coder waits."""
AGAIN_S = 5.0
"""How long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the core makes of the codes of a certificate.

    Attributes:
        cause: the underlying cause with its confidence and steps.
        edits: edits that the certificate breaks with these codes.
        ranked: whether the ranker had its say, or there was nothing for it to choose.
    """

    cause: Underlying
    edits: tuple[Edit, ...]
    ranked: bool


class Live:
    """Asks the core.

    Args:
        ranker: the ranker's seam; None where the desk runs without a model server.
        patience_s: longest wait for it.
        clock: seconds, for tests.
    """

    def __init__(
        self, ranker: RankModel | None, *, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ranker, self._patience, self._clock = ranker, patience_s, clock
        self._silent_until, self._late = 0.0, 0
        self._tables, self._together = load(), together.load()
        self._certainty, self._edits = certainty.load(), edits.load()

    async def answer(
        self, certificate: Certificate, part1: tuple[CodedLine, ...], part2: tuple[CodedLine, ...]
    ) -> Answer:
        """Cause and edits.

        Args:
            certificate: its texts plain.
            part1: lines of Part I as they stand on the screen.
            part2: lines of Part II.
        """
        considered = consider(causes_of(certificate, part1, part2), self._tables)
        ranked, asked = await self._ranked(considered)
        cause = self._together(considered, ranked, self._tables)
        lines = (*part1, *part2)
        unknown = unknown_share([_text(line) for line in (*certificate.part1, *certificate.part2)], lines)
        cause = replace(cause, confidence=self._certainty(cause, part1, part2, unknown))
        return Answer(cause, self._edits.check(certificate, part1, part2, cause), asked)

    async def _ranked(self, considered: Considered) -> tuple[Ranked, bool]:
        if considered.request is None:
            return SILENT, True
        if self._ranker is None or self._clock() < self._silent_until:
            return SILENT, False
        try:
            async with asyncio.timeout(self._patience):
                found = (await self._ranker.ask([considered.request]))[0]
        except (InfrastructureError, TimeoutError) as error:
            self._late += 1
            if self._late >= LATE or isinstance(error, InfrastructureError):
                self._silent_until, self._late = self._clock() + AGAIN_S, 0
                log.warning("the ranker is done without", error=type(error).__name__, wait_s=AGAIN_S)
            return SILENT, False
        self._late = 0
        return found, True

    async def warm(self) -> None:
        """Ask the ranker once, however long it takes: the first coder need not wait for the connection."""
        if self._ranker is not None:
            with suppress(InfrastructureError):
                await self._ranker.ask([CANARY])

    async def close(self) -> None:
        """Let go of the ranker."""
        if self._ranker is not None:
            await self._ranker.close()


def _text(line: Line) -> str:
    return line.text if isinstance(line.text, str) else ""
