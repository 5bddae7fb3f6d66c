"""Who codes in a replay: this installation's core, at whatever trust each certificate was coded under."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Protocol

from stream.certificate import utc_now
from stream.coder.model import CANARY, LineAnswer, LineRequest, TritonModel, by_length
from stream.coding import Automation
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming
from stream.settings import Settings
from stream.targeting import policy
from stream.underlying import ranking
from stream.underlying.ranking import Ranked, TritonRanker, by_size
from stream.underlying.request import RankRequest
from stream.wire import Wire
from stream.worker.asking import Asker, Guarded
from stream.worker.batch import BatchProcessor
from stream.worker.holding import Keys

READY_POLL_S = 0.5


class Voice(Protocol):
    """Codes batches; never raises for a record or a server at fault."""

    def versions(self) -> dict[str, str]:
        """Of all that could change an answer; what is not known before the first answer is left out."""

    async def code(self, batch: Sequence[Incoming], levels: Sequence[Automation | None]) -> list[Decision]:
        """Decisions in the batch's order.

        Args:
            batch: records of certificates.
            levels: how far the machine is trusted with each; None is what holds at large.
        """

    async def close(self) -> None:
        """Let go of servers and processes."""


class OwnVoice:
    """This installation, through the worker's own processor of batches.

    Args:
        core: the pure core.
        coder, ranker: ask the models.
        strata: of the policy.
        now: how far the machine is trusted at large, by stratum.
        keys: certificates' own keys; None where there are none.
        clock: now, for tests.
    """

    def __init__(
        self,
        core: Core,
        coder: Asker[LineRequest, LineAnswer],
        ranker: Asker[RankRequest, Ranked],
        strata: Sequence[str],
        *,
        now: Mapping[str, Automation] | None = None,
        keys: Keys | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._core, self._coder, self._ranker = core, coder, ranker

        def processor(automation: Mapping[str, Automation]) -> BatchProcessor:
            own = copy.copy(core)  # shares every table; only the trust is its own
            own.automation = automation
            return BatchProcessor(own, coder, ranker, keys=keys, clock=clock)

        self._processors: dict[Automation | None, BatchProcessor] = {
            level: processor(dict.fromkeys(strata, level)) for level in Automation
        }
        self._processors[None] = processor(now or {})

    def versions(self) -> dict[str, str]:
        """See `Voice.versions`."""
        return {**asdict(self._core.versions), "coder": self._coder.version, "ranker": self._ranker.version}

    async def code(self, batch: Sequence[Incoming], levels: Sequence[Automation | None]) -> list[Decision]:
        """See `Voice.code`."""
        places: dict[Automation | None, list[int]] = {}
        for number, level in enumerate(levels):
            places.setdefault(level, []).append(number)
        found: dict[int, Decision] = {}
        for level, numbers in places.items():
            decisions = await self._processors[level].process([batch[number] for number in numbers])
            found |= dict(zip(numbers, decisions, strict=True))
        return [found[number] for number in range(len(batch))]

    async def close(self) -> None:
        """See `Voice.close`."""


class TritonVoice(OwnVoice):
    """The same with the models of a Triton server.

    Args:
        settings: of the replay (`Speaking.settings`).
        wire: codec.
        url: Triton's address.
        now: how far the machine is trusted at large.
        keys: certificates' own keys.
    """

    def __init__(
        self,
        settings: Settings,
        wire: Wire,
        url: str,
        now: Mapping[str, Automation] | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._models = (TritonModel(url, settings.triton), TritonRanker(url, settings.triton))
        coder = Guarded(self._models[0], settings.worker, CANARY, by_length)
        ranker = Guarded(self._models[1], settings.worker, ranking.CANARY, by_size)
        self._breakers = (coder.breaker, ranker.breaker)
        strata = [s.name for s in policy.load(settings.policy, settings.thresholds).rules.strata]
        super().__init__(Core(wire, settings), coder.asker(), ranker.asker(), strata, now=now, keys=keys)

    async def ready(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Wait until both models are served.

        Raises:
            InvalidSettings: Triton and the settings do not agree on TLS.
        """
        for model in self._models:
            told = False
            while not await model.ready():
                await model.check_tls()
                if not told:
                    tell(f"waiting for {model.version} to be served")
                    told = True
                await asyncio.sleep(READY_POLL_S)

    async def close(self) -> None:
        """See `Voice.close`."""
        for breaker in self._breakers:
            await breaker.close()
