"""Second opinions, disputes and undoing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desk.office import ALL, ANNE, BRUNO, DORIS, EVERY, SENIOR, Office, draft, memory
from stream.coding import CodedStatus, Correction, DecisionKind, Modality
from stream.desk.life import Stage
from stream.desk.records import correction_of
from stream.desk.refusals import Held, NotAllowed, NoTask, ReasonMissing, StandsOn
from stream.desk.tables import DECISIONS
from stream.desk.values import Coder, Decided
from stream.nomenclature import icd10
from stream.pipeline.folding import folded


def made(office: Office) -> list[Correction]:
    with office.desk.engine.connect() as connection:
        rows = connection.execute(DECISIONS.select().order_by(DECISIONS.c.decided_at))
        return [correction_of(row.body) for row in rows]


def decide(office: Office, who: Coder, *codes: str, name: str = "a", **more: Any) -> Decided:
    claim = office.desk.take(who, name)
    office.clock.pass_(1)
    return office.desk.decide(who, claim.claim_id, draft(*codes, reason="OTHER", **more))


def test_the_second_does_not_see_the_first_until_both_are_in(office: Office) -> None:
    office.open("a")
    decide(office, ANNE, "C25.9", second=True)
    assert office.ids(ANNE) == [], "nobody gives a second opinion on his own coding"
    with pytest.raises(NotAllowed):
        office.desk.take(ANNE, "a")
    assert office.desk.past(BRUNO, "a") == ()
    claim = office.desk.take(BRUNO, "a")
    assert claim.kind is DecisionKind.SECOND
    opened = office.desk.task(BRUNO, claim.claim_id)
    assert (opened.opinions, opened.notes, opened.alike) == ((), (), ())
    assert "C25.9" not in repr(opened)
    done = office.desk.decide(BRUNO, claim.claim_id, draft("I21.9"))
    assert done.stage is Stage.DISPUTED
    for who in (ANNE, BRUNO):
        assert [one.underlying for one in office.desk.past(who, "a")] == ["C25.9", "I21.9"]


def test_two_that_agree_are_done(office: Office) -> None:
    office.open("a")
    decide(office, ANNE, "C25.9", second=True)
    assert decide(office, BRUNO, "C25.9").stage is Stage.DONE
    assert [one.kind for one in made(office)] == [DecisionKind.FIRST, DecisionKind.SECOND]
    assert made(office)[1].result is None, "a second opinion alone changes nothing"


def test_a_dispute_is_for_a_senior_who_gave_neither_coding(office: Office) -> None:
    office.open("a")
    decide(office, ANNE, "C25.9", second=True)
    decide(office, SENIOR, "I21.9")
    assert (office.ids(ANNE), office.ids(BRUNO), office.ids(SENIOR), office.ids(DORIS)) == ([], [], [], ["a"])
    for who in (BRUNO, SENIOR):
        with pytest.raises(NotAllowed):
            office.desk.take(who, "a")
    done = decide(office, DORIS, "I21.9")
    assert (done.kind, done.stage) == (DecisionKind.ADJUDICATION, Stage.DONE)
    last = made(office)[-1]
    assert last.result is not None
    assert (last.role, last.result.underlying.code, last.result.status) == ("senior", "I21.9", CodedStatus.FINAL)


def test_asking_afterwards(office: Office) -> None:
    office.open("a")
    with pytest.raises(NoTask):
        office.desk.ask_second(ANNE, "a", "UNSURE")
    decide(office, ANNE, "C25.9")
    with pytest.raises(NotAllowed):
        office.desk.ask_second(BRUNO, "a", "UNSURE")
    with pytest.raises(ReasonMissing):
        office.desk.ask_second(ANNE, "a", "WHY_NOT")
    office.desk.ask_second(ANNE, "a", "UNSURE", "C25.9 ou autre ?")
    claim = office.desk.take(BRUNO, "a")
    assert office.desk.task(BRUNO, claim.claim_id).notes == (), "who asked may have written what he coded"
    office.desk.release(BRUNO, claim.claim_id)
    with pytest.raises(NoTask):
        office.desk.ask_second(SENIOR, "a", "SAMPLE")


def test_a_draw_asks_by_itself(tmp_path: Path) -> None:
    office = Office(memory(), tmp_path, second_share=0.5)
    names = [f"c{number}" for number in range(16)]
    for name in names:
        office.open(name)
        decide(office, ANNE, "I21.9", name=name)
    drawn = office.ids(BRUNO)
    assert 2 < len(drawn) < 14, "by the key of the tests, the same in every run"
    assert all(row.stage is Stage.SECOND for row in office.desk.queue(BRUNO, ALL, EVERY).rows)


def test_second_opinions_wait_behind_what_nobody_has_coded(office: Office) -> None:
    office.open("a", priority=9.5)
    office.open("b", priority=0.9)
    decide(office, ANNE, "I21.9", second=True)
    assert office.ids(BRUNO) == ["b", "a"]


def test_undo_is_an_event_and_gives_the_certificate_back(office: Office) -> None:
    office.open("a")
    done = decide(office, ANNE, "C25.9")
    assert [one.undoable for one in office.desk.recent(ANNE)] == [True]
    with pytest.raises(NotAllowed):
        office.desk.undo(BRUNO, done.decision_id, "SLIP")
    with pytest.raises(ReasonMissing):
        office.desk.undo(ANNE, done.decision_id, "OOPS")
    undone = office.desk.undo(ANNE, done.decision_id, "SLIP")
    assert undone.claim is not None
    opened = office.desk.task(ANNE, undone.claim.claim_id)
    assert opened.draft is not None
    assert opened.draft.codes() == (("C25.9",),)
    first, undo = made(office)
    assert (undo.kind, undo.supersedes, undo.reason) == (DecisionKind.UNDO, first.decision_id, "SLIP")
    assert undo.result is not None
    assert (undo.result.status, undo.result.modality) == (CodedStatus.PROVISIONAL, Modality.HUMAN)
    assert undo.result.underlying.code == "I21.9", "the machine's codes again"
    assert undo.decided_at > first.decided_at
    assert office.desk.undo(ANNE, done.decision_id, "SLIP") == undone, "asked for twice it is one"
    assert len(made(office)) == 2
    again = office.desk.decide(ANNE, undone.claim.claim_id, draft("I21.9"))
    assert again.stage is Stage.DONE
    with pytest.raises(StandsOn):
        office.desk.undo(ANNE, undone.decision_id, "SLIP")


def test_a_senior_undoes_what_others_decided(office: Office) -> None:
    office.open("a")
    done = decide(office, ANNE, "C25.9")
    undone = office.desk.undo(SENIOR, done.decision_id, "SENIOR")
    assert undone.claim is not None
    assert undone.claim.coder == "senior"
    assert [one.standing for one in office.desk.recent(ANNE)] == [False]


def test_undo_in_the_order_of_what_stands(office: Office) -> None:
    office.open("a")
    first = decide(office, ANNE, "C25.9", second=True)
    claim = office.desk.take(BRUNO, "a")
    with pytest.raises(Held):
        office.desk.undo(ANNE, first.decision_id, "SLIP")
    second = office.desk.decide(BRUNO, claim.claim_id, draft("I10"))
    judged = decide(office, DORIS, "J18.9")
    for decision in (first, second):
        with pytest.raises(StandsOn):
            office.desk.undo(SENIOR, decision.decision_id, "SENIOR")
    undone = office.desk.undo(DORIS, judged.decision_id, "CHANGED_MIND")
    assert undone.claim is not None
    last = made(office)[-1]
    assert last.result is not None
    assert (last.result.underlying.code, last.result.status) == ("C25.9", CodedStatus.PROVISIONAL), "disputed again"
    office.desk.release(DORIS, undone.claim.claim_id)
    back = office.desk.undo(BRUNO, second.decision_id, "CHANGED_MIND")
    assert back.claim is not None
    assert back.claim.kind is DecisionKind.SECOND
    assert made(office)[-1].result is None, "it changed nothing, and so does its undo"
    draft_again = office.desk.task(BRUNO, back.claim.claim_id).draft
    assert draft_again is not None
    assert draft_again.codes() == (("I10",),)
    office.desk.release(BRUNO, back.claim.claim_id)
    assert office.desk.undo(ANNE, first.decision_id, "SLIP").claim is not None


def test_a_stranger_s_decision_is_no_decision(office: Office) -> None:
    with pytest.raises(NoTask):
        office.desk.undo(SENIOR, "nobody", "SLIP")


def test_the_worker_takes_every_event(office: Office) -> None:
    """`stream.pipeline.folding` refuses what a decision may not make."""
    office.open("a")
    decide(office, ANNE, "C25.9", second=True)
    decide(office, BRUNO, "I21.9")
    judged = decide(office, DORIS, "J18.9")
    office.desk.undo(DORIS, judged.decision_id, "SLIP")
    codes = icd10.load()
    for one in made(office):
        record = folded(one, b"a", office.topics[0].origin, codes)  # type: ignore[union-attr]
        assert (record is None) == (one.kind is DecisionKind.SECOND)
