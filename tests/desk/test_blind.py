"""Blind audits: whatever is asked of the desk, nothing of the machine's comes out while a person may still code."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from desk.office import ALL, ANNE, BRUNO, EVERY, SENIOR, Office, draft
from stream.coding import DecisionKind, Route
from stream.desk.life import Stage
from stream.desk.records import correction_of
from stream.desk.tables import DECISIONS, DRAFTS, MARKS, OLDER, TASKS
from stream.desk.throughput import BLIND
from stream.desk.values import Coder, Filters, Order

SECRETS = (
    "X70",
    "0.777",
    "INTEREST:suicide",
    "suicide",
    "secret-stratum",
    "NO_CODE",
    "lexicon",
    "as the machine has it",
)
"""All that the machine says of the certificate, and the certificate does not."""


def blind(office: Office, name: str = "a") -> None:
    """An audit whose proposal is nothing that its text or its coder says."""
    office.open(
        name, ("I21.9",), audit=True, route=Route.MANUAL, stratum="secret-stratum", confidence=0.777,
        flags=("INTEREST:suicide", "EDIT:NO_CODE"), priority=9.9999, machine_codes=("X70",),
    )  # fmt: skip


def told(*values: object) -> None:
    shown = repr(values)
    assert not [secret for secret in SECRETS if secret in shown]


def everything(office: Office, who: Coder) -> None:
    """All that anybody may ask, without a claim."""
    desk = office.desk
    told(desk.queue(who, ALL, EVERY), desk.facets(who, ALL), desk.status(who), desk.held(who), desk.recent(who),
         desk.past(who, "a"))  # fmt: skip
    for filters in (
        Filters(groups=("suicide",)), Filters(flags=("INTEREST:suicide",)), Filters(edits=("NO_CODE",)),
        Filters(strata=("secret-stratum",)),
    ):  # fmt: skip
        assert desk.queue(who, filters, EVERY).total == 0, "who searches by the machine's words finds nothing"


def test_nothing_of_the_machine_leaves_the_desk(office: Office) -> None:
    blind(office)
    everything(office, ANNE)
    assert office.ids(ANNE, Filters(audit=True)) == ["a"]
    row = office.desk.queue(ANNE, ALL, EVERY).rows[0]
    assert (row.blind, row.priority, row.reasons, row.proposed, row.confidence) == (True, None, (), None, None)
    claim = office.desk.next(ANNE, Filters(order=Order.OLDEST))
    assert claim is not None
    assert claim.blind
    opened = office.desk.task(ANNE, claim.claim_id)
    assert opened.proposal is None
    told(
        claim, opened, office.desk.renew(ANNE, claim.claim_id), office.desk.check(ANNE, claim.claim_id, draft("I21.9"))
    )
    office.desk.keep(ANNE, claim.claim_id, draft("C25.9"))
    with office.desk.engine.connect() as connection:
        for table in (TASKS, MARKS, DRAFTS, OLDER):
            told([tuple(found) for found in connection.execute(table.select())])
    done = office.desk.decide(ANNE, claim.claim_id, draft("I21.9", second=True))
    told(done)
    everything(office, ANNE)


def test_the_second_the_judge_and_the_one_who_undoes_see_nothing_either(office: Office) -> None:
    blind(office)
    desk = office.desk
    claim = desk.take(ANNE, "a")
    first = desk.decide(ANNE, claim.claim_id, draft("I21.9", second=True))
    everything(office, BRUNO)
    claim = desk.take(BRUNO, "a")
    opened = desk.task(BRUNO, claim.claim_id)
    assert (opened.proposal, opened.opinions, opened.alike) == (None, (), ())
    told(opened)
    assert desk.decide(BRUNO, claim.claim_id, draft("C25.9")).stage is Stage.DISPUTED
    claim = desk.take(SENIOR, "a")
    opened = desk.task(SENIOR, claim.claim_id)
    assert [one.underlying for one in opened.opinions] == ["I21.9", "C25.9"]
    told(opened)
    judged = desk.decide(SENIOR, claim.claim_id, draft("C25.9"))
    for decision in (judged.decision_id,):
        told(desk.undo(SENIOR, decision, "SLIP"))
    everything(office, SENIOR)
    told(desk.past(ANNE, "a"), desk.recent(ANNE))
    assert first.decision_id


def test_an_undone_blind_coding_is_still_blind(office: Office) -> None:
    blind(office)
    desk = office.desk
    claim = desk.take(ANNE, "a")
    done = desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    undone = desk.undo(ANNE, done.decision_id, "SLIP")
    assert undone.claim is not None
    told(undone, desk.task(ANNE, undone.claim.claim_id), desk.recent(ANNE), desk.past(ANNE, "a"))


def test_a_blind_decision_says_so_and_holds_no_proposal(office: Office) -> None:
    blind(office)
    claim = office.desk.take(ANNE, "a")
    office.desk.decide(ANNE, claim.claim_id, draft("C25.9"))
    with office.desk.engine.connect() as connection:
        made = correction_of(connection.execute(sa.select(DECISIONS.c.body)).scalar_one())
    assert (made.blind, made.reason, made.before, made.underlying_before) == (True, "BLIND", (), None)
    assert made.result is not None
    assert made.result.targeting.stratum == "secret-stratum", "what the worker writes is the whole record"
    assert [e.source for e in made.result.entities()] == ["desk"]


def test_who_did_how_much_tells_nothing_of_an_audit(office: Office) -> None:
    blind(office)
    claim = office.desk.take(ANNE, "a")
    office.clock.pass_(10)
    office.desk.decide(ANNE, claim.claim_id, draft("C25.9"))
    day = office.clock.now.date()
    (coder,) = office.desk.figures(day, day + timedelta(days=1)).coders
    assert coder.routed == {BLIND: 1}
    told(coder)


@pytest.mark.parametrize("kind", [DecisionKind.FIRST, DecisionKind.SECOND])
def test_the_history_of_the_same_words_is_withheld(office: Office, kind: DecisionKind) -> None:
    """People who saw a proposal coded the same words: what they took from it must not come back as history."""
    office.open("earlier", ("I21.9",))
    claim = office.desk.take(BRUNO, "earlier")
    office.desk.decide(BRUNO, claim.claim_id, draft("I21.9"))
    blind(office)
    if kind is DecisionKind.SECOND:
        office.desk.decide(SENIOR, office.desk.take(SENIOR, "a").claim_id, draft("C25.9", second=True))
    claim = office.desk.take(ANNE, "a")
    assert claim.kind is kind
    assert office.desk.task(ANNE, claim.claim_id).alike == ()
