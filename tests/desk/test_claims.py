"""Two coders never hold one certificate, whatever the server, the browser and the clock do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from desk.office import (
    ALL,
    ANNE,
    BRUNO,
    EVERY,
    SENIOR,
    Clock,
    Office,
    certificate,
    draft,
    machine,
    reads,
    task,
)
from stream.coding import Reason
from stream.database import reading
from stream.desk import rebuild, store
from stream.desk.life import Stage
from stream.desk.refusals import ClaimLost, Held, NotAllowed, NoTask, ReasonMissing, TooMany
from stream.desk.tables import CLAIMS, DECISIONS, OUTBOX
from stream.desk.values import Act, Claim, Coder, Filters, Order
from stream.errors import DatabaseUnavailable
from stream.intake import Intake
from stream.reader import Batch, Read


def test_one_certificate_one_holder(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    with pytest.raises(Held):
        office.desk.take(BRUNO, "a")
    assert office.desk.next(BRUNO, ALL) is None
    assert office.desk.take(ANNE, "a").claim_id == claim.claim_id, "a second window finds the same claim"
    row = office.desk.queue(BRUNO, ALL, EVERY).rows[0]
    assert (row.held_by, row.mine) == ("anne", False)
    assert office.ids(BRUNO, Filters(free=True)) == []
    office.desk.release(ANNE, claim.claim_id)
    assert office.desk.take(BRUNO, "a").coder == "bruno"
    with pytest.raises(ClaimLost):
        office.desk.release(ANNE, claim.claim_id)


def test_a_crashed_browser_gives_it_back(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    office.clock.pass_(100)
    office.desk.renew(ANNE, claim.claim_id)
    office.clock.pass_(100)
    assert office.desk.next(BRUNO, ALL) is None, "the heartbeat renewed it"
    office.clock.pass_(21)
    taken = office.desk.next(BRUNO, ALL)
    assert taken is not None
    for act in (
        lambda: office.desk.renew(ANNE, claim.claim_id),
        lambda: office.desk.task(ANNE, claim.claim_id),
        lambda: office.desk.decide(ANNE, claim.claim_id, draft("I21.9")),
        lambda: office.desk.skip(ANNE, claim.claim_id, "LATER"),
    ):
        with pytest.raises(ClaimLost):
            act()
    assert office.desk.decide(BRUNO, taken.claim_id, draft("I21.9")).stage is Stage.DONE


def test_a_lease_that_ran_out_and_nobody_took_loses_nothing(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    office.clock.pass_(3_600)
    found = office.desk.next(ANNE, ALL)
    assert found is not None
    assert found.claim_id == claim.claim_id, "who comes back finds his certificate"
    office.clock.pass_(3_600)
    assert office.desk.decide(ANNE, claim.claim_id, draft("I21.9")).stage is Stage.DONE


def test_a_draft_survives_its_browser(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    office.desk.keep(ANNE, claim.claim_id, draft("C25.9", reason="OTHER"))
    office.clock.pass_(500)
    other = office.desk.take(BRUNO, "a")
    assert office.desk.task(BRUNO, other.claim_id).draft is None, "a draft is its author's"
    office.desk.release(BRUNO, other.claim_id)
    again = office.desk.take(ANNE, "a")
    assert office.desk.task(ANNE, again.claim_id).draft == draft("C25.9", reason="OTHER")


def test_seconds_are_measured_by_the_server_less_what_was_idle(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    for idle in (0.0, 15.0, 999.0):  # no browser is idle for longer than the time that passed
        office.clock.pass_(20)
        office.desk.renew(ANNE, claim.claim_id, idle)
    office.clock.pass_(100)  # silence beyond three beats is no work
    done = office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    assert done.seconds == 160 - 15 - 20 - 40


def test_no_more_than_one_may_hold(office: Office) -> None:
    for name in "abcd":
        office.open(name)
    for name in "abc":
        office.desk.take(ANNE, name)
    with pytest.raises(TooMany):
        office.desk.take(ANNE, "d")
    assert len(office.desk.held(ANNE)) == 3


def test_skipping(office: Office) -> None:
    office.open("a", priority=9.0)
    office.open("b", priority=1.0)
    claim = office.desk.next(ANNE, ALL)
    assert claim is not None
    with pytest.raises(ReasonMissing):
        office.desk.skip(ANNE, claim.claim_id, "BECAUSE")
    office.desk.skip(ANNE, claim.claim_id, "LATER", "revoir avec le service")
    assert office.ids(ANNE) == ["b", "a"]
    assert office.ids(BRUNO) == ["a", "b"], "it stays where it is in everybody else's queue"
    assert [row.skipped for row in office.desk.queue(ANNE, ALL, EVERY).rows] == [False, True]
    other = office.desk.take(BRUNO, "a")
    (note,) = office.desk.task(BRUNO, other.claim_id).notes
    assert (note.act, note.why, note.text, note.who) == (Act.SKIP, "LATER", "revoir avec le service", "anne")


def test_escalation_and_back(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    office.desk.escalate(ANNE, claim.claim_id, "DIFFICULT", "deux enchaînements possibles")
    assert office.ids(ANNE) == []
    with pytest.raises(NotAllowed):
        office.desk.take(ANNE, "a")
    assert [row.stage for row in office.desk.queue(SENIOR, ALL, EVERY).rows] == [Stage.ESCALATED]
    held = office.desk.take(SENIOR, "a")
    with pytest.raises(NotAllowed):
        office.desk.escalate(SENIOR, held.claim_id, "DIFFICULT")
    office.desk.send_back(SENIOR, held.claim_id, "EXPLAINED", "voir le volume 2")
    again = office.desk.take(BRUNO, "a")
    assert [note.act for note in office.desk.task(BRUNO, again.claim_id).notes] == [Act.ESCALATE, Act.RETURN]
    office.desk.escalate(BRUNO, again.claim_id, "LEGAL")
    held = office.desk.take(SENIOR, "a")
    assert office.desk.decide(SENIOR, held.claim_id, draft("I21.9")).stage is Stage.DONE


def test_a_senior_takes_a_claim_away(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    with pytest.raises(NotAllowed):
        office.desk.revoke(BRUNO, "a")
    office.desk.revoke(SENIOR, "a")
    with pytest.raises(ClaimLost):
        office.desk.renew(ANNE, claim.claim_id)
    with pytest.raises(NoTask):
        office.desk.revoke(SENIOR, "a")


def test_filters_and_facets(office: Office) -> None:
    office.open("a", flags=("INTEREST:measles", "EDIT:NO_CODE", "UNKNOWN_WORDS"), stratum="infants", priority=8.1)
    office.clock.pass_(7_200)
    office.open("b", priority=3.0)
    assert office.ids(ANNE, Filters(groups=("measles",))) == ["a"]
    assert office.ids(ANNE, Filters(edits=("NO_CODE",))) == ["a"]
    assert office.ids(ANNE, Filters(flags=("UNKNOWN_WORDS",))) == ["a"]
    assert office.ids(ANNE, Filters(strata=("rest",))) == ["b"]
    assert office.ids(ANNE, Filters(reasons=(Reason.REJECT,))) == []
    assert office.ids(ANNE, Filters(reasons=(Reason.REJECT, Reason.LOW_CONFIDENCE))) == ["a", "b"]
    assert office.ids(ANNE, Filters(departments=("33",), audit=False)) == ["a", "b"]
    assert office.ids(ANNE, Filters(departments=("75",))) == []
    assert office.ids(ANNE, Filters(older_than=timedelta(hours=1))) == ["a"]
    assert office.ids(ANNE, Filters(younger_than=timedelta(hours=1))) == ["b"]
    assert office.ids(ANNE, Filters(stages=(Stage.OPEN,), order=Order.OLDEST)) == ["a", "b"]
    found = office.desk.facets(ANNE, ALL)
    assert (found.stages, found.groups, found.edits) == ({"OPEN": 2}, {"measles": 1}, {"NO_CODE": 1})
    assert (found.strata, found.audit) == ({"infants": 1, "rest": 1}, {"false": 2})
    told = office.desk.status(ANNE)
    assert (told.open, told.held, told.oldest_s) == (2, 0, 7_200)


def test_two_servers_and_many_hands(database: Callable[[], Engine], tmp_path: Path) -> None:
    """Sixteen people on two servers ask for work at once: everybody gets one of his own, and each is decided once."""
    offices = [Office(database(), tmp_path, clock=Clock()) for _ in range(2)]
    names = [f"c{number:02}" for number in range(24)]
    for name in names:
        offices[0].open(name)
    begin = threading.Barrier(16)
    taken: list[str] = []

    def work(number: int) -> int:
        who, desk = Coder(f"coder-{number}"), offices[number % 2].desk
        begin.wait()
        done = 0
        while (claim := desk.next(who, ALL)) is not None:
            taken.append(claim.certificate_id)
            desk.renew(who, claim.claim_id)
            desk.decide(who, claim.claim_id, draft("I21.9"))
            done += 1
        return done

    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(work, range(16)))
    assert sum(counts) == 24
    assert sorted(taken) == names
    with offices[0].desk.engine.connect() as connection:
        rows = [connection.execute(table.select()).all() for table in (DECISIONS, OUTBOX, CLAIMS)]
    assert [len(found) for found in rows] == [24, 24, 0]


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # SQLite lets one write at a time
def test_a_claim_while_the_next_version_is_read(database: Callable[[], Engine], tmp_path: Path) -> None:
    """The reading looked at the claims a moment before: it must see this one, and keep its version."""
    offices = [Office(database(), tmp_path) for _ in range(2)]
    offices[0].open("a")
    made = certificate("a", ("C25.9",), 2)
    coded = machine(made, ("C25.9",))
    came = tuple(reads([coded, task(made, coded)], 1))
    taken: list[Claim] = []

    def fold(connection: Connection, given: Sequence[Read]) -> None:
        assert not store.claimed(connection, ["a"]) or taken
        if not taken:
            taken.append(offices[1].desk.take(ANNE, "a"))
        offices[0].desk.fold(connection, given)

    intake = Intake(offices[0].desk.engine, rebuild.SERVICE, ("coded", "manual"), fold)
    for _ in range(2):
        try:
            intake._put(Batch(came, {("coded", 0): 3, ("manual", 0): 3}), {})
            break
        except DatabaseUnavailable:  # the claim was in the way: the reading does it again
            continue
    with reading(offices[0].desk.engine) as connection:
        assert store.case(connection, "a").coded.version == 2  # type: ignore[union-attr]
    opened = offices[0].desk.task(ANNE, taken[0].claim_id)
    assert (opened.certificate.version, opened.banner is not None) == (1, True)
    assert offices[0].desk.refresh(ANNE, taken[0].claim_id).version == 2
