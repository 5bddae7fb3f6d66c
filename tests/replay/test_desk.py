"""A recode of certificates that somebody holds at the desk: neither the machine's result nor the person's is lost.

A replay cannot know who holds what: claims are the desk's own, and on no topic. The desk itself, on a database in memory,
reads here what a recode wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from desk.office import ALL, ANNE, BRUNO, EVERY, NOON, Office, certificate, draft, machine, memory, task

from replay.world import RUN, World
from stream.coding import CodedCertificate, Correction, Modality, Route, coded_record, supersedes, task_record
from stream.database import writing
from stream.desk.life import Stage
from stream.desk.records import correction_of
from stream.desk.refusals import ReasonMissing, Superseded
from stream.desk.tables import DECISIONS
from stream.desk.values import Change
from stream.reader import Read
from stream.replay.publishing import Publisher
from stream.replay.recode import Fate
from stream.replay.tally import SOURCE_HEADER

LATER = NOON + timedelta(hours=1)


class Held(World):
    """One certificate that the machine left to a person, on the desk; and a run that codes it otherwise."""

    def __init__(self, office: Office) -> None:
        super().__init__()
        self.office = office
        self.certificate = certificate("a")
        record = self.publish([self.certificate])[0]
        self.source = record
        before = replace(machine(self.certificate), origin=record.origin)
        self._write("coded", before)
        self.broker.write("manual", self.desk.wire.encode("manual", task_record(task(self.certificate, before))), b"a")
        self.seen()

    def _write(self, topic: str, coded: CodedCertificate) -> None:
        headers = ((SOURCE_HEADER, self.source.place.encode()),)
        self.broker.write(topic, self.desk.wire.encode("coded", coded_record(coded)), b"a", headers)

    def seen(self) -> None:
        """The desk reads its topics; what it has read already changes nothing."""
        reads = [
            Read(subject, self.desk.wire.decode(subject, record.value), record.origin)
            for subject in ("coded", "manual")
            for record in self.broker.all(subject)
        ]
        with writing(self.office.desk.engine) as connection:
            self.office.desk.fold(connection, reads)

    async def recode(self, *, route: Route = Route.MANUAL, audit: bool = False) -> Fate:
        """A run that codes it C25.9, published."""
        await self.broker.create(RUN.declared(2))
        result = machine(self.certificate, ("C25.9",), route=route, audit=audit, at=LATER)
        self._write(RUN.results, replace(result, origin=self.source.origin))
        total = await Publisher(self.desk, RUN, {}, everything=False, approval="x", clock=lambda: LATER).publish()
        self.seen()
        (only,) = total.elements()
        return only

    def decided(self) -> Correction:
        """The decision, after the worker has made a record of it."""
        with self.office.desk.engine.connect() as connection:
            made = correction_of(connection.execute(sa.select(DECISIONS.c.body)).scalar_one())
        assert made.result is not None
        self._write("coded", made.result)
        return made

    def standing(self) -> CodedCertificate:
        """What every consumer ends with, in whatever order it reads."""
        ends = set()
        for records in (self.coded(), self.coded()[::-1]):
            held = records[0]
            for one in records[1:]:
                held = one if supersedes(one, held) else held
            ends.add((held.modality, held.revision, held.underlying.code))
        assert len(ends) == 1
        return held


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Held]:
    engine = memory()
    yield Held(Office(engine, tmp_path))
    engine.dispose()


async def test_still_for_a_person_the_holder_goes_on_with_the_new_proposal(world: Held) -> None:
    desk = world.office.desk
    claim = desk.take(ANNE, "a")
    assert await world.recode() is Fate.REVISED
    assert desk.renew(ANNE, claim.claim_id).banner is None, "the certificate is what it was"
    shown = desk.task(ANNE, claim.claim_id)
    assert shown.proposal is not None
    assert (shown.proposal.revision, shown.proposal.underlying.code) == (1, "C25.9")
    # What was proposed when she began is no proposal now: to keep it is a change, with a reason.
    with pytest.raises(ReasonMissing):
        desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    done = desk.decide(ANNE, claim.claim_id, draft("I21.9", reason="OTHER"))
    assert (done.stage, done.old) == (Stage.DONE, False)
    made = world.decided()
    assert (made.underlying_before, made.underlying_after) == ("C25.9", "I21.9")
    assert (world.standing().modality, world.standing().underlying.code) == (Modality.HUMAN, "I21.9")
    machines = [c for c in world.coded() if c.modality is not Modality.HUMAN]
    assert [(c.revision, c.underlying.code) for c in machines] == [(0, "I21.9"), (1, "C25.9")]


async def test_needing_nobody_any_more_the_holder_is_told_before_anything_is_written(world: Held) -> None:
    desk = world.office.desk
    claim = desk.take(ANNE, "a")
    assert await world.recode(route=Route.AUTO) is Fate.REVISED
    banner = desk.renew(ANNE, claim.claim_id).banner
    assert banner is not None
    assert banner.kind is Change.AMENDED_DONE
    with pytest.raises(Superseded):
        desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    kept = desk.task(ANNE, claim.claim_id).draft
    assert kept is not None
    assert kept.codes() == (("I21.9",),)
    assert (world.standing().revision, world.standing().underlying.code) == (1, "C25.9")
    assert desk.queue(BRUNO, ALL, EVERY).rows == ()
    # Where she insists, a person has decided.
    desk.decide(ANNE, claim.claim_id, draft("I21.9", reason="OTHER", keep_old=True))
    world.decided()
    assert (world.standing().modality, world.standing().underlying.code) == (Modality.HUMAN, "I21.9")


async def test_drawn_for_an_audit_a_decision_in_sight_of_the_proposal_is_not_blind(world: Held) -> None:
    desk = world.office.desk
    claim = desk.take(ANNE, "a")
    assert await world.recode(audit=True) is Fate.REVISED
    desk.decide(ANNE, claim.claim_id, draft("I21.9", reason="OTHER"))
    assert not world.decided().blind
    assert world.standing().modality is Modality.HUMAN


async def test_decided_before_the_worker_has_said_so_nobody_is_asked_again(world: Held) -> None:
    """The recode looks at `coded` while the decision is still on its way there."""
    desk = world.office.desk
    claim = desk.take(ANNE, "a")
    desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    assert await world.recode() is Fate.REVISED
    assert desk.queue(BRUNO, ALL, EVERY).rows == ()
    world.decided()
    world.seen()
    assert desk.queue(BRUNO, ALL, EVERY).rows == ()
    assert (world.standing().modality, world.standing().underlying.code) == (Modality.HUMAN, "I21.9")
