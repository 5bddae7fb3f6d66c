"""What every act at the desk needs, and transactions that are tried again when another was in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, Engine

from stream.database import again, reading, writing
from stream.desk.reasons import Reasons
from stream.desk.refusals import ReasonMissing
from stream.desk.texts import Index, Opener
from stream.desk.trail import NO_TRAIL, Trail
from stream.services import Desk as DeskSettings
from stream.targeting.policy import Rules

T = TypeVar("T")
TRIES = 12
_FIRST_S = 0.005
_MOST_S = 0.2


@dataclass(frozen=True, slots=True)
class Context:
    """Everything an act needs.

    Attributes:
        engine: the database.
        settings: leases, beats, shares.
        opener: opens texts.
        index: of identical texts.
        reasons: those that may be chosen.
        office: the policy's rules: promises, capacity, edits that are off.
        clock: now, in UTC at the millisecond.
    """

    engine: Engine
    settings: DeskSettings
    opener: Opener
    index: Index
    reasons: Reasons
    office: Rules
    clock: Callable[[], datetime]

    @property
    def lease(self) -> timedelta:
        """How long a claim lasts without a heartbeat."""
        return timedelta(seconds=self.settings.lease_s)

    def read(self, work: Callable[[Connection], T]) -> T:
        """In a transaction that changes nothing. Raises DatabaseUnavailable."""
        with reading(self.engine) as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], T], trail: Trail = NO_TRAIL) -> T:
        """In one transaction, begun again where another was in the way: `work` may be called several times.

        Args:
            work: what is done.
            trail: whose rows `work` writes with it.

        Raises:
            DatabaseUnavailable: the server is away, or others were in the way too often.
        """

        def once() -> T:
            with writing(self.engine) as connection:
                trail.begin(connection)
                return work(connection)

        return again(once, tries=TRIES, first_s=_FIRST_S, most_s=_MOST_S)

    def offered(self, purpose: str, why: str) -> str:
        """A reason that may be chosen.

        Raises:
            ReasonMissing: it may not.
        """
        if not self.reasons.offers(purpose, why):
            raise ReasonMissing(f"no reason of {purpose} has this code")
        return why
