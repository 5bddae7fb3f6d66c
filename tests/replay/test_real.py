"""Replay, recode, repair and trace on real Kafka and Triton, by the commands, killed in the middle."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from shared import LONG
from worker.certificates import samples, words
from worker.worlds import RealWorld

from replay.commands import Commands, warmed
from stream.certificate import certificate_json
from stream.coding import CodedCertificate, Modality, coded_record, read_coded, supersedes
from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.replay.broker import Record
from stream.replay.kafka_broker import KafkaBroker
from stream.settings import Settings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900 if LONG else 240)]
GROUPS = re.compile(r"audit_rate: [0-9.]+")


class Shell:
    """The commands, over the topics of a world of real servers."""

    def __init__(self, world: RealWorld, bootstrap: str, folder: Path, commands: Commands) -> None:
        self.world, self.folder, self.commands = world, folder, commands
        self.broker = KafkaBroker(Settings(), bootstrap)
        self._variables = {
            **world._variables, "CAUSA_WORKER__GROUP": world._run, "CAUSA_REPLAY__BATCH_MAX": "8", "CAUSA_REPLAY__NICE": "0",
            "CAUSA_REPLAY__PEOPLE": str(folder / "people.tsv"), "COLUMNS": "200",
        }  # fmt: skip

    async def run(self, *command: str, alone: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command to its end, or to its death."""
        given = {**self._variables, **variables}
        return await asyncio.to_thread(self.commands.run, command, self.folder, given, alone=alone)

    async def records(self, topic: str) -> list[Record]:
        """All records of a topic."""
        found: list[Record] = []
        for partition, (start, end) in (await self.broker.bounds(topic)).items():
            async for batch in self.broker.read(topic, partition, start, end):
                found += batch
        return found

    async def coded(self, topic: str) -> list[CodedCertificate]:
        """Results of a topic."""
        return [read_coded(self.world.wire.decode("coded", r.value)) for r in await self.records(topic)]

    def topic(self, subject: str) -> str:
        """Name of a subject's topic."""
        return self.world._topics[subject]


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with warmed() as found:
        yield found


@pytest.fixture
async def shell(
    kafka_server: KafkaServer, triton_server: TritonServer, commands: Commands, tmp_path: Path
) -> AsyncIterator[Shell]:
    world = RealWorld(kafka_server, triton_server, tmp_path)
    if not LONG:
        world.settings.kafka.partitions = 2  # each is a transactional producer of every command
    try:
        await world.open()
        yield Shell(world, kafka_server.bootstrap, tmp_path, commands)
    finally:
        await world.close()


async def test_from_replay_to_recode_with_kills(shell: Shell) -> None:
    world = shell.world
    certificates = samples() if LONG else samples()[:60]
    await world.publish(world.record(c) for c in certificates)
    broken = (b"broken-1", b"no frame at all")
    await world.publish([broken])
    await world.start()
    await world.settled()
    name = f"all-{world._run}"

    # Nothing happens without --execute.
    planned = await shell.run("replay", "run", name, alone=LONG)
    assert planned.returncode == 0, planned.stderr
    assert "coder-1+" in planned.stdout
    assert not [t for t in await shell.broker.topics() if name in t]

    # Killed amid results, amid offsets, behind a commit; then to its end.
    points = ("before-offsets:kill:2", "after-commit:kill:4", "mid-produce:kill:3", "after-offsets:kill:3")
    for point in points if LONG else points[:1]:
        died = await shell.run("replay", "run", name, "--execute", CAUSA_FAILPOINT=point)
        assert died.returncode == -9, died.stderr
    done = await shell.run("replay", "run", name, "--execute", "--check-identity", alone=LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"written {len(certificates)} + dead 1" in done.stdout
    assert f"identity: {len(certificates)} identical" in done.stdout
    results = await shell.coded(f"replay.{name}")
    assert sorted(c.certificate_id for c in results) == sorted(c.certificate_id for c in certificates)

    # Another policy: every certificate is drawn for the audit.
    policy = shell.folder / "policy.yaml"
    policy.write_text(GROUPS.sub("audit_rate: 1.0", Settings().policy.read_text(encoding="utf-8")), encoding="utf-8")
    other = f"audit-{world._run}"
    played = await shell.run("replay", "run", other, "--policy", str(policy), "--route", "AUTO", "--execute")
    assert played.returncode == 0, played.stdout + played.stderr
    compared = await shell.run("replay", "diff", other, "-o", "report")
    assert compared.returncode == 0, compared.stderr
    report = json.loads((shell.folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["changes"]["audit"] > 0

    # Two people agree; one of the results is a person's by then.
    await recoded(shell, other, report["compared"])

    # The history of one of them holds all of it, and no text.
    chosen = next(c for c in await shell.coded(shell.topic("coded")) if c.revision == 1).certificate_id
    exported = await shell.run("trace", "show", chosen, "--export", "export", "--key", "anne.pem", "--as", "anne")
    assert exported.returncode == 0, exported.stderr
    spoken = words(c for c in certificates if c.certificate_id == chosen)
    lines = (shell.folder / "export" / "events.jsonl").read_text(encoding="utf-8")
    assert not [word for word in spoken if word in lines.casefold()]
    assert "recode approved as" in exported.stdout
    checked = await shell.run("trace", "verify", "export", "--key", "anne.pem.pub")
    assert checked.returncode == 0, checked.stderr
    (shell.folder / "export" / "events.jsonl").write_text(lines.replace("AUTO", "MANUAL"), encoding="utf-8")
    assert (await shell.run("trace", "verify", "export", "--key", "anne.pem.pub")).returncode == 1

    await repaired(shell)
    assert await world.terminate() == 0


async def recoded(shell: Shell, run: str, number: int) -> None:
    world = shell.world
    keys = [await shell.run("recode", "key", f"{who}.pem") for who in ("anne", "bea")]
    rows = [f"{who}\tpropose approve\t{key.stdout.strip()}" for who, key in zip(("anne", "bea"), keys, strict=True)]
    (shell.folder / "people.tsv").write_text("name\troles\tkey\n" + "\n".join(rows) + "\n", encoding="utf-8")
    before = {c.certificate_id: c for c in await shell.coded(f"replay.{run}")}
    decided = next(iter(before.values()))
    human = replace(decided, modality=Modality.HUMAN, underlying=replace(decided.underlying, code="R99"))
    value = world.wire.encode("coded", coded_record(human))
    await world._producer.send_and_wait(shell.topic("coded"), value, key=decided.certificate_id.encode())

    early = await shell.run("recode", "publish", run, "--execute")
    assert early.returncode == 2
    proposed = await shell.run("recode", "propose", run, "--key", "anne.pem", "--as", "anne")
    assert proposed.returncode == 0, proposed.stderr
    assert (await shell.run("recode", "approve", run, "--key", "anne.pem", "--as", "anne")).returncode == 2
    assert (await shell.run("recode", "approve", run, "--key", "anne.pem", "--as", "bea")).returncode == 2
    assert (await shell.run("recode", "approve", run, "--key", "bea.pem", "--as", "bea")).returncode == 0
    there = len(await shell.records(shell.topic("coded")))
    for point in ("after-offsets:kill:2", "mid-produce:kill:2")[: 2 if LONG else 1]:
        died = await shell.run("recode", "publish", run, "--execute", CAUSA_FAILPOINT=point)
        assert died.returncode == -9, died.stderr
    done = await shell.run("recode", "publish", run, "--execute", "--as", "anne", alone=LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    coded = await shell.coded(shell.topic("coded"))
    new = [c for c in coded if c.revision == 1]
    assert len(new) == len({c.certificate_id for c in new}) == len(coded) - there
    assert f"published {len(new):,} of {number:,}" in done.stdout
    assert "1  left alone: a person decided" in done.stdout
    assert decided.certificate_id not in {c.certificate_id for c in new}
    standing: dict[str, CodedCertificate] = {}
    for one in coded:
        if one.certificate_id not in standing or supersedes(one, standing[one.certificate_id]):
            standing[one.certificate_id] = one
    assert standing[decided.certificate_id].modality is Modality.HUMAN


async def repaired(shell: Shell) -> None:
    """The broken record, mended once, though its first repair dies behind the commit."""
    good = replace(samples("~mended")[0], certificate_id="broken-1")
    listed = await shell.run("repair", "list")
    place = re.search(r"(\S+/0/\d+)", listed.stdout)
    assert place is not None, listed.stdout
    line = json.dumps({"letter": place[1], "certificate": certificate_json(good)})
    (shell.folder / "mended.jsonl").write_text(line + "\n", encoding="utf-8")
    assert (await shell.run("repair", "fix", "mended.jsonl")).returncode == 0
    for point in ("mid-produce:kill:1", "after-commit:kill:1")[0 if LONG else 1 :]:  # behind a commit it is mended
        assert (await shell.run("repair", "fix", "mended.jsonl", "--execute", CAUSA_FAILPOINT=point)).returncode == -9
    again = await shell.run("repair", "fix", "mended.jsonl", "--execute")
    assert again.returncode == 1
    assert "it is mended" in again.stderr
    injected = [r for r in await shell.records(shell.topic("certificates")) if r.header("causa-repair-of") == place[1]]
    assert len(injected) == 1
    # Behind it stands the marker of its transaction, so that offsets alone do not tell when it is coded.
    await shell.world.until(lambda world: any(record.key == b"broken-1" for record in world.results["coded"]))
    assert [c.certificate_id for c in await shell.coded(shell.topic("coded"))].count("broken-1") == 1


@pytest.mark.skipif(not LONG, reason="in the long form: CAUSA_LONG=1, or make chaos")
async def test_another_installation_speaks(shell: Shell) -> None:
    """Driven over its command: this very interpreter says what the workers said, but for what only Kafka knows."""
    world = shell.world
    await world.publish(world.record(c) for c in samples()[:40])
    await world.publish([(b"broken", b"no frame")])
    await world.start()
    await world.settled()
    name = f"other-{world._run}"
    done = await shell.run("replay", "run", name, "--with", sys.executable, "--execute", "--check-identity")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identity: 40 identical" in done.stdout
    assert "dead 1" in done.stdout
    await world.terminate()
