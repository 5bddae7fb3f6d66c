"""A suite: certificates, faults that strike while they are coded, and the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos import faults
from chaos.arena import Arena
from chaos.oracle import Verdict, judge


@dataclass(frozen=True)
class Strike:
    """A fault of the registry, and how long it lasts.

    Attributes:
        options: see the fault.
    """

    fault: str
    seconds: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """What is done to the workers, and over how many certificates.

    Attributes:
        about: one sentence.
        certificates: so many at least; more come until the last fault is healed.
        strikes: one after the other, spread evenly over the certificates.
        workers: processes.
        rate: certificates published in a second, at most.
        poison: share of records that nobody can read.
        brokers: how many; of several each record is kept on three, and on two before it counts.
        proxied: whether workers reach the broker through a proxy.
        fronted: whether the models can be told to misbehave.
        disk_mib: a file system of so much for the broker's data, which can be filled; 0 leaves them in the folder. Only
            root may mount it.
        once: whether duplicates are a fault.
        variables: settings of the workers.
    """

    name: str
    about: str
    certificates: int
    strikes: Sequence[Strike]
    workers: int = 3
    rate: float = 150.0
    poison: float = 0.0
    brokers: int = 1
    proxied: bool = False
    fronted: bool = False
    disk_mib: int = 0
    once: bool = True
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a suite has shown.

    Attributes:
        faults: last words of workers that ended though nobody asked.
        idle: strikes that did nothing, so that nothing was tried.
    """

    suite: Suite
    verdict: Verdict
    figures: Mapping[str, int]
    faults: Sequence[str]
    seconds: float
    idle: Sequence[str] = ()

    @property
    def sound(self) -> bool:
        """Whether it went as promised, and was put to the test."""
        return not self.shortcomings

    @property
    def shortcomings(self) -> list[str]:
        """What is not as it should be; without transactions answers may come again, later ones before, and some must."""
        let = () if self.suite.once else ("duplicated", "disordered")
        found = [f"{number} {name}" for name, number in self.verdict.faults.items() if number and name not in let]
        if not self.suite.once and not self.verdict.faults["duplicated"]:
            found.append("no double was seen, so this check may be blind to them")
        if self.faults:
            found.append(f"{len(self.faults)} workers ended by themselves")
        if self.verdict.records < self.suite.certificates:
            found.append(f"{self.verdict.records} records of {self.suite.certificates}")
        return [*found, *self.idle]


async def play(suite: Suite, arena: Arena) -> Outcome:
    """Feed, strike, wait until all is settled, judge."""
    began = time.monotonic()
    arena.fleet.keep(suite.workers)
    await arena.until(lambda: len(arena.fleet.serving) == suite.workers, "the workers to serve")
    enough = asyncio.Event()
    idle: list[str] = []
    feeding = asyncio.create_task(arena.feed(suite.certificates, suite.rate, enough, poison=suite.poison))
    try:
        for number, strike in enumerate(suite.strikes):
            mark = round(suite.certificates * (number + 0.5) / len(suite.strikes) * 0.95)
            await arena.until(lambda mark=mark: arena.answered >= mark or feeding.done(), f"answer {mark}")  # type: ignore[misc]
            if not await one(strike, arena):
                idle.append(f"strike {number + 1}, {strike.fault}, did nothing")
        enough.set()
        await feeding
    finally:
        feeding.cancel()
    await arena.settled()
    arena.count("worker crashes", len(arena.fleet.faults))
    arena.count("trapped", arena.fleet.trapped)
    return Outcome(suite, await judge(arena), arena.figures, arena.fleet.faults, time.monotonic() - began, idle)


async def one(strike: Strike, arena: Arena) -> bool:
    """One fault, from its beginning to its end; whether its figure grew."""
    fault = faults.open_(strike.fault, **strike.options)
    before = arena.figures.get(fault.figure, 0)
    await fault.strike(arena)
    try:
        await asyncio.sleep(strike.seconds)
    finally:
        await fault.heal(arena)
    return arena.figures.get(fault.figure, 0) > before
