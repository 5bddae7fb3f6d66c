"""What people say a certificate's underlying cause is, and which of their decisions measure the machine.

Only the random audit is an unbiased sample of the machine's work. A certificate that a person saw because the machine
was unsure, or because of its cause, says nothing of the certificates that no person saw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from stream.coding import Correction, DecisionKind, Route
from stream.quality.ledger import Case


@dataclass(frozen=True, slots=True)
class Reference:
    """The cause that people hold.

    Attributes:
        code: underlying cause.
        at: when it was decided.
        kind: the decision that settled it.
        blind: whether nobody who coded it first saw the machine's proposal.
    """

    code: str
    at: datetime
    kind: DecisionKind
    blind: bool


def standing(case: Case) -> tuple[Correction, ...]:
    """The decisions on the newest version that no later one undid or replaced, by time; undoing is not among them.

    An undo can itself be undone.
    """
    killers: dict[str, list[Correction]] = defaultdict(list)
    for decision in case.decisions:
        if decision.supersedes is not None:
            killers[decision.supersedes].append(decision)
    known: dict[str, bool] = {}

    def stands(decision: Correction) -> bool:
        if decision.decision_id not in known:
            known[decision.decision_id] = False  # of decisions that undo one another in a circle, the latest stands
            known[decision.decision_id] = not any(stands(k) for k in killers[decision.decision_id])
        return known[decision.decision_id]

    found = [d for d in case.decisions if stands(d)]
    return tuple(d for d in found if d.kind is not DecisionKind.UNDO)


def reference(case: Case) -> Reference | None:
    """What people hold: the adjudication, else the first coding unless a second disagrees; None while unsettled.

    Among several of a kind the latest speaks. A second coding alone settles nothing: its first was undone.
    """
    if not case.decided:
        return None
    last = _last(standing(case))
    first, second, judged = (last.get(kind) for kind in _KINDS)
    blind = all(d.blind for d in (first, second) if d is not None) if first or second else True
    if judged is not None:
        # Who adjudicates sees the codings: they must have been blind, or, where there are none left, the judgement.
        code, by, blind = judged.underlying_after, judged, blind if first or second else judged.blind
    elif first is not None and (second is None or second.underlying_after == first.underlying_after):
        code, by = first.underlying_after, first
    else:
        return None
    return Reference(code, by.decided_at, by.kind, blind) if code else None


def disputed(case: Case) -> bool:
    """Whether two people disagree and nobody has adjudicated."""
    last = _last(standing(case))
    first, second, judged = (last.get(kind) for kind in _KINDS)
    return bool(not judged and first and second and first.underlying_after != second.underlying_after)


def audited(case: Case) -> Reference | None:
    """What people hold of a certificate that the audit drew and that was coded blind; None of any other."""
    if case.machine is None or case.withdrawn or not case.machine.targeting.audit:
        return None
    found = reference(case)
    return found if found is not None and found.blind else None


def settled(case: Case) -> str | None:
    """The cause that a person gave: by the decisions, else by a record of a person's coding."""
    found = reference(case)
    if found is not None:
        return found.code
    return case.human.underlying.code if case.human is not None and case.final else None


def settled_at(case: Case) -> datetime | None:
    """When the certificate got its official cause; None while a person must still look.

    By the machine on the automatic route, else by a record that says FINAL or by the decision, whichever was first.
    """
    if case.machine is not None and case.machine.targeting.route is Route.AUTO:
        return case.final_at
    found = reference(case)
    moments = [case.final_at] if case.final and case.final_at else []
    moments += [found.at] if found else []
    return min(moments, default=None)


_KINDS = (DecisionKind.FIRST, DecisionKind.SECOND, DecisionKind.ADJUDICATION)


def _last(decisions: Iterable[Correction]) -> dict[DecisionKind, Correction]:
    """The latest of each kind, of decisions by time."""
    return {d.kind: d for d in decisions}
