from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core import coded
from shared import LONG
from worker.certificates import samples

from replay.world import NOW, OTHER_WORDS, RUN, World, voice
from stream.certificate import Status
from stream.coding import Automation, CodedCertificate, Modality, Route, TaskState, coded_record, read_task, supersedes
from stream.errors import InvalidData, InvalidSettings, Overtaken
from stream.replay import signing
from stream.replay.agreeing import Agreed, agreed, approved, own, proposed, same_people, signed, standing_proposal
from stream.replay.manifest import Act, Event
from stream.replay.outcome import outcome
from stream.replay.publishing import Publisher, counted, progress
from stream.replay.recode import PUBLISHED, Fate, Results, fate, published, wanted
from stream.replay.recorded import Entry
from stream.replay.signing import Person

KEYS = {name: Ed25519PrivateKey.generate() for name in ("anne", "bea", "eve")}
PEOPLE = {
    name: Person(name, frozenset(["propose", "approve"]), KEYS[name].public_key()) for name in ("anne", "bea")
}  # fmt: skip
LISTED = signing.digest_of(PEOPLE)


def publisher(world: World, now: Mapping[str, Automation] | None = None, *, everything: bool = False) -> Publisher:
    return Publisher(
        world.desk, RUN, now or {}, everything=everything, approval="approved", clock=lambda: NOW, retry_s=0.001
    )


async def other(number: int = 30) -> World:
    """What was recorded, and a run of another model over it."""
    world = World()
    await world.recorded(number)
    await world.replayed(voice(OTHER_WORDS, version="memory-2"))
    return world


def standing(world: World) -> dict[str, CodedCertificate]:
    """The record of each certificate that every consumer ends with."""
    found: dict[str, CodedCertificate] = {}
    for one in world.coded():
        if one.certificate_id not in found or supersedes(one, found[one.certificate_id]):
            found[one.certificate_id] = one
    return found


@pytest.fixture(scope="module")
def result() -> CodedCertificate:
    return coded(part1=["insuffisance cardiaque"])


class TestFate:
    def test_each(self, result: CodedCertificate) -> None:
        changed = replace(result, underlying=replace(result.underlying, code="C34.9"))
        entry = Entry(machine=outcome(result), revision=2)
        assert fate(changed, entry, 1, {}) is Fate.REVISED
        assert published(changed, entry).revision == 3
        assert fate(changed, None, 0, {}) is Fate.NEW
        assert published(changed, None).revision == 0
        assert fate(result, entry, 1, {}) is Fate.SAME
        figures = replace(result, unknown=0.9)
        assert fate(figures, entry, 1, {}) is Fate.SAME
        assert fate(figures, entry, 1, {}, everything=True) is Fate.REVISED
        assert fate(changed, Entry(machine=outcome(result), human=True), 1, {}) is Fate.HUMAN
        assert fate(changed, entry, 2, {}) is Fate.AMENDED
        assert fate(changed, Entry(machine=outcome(result), withdrawn=True), 1, {}) is Fate.WITHDRAWN
        assert fate(replace(changed, content_hash="x"), entry, 1, {}) is Fate.CONFLICT

    def test_automatic_results_wait_while_automation_is_lowered(self, result: CodedCertificate) -> None:
        changed = replace(
            result, underlying=replace(result.underlying, code="C34.9"),
            targeting=replace(result.targeting, route=Route.AUTO, stratum="s", automation=Automation.NORMAL),
        )  # fmt: skip
        entry = Entry(machine=outcome(result), revision=0)
        assert fate(changed, entry, 1, {"s": Automation.STRICT}) is Fate.HALTED
        assert fate(changed, entry, 1, {"other": Automation.HALTED}) is Fate.REVISED
        manual = replace(changed, targeting=replace(changed.targeting, route=Route.MANUAL))
        assert fate(manual, entry, 1, {"s": Automation.HALTED}) is Fate.REVISED


class TestPublishing:
    async def test_results_become_the_standing_ones_and_people_keep_theirs(self) -> None:
        world = await other()
        results = {c.certificate_id: c for c in world.coded(RUN.results)}
        before = standing(world)
        decided = next(c for c in before.values() if results[c.certificate_id].underlying != c.underlying)
        world.decide(decided, "J18.9")
        foreseen, digested = await publisher(world).foreseen()
        total = await publisher(world).publish()
        assert total == foreseen
        assert total.total() == digested.records == len(results)
        assert total[Fate.HUMAN] == 1
        after = standing(world)
        assert after[decided.certificate_id].modality is Modality.HUMAN
        for name, was in before.items():
            if name == decided.certificate_id or outcome(was).lines == outcome(results[name]).lines:
                continue
            assert (after[name].revision, after[name].underlying) == (1, results[name].underlying)
        assert await counted(world.desk, RUN) == (total[Fate.REVISED], 0)
        assert await progress(world.broker, RUN) == total

    async def test_tasks_go_with_the_results(self) -> None:
        world = await other()
        before = len(world.broker.all("manual"))
        await publisher(world).publish()
        new = {c.certificate_id: c for c in world.coded() if c.revision == 1}
        tasks = [read_task(world.desk.wire.decode("manual", r.value)) for r in world.broker.all("manual")]
        mine = [task for task in tasks if task.revision == 1]
        assert len(tasks) == before + len(new)
        assert {task.certificate_id for task in mine} == set(new)
        for task in mine:
            needed = wanted(new[task.certificate_id])
            assert (task.state is TaskState.OPEN) == needed
            assert (task.certificate is not None) == needed
            assert (task.priority > 0) == needed

    async def test_where_a_person_must_look_and_the_certificate_is_gone_nothing_is_published(self) -> None:
        world = await other()
        world.broker.logs = {p: [] if p[0] == "certificates" else log for p, log in world.broker.logs.items()}
        foreseen, _ = await publisher(world).foreseen()
        total = await publisher(world).publish()
        assert total[Fate.GONE] > 0
        assert total.total() == foreseen.total()
        assert all(not wanted(c) for c in world.coded() if c.revision == 1)

    @given(st.lists(st.sampled_from(["", "lost", "late"]), max_size=8))
    @settings(deadline=None, max_examples=40 if LONG else 6)
    def test_whatever_becomes_of_commits_each_result_is_published_once(self, faults: list[str]) -> None:
        async def run() -> None:
            world = await other(15)
            foreseen, _ = await publisher(world).foreseen()
            world.broker.faults = list(faults)
            total = await publisher(world).publish()
            assert total == foreseen
            assert await counted(world.desk, RUN) == (sum(total[one] for one in PUBLISHED), 0)
            again = await publisher(world).publish()
            assert again == total
            assert await counted(world.desk, RUN) == (sum(total[one] for one in PUBLISHED), 0)

        asyncio.run(run())

    async def test_a_second_process_makes_the_first_one_stop(self) -> None:
        world = await other(15)
        world.broker.faults = ["fenced"]
        with pytest.raises(Overtaken):
            await publisher(world).publish()
        total = await publisher(world).publish()
        assert await counted(world.desk, RUN) == (sum(total[one] for one in PUBLISHED), 0)

    async def test_what_kafka_has_forgotten_the_results_tell(self) -> None:
        """A publishing that rested for longer than offsets are kept goes on, and does not begin anew."""
        world = await other()
        results = {c.certificate_id: c for c in world.coded(RUN.results)}
        alike = (world.broker.logs[RUN.results, 0][2].key or b"").decode()

        def revised(revision: int, **changes: object) -> None:
            made = replace(results[alike], revision=revision, **changes)  # type: ignore[arg-type]
            world.broker.write("coded", world.desk.wire.encode("coded", coded_record(made)), alike.encode())

        revised(1)
        foreseen, digested = await publisher(world).foreseen()
        published = sum(foreseen[one] for one in PUBLISHED)
        assert foreseen[Fate.SAME] > 0
        world.broker.faults = ["", "", "fenced"]  # one partition to its end, none of the other
        with pytest.raises(Overtaken):
            await publisher(world).publish()
        assert 0 < (await counted(world.desk, RUN))[0] < published
        # A later recode changes one that was alike and left alone: the older result must not come over it now.
        revised(2, underlying=replace(results[alike].underlying, code="R99"))
        for _ in range(2):
            world.broker.positions.clear()
            total = await publisher(world).publish()
            assert (total.total(), sum(total[one] for one in PUBLISHED)) == (digested.records, published)
            assert await counted(world.desk, RUN) == (published, 0)
        assert total[Fate.PASSED] > 0
        assert standing(world)[alike].underlying.code == "R99"

    async def test_amended_and_withdrawn_meanwhile(self) -> None:
        world = await other(6)
        first, second = world.coded()[:2]
        later = world.desk.wire.encode("coded", coded_record(replace(first, version=first.version + 1)))
        world.broker.write("coded", later, first.certificate_id.encode())
        void = next(c for c in samples() if c.certificate_id == second.certificate_id)
        void = replace(void, status=Status.VOID, version=void.version + 1)
        await world.live(world.publish([void]))
        counts, _ = await publisher(world).foreseen()
        assert counts[Fate.AMENDED] == 2


class TestAgreement:
    def statement(self, who: str = "anne", digest: str = "a", people: str = LISTED) -> dict[str, object]:
        results = Results()
        results.add(0, 0, digest.encode())
        counts = Counter({Fate.REVISED: 3})
        return proposed("one", results, "report", counts, who, NOW, people=people, everything=False)

    def events(self, *entries: tuple[Act, str, Mapping[str, object]]) -> list[Event]:
        return [
            Event(act, who, NOW, signed(statement, KEYS[who]), n) for n, (act, who, statement) in enumerate(entries)
        ]

    def approval(self, events: list[Event], who: str, people: str = LISTED) -> dict[str, object]:
        found = standing_proposal(events, PEOPLE)
        assert found is not None
        return approved("one", found[1], who, NOW, people=people)

    def test_two_people_two_keys(self) -> None:
        events = self.events((Act.PROPOSED, "anne", self.statement()))
        assert agreed(events, PEOPLE) is None
        events += self.events((Act.APPROVED, "bea", self.approval(events, "bea")))
        found = agreed(events, PEOPLE)
        assert isinstance(found, Agreed)
        assert (found.proposer, found.approver, found.everything) == ("anne", "bea", False)

    def test_nobody_approves_oneself_nor_in_anothers_name(self) -> None:
        events = self.events((Act.PROPOSED, "anne", self.statement()))
        alone = events + self.events((Act.APPROVED, "anne", self.approval(events, "anne")))
        assert agreed(alone, PEOPLE) is None
        forged = Event(Act.APPROVED, "bea", NOW, signed(self.approval(events, "bea"), KEYS["anne"]), 1)
        assert agreed([*events, forged], PEOPLE) is None
        stranger = events + self.events((Act.APPROVED, "eve", self.approval(events, "eve")))
        assert agreed(stranger, PEOPLE) is None

    def test_an_approval_is_of_one_proposal(self) -> None:
        events = self.events((Act.PROPOSED, "anne", self.statement()))
        events += self.events((Act.APPROVED, "bea", self.approval(events, "bea")))
        later = events + self.events((Act.PROPOSED, "anne", self.statement(digest="b")))
        assert agreed(later, PEOPLE) is None

    def test_an_approval_is_of_one_list_of_people(self) -> None:
        """Whoever is put on the list to approve, and taken off again, has approved nothing."""
        wider = {**PEOPLE, "eve": Person("eve", frozenset(["approve"]), KEYS["eve"].public_key())}
        events = self.events((Act.PROPOSED, "anne", self.statement()))
        put_on = events + self.events((Act.APPROVED, "eve", self.approval(events, "eve", signing.digest_of(wider))))
        assert agreed(put_on, wider) is None
        assert agreed(put_on, PEOPLE) is None
        events += self.events((Act.APPROVED, "bea", self.approval(events, "bea")))
        assert agreed(events, PEOPLE) is not None
        assert agreed(events, wider) is None
        same_people(self.statement(), PEOPLE)
        with pytest.raises(InvalidSettings, match="not what it was when anne proposed"):
            same_people(self.statement(), wider)
        # Who may only read text is none of those who decide; another order, or another key, is.
        reader = Person("carl", frozenset(["text"]), KEYS["eve"].public_key())
        assert signing.digest_of({**PEOPLE, "carl": reader}) == LISTED
        assert signing.digest_of(dict(reversed(PEOPLE.items()))) == LISTED
        assert signing.digest_of({**PEOPLE, "bea": replace(PEOPLE["bea"], key=KEYS["eve"].public_key())}) != LISTED

    def test_a_statement_is_taken_for_what_it_says_that_it_is(self) -> None:
        events = self.events((Act.PROPOSED, "anne", self.statement()))
        swapped = self.events((Act.PROPOSED, "bea", self.approval(events, "bea")))
        assert standing_proposal(swapped, PEOPLE) is None
        assert agreed(events + self.events((Act.APPROVED, "bea", self.statement("bea"))), PEOPLE) is None

    def test_who_signs_is_who_they_say(self) -> None:
        assert own("anne", KEYS["anne"], PEOPLE, "propose").name == "anne"
        for who, key in (("anne", "bea"), ("eve", "eve")):
            with pytest.raises(InvalidSettings):
                own(who, KEYS[key], PEOPLE, "approve")

    def test_the_file_of_people(self, tmp_path: Path) -> None:
        key = tmp_path / "anne.pem"
        public = signing.make_key(key)
        assert key.stat().st_mode & 0o777 == 0o600
        assert signing.told(signing.public_key(tmp_path / "anne.pem.pub")) == public
        file = tmp_path / "people.tsv"
        file.write_text(f"name\troles\tkey\nanne\tpropose approve\t{public}\n")
        known = signing.people(file)
        assert own("anne", signing.private_key(key), known, "propose").roles == {"propose", "approve"}
        for wrong in (f"anne\tpropose\t{public}\nbob\tapprove\t{public}", "bob\trule\tAA==", "bob\tapprove\tAA=="):
            file.write_text(f"name\troles\tkey\n{wrong}\n")
            with pytest.raises(InvalidData, match=r"people\.tsv:"):
                signing.people(file)
        key.chmod(0o644)
        with pytest.raises(InvalidSettings, match="read by others"):
            signing.private_key(key)
        with pytest.raises(InvalidSettings):
            signing.make_key(key)

    def test_a_signature_holds_for_its_bytes_alone(self) -> None:
        key = KEYS["anne"]
        signature = signing.sign(key, b"a")
        assert signing.holds(key.public_key(), signature, b"a")
        assert not signing.holds(key.public_key(), signature, b"b")
        assert not signing.holds(key.public_key(), base64.b64encode(b"no").decode(), b"a")
