"""Whether a process lives, and whether it is ready for work: two pages beside its metrics, one JSON object each.

*Alive* means that the event loop turns: what is not alive should be started again. *Ready* means that every condition
holds; what is not ready says why, and starting it again would not help: a worker whose broker or model server is away
is alive, holds, and goes on by itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream import metrics
from stream.pages import Answer, Page

LIVE_S = 30.0
"""A loop that has not turned for so long is stuck: no batch keeps it for more than a second or two."""
BEAT_S = 1.0
UNKNOWN = "not known yet"


class Health:
    """What a process knows of its own state: written by its event loop, read by the threads that serve pages.

    Args:
        conditions: names of what must hold for it to be ready.
        clock: seconds, for tests.
    """

    def __init__(self, conditions: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat = clock()
        self._against = dict.fromkeys(conditions, UNKNOWN)
        for name in conditions:
            metrics.READY.labels(name).set(0)

    def tell(self, condition: str, against: str = "") -> None:
        """A condition holds, or what speaks against it: a sentence of ours, without any text from outside."""
        assert condition in self._against
        self._against[condition] = against
        metrics.READY.labels(condition).set(0 if against else 1)

    def beat(self) -> None:
        """The loop has turned."""
        self._beat = self._clock()

    @property
    def live(self) -> bool:
        """Whether the loop turns."""
        return self._clock() - self._beat < LIVE_S

    @property
    def ready(self) -> bool:
        """Whether every condition holds, in a process that lives."""
        return self.live and not any(self._against.values())

    def pages(self) -> Mapping[str, Page]:
        """`/health/live` and `/health/ready`: status 200, or 503 where it is not so."""
        return {"/health/live": self._live, "/health/ready": self._ready}

    def _live(self, _accepted: str) -> Answer:
        return _answer(self.live, {"live": self.live, "loop_turned_s": round(self._clock() - self._beat, 1)})

    def _ready(self, _accepted: str) -> Answer:
        checks = {name: {"holds": not why, **({"why": why} if why else {})} for name, why in self._against.items()}
        return _answer(self.ready, {"ready": self.ready, "live": self.live, "checks": checks})


def _answer(good: bool, body: Mapping[str, Any]) -> Answer:
    return Answer(200 if good else 503, "application/json", json.dumps(body).encode() + b"\n")


async def beating(health: Health) -> None:
    """Tell that the loop turns, and how late, until cancelled."""
    while True:
        due = time.monotonic() + BEAT_S
        await asyncio.sleep(BEAT_S)
        metrics.LATE.observe(max(0.0, time.monotonic() - due))
        health.beat()
