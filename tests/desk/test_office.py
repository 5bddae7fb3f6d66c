"""A whole office for as long as hypothesis likes: many hands on two desks over one database, leases that run out, amendments,
voids, undoing, restarts, a broker that fails, rebuilds. Nobody holds what another holds, no decision is lost or doubled, and
every task can be brought to its end."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from shared import LONG

from desk.office import ALL, Clock, Office, certificate, draft, machine, memory, none, reads, task
from stream.coding import CodedCertificate, CodedStatus, Correction, DecisionKind, ManualTask, Route
from stream.desk import rebuild
from stream.desk.life import KINDS, Stage, may
from stream.desk.outbox import MemoryTopic, Sender
from stream.desk.refusals import ClaimLost, NotAllowed, NoTask, StandsOn, Superseded
from stream.desk.tables import CLAIMS, DECISIONS, OUTBOX, TASKS
from stream.desk.undoing import undo_id
from stream.desk.values import Change, Claim, Coder, Decided, Opened, Renewed
from stream.errors import BrokerUnavailable, Refused

PEOPLE = [
    Coder("anne"),
    Coder("bruno"),
    Coder("chloe"),
    *(Coder(name, senior=True) for name in ("doris", "emile", "fanny")),
]
NAMES = ["a", "b", "c"]
CAUSES = ["I21.9", "C25.9"]
people, names, causes = st.sampled_from(PEOPLE), st.sampled_from(NAMES), st.sampled_from(CAUSES)
which = st.integers(0, 1)


class Life(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.engine, self.clock = memory(), Clock()
        self.home = tempfile.TemporaryDirectory()
        self.offices = [self._office(), self._office()]
        self.versions: dict[str, int] = {}
        self.manual: dict[str, ManualTask] = {}
        self.coded: list[CodedCertificate] = []
        self.claims: dict[str, tuple[Coder, Claim]] = {}
        self.leases: dict[str, Claim] = {}
        self.decided: dict[str, Decided] = {}
        self.topic = MemoryTopic()
        self.read = 0

    def _office(self) -> Office:
        return Office(self.engine, Path(self.home.name), clock=self.clock, second_share=0.3)

    def teardown(self) -> None:
        try:
            if self.versions:
                self.every_open_task_can_be_reached()
                self._work_off()
        finally:
            self.home.cleanup()
            self.engine.dispose()

    # What the worker writes

    @initialize()
    def begin(self) -> None:
        for name in NAMES:
            self._arrive(name, CAUSES[0], audit=name == "c")

    def _arrive(self, name: str, code: str, *, audit: bool) -> None:
        version = self.versions[name] = self.versions.get(name, 0) + 1
        made = certificate(name, (code,), version)
        coded = machine(made, (code,), audit=audit, at=self.clock.now)
        self._put(coded, task(made, coded, at=self.clock.now))

    def _put(self, coded: CodedCertificate, manual: ManualTask) -> None:
        self.coded.append(coded)
        self.manual[manual.certificate_id] = manual
        self.offices[0].put(coded, manual)

    @rule(name=names, code=causes, audit=st.booleans())
    def amend(self, name: str, code: str, audit: bool) -> None:
        if self.versions[name] < 3:
            self._arrive(name, code, audit=audit)

    @rule(name=names)
    def void(self, name: str) -> None:
        if self.versions[name] < 4:
            self.versions[name] += 1
            gone = certificate(name, version=self.versions[name])
            withdrawn = machine(gone, status=CodedStatus.WITHDRAWN, route=Route.AUTO, at=self.clock.now)
            self._put(withdrawn, none(name, self.versions[name]))

    # What people do; a refusal is an answer, too

    @rule(who=people, desk=which)
    def ask_for_work(self, who: Coder, desk: int) -> None:
        claim = self.offices[desk].desk.next(who, ALL)
        if claim is not None:
            self._given(who, claim)

    @rule(who=people, name=names, desk=which)
    def take(self, who: Coder, name: str, desk: int) -> None:
        with contextlib.suppress(Refused):
            self._given(who, self.offices[desk].desk.take(who, name))

    def _given(self, who: Coder, claim: Claim) -> None:
        """A claim, new or renewed. Nobody is given what another's lease is still on."""
        other = self.leases.get(claim.certificate_id)
        assert other is None or other.coder == who.pseudonym or other.expires_at <= self.clock.now
        self.claims[claim.claim_id] = (who, claim)
        self.leases[claim.certificate_id] = claim

    def _over(self, claim_id: str) -> None:
        self.leases = {name: claim for name, claim in self.leases.items() if claim.claim_id != claim_id}

    @rule(who=people, code=causes, desk=which, second=st.booleans())
    def work(self, who: Coder, code: str, desk: int, second: bool) -> None:
        """Most days are like this."""
        claim = self.offices[desk].desk.next(who, ALL)
        if claim is not None:
            self._given(who, claim)
            self._decide(who, claim, code, 1 - desk, keep_old=False, second=second)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), code=causes, desk=which, keep_old=st.booleans(), second=st.booleans())
    def decide(self, data: st.DataObject, code: str, desk: int, keep_old: bool, second: bool) -> None:
        who, claim = self._one(data)
        self._decide(who, claim, code, desk, keep_old=keep_old, second=second)

    def _decide(self, who: Coder, claim: Claim, code: str, desk: int, *, keep_old: bool, second: bool) -> None:
        wanted = draft(code, reason="OTHER", keep_old=keep_old, second=second)
        self.clock.pass_(1)
        try:
            done = self.offices[desk].desk.decide(who, claim.claim_id, wanted)
        except Superseded as refusal:
            assert not keep_old or refusal.banner.kind is Change.VOIDED
            kept = self.offices[desk].desk.task(who, claim.claim_id).draft
            assert kept is not None, "what was typed is not lost"
        except Refused:
            pass
        else:
            assert done.version == claim.version
            if claim.claim_id in self.decided:
                return  # asked again, it is the decision that was written
            assert keep_old or done.version == self.versions[claim.certificate_id]
            assert done.decision_id == claim.claim_id
            self.decided[done.decision_id] = done
            self._over(claim.claim_id)
            event(f"decided {done.kind} old={done.old}")

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        desk=which,
        act=st.sampled_from(["skip", "escalate", "send_back", "release", "refresh", "renew", "task"]),
    )
    def act(self, data: st.DataObject, desk: int, act: str) -> None:
        who, claim = self._one(data)
        reasons = {"skip": "LATER", "escalate": "DIFFICULT", "send_back": "ORDINARY"}
        given = [reasons[act]] if act in reasons else []
        with contextlib.suppress(Refused):
            try:
                found = getattr(self.offices[desk].desk, act)(who, claim.claim_id, *given)
            except (NoTask, NotAllowed):
                if act == "refresh":
                    self._over(claim.claim_id)
                raise
            if act not in ("renew", "task"):
                self._over(claim.claim_id)
            if act != "skip" and isinstance(found, Claim | Renewed | Opened):
                self._given(who, found if isinstance(found, Claim) else found.claim)

    @precondition(lambda self: self.decided)
    @rule(data=st.data(), who=people, own=st.booleans(), desk=which)
    def undo(self, data: st.DataObject, who: Coder, own: bool, desk: int) -> None:
        decision = data.draw(st.sampled_from(list(self.decided)[-3:]))
        who = self.claims[decision][0] if own else who
        above = decision in self._stood_on()
        known = {row.decision_id for row in self._rows(DECISIONS)}
        try:
            undone = self.offices[desk].desk.undo(who, decision, "SLIP")
        except StandsOn:
            assert above or undo_id(decision) in known, "nothing stands on it"
        except Refused:
            pass
        else:
            event("undone")
            assert not above or undone.decision_id in known, "something stands on it"
            if undone.claim is not None:
                self._given(who, undone.claim)

    @precondition(lambda self: len(self.decided) > 1)
    @rule(data=st.data(), who=people, desk=which)
    def undo_beneath(self, data: st.DataObject, who: Coder, desk: int) -> None:
        standing = {row.decision_id for row in self._rows(DECISIONS) if row.stands}
        found = [decision for decision in self._stood_on() if decision in standing]
        if not found:
            return
        below = data.draw(st.sampled_from(found))
        event("undone beneath what stands")
        try:
            self.offices[desk].desk.undo(who, below, "SLIP")
        except (StandsOn, NotAllowed):
            return
        raise AssertionError("something stands on it")

    def _stood_on(self) -> list[str]:
        """Decisions on which something stands: a later decision on their version, or a newer version."""
        rows = self._rows(DECISIONS)
        latest: dict[tuple[str, int], datetime] = {}
        for row in rows:
            if row.stands:
                key = (row.certificate_id, row.version)
                latest[key] = max(latest.get(key, row.decided_at), row.decided_at)
        return [
            row.decision_id for row in sorted(rows, key=lambda row: row.decided_at)
            if row.version < self.versions[row.certificate_id]
            or row.decided_at < latest.get((row.certificate_id, row.version), row.decided_at)
        ]  # fmt: skip

    @rule(who=people, name=names, desk=which)
    def ask_second(self, who: Coder, name: str, desk: int) -> None:
        with contextlib.suppress(Refused):
            self.offices[desk].desk.ask_second(who, name, "UNSURE")

    @rule(who=people, name=names)
    def revoke(self, who: Coder, name: str) -> None:
        with contextlib.suppress(Refused):
            self.offices[0].desk.revoke(who, name)
            self.leases.pop(name, None)

    def _one(self, data: st.DataObject) -> tuple[Coder, Claim]:
        """A claim: mostly one that may still be somebody's, now and then any that ever was."""
        live = [claim.claim_id for claim in self.leases.values()]
        known = list(self.claims)
        lively = bool(live) and data.draw(st.integers(0, 4)) > 0
        return self.claims[data.draw(st.sampled_from(live if lively else known))]

    # What time and machines do

    @rule(seconds=st.sampled_from([1, 60, 121, 1_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_(seconds)

    @rule(desk=which)
    def restart(self, desk: int) -> None:
        self.offices[desk] = self._office()

    @rule(faults=st.lists(st.sampled_from(["late", "lost", ""]), min_size=1, max_size=2))
    def send(self, faults: list[str]) -> None:
        self.topic.faults = list(faults)
        if self._rows(OUTBOX):
            event(f"sent with {faults}")

        async def sent() -> None:
            sender = Sender(self.offices[0].desk.context, self.topic, self.topic.reader)
            with contextlib.suppress(BrokerUnavailable):
                await sender.begin()
                while await sender.send():
                    pass

        asyncio.run(sent())

    @rule()
    def read_back(self) -> None:
        came, self.read = self.topic.written[self.read :], len(self.topic.written)
        if came:
            self.offices[1].put(*came)

    @rule()
    def rebuild(self) -> None:
        before = self._stages()
        self.offices[0].desk.rebuild()
        values: list[ManualTask | CodedCertificate | Correction]
        values = [*self.manual.values(), *self.topic.written, *self.coded]
        with self.engine.begin() as connection:
            self.offices[0].desk.fold(connection, reads(values))
            rebuild.caught_up(connection)
        self.read = len(self.topic.written)
        after = self._stages()
        # A compacted topic does not tell of work that was taken away.
        assert {k: v for k, v in after.items() if v != Stage.GONE} == {
            k: v for k, v in before.items() if v != Stage.GONE
        }

    # What must hold

    def _stages(self) -> dict[str, str]:
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(sa.select(TASKS.c.certificate_id, TASKS.c.stage))}

    def _rows(self, table: sa.Table) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(table.select()))

    @invariant()
    def nobody_holds_what_another_holds(self) -> None:
        believed: dict[str, set[str]] = {}
        live = {row.claim_id for row in self._rows(CLAIMS)}
        assert {claim.claim_id for claim in self.leases.values() if claim.expires_at > self.clock.now} <= live
        for claim_id, (who, claim) in self.claims.items():
            if claim_id in live:
                believed.setdefault(claim.certificate_id, set()).add(who.pseudonym)
        assert all(len(holders) == 1 for holders in believed.values())
        dead = next((item for item in self.claims.items() if item[0] not in live and item[0] not in self.decided), None)
        if dead is not None:
            try:
                self.offices[0].desk.renew(dead[1][0], dead[0])
            except ClaimLost:
                return
            raise AssertionError("a claim that is over was renewed")

    @invariant()
    def no_decision_is_lost_or_doubled(self) -> None:
        rows = self._rows(DECISIONS)
        known = {row.decision_id for row in rows}
        assert known >= self.decided.keys()
        assert len([row for row in rows if row.kind != DecisionKind.UNDO]) == len(self.decided)
        sent = [made.decision_id for made in self.topic.written]
        assert len(set(sent)) == len(sent)
        assert known == set(sent) | {row.decision_id for row in self._rows(OUTBOX)}
        for name in NAMES:
            moments = [made.decided_at for made in self.topic.written if made.certificate_id == name]
            assert moments == sorted(set(moments)), "in order for each certificate"

    @invariant()
    def nothing_was_undone_beneath_what_stood(self) -> None:
        """As the topic tells it to who reads it later, whatever the desk believed at the time."""
        rows = self._rows(DECISIONS)
        undone = {row.supersedes: row.decided_at for row in rows if row.kind == DecisionKind.UNDO}
        for below in rows:
            at = undone.get(below.decision_id)
            for above in rows if at is not None else ():
                if (
                    (above.certificate_id, above.version) == (below.certificate_id, below.version)
                    and above.kind != DecisionKind.UNDO and below.decided_at < above.decided_at < at
                ):  # fmt: skip
                    assert above.decision_id in undone and undone[above.decision_id] < at, "something stood on it"

    @invariant()
    def one_first_coding_stands_at_most(self) -> None:
        standing: dict[tuple[str, int, str], int] = {}
        for row in self._rows(DECISIONS):
            if row.stands:
                key = (row.certificate_id, row.version, row.kind)
                standing[key] = standing.get(key, 0) + 1
        assert all(count == 1 for count in standing.values())

    @rule()
    def every_open_task_can_be_reached(self) -> None:
        held = {row.certificate_id: row for row in self._rows(CLAIMS) if row.expires_at > self.clock.now}
        queues = {who.pseudonym: set(self.offices[0].ids(who)) for who in PEOPLE}
        for row in self._rows(TASKS):
            stage = Stage(row.stage)
            able = {
                who.pseudonym for who in PEOPLE
                if may(stage, senior_only=row.senior, first_by=row.first_by, second_by=row.second_by,
                       who=who.pseudonym, senior=who.senior)
            }  # fmt: skip
            assert able == {name for name, queue in queues.items() if row.certificate_id in queue}
            assert bool(able) == (stage in KINDS), "somebody may, as long as it waits for somebody"
            assert row.certificate_id in held or row.version <= self.versions[row.certificate_id]

    def _work_off(self) -> None:
        """Everybody goes on until nothing is left to do."""
        desk = self.offices[0].desk
        for _ in range(60):
            self.clock.pass_(1_000)
            for who in PEOPLE:
                for claim in desk.held(who):
                    with contextlib.suppress(NoTask, Refused):
                        desk.release(who, claim.claim_id)
                found = desk.next(who, ALL)
                if found is not None:
                    self.claims[found.claim_id] = (who, found)
                    self.decided[found.claim_id] = desk.decide(who, found.claim_id, draft("I21.9", reason="OTHER"))
            if not {Stage(stage) for stage in self._stages().values()} & KINDS.keys():
                break
        else:
            raise AssertionError("work is left that nobody can do")
        self.send([])
        assert not self._rows(OUTBOX)
        self.no_decision_is_lost_or_doubled()


TestOffice = Life.TestCase
TestOffice.settings = settings(
    max_examples=60 if LONG else 6,
    stateful_step_count=40 if LONG else 30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
