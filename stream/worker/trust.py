"""Keeps a process told of how far the machine is trusted: reads the changes to their end, then follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from stream import metrics
from stream.automation import STRICTNESS, Changes, Trust, fold
from stream.coding import AutomationChange
from stream.errors import InfrastructureError
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.trust")
RETRY_S = 1.0


class TrustKeeper:
    """Follows the changes of automation.

    `start` returns once all of them are known, and waits for that as long as it takes: a worker that does not know
    that it was stopped must not begin. From then on a fault costs nothing but news: what was last known stays.

    Args:
        changes: where they are read.
        strata: of the policy in force.
        take: told what holds, at the start and after each change that counts.
        retry_s: wait before a fault is tried again, seconds.

    Attributes:
        trust: what holds as far as is known.
        last: the last change read of each scope, whether it counted or not.
    """

    def __init__(
        self, changes: Changes, strata: Sequence[str], take: Callable[[Trust], None], *, retry_s: float = RETRY_S
    ) -> None:
        self._changes, self._strata, self._take, self._retry_s = changes, tuple(strata), take, retry_s
        self._rarely = Rarely()
        self._following: asyncio.Task[None] | None = None
        self.trust = Trust()
        self.last: dict[str, AutomationChange] = {}

    async def start(self) -> None:
        """Read all changes, then follow them in a task of its own.

        Raises:
            InvalidSettings: the broker has no such topic.
        """
        await self._read_all()
        self._following = asyncio.create_task(self._follow(), name="trust")

    async def close(self) -> None:
        """Follow no longer, and disconnect."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._changes.close()

    def apply(self, change: AutomationChange) -> None:
        """Take one more change: from the topic, or one that the broker has just acknowledged to this process."""
        self.last[change.scope] = change
        self._now(self.trust.after(change))

    async def _read_all(self) -> None:
        while True:
            try:
                changes = await self._changes.read()
                break
            except InfrastructureError as error:
                if self._rarely.due(error.code):
                    log.warning("held: the automation cannot be asked for", code=error.code, reason=error.message)
            await asyncio.sleep(self._retry_s)
        self.last = {change.scope: change for change in changes}
        # Folded apart and taken at once: on the way to where it ends the topic passes states that hold no longer.
        self._now(fold(changes))

    async def _follow(self) -> None:
        while True:
            try:
                for change in await self._changes.more():
                    self.apply(change)
                continue
            except InfrastructureError as error:
                if self._rarely.due(error.code):
                    log.warning(
                        "the automation cannot be followed: what was known stays",
                        code=error.code,
                        reason=error.message,
                    )
            except Exception as fault:
                # Whatever goes wrong: a worker that no longer hears of a stop is worse than one that asks again.
                if self._rarely.due("INTERNAL"):
                    log.warning("the automation cannot be followed: what was known stays", exc_info=fault)
            await asyncio.sleep(self._retry_s)
            await self._again()

    async def _again(self) -> None:
        """From the first change again: where the reading stopped is not known."""
        try:
            await self._read_all()
        except Exception as fault:
            if self._rarely.due("INTERNAL"):
                log.warning("the automation cannot be followed: what was known stays", exc_info=fault)

    def _now(self, trust: Trust) -> None:
        for change in trust.held.values():
            if change != self.trust.held.get(change.scope):
                log.warning(
                    "automation changed",
                    scope=change.scope,
                    automation=change.automation.value,
                    why=change.why,
                    who=change.who or "alarm",
                    at=change.at.isoformat(),
                )
        news = trust != self.trust
        self.trust = trust
        for stratum, automation in trust.over(self._strata).items():
            metrics.AUTOMATION.labels(stratum).set(STRICTNESS[automation])
        if news:
            self._take(trust)
