"""The life of a task: what it waits for, as a pure function of what is known, and who may do it.

Two codings agree when they hold the same underlying cause, as in `stream.quality.truth`. Nothing here knows a database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stream.coding import DecisionKind


class Stage(StrEnum):
    """What a task waits for.

    OPEN: a first coding. ESCALATED: a first coding by a senior. SECOND: a second opinion. DISPUTED: an adjudication.
    DONE: nothing. WAITING: the machine's record, which comes a moment after the task. GONE: nothing any more, because the
    certificate was withdrawn, a newer version took the work away or its text was destroyed.
    """

    OPEN = "OPEN"
    ESCALATED = "ESCALATED"
    SECOND = "SECOND"
    DISPUTED = "DISPUTED"
    DONE = "DONE"
    WAITING = "WAITING"
    GONE = "GONE"


KINDS = {
    Stage.OPEN: DecisionKind.FIRST,
    Stage.ESCALATED: DecisionKind.FIRST,
    Stage.SECOND: DecisionKind.SECOND,
    Stage.DISPUTED: DecisionKind.ADJUDICATION,
}
"""Stages that wait for a person, and the decision that they wait for."""


@dataclass(frozen=True, slots=True)
class Made:
    """A decision, as far as the life of a task hangs on it."""

    decision_id: str
    kind: DecisionKind
    coder: str
    decided_at: datetime
    cause: str | None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """All that decides what a task waits for.

    Attributes:
        gone: nobody should look any more.
        recorded: the machine's record of the version is there.
        made: the decisions on the version and its content, in any order.
        escalated: it was given to a senior, and neither decided nor sent back since.
        second: a second opinion is wanted.
    """

    gone: bool
    recorded: bool
    made: Sequence[Made] = ()
    escalated: bool = False
    second: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What a task waits for, and what stands.

    Attributes:
        stage: see `Stage`.
        senior: only a senior may.
        first, second, judged: the last standing decision of each kind.
        stands: ids of all decisions that no later one undid or replaced.
    """

    stage: Stage
    senior: bool
    first: Made | None
    second: Made | None
    judged: Made | None
    stands: frozenset[str]

    @property
    def holds(self) -> Made | None:
        """The decision whose codes are what people hold; a dispute leaves the first one's until it is judged."""
        return self.judged or self.first

    @property
    def last(self) -> Made | None:
        """The decision that nothing stands on: it alone may be undone."""
        return self.judged or self.second or self.first


def standing(known: Known) -> Standing:
    """What a task waits for."""
    left = standing_of(known.made)
    last = {made.kind: made for made in left}
    first, second, judged = (last.get(kind) for kind in _KINDS)
    stage = _stage(known, first, second, judged)
    senior = stage in (Stage.ESCALATED, Stage.DISPUTED) or (stage is Stage.SECOND and known.escalated)
    return Standing(stage, senior, first, second, judged, frozenset(made.decision_id for made in left))


def _stage(known: Known, first: Made | None, second: Made | None, judged: Made | None) -> Stage:
    if known.gone:
        return Stage.GONE
    if judged is not None:
        return Stage.DONE
    if first is None:
        if not known.recorded:
            return Stage.WAITING
        return Stage.ESCALATED if known.escalated else Stage.OPEN
    if second is not None:
        return Stage.DONE if first.cause == second.cause else Stage.DISPUTED
    return Stage.SECOND if known.second else Stage.DONE


def standing_of(made: Sequence[Made]) -> list[Made]:
    """The decisions that no later one undid or replaced, by time; undoing is not among them.

    The same order as `stream.quality.truth.standing`, so that queue and figures agree.
    """
    ordered = sorted(made, key=lambda one: (one.decided_at, one.decision_id))
    killers: dict[str, list[Made]] = defaultdict(list)
    for one in ordered:
        if one.supersedes is not None:
            killers[one.supersedes].append(one)
    known: dict[str, bool] = {}

    def stands(one: Made) -> bool:
        if one.decision_id not in known:
            known[one.decision_id] = False
            known[one.decision_id] = not any(stands(killer) for killer in killers[one.decision_id])
        return known[one.decision_id]

    return [one for one in [one for one in ordered if stands(one)] if one.kind is not DecisionKind.UNDO]


_KINDS = (DecisionKind.FIRST, DecisionKind.SECOND, DecisionKind.ADJUDICATION)


def may(
    stage: Stage, *, senior_only: bool, first_by: str | None, second_by: str | None, who: str, senior: bool
) -> bool:
    """Whether a person may do what a task waits for: nobody judges his own work.

    A second opinion is another's than the first's, an adjudicator is neither of the two, and a first coding after an undo
    is not by who gave the second opinion.
    """
    if stage not in KINDS or (senior_only and not senior):
        return False
    if stage in (Stage.OPEN, Stage.ESCALATED):
        return who != second_by
    return who not in (first_by, second_by)
