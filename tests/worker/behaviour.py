"""What the worker promises, whatever world it runs in. `test_behaviour.py` runs this suite in each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from stream.automation import ALL
from stream.certificate import Certificate, Status, utc_now
from stream.coding import Automation, AutomationChange, Origin, Route, read_coded, read_dead_letter, read_task
from worker.certificates import Spoiled, samples, spoiled, words
from worker.worlds import Record, World


def mixed(good: Sequence[Record], bad: Sequence[Spoiled]) -> tuple[list[Record], list[int]]:
    """The good records with the bad ones in their midst, and where those stand."""
    records, places, step = list(good), [], max(1, len(good) // len(bad))
    for number, one in enumerate(bad):
        places.append(number * step)
        records.insert(places[-1], (one.key, one.value))
    return records, places


def answers(world: World, subject: str) -> dict[tuple[str, int], list[Any]]:
    """Records of a topic by certificate and version, the moments of coding taken out."""
    found: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for written in world.results[subject]:
        value = world.wire.decode(subject, written.value)
        assert written.key == value["certificate_id"].encode()
        timeless = {k: v for k, v in value.items() if k not in ("coded_at", "created_at")}
        if timeless.get("proposal"):
            timeless["proposal"] = {k: v for k, v in timeless["proposal"].items() if k != "coded_at"}
        found[value["certificate_id"], value["version"]].append(timeless)
    return found


def nothing_lost(world: World, certificates: Iterable[Certificate], *, duplicates: bool) -> None:
    """Each certificate has one coded and one manual answer; duplicates, where allowed, are equal."""
    expected = {(c.certificate_id, c.version) for c in certificates}
    for subject in ("coded", "manual"):
        found = answers(world, subject)
        assert set(found) == expected
        for same in found.values():
            assert all(one == same[0] for one in same)
            assert duplicates or len(same) == 1, subject


def secrets_kept(world: World, certificates: Iterable[Certificate]) -> None:
    """No word of a certificate in the log, nor in a dead letter beside its payload."""
    forbidden = words(certificates)
    leaked = forbidden & set(re.findall(r"[^\W\d_]{6,}", world.log().casefold()))
    assert not leaked
    for written in world.results["dead-letters"]:
        letter = read_dead_letter(world.wire.decode("dead-letters", written.value))
        beside = " ".join(map(str, [letter.error, letter.detail, letter.key, written.key, written.headers])).casefold()
        assert not forbidden & set(re.findall(r"[^\W\d_]{6,}", beside))


class WorkerBehaviour:
    """The suite; a subclass gives the fixture `world`."""

    async def test_every_certificate_is_coded_and_every_bad_record_told(self, world: World) -> None:
        good = samples()
        good[3] = replace(good[3], status=Status.VOID, part1=(), part2=())
        good += [replace(good[0], version=2, status=Status.AMENDED), replace(good[1], version=2, status=Status.VOID)]
        bad = spoiled(world.wire)
        records, places = mixed([world.record(c) for c in good], bad)
        origins = await world.publish(records)
        await world.start()
        await world.settled()

        nothing_lost(world, good, duplicates=False)
        self._letters(world, bad, [origins[place] for place in places])
        self._agree(world, origins)
        states = {key: task["state"] for key, (task,) in answers(world, "manual").items()}
        for certificate in (c for c in good if c.status is Status.VOID):
            assert states[certificate.certificate_id, certificate.version] == "NONE"

        # What is published while no worker runs waits for the next one; a clean stop repeats nothing.
        assert await world.terminate() == 0
        more = samples("~2")[:20]
        await world.publish(world.record(c) for c in more)
        await world.start()
        await world.settled()
        assert await world.terminate() == 0
        nothing_lost(world, [*good, *more], duplicates=False)
        assert len(world.results["dead-letters"]) == len(bad)
        secrets_kept(world, good)

    @staticmethod
    def _letters(world: World, bad: Sequence[Spoiled], origins: Sequence[Origin]) -> None:
        letters = [read_dead_letter(world.wire.decode("dead-letters", w.value)) for w in world.results["dead-letters"]]
        assert [w.key for w in world.results["dead-letters"]] == [letter.key for letter in letters]
        told = {(letter.origin.partition, letter.origin.offset): letter for letter in letters}
        assert len(told) == len(letters) == len(bad)
        for one, origin in zip(bad, origins, strict=True):
            letter = told[origin.partition, origin.offset]
            assert (one.name, letter.error) == (one.name, one.code)
            assert letter.payload == one.value
            assert letter.key == one.key
            assert letter.origin == origin

    @staticmethod
    def _agree(world: World, origins: Sequence[Origin]) -> None:
        """Results keep the partition and the order of what they answer, and a task holds its certificate."""
        order: dict[int, list[int]] = defaultdict(list)
        for written in world.results["coded"]:
            coded = read_coded(world.wire.decode("coded", written.value))
            assert coded.origin in origins
            assert coded.origin.partition == written.partition
            assert coded.versions.coder == world.models[0]
            assert coded.versions.underlying.endswith(f"+{world.models[1]}")
            order[written.partition].append(coded.origin.offset)
        assert all(offsets == sorted(offsets) for offsets in order.values())
        for written in world.results["manual"]:
            task = read_task(world.wire.decode("manual", written.value))
            assert (task.certificate is not None) == (task.state == "OPEN")
            assert task.certificate is None or task.certificate.certificate_id == task.certificate_id

    async def test_a_killed_worker_loses_nothing(self, world: World) -> None:
        good = [c for turn in ("", "~2") for c in samples(turn)]
        bad = spoiled(world.wire)[:4]
        records, _ = mixed([world.record(c) for c in good[:-100]], bad)
        await world.publish(records)
        await world.start()
        await world.until(lambda w: len(w.results["coded"]) >= 20)
        await world.kill()
        await world.publish(world.record(c) for c in good[-100:])
        await world.start()
        await world.settled()
        nothing_lost(world, good, duplicates=not world.once)
        letters = [read_dead_letter(world.wire.decode("dead-letters", w.value)) for w in world.results["dead-letters"]]
        assert len({letter.origin for letter in letters}) == len(bad)
        assert not world.once or len(letters) == len(bad)
        assert await world.terminate() == 0

    async def test_a_killed_model_server_holds_the_stream(self, world: World) -> None:
        good = samples()
        await world.start()
        await world.publish(world.record(c) for c in good[:100])
        await world.until(lambda w: len(w.results["coded"]) >= 20)
        await world.kill_model()
        await world.publish(world.record(c) for c in good[100:])
        await world.until(lambda w: "the stream is held" in w.log())
        await world.revive_model()
        await world.settled()
        nothing_lost(world, good, duplicates=False)
        assert world.results["dead-letters"] == []
        assert "the model answers again" in world.log()
        assert await world.terminate() == 0
        secrets_kept(world, good)

    async def test_a_worker_that_is_stopped_in_full_flight_finishes_what_it_began(self, world: World) -> None:
        good = samples()
        await world.publish(world.record(c) for c in good)
        await world.start()
        await world.until(lambda w: len(w.results["coded"]) >= 10)
        assert await world.terminate() == 0
        await world.poll()
        coded = len(world.results["coded"])
        assert await world.behind() == len(good) - coded
        await world.start()
        await world.settled()
        nothing_lost(world, good, duplicates=False)

    async def test_a_worker_obeys_what_is_said_of_its_automation_from_its_first_certificate_on(
        self, world: World
    ) -> None:
        good = samples()
        trusted, stopped, restored = good[:20], good[20:40], good[40:60]

        async def coded(certificates: Sequence[Certificate]) -> set[tuple[Automation, Route]]:
            await world.publish(world.record(c) for c in certificates)
            await world.settled()
            ids = {c.certificate_id for c in certificates}
            records = [read_coded(world.wire.decode("coded", w.value)) for w in world.results["coded"]]
            return {(r.targeting.automation, r.targeting.route) for r in records if r.certificate_id in ids}

        async def said(automation: Automation, who: str, times: int) -> None:
            await world.announce(AutomationChange(ALL, automation, f"drill {automation}", who, "p", utc_now()))
            await world.until(lambda w: w.log().count(f"drill {automation}") == times)

        await world.start()
        assert {automation for automation, _ in await coded(trusted)} == {Automation.NORMAL}
        await said(Automation.HALTED, "p1", 1)
        assert await coded(stopped[:10]) == {(Automation.HALTED, Route.MANUAL)}
        # An alarm lowers; what it says of less is nothing, and a worker that starts knows before it codes.
        await world.announce(AutomationChange(ALL, Automation.STRICT, "drill stray", "", "p", utc_now()))
        assert await world.terminate() == 0
        await world.start()
        assert await coded(stopped[10:]) == {(Automation.HALTED, Route.MANUAL)}
        await said(Automation.NORMAL, "p1", 1)
        assert {automation for automation, _ in await coded(restored)} == {Automation.NORMAL}
        assert "drill stray" not in world.log()
        assert await world.terminate() == 0
        secrets_kept(world, good)
