from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from desk.office import NOON, certificate, machine
from stream.coding import Correction, DecisionKind
from stream.desk.life import KINDS, Known, Made, Stage, may, standing, standing_of
from stream.quality import truth
from stream.quality.ledger import Case

IDS = [f"d{n}" for n in range(8)]
PEOPLE = ["anne", "bruno", "chloe", "senior"]


@st.composite
def decisions(draw: st.DrawFn) -> list[Made]:
    """Decisions on one version, in no order; undoing and replacing go back in time, as at the desk, or anywhere."""
    number = draw(st.integers(0, len(IDS)))
    found = []
    for index in range(number):
        kind = draw(st.sampled_from(DecisionKind))
        names = draw(st.none() | st.sampled_from(IDS)) if kind is not DecisionKind.UNDO else draw(st.sampled_from(IDS))
        at = NOON + timedelta(seconds=draw(st.integers(0, 4)))
        cause = None if kind is DecisionKind.UNDO else draw(st.sampled_from(["I21.9", "C25.9"]))
        found.append(Made(IDS[index], kind, draw(st.sampled_from(PEOPLE)), at, cause, names))
    return draw(st.permutations(found))


@given(decisions())
def test_queue_and_figures_agree_on_what_stands(made: list[Made]) -> None:
    record = machine(certificate("a"))
    ordered = sorted(made, key=lambda one: (one.decided_at, one.decision_id))
    events = tuple(
        Correction(one.decision_id, one.kind, "a", 1, one.coder, "coder", "", one.decided_at, record.content_hash,
                   one.supersedes, underlying_after=one.cause)
        for one in ordered
    )  # fmt: skip
    case = Case("a", 1, record, decided=events)
    assert [one.decision_id for one in standing_of(made)] == [d.decision_id for d in truth.standing(case)]
    told = standing(Known(gone=False, recorded=True, made=made, second=True))
    assert (told.stage is Stage.DISPUTED) == truth.disputed(case)
    held = truth.reference(case)
    if told.stage is Stage.DONE and told.holds is not None:
        assert held is not None
        assert held.code == told.holds.cause


@given(decisions(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_every_stage_that_waits_has_somebody_who_may(
    made: list[Made], gone: bool, recorded: bool, escalated: bool, second: bool
) -> None:
    """With three coders and three seniors there is always one: nobody else is needed to reach a task."""
    told = standing(Known(gone, recorded, made, escalated, second))
    first_by, second_by = (one.coder if one else None for one in (told.first, told.second))
    people = [(name, False) for name in ("anne", "bruno", "chloe")] + [(name, True) for name in ("senior", "x", "y")]
    able = [
        name for name, senior in people
        if may(told.stage, senior_only=told.senior, first_by=first_by, second_by=second_by, who=name, senior=senior)
    ]  # fmt: skip
    assert bool(able) == (told.stage in KINDS)
    if told.stage in (Stage.SECOND, Stage.DISPUTED):
        assert first_by not in able
        assert second_by not in able
    if told.stage in (Stage.ESCALATED, Stage.DISPUTED):
        assert not {"anne", "bruno", "chloe"} & set(able)
    if gone:
        assert told.stage is Stage.GONE


def one(name: str, kind: DecisionKind, coder: str, cause: str | None, second: int, undoes: str | None = None) -> Made:
    return Made(name, kind, coder, NOON + timedelta(seconds=second), cause, undoes)


def test_the_life_of_a_disputed_task() -> None:
    first = one("a", DecisionKind.FIRST, "anne", "I21.9", 1)
    second = one("b", DecisionKind.SECOND, "bruno", "C25.9", 2)
    same = one("c", DecisionKind.SECOND, "bruno", "I21.9", 2)
    judged = one("d", DecisionKind.ADJUDICATION, "senior", "C25.9", 3)
    undone = one("e", DecisionKind.UNDO, "senior", None, 4, "d")

    def stage(*made: Made, **known: bool) -> Stage:
        return standing(Known(**{"gone": False, "recorded": True, **known}, made=made)).stage

    assert stage() is Stage.OPEN
    assert stage(escalated=True) is Stage.ESCALATED
    assert stage(recorded=False) is Stage.WAITING
    assert stage(first) is Stage.DONE
    assert stage(first, second=True) is Stage.SECOND
    assert stage(first, same) is Stage.DONE
    assert stage(first, second) is Stage.DISPUTED
    assert stage(first, second, judged) is Stage.DONE
    assert stage(first, second, judged, undone) is Stage.DISPUTED
    assert stage(second) is Stage.OPEN, "a second opinion alone settles nothing"
    assert stage(first, gone=True) is Stage.GONE
