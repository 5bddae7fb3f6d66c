"""Certificates whose text is sealed, by their producers or by the workers, through replay, recode, repair and trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from security.keys import sealing
from worker.certificates import samples, texts, words

from replay.world import NOW, OTHER_WORDS, RUN, World, voice
from stream.certificate import Certificate, Sealed, read_certificate
from stream.coding import Route, TaskState, read_task
from stream.hiding import hidden, plain
from stream.pipeline.record import place
from stream.replay import export
from stream.replay.history import history, within
from stream.replay.identity import same_versions
from stream.replay.letters import Mended, exported, letters, read
from stream.replay.looking import Looking
from stream.replay.opening import opened
from stream.replay.publishing import Publisher
from stream.replay.recode import Fate
from stream.replay.repairing import planned, repair
from stream.replay.shell import desk_of, measured
from stream.sealing.store import MemoryKeyStore
from stream.sealing.vault import Vault
from stream.settings import Settings


class Sealing(World):
    """Topics in memory, beside them a key store in memory."""

    def __init__(self) -> None:
        super().__init__(settings=Settings(sealing=sealing("a")))
        self.store = MemoryKeyStore()
        self.vault = self.desk.vault = Vault(self.settings.sealing, self.store)

    def sealed(self, certificates: Sequence[Certificate]) -> list[Certificate]:
        """As producers that have the keys seal them."""
        ring = self.vault.get_or_make([c.certificate_id for c in certificates])
        return [ring.seal(c) for c in certificates]

    async def coded_live(self, number: int = 20) -> list[Certificate]:
        """Sealed certificates and some that no worker can read, coded; the sealed ones in the clear."""
        certificates = samples()[:number]
        records = self.publish(self.sealed(certificates))
        records += [
            self.broker.write("certificates", b"?" * 9, b"broken"),
            self.broker.write("certificates", b"?", b" "),
        ]
        long = replace(certificates[0], certificate_id="long")
        long = replace(long, part1=(replace(long.part1[0], text="cancer " * 500),))
        records += self.publish(self.sealed([long]))
        await self.live(records, speaker=voice(keys=self.vault))
        return certificates

    def written(self) -> bytes:
        """All values of all topics."""
        return b"".join(record.value or b"" for log in self.broker.logs.values() for record in log)


def spoken(certificates: Sequence[Certificate]) -> list[bytes]:
    """Words of the certificates as they would stand in a value."""
    found = {word for c in certificates for text in texts(c) for word in text.split() if len(word) > 7}
    return [word.encode() for word in found]


@pytest.fixture
def world() -> Sealing:
    return Sealing()


async def test_a_replay_says_the_same_and_nothing_in_the_clear(world: Sealing) -> None:
    certificates = await world.coded_live()
    plan, feed = await world.plan()
    found = await world.play(plan, feed, voice(keys=world.vault))
    assert (found.faults, found.tally.written, found.tally.dead) == ([], 20, 3)
    verdict = await same_versions(world.desk, RUN, plan)
    assert (verdict.holds, verdict.identical) == (True, 20)
    assert {letter.error for letter in world.dead(RUN.dead)} == {letter.error for letter in world.dead("dead-letters")}
    assert all(isinstance(letter.payload, Sealed) for letter in world.dead(RUN.dead))
    assert not [word for word in spoken(certificates) if word in world.written()]


async def test_dead_letters_are_opened_and_sealed_again(world: Sealing) -> None:
    await world.coded_live(4)
    plan, feed = await world.plan("dead-letters")
    found = await world.play(plan, feed, voice(keys=world.vault))
    assert (found.faults, found.tally.dead) == ([], 3)
    before = {letter.origin: letter for letter in world.dead("dead-letters")}
    for letter in world.dead(RUN.dead):
        ring = world.vault.get(["broken", "long", f"record {place(letter.origin)}"])
        assert isinstance(letter.payload, Sealed)
        assert letter.error == before[letter.origin].error
        value = ring.open_bytes(letter.payload, place(letter.origin), "payload")
        (source,) = [r for r in world.broker.all("certificates") if r.origin == letter.origin]
        assert value == source.value


async def test_shredded_certificates_have_no_results_and_no_tasks(world: Sealing) -> None:
    certificates = await world.coded_live()
    gone = [c.certificate_id for c in certificates[:5]]
    world.vault.shred(gone[:3], "op", "asked for")
    plan, feed = await world.plan()
    found = await world.play(plan, feed, voice(OTHER_WORDS, version="memory-2", keys=world.vault))
    assert (found.faults, found.tally.dead) == ([], 6)
    shredded = [letter for letter in world.dead(RUN.dead) if letter.error == "SHREDDED"]
    assert sorted((letter.key or b"").decode() for letter in shredded) == sorted(gone[:3])
    assert all(letter.payload is None for letter in shredded)
    # Between replay and recode two more are.
    world.vault.shred(gone[3:], "op", "asked for")
    before = len(world.broker.all("manual"))
    total = await Publisher(world.desk, RUN, {}, everything=True, approval="a", clock=lambda: NOW).publish()
    results = {c.certificate_id: c for c in world.coded(RUN.results)}
    wanting = sum(results[n].targeting.route is Route.MANUAL or results[n].targeting.audit for n in gone[3:])
    assert (total[Fate.REVISED], total[Fate.GONE]) == (17 - wanting, wanting)
    for record in world.broker.all("manual"):
        task = read_task(world.desk.wire.decode("manual", record.value))
        if task.revision != 1 or task.state is not TaskState.OPEN:
            continue
        assert task.certificate is not None
        assert all(isinstance(line.text, Sealed) for line in task.certificate.part1)
        plain_one = world.vault.get([task.certificate_id]).open(task.certificate)
        assert plain_one == next(c for c in certificates if c.certificate_id == task.certificate_id)
    assert len(world.broker.all("manual")) == before + total[Fate.REVISED]
    assert not [word for word in spoken(certificates) if word in world.written()]


async def test_a_trace_opens_for_whoever_may_and_for_nobody_else(world: Sealing) -> None:
    (one, *_) = await world.coded_live(5)
    await world.replayed(voice(keys=world.vault))
    for name in (one.certificate_id, "long", "broken"):
        found = await history(world.broker, world.desk.wire, world.desk.topics, name)
        assert found.events
        shown = _shown(within(found.events, hidden)), _shown(await opened(world.desk, found.events))
        if name == one.certificate_id:
            assert not [word for word in words([one]) if word in shown[0]]
            assert [word for word in words([one]) if word in shown[1]]
    made = len(world.store._rows)
    world.vault.shred([one.certificate_id], "op", "asked for")
    found = await history(world.broker, world.desk.wire, world.desk.topics, one.certificate_id)
    assert not [word for word in words([one]) if word in _shown(await opened(world.desk, found.events))]
    assert len(world.store._rows) == made


def _shown(events: Sequence[object]) -> str:
    return json.dumps([export.line(one, 1, plain) for one in events], ensure_ascii=False).casefold()  # type: ignore[arg-type]


async def test_letters_are_mended_one_by_one(world: Sealing) -> None:
    """One was shredded since: it stays dead, is told with its code, and the others go on."""
    await world.coded_live(3)
    certificates = samples()[3:7]
    long = [replace(c, part1=(replace(c.part1[0], text="cancer " * 500),)) for c in certificates]
    await world.live(world.publish(world.sealed(long)), speaker=voice(keys=world.vault))
    found = {
        (one.letter.key or b"").decode(): one async for one in letters(world.desk, errors=frozenset(["OVERSIZED_TEXT"]))
    }
    lines = [await exported(world.desk, found[c.certificate_id]) for c in certificates]
    for line, certificate in zip(lines, certificates, strict=True):
        assert line["certificate"]["part1"][0]["text"].startswith("cancer cancer")
        line["certificate"]["part1"][0]["text"] = certificate.part1[0].text
    lines[1]["certificate"]["certificate_id"] = "another"
    world.vault.shred([certificates[0].certificate_id], "op", "asked for")
    assert (await exported(world.desk, found[certificates[0].certificate_id]))["unreadable"] == "SHREDDED"
    mended, refused = read([json.dumps(line) for line in lines], world.desk)
    assert not refused
    made = len(world.store._rows)
    expected = {mended[0].letter: "SHREDDED", mended[1].letter: "INVALID_CERTIFICATE"}
    plan = await planned(world.desk, mended)
    assert {one.letter: one.code for one in plan.unfit} == expected
    assert len(world.store._rows) == made
    done = await repair(world.desk, mended, "anne")
    assert (plan.injected, plan.unfit) == (done.injected, done.unfit)
    assert set(done.injected) == {one.letter for one in mended[2:]}
    assert done.refused
    injected = [r for r in world.broker.all("certificates") if r.header("causa-repair-of")]
    for record in injected:
        value = read_certificate(world.desk.wire.decode("certificates", record.value))
        assert isinstance(value.part1[0].text, Sealed)
    # An id that may be another goes through; text that was shredded does not come back under it.
    again = await repair(world.desk, mended[:2], "anne", other_ids=True)
    assert (again.injected, [one.code for one in again.unfit]) == ((mended[1].letter,), ["SHREDDED"])
    other = replace(mended[0].certificate, certificate_id="somebody")
    hidden_one = await repair(world.desk, [Mended(mended[0].letter, other)], "anne", other_ids=True)
    assert [one.code for one in hidden_one.unfit] == ["SHREDDED"]


async def test_a_plan_makes_no_key(world: Sealing) -> None:
    """Certificates from before there were keys: a plan's sample is sealed under keys that end with it."""
    await world.live(world.publish(samples()[:10]))
    world.broker.write("certificates", b"?", b"broken")
    looking = Vault(world.settings.sealing, Looking(world.store))
    plan, feed = await world.plan()
    plan = await measured(world.desk, plan, feed, voice(keys=looking))
    assert plan.speed
    assert world.store._rows == {}
    world.vault.get_or_make(["k"])
    assert looking.get(["k", "none"])._keys.keys() == {"k"}
    assert looking.get_or_make(["k"])._keys.keys() == {"k"}


def test_a_look_makes_no_file_of_keys(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, sealing=sealing("a"))
    looking = desk_of(settings, World().broker, looking=True).vault
    assert looking is not None
    assert looking.get_or_make(["k"])._keys.keys() == {"k"}
    assert looking.get(["none"])._keys == {}
    assert list(tmp_path.rglob("*")) == []
    real = desk_of(settings, World().broker).vault
    assert real is not None
    real.get_or_make(["other"])
    assert looking.get(["other"])._keys.keys() == {"other"}, "once there is one it is read"
