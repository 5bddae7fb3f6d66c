from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine

from desk.office import ANNE, BRUNO, SENIOR, Office, draft
from stream.coding import CodedStatus, Correction, DecisionKind, Modality
from stream.database import writing
from stream.desk.life import Stage
from stream.desk.records import correction_of
from stream.desk.refusals import AlreadyDecided, ClaimLost, Invalid, NoTask, ReasonMissing
from stream.desk.tables import DECISIONS
from stream.desk.values import Filters
from stream.errors import DatabaseUnavailable


def corrections(office: Office) -> list[Correction]:
    with office.desk.engine.connect() as connection:
        rows = connection.execute(DECISIONS.select().order_by(DECISIONS.c.decided_at)).all()
    return [correction_of(row.body) for row in rows]


def test_a_task_from_the_queue_to_its_decision(office: Office) -> None:
    office.open("a", ("I21.9", "I10"), priority=0.4)
    office.open("b", priority=9.2)
    assert office.ids(ANNE) == ["b", "a"]
    claim = office.desk.next(ANNE, Filters())
    assert claim is not None
    assert (claim.certificate_id, claim.kind, claim.blind) == ("b", DecisionKind.FIRST, False)
    opened = office.desk.task(ANNE, claim.claim_id)
    assert opened.certificate.part1[0].text == "infarctus du myocarde"
    assert opened.proposal is not None
    office.clock.pass_(30)
    done = office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    assert (done.stage, done.seconds, done.kind) == (Stage.DONE, 30.0, DecisionKind.FIRST)
    assert office.ids(BRUNO) == ["a"]
    (made,) = corrections(office)
    assert (made.coder, made.role, made.reason, made.blind) == ("anne", "coder", "ACCEPTED", False)
    assert made.result is not None
    assert (made.result.status, made.result.modality) == (CodedStatus.FINAL, Modality.HUMAN)
    assert made.result.coded_at == made.decided_at


def test_a_change_needs_a_reason(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    with pytest.raises(ReasonMissing):
        office.desk.decide(ANNE, claim.claim_id, draft("C25.9"))
    with pytest.raises(ReasonMissing):
        office.desk.decide(ANNE, claim.claim_id, draft("C25.9", reason="NO_SUCH"))
    with pytest.raises(Invalid) as refusal:
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9", "I10", reason="OTHER"))
    assert [(f.where, f.code) for f in refusal.value.faults] == [("part1", "LINES")]
    assert office.desk.decide(ANNE, claim.claim_id, draft("C25.9", reason="OTHER")).stage is Stage.DONE


def test_asked_twice_a_decision_is_one(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    first = office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    assert office.desk.decide(ANNE, claim.claim_id, draft("I21.9")) == first
    with pytest.raises(AlreadyDecided):
        office.desk.decide(ANNE, claim.claim_id, draft("C25.9", reason="OTHER"))
    with pytest.raises(ClaimLost):
        office.desk.decide(BRUNO, claim.claim_id, draft("I21.9"))
    assert len(corrections(office)) == 1
    with pytest.raises(NoTask):
        office.desk.take(SENIOR, "a")


@pytest.mark.parametrize("kept", [True, False])
def test_a_decision_whose_answer_was_lost_stands(office: Office, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    """The connection is cut behind COMMIT: what is done again finds the claim gone, or the decision not written."""
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    cut = [True]

    @contextmanager
    def severed(engine: Engine) -> Iterator[Connection]:
        with writing(engine) as connection:
            yield connection
            if cut and not kept:
                cut.clear()
                raise DatabaseUnavailable("database: OperationalError")
        if cut:
            cut.clear()
            raise DatabaseUnavailable("database: OperationalError")

    monkeypatch.setattr("stream.desk.context.writing", severed)
    done = office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    assert not cut
    assert (done.decision_id, done.stage) == (claim.claim_id, Stage.DONE)
    assert [made.decision_id for made in corrections(office)] == [claim.claim_id]
