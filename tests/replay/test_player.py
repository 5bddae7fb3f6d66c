from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from shared import LONG

from replay.world import ALL, NOW, OTHER_WORDS, RUN, World, voice
from stream.coding import Automation, coded_record
from stream.errors import BrokerUnavailable, InvalidSettings, Overtaken
from stream.pipeline.record import Decision, Incoming
from stream.replay.broker import Position
from stream.replay.feed import Feed
from stream.replay.identity import same_versions
from stream.replay.manifest import Act, Manifest, droppable, last
from stream.replay.memory import MemoryTransactions
from stream.replay.plan import Plan, Range, told
from stream.replay.reconciling import Reconciled, reconcile
from stream.replay.recovering import so_far
from stream.replay.run import Run, names
from stream.replay.selection import Selection, prefix, read_ids
from stream.replay.shell import begin, measured, same_voice, settled
from stream.replay.tally import Tally
from stream.replay.versions import Speaking, Trusting, logged_in
from stream.replay.voice import OwnVoice
from stream.services import Login
from stream.settings import Settings


@pytest.fixture
def world() -> World:
    return World()


class TestReplay:
    async def test_every_record_is_accounted_for_and_the_same_versions_say_the_same(self, world: World) -> None:
        await world.recorded()
        world.publish([])
        world.broker.write("certificates", b"no frame", b"x")
        plan, feed = await world.plan()
        found = await world.play(plan, feed)
        assert found.faults == []
        assert (found.tally.read, found.tally.written, found.tally.dead) == (31, 30, 1)
        verdict = await same_versions(world.desk, RUN, plan)
        assert verdict.holds
        assert verdict.identical == 30
        assert {c.coded_at for c in world.coded(RUN.results)} == {NOW}
        (letter,) = world.dead(RUN.dead)
        assert (letter.error, letter.payload) == ("BAD_FRAME", b"no frame")

    async def test_nothing_is_written_outside_the_runs_topics(self, world: World) -> None:
        await world.recorded()
        before = {place: list(log) for place, log in world.broker.logs.items()}
        await world.replayed()
        for place, log in before.items():
            assert world.broker.logs[place] == log
        assert names(await world.broker.topics()) == ["one"]

    async def test_other_versions_are_not_identical_and_the_check_says_where(self, world: World) -> None:
        await world.recorded()
        plan, feed = await world.plan()
        await world.play(plan, feed, voice(OTHER_WORDS, version="memory-2"))
        verdict = await same_versions(world.desk, RUN, plan)
        assert not verdict.holds
        assert "versions.coder" in verdict.paths
        assert any("differ in versions.coder" in line for line in verdict.told())

    async def test_the_trust_of_the_day_is_kept_unless_told_otherwise(self, world: World) -> None:
        records = world.publish(await self._automatic(world))
        await world.live(records, Automation.HALTED)
        plan, feed = await world.plan()
        await world.play(plan, feed)
        assert (await same_versions(world.desk, RUN, plan)).holds
        other = Run("normal", "causa")
        plan, feed = await world.plan(speaking=Speaking(trusting=Trusting.NORMAL), run=other)
        await world.play(plan, feed, run=other)
        verdict = await same_versions(world.desk, other, plan)
        assert "targeting.automation" in verdict.paths

    @staticmethod
    async def _automatic(world: World):  # type: ignore[no-untyped-def]
        certificates = await world.recorded(12)
        world.broker.logs = {place: [] for place in world.broker.logs}
        return certificates

    async def test_a_plan_survives_its_json(self, world: World) -> None:
        await world.recorded(8)
        selection = Selection(underlying=("I50",), versions={"coder": ("memory",)})
        plan, _ = await world.plan("coded", selection, Range(since=datetime(2026, 1, 1, tzinfo=UTC)))
        assert Plan.read(plan.record()) == plan
        assert dict(told(plan))["selection"] == "underlying cause I50; coder version memory"


class TestSelection:
    async def test_by_ids_offsets_partitions_and_times(self, world: World) -> None:
        certificates = await world.recorded()
        two = frozenset(c.certificate_id for c in certificates[:2])
        plan, _ = await world.plan(selection=Selection(ids=two))
        assert (plan.records, plan.selected) == (30, 2)
        whole = await world.broker.bounds("certificates")
        plan, _ = await world.plan(wanted=Range(offsets={0: (1, 3)}))
        assert dict(plan.bounds) == {0: (1, 3)}
        plan, _ = await world.plan(wanted=Range(partitions=frozenset({1})))
        assert dict(plan.bounds) == {1: whole[1]}
        middle = world.broker.all("certificates")[0].at
        plan, _ = await world.plan(wanted=Range(until=middle))
        assert plan.records == 0
        plan, _ = await world.plan(wanted=Range(since=middle))
        assert plan.records == 30
        with pytest.raises(InvalidSettings, match="no partition 7"):
            await world.plan(wanted=Range(partitions=frozenset({7})))

    async def test_by_what_was_recorded(self, world: World) -> None:
        await world.recorded()
        causes = [c.underlying.code for c in world.coded()]
        code = next(c for c in causes if c)
        plan, feed = await world.plan(selection=Selection(underlying=(code[:3],)))
        assert plan.selected == sum((c or "").startswith(code[:3]) for c in causes)
        found = await world.play(plan, feed)
        assert found.faults == []
        assert found.tally.skipped == 30 - plan.selected
        routes = [c.targeting.route.value for c in world.coded()]
        for route in ("AUTO", "MANUAL"):
            plan, _ = await world.plan(selection=Selection(routes=(route,)))
            assert plan.selected == routes.count(route)
        plan, _ = await world.plan(selection=Selection(versions={"coder": ("memory-2",)}))
        assert plan.selected == 0

    async def test_results_lead_to_their_certificates_each_once(self, world: World) -> None:
        certificates = await world.recorded(10)
        await world.live(world.broker.all("certificates")[:3])  # a second result of three of them
        for record in world.broker.all("coded")[:2]:
            world.decide(next(c for c in world.coded() if c.certificate_id.encode() == record.key), "J18.9")
        plan, feed = await world.plan("coded")
        assert plan.selected == len(certificates)
        found = await world.play(plan, feed)
        assert found.faults == []
        assert sorted(c.certificate_id for c in world.coded(RUN.results)) == sorted(
            c.certificate_id for c in certificates
        )

    async def test_results_whose_certificates_are_gone_are_told(self, world: World) -> None:
        await world.recorded(10)
        coded = world.coded()[0]
        lost = replace(coded, certificate_id="lost", origin=replace(coded.origin, topic="elsewhere"))
        world.broker.write("coded", world.desk.wire.encode("coded", coded_record(lost)), b"lost")
        plan, _ = await world.plan("coded")
        assert (plan.selected, plan.gone) == (10, 1)

    async def test_dead_letters_by_error(self, world: World) -> None:
        records = world.publish((await world.recorded(4))[:1])
        broken = world.broker.write("certificates", b"\0\0\0\0\1no Avro", b"x")
        empty = world.broker.write("certificates", b"?", b"y")
        await world.live([*records, broken, empty])
        plan, feed = await world.plan("dead-letters")
        assert plan.selected == 2
        plan, feed = await world.plan("dead-letters", Selection(errors=("BAD_FRAME",)))
        found = await world.play(plan, feed)
        assert found.faults == []
        assert (found.tally.skipped, found.tally.dead) == (1, 1)
        assert world.dead(RUN.dead)[0].origin == empty.origin

    def test_conditions_that_cannot_be_are_refused(self, tmp_path: Path) -> None:
        for wrong in (
            {"routes": ("auto",)},
            {"reasons": ("X",)},
            {"versions": {"model": ("1",)}},
            {"statuses": ("?",)},
        ):
            with pytest.raises(InvalidSettings):
                Selection(**wrong)
        assert prefix("j189*") == "J18.9"
        file = tmp_path / "ids"
        file.write_text('# ids\nA1\n{"certificate_id": "B2"}\n\n')
        assert read_ids(file) == {"A1", "B2"}
        file.write_text(
            '{"certificate_id": "B2", "text": "a\u2028b\x85c"}\n', encoding="utf-8"
        )  # no ends of lines in JSON
        assert read_ids(file) == {"B2"}
        file.write_text("A1\nno id\n")
        with pytest.raises(InvalidSettings, match="ids:2"):
            read_ids(file)


class TestOnce:
    @given(st.lists(st.sampled_from(["", "lost", "late"]), max_size=12), st.integers(0, 12))
    @settings(deadline=None, max_examples=60 if LONG else 12)
    def test_whatever_becomes_of_commits_and_processes_each_record_has_one_result(
        self, faults: list[str], stop_after: int
    ) -> None:
        asyncio.run(self._faulty(faults, stop_after))

    async def _faulty(self, faults: list[str], stop_after: int) -> None:
        world = World()
        await world.recorded(12)
        plan, feed = await world.plan()
        await begin(world.desk, RUN, plan, "op")
        world.broker.faults = list(faults)
        # The process is gone after so many batches, maybe amid one; another goes on.
        await self._killed(world, plan, feed, stop_after)
        assert await world.player(plan, feed).play()
        found = await reconcile(world.broker, RUN, plan.topic, plan.bounds, plan.records)
        assert found.faults == []
        assert found.tally == Tally(12, 0, 12, 0)

    async def _killed(self, world: World, plan: Plan, feed: Feed, after: int) -> None:
        playing = world.player(plan, feed, Dying(voice(), after))
        with pytest.raises(asyncio.CancelledError):
            task = asyncio.create_task(playing.play())
            await task
            raise asyncio.CancelledError  # it came to its end before it was to die

    async def test_a_second_process_makes_the_first_one_stop(self, world: World) -> None:
        await world.recorded(12)
        plan, feed = await world.plan()
        await begin(world.desk, RUN, plan, "op")
        world.broker.faults = ["", "fenced"]
        with pytest.raises(Overtaken):
            await world.player(plan, feed).play()
        assert (await world.play(plan, feed)).faults == []

    async def test_a_run_that_was_stopped_goes_on_by_its_own_plan(self, world: World) -> None:
        await world.recorded()
        plan, feed = await world.plan()
        await begin(world.desk, RUN, plan, "op")
        playing = world.player(plan, feed)
        playing.stop()
        assert not await playing.play()
        world.publish([replace(c, certificate_id=f"{c.certificate_id}~late") for c in await world.recorded(3)])
        assert await settled(world.desk, RUN) == plan
        found = await world.play(plan, feed)
        assert found.faults == []
        assert found.tally.read == 30

    async def test_a_stop_is_heard_while_the_broker_is_away(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.recorded(4)
        plan, feed = await world.plan()
        await begin(world.desk, RUN, plan, "op")
        playing = world.player(plan, feed)
        tries = 0

        async def away(_transactions: MemoryTransactions) -> Position | None:
            nonlocal tries
            tries += 1
            if tries > 2:
                playing._retry_s = 1_000.0
                asyncio.get_running_loop().call_soon(playing.stop)
            raise BrokerUnavailable("away")

        monkeypatch.setattr(MemoryTransactions, "begin", away)
        async with asyncio.timeout(10):
            assert not await playing.play()

    @pytest.mark.parametrize("source", ["certificates", "coded"])
    async def test_a_run_that_rested_longer_than_kafka_keeps_offsets_goes_on(self, world: World, source: str) -> None:
        certificates = await world.recorded(24)
        world.broker.write("certificates", b"no frame", b"x")
        chosen = Selection(ids=frozenset(c.certificate_id for c in certificates[::3]) | {"x"})
        for number, selection in enumerate((ALL, chosen)):
            run = Run(f"rest-{number}", "causa")
            plan, feed = await world.plan(source, selection, run=run)
            await begin(world.desk, run, plan, "op")
            world.broker.faults = ["", "", "fenced"]
            with pytest.raises(Overtaken):
                await world.player(plan, feed, run=run).play()
            before = await so_far(world.broker, run, plan.topic, plan.bounds)
            assert 0 < before.written + before.dead < plan.selected
            world.broker.positions.clear()
            forgotten = await so_far(world.broker, run, plan.topic, plan.bounds)
            assert (forgotten.written, forgotten.dead) == (before.written, before.dead)
            found = await world.play(plan, feed, run=run)
            assert (found.faults, found.tally.read) == ([], plan.records)
            assert found.tally.written + found.tally.dead == plan.selected
            # Once more, when all of it was done.
            world.broker.positions.clear()
            assert await world.play(plan, feed, run=run) == found

    async def test_a_position_forgotten_while_other_partitions_take_their_days(self, world: World) -> None:
        await world.recorded(12)
        plan, feed = await world.plan()
        await begin(world.desk, RUN, plan, "op")
        playing = world.player(plan, feed, Forgetting(voice(), world))
        assert await playing.play()
        assert (await reconcile(world.broker, RUN, plan.topic, plan.bounds, plan.records)).faults == []

    async def test_a_forgotten_position_over_a_source_that_was_cut_is_refused(self, world: World) -> None:
        await world.recorded(12)
        plan, feed = await world.plan()
        await world.play(plan, feed)
        there = len(world.broker.all(RUN.results))
        world.broker.positions.clear()
        world.broker.cut("certificates", 2)
        with pytest.raises(InvalidSettings, match="known no more"):
            await world.player(plan, feed).play()
        assert len(world.broker.all(RUN.results)) == there

    async def test_what_does_not_add_up_is_told(self, world: World) -> None:
        await world.recorded()
        await world.replayed()
        plan = await settled(world.desk, RUN)
        assert plan is not None
        extra = world.broker.all(RUN.results)[0]
        world.broker.write(RUN.results, extra.value, extra.key, extra.headers)
        found = await reconcile(world.broker, RUN, plan.topic, plan.bounds, plan.records)
        assert found.twice == 1
        assert len(found.faults) == 2
        assert Reconciled(Tally(3, 0, 2, 0), 4, 5, 1, 0, 0, 2).faults


class Forgetting(OwnVoice):
    """A voice that takes its time: before each batch Kafka has forgotten all offsets."""

    def __init__(self, inner: OwnVoice, world: World) -> None:
        self._inner, self._world = inner, world

    async def code(self, batch: Sequence[Incoming], levels: Sequence[Automation | None]) -> list[Decision]:
        self._world.broker.positions.clear()
        return await self._inner.code(batch, levels)


class Dying(OwnVoice):
    """A voice whose process dies after some batches."""

    def __init__(self, inner: OwnVoice, after: int) -> None:
        self._inner, self._after = inner, after

    async def code(self, batch: Sequence[Incoming], levels: Sequence[Automation | None]) -> list[Decision]:
        self._after -= 1
        if self._after < 0:
            raise asyncio.CancelledError
        return await self._inner.code(batch, levels)


class TestRun:
    async def test_who_begins_a_run_second_must_mean_the_same(self) -> None:
        world = World()
        await world.recorded(4)
        plan, _ = await world.plan()
        await begin(world.desk, RUN, plan, "op")
        await begin(world.desk, RUN, plan, "other")
        await begin(world.desk, RUN, replace(plan, speaking=Speaking(cache=0)), "other")  # it changes no answer
        with pytest.raises(InvalidSettings, match="begun meanwhile"):
            await begin(world.desk, RUN, replace(plan, rate=5.0), "other")
        assert len(await Manifest(world.broker, RUN).read()) == 1

    async def test_the_name_of_a_dropped_run_is_refused_while_its_position_is_known(self) -> None:
        world = World()
        await world.recorded(4)
        await world.replayed()
        manifest = Manifest(world.broker, RUN)
        assert await droppable(world.broker, RUN) == RUN.topics
        await manifest.write(Act.PUBLISHING, "anne", {})
        assert await droppable(world.broker, RUN) == (RUN.results, RUN.dead)  # who agreed stays
        await world.broker.delete(RUN.topics)
        plan, _ = await world.plan()
        with pytest.raises(InvalidSettings, match="used before"):
            await begin(world.desk, RUN, plan, "op")
        with pytest.raises(InvalidSettings, match="no run"):
            await droppable(world.broker, RUN)

    @pytest.mark.parametrize("name", ["", "Two", "a.b", "repairs", "recorded", "-a", "x" * 60])
    def test_names_that_cannot_be(self, name: str) -> None:
        with pytest.raises(InvalidSettings):
            Run(name, "causa")

    def test_nothing_of_it_is_the_live_workers(self) -> None:
        run = Run("causa", "causa")
        assert run.group != "causa"
        assert all(topic.startswith("replay.") for topic in run.topics)

    async def test_the_manifest_keeps_its_order(self) -> None:
        world = World()
        await world.broker.create(RUN.declared(2))
        manifest = Manifest(world.broker, RUN, clock=lambda: NOW)
        for act in (Act.PLANNED, Act.FINISHED, Act.FINISHED):
            await manifest.write(act, "a", {"n": 1})
        events = await manifest.read()
        assert [e.act for e in events] == [Act.PLANNED, Act.FINISHED, Act.FINISHED]
        found = last(events, Act.FINISHED)
        assert found is not None
        assert (found.offset, found.who, found.at, dict(found.body)) == (2, "a", NOW, {"n": 1})

    def test_a_tally_is_its_note(self) -> None:
        tally = Tally(9, 1, 7, 1)
        assert Tally.of(tally.note) == tally
        assert Tally.of(Position(3).note) == Tally()


class TestVersions:
    async def test_a_run_goes_on_with_the_versions_that_it_began_with(self, world: World) -> None:
        await world.recorded(4)
        plan, feed = await world.plan()
        plan = await measured(world.desk, plan, feed, voice())
        assert plan.speed
        assert plan.versions["coder"] == "memory-1"
        await same_voice(world.desk, plan, feed, voice())
        with pytest.raises(InvalidSettings, match="coder memory-1 is memory-2"):
            await same_voice(world.desk, plan, feed, voice(version="memory-2"))

    def test_what_a_person_asks_for_becomes_settings_of_its_own(self, tmp_path: Path) -> None:
        policy = tmp_path / "policy.yaml"
        policy.write_text("")
        settings = Settings()
        own = Speaking(coder="tagger:7", underlying="ranker:2", policy=policy, cache=0).settings(settings)
        assert (own.triton.coder, own.triton.coder_version, own.triton.underlying_version) == ("tagger", "7", "2")
        assert (own.triton.priority, own.policy, own.worker.cache_lines) == (2, policy, 0)
        assert (settings.triton.coder, settings.triton.priority) == ("coder", 0)
        for wrong in (Speaking(coder="tagger"), Speaking(policy=tmp_path / "none")):
            with pytest.raises(InvalidSettings):
                wrong.settings(settings)

    def test_the_live_login_is_never_used(self) -> None:
        sasl = {"mechanism": "SCRAM-SHA-512", "username": "causa-worker", "password": "x"}
        settings = Settings(kafka={"bootstrap": "a:1", "sasl": sasl})
        with pytest.raises(InvalidSettings, match="must not be used"):
            logged_in(settings, settings.replay.login, "replay.login")
        login = Login(mechanism="SCRAM-SHA-512", username="causa-replay", password=SecretStr("y"))
        own = logged_in(settings, login, "replay.login")
        assert own.kafka.sasl.username == "causa-replay"
        assert settings.kafka.sasl.username == "causa-worker"
        assert logged_in(Settings(), Login(), "replay.login").kafka.sasl.mechanism == ""
