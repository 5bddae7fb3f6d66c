from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared import LONG
from worker.certificates import samples

from replay.world import NOW, World
from stream.certificate import Certificate, certificate_json, certificate_record
from stream.cli import repair as command
from stream.cli.trace import desk_log
from stream.errors import InvalidSettings, Overtaken
from stream.replay import signing
from stream.replay.letters import TOPIC, Mended, exported, letters, read
from stream.replay.repairing import planned, repair


async def broken(number: int = 3) -> tuple[World, list[Mended]]:
    """Certificates that came without their frames, and what they should have been."""
    world = World()
    certificates = samples()[:number]
    records = [world.broker.write("certificates", b"?" * 9, c.certificate_id.encode()) for c in certificates]
    await world.live(records)
    found = [one async for one in letters(world.desk)]
    by_key = {one.letter.key: one.place for one in found}
    return world, [Mended(by_key[c.certificate_id.encode()], c) for c in certificates]


def injected(world: World) -> list[tuple[str, str]]:
    """Certificates that a repair wrote: id, and the letter that it is of."""
    found = [r for r in world.broker.all("certificates") if r.header("causa-repair-of")]
    return sorted(((r.key or b"").decode(), r.header("causa-repair-of")) for r in found)


class TestRepair:
    async def test_once_with_its_provenance(self) -> None:
        world, mended = await broken()
        plan = await planned(world.desk, mended)
        assert set(plan.injected) == {one.letter for one in mended}
        done = await repair(world.desk, mended, "anne", clock=lambda: NOW)
        assert set(done.injected) == {one.letter for one in mended}
        assert injected(world) == sorted((one.certificate.certificate_id, one.letter) for one in mended)
        record = next(r for r in world.broker.all("certificates") if r.header("causa-repair-of"))
        assert (record.header("causa-repair-by"), record.header("causa-repair-error")) == ("anne", "BAD_FRAME")
        assert record.header("causa-repair-at") == NOW.isoformat()
        await world.live([r for r in world.broker.all("certificates") if r.header("causa-repair-of")])
        assert len(world.coded()) == len(mended)
        assert all([one.mended is not None async for one in letters(world.desk)])

    async def test_a_second_time_is_refused(self) -> None:
        world, mended = await broken()
        await repair(world.desk, mended[:1], "anne")
        again = await repair(world.desk, mended, "bea")
        assert again.before == (mended[0].letter,)
        assert len(again.injected) == 2
        assert len(injected(world)) == 3

    async def test_no_letter_no_repair(self) -> None:
        world, mended = await broken()
        lost = replace(mended[0], letter="dead-letters/0/99")
        done = await repair(world.desk, [lost], "anne")
        assert (done.injected, done.unknown) == ((), (lost.letter,))

    @given(st.lists(st.sampled_from(["", "lost", "late"]), max_size=5))
    @settings(deadline=None, max_examples=40 if LONG else 8)
    def test_whatever_becomes_of_commits_each_is_injected_once(self, faults: list[str]) -> None:
        async def run() -> None:
            world, mended = await broken()
            world.broker.faults = list(faults)
            done = await repair(world.desk, mended, "anne", retry_s=0.001)
            assert set(done.injected) == {one.letter for one in mended}
            assert len(injected(world)) == len(world.broker.all(TOPIC)) == 3

        asyncio.run(run())

    async def test_two_at_once(self) -> None:
        world, mended = await broken()
        world.broker.faults = ["fenced"]
        with pytest.raises(Overtaken):
            await repair(world.desk, mended, "anne")
        await repair(world.desk, mended, "bea")
        assert len(injected(world)) == 3


class TestFile:
    def lines(self, mended: Sequence[Mended]) -> list[str]:
        return [json.dumps({"letter": m.letter, "certificate": certificate_json(m.certificate)}) for m in mended]

    async def test_lines_that_cannot_be_are_refused_without_quoting_them(self) -> None:
        world, mended = await broken()
        lines = [
            *self.lines(mended), *self.lines(mended[:1]), "{", '{"letter": "x"}', '{"letter": "x", "certificate": null}',
            '{"letter": "x", "certificate": {"certificate_id": "secret word"}}', "",
        ]  # fmt: skip
        found, refused = read(lines, world.desk)
        assert found == mended
        assert [one.line for one in refused] == [4, 5, 6, 7, 8]
        assert not any("secret" in one.why for one in refused)

    async def test_what_is_exported_can_be_mended_and_read(self) -> None:
        world = World()
        good: Certificate = samples()[0]
        long = certificate_record(replace(good, part1=(replace(good.part1[0], text="x" * 3000),)))
        await world.live([world.broker.write("certificates", world.desk.wire.encode("certificates", long), b"k")])
        (letter,) = [one async for one in letters(world.desk, errors=frozenset(["OVERSIZED_TEXT"]))]
        line = await exported(world.desk, letter)
        assert line["certificate"]["certificate_id"] == good.certificate_id
        line["certificate"]["part1"][0]["text"] = "embolie pulmonaire"
        found, refused = read([json.dumps(line)], world.desk)
        assert (len(found), refused) == (1, [])
        await world.live([world.broker.write("certificates", b"?", b"k")])
        (other,) = [one async for one in letters(world.desk, errors=frozenset(["BAD_FRAME"]))]
        assert (await exported(world.desk, other))["certificate"] is None

    async def test_what_is_given_out_is_logged_for_one_user_and_comes_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world = World()
        good = samples()[0]
        odd = replace(good, part1=(replace(good.part1[0], text="x" * 3000 + "\u2028\x85 cancer"),))
        value = world.desk.wire.encode("certificates", certificate_record(odd))
        await world.live([world.broker.write("certificates", value, good.certificate_id.encode())])
        key, people = tmp_path / "anne.pem", tmp_path / "people.tsv"
        people.write_text(f"name\troles\tkey\nanne\ttext\t{signing.make_key(key)}\n")
        own = world.settings.model_copy(update={"home": tmp_path})
        monkeypatch.setattr(command, "_desk", lambda _, **__: world.desk)
        monkeypatch.setattr(command, "load", lambda: own)
        path = tmp_path / "letters.jsonl"
        # Typer's command is a plain function; it runs a loop of its own.
        for file, one, who in ((None, key, "anne"), (people, None, "anne"), (people, key, "bea")):
            own.replay = own.replay.model_copy(update={"people": file})
            with pytest.raises(InvalidSettings):  # a name alone proves nobody
                await asyncio.to_thread(command.export, path, error=None, text=True, key=one, who=who)
        assert not path.exists()
        await asyncio.to_thread(command.export, path, error=None, text=True, key=key, who="anne")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with desk_log(own) as log:
            (row,) = log.entries()
        assert (row.who, row.act, row.certificate_id) == ("anne", "CERTIFICATE_SEEN", good.certificate_id)
        path.write_text(path.read_text(encoding="utf-8").replace("x" * 3000, "", 1), encoding="utf-8")
        assert await command._fix(own, command.rows(path), execute=False, who="anne") == 0
        other = path.read_text(encoding="utf-8").replace(good.certificate_id, "another")
        capsys.readouterr()
        assert await command._fix(own, other.split("\n"), execute=True, who="anne") == 1
        assert "refused: INVALID_CERTIFICATE: the id is not the key" in capsys.readouterr().err
        assert injected(world) == []
        assert await command._fix(own, other.split("\n"), execute=True, who="anne", other_ids=True) == 0
