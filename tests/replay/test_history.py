from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from worker.certificates import words

from replay.world import NOW, RUN, World
from stream.coding import Automation, AutomationChange, Correction, DecisionKind, change_record, correction_record
from stream.errors import InvalidSettings
from stream.hiding import hidden, plain
from stream.replay import export
from stream.replay.broker import Record
from stream.replay.history import Happened, history, ordered, told, within
from stream.replay.letters import Mended
from stream.replay.opening import opened
from stream.replay.repairing import repair


async def eventful() -> tuple[World, str]:
    """A certificate to which all that can happen has."""
    world = World()
    certificates = await world.recorded(5)
    one = certificates[0]
    name = one.certificate_id
    world.broker.write("certificates", b"no frame", name.encode())
    await world.live(world.broker.all("certificates")[-0:][:0])
    broken = next(r for r in world.broker.all("certificates") if r.value == b"no frame")
    await world.live([broken])
    await world.replayed()
    correction = Correction("d1", DecisionKind.FIRST, name, 1, "c7", "coder", "WRONG_CODE", NOW)
    world.broker.write(
        "corrections", world.desk.wire.encode("corrections", correction_record(correction)), name.encode()
    )
    for scope in ("*", "no such stratum"):
        change = AutomationChange(scope, Automation.STRICT, "alarm", "", "p", NOW)
        world.broker.write("automation", world.desk.wire.encode("automation", change_record(change)), scope.encode())
    letter = world.broker.all("dead-letters")[0].place
    await repair(world.desk, [Mended(letter, replace(one, version=2))], "mender", clock=lambda: NOW)
    await world.live([r for r in world.broker.all("certificates") if r.header("causa-repair-of")])
    return world, name


class TestHistory:
    async def test_every_topic_in_order_with_versions_and_people(self) -> None:
        world, name = await eventful()
        found = await history(world.broker, world.desk.wire, world.desk.topics, name)
        subjects = [one.subject for one in found.events]
        assert {
            "certificates",
            "coded",
            "manual",
            "replay",
            "dead-letters",
            "corrections",
            "automation",
            "repairs",
            "manifest",
        } == set(subjects)
        places = [one.record.place for one in found.events]
        for number, one in enumerate(found.events):
            assert not one.needs.intersection(places[number + 1 :])
        lines = [told(one) for one in found.events]
        text = "\n".join(lines)
        for said in (
            "by c7 (coder)",
            "coder memory-1",
            "BAD_FRAME",
            "(BAD_FRAME) mended by mender",
            "run one: planned by op",
            "* STRICT by an alarm",
        ):
            assert said in text
        assert "no such stratum" not in text
        assert set(found.looked) >= {"certificates", "coded", "manual", RUN.results, "replay.repairs"}

    async def test_no_text_without_the_right(self) -> None:
        world, name = await eventful()
        found = await history(world.broker, world.desk.wire, world.desk.topics, name)
        from worker.certificates import samples

        spoken = words(c for c in samples() if c.certificate_id == name)
        covered = within(found.events, hidden)
        shown = json.dumps(
            [export.line(one, n, plain) for n, one in enumerate(covered, 1)], ensure_ascii=False
        ).casefold()
        assert not [word for word in spoken if word in shown]
        whole = json.dumps(
            [export.line(one, n, plain) for n, one in enumerate(await opened(world.desk, found.events), 1)],
            ensure_ascii=False,
        ).casefold()
        assert [word for word in spoken if word in whole]

    async def test_a_stranger_has_no_history(self) -> None:
        world, _ = await eventful()
        found = await history(world.broker, world.desk.wire, world.desk.topics, "nobody")
        assert found.events == []

    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 8)), max_size=12))
    def test_order_keeps_partitions_and_needs(self, rows: list[tuple[int, int, int]]) -> None:
        """Whatever clocks say: a circle aside, nothing comes before what it was made of."""
        events: list[Happened] = []
        ends = [0, 0, 0]
        for partition, time, back in rows:
            needs = frozenset([events[back].record.place]) if back < len(events) else frozenset[str]()
            events.append(Happened("coded", Record("t", partition, ends[partition], time, None, None), {}, needs))
            ends[partition] += 1
        found = ordered(events)
        assert sorted(one.record.place for one in found) == sorted(one.record.place for one in events)
        places = [one.record.place for one in found]
        for number, one in enumerate(found):
            # Needs look back in the order of writing, so that there is no circle.
            assert not one.needs.intersection(places[number + 1 :])
            assert not any(
                other.record.partition == one.record.partition and other.record.offset < one.record.offset
                for other in found[number + 1 :]
            )


class TestExport:
    async def test_an_export_holds_until_somebody_touches_it(self, tmp_path: Path) -> None:
        world, name = await eventful()
        key = Ed25519PrivateKey.generate()
        found = await history(world.broker, world.desk.wire, world.desk.topics, name)
        found = replace(found, events=within(found.events, hidden))
        folder = tmp_path / "export"
        export.write(folder, name, found, key, plain, text=False, who="a", now=NOW)
        checked = export.verify(folder, key.public_key())
        assert checked.faults == ()
        assert checked.manifest["events"] == len(found.events)
        assert export.verify(folder, Ed25519PrivateKey.generate().public_key()).faults
        (folder / "more.txt").write_text("x")
        assert "more.txt" in export.verify(folder, key.public_key()).faults[0]
        (folder / "more.txt").unlink()
        events = folder / export.EVENTS
        whole = events.read_bytes()
        for touched in (whole.replace(b"memory-1", b"memory-2"), whole[: whole.rindex(b"\n", 0, -1) + 1], b""):
            events.write_bytes(touched)
            assert export.verify(folder, key.public_key()).faults
        events.unlink()
        assert "missing" in export.verify(folder, key.public_key()).faults[0]
        with pytest.raises(InvalidSettings, match="not empty"):
            export.write(folder, name, found, key, plain, text=False, who="a", now=NOW)
        with pytest.raises(InvalidSettings):
            export.verify(tmp_path / "none", key.public_key())
