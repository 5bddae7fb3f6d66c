"""Each command against a broker that asks who one is, with the credentials of its own role and no others."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from security.test_secure_servers import Secure, _given, secured
from shared import LONG
from worker.certificates import samples
from worker.worlds import RealWorld

from replay.commands import Commands, warmed
from replay.test_real import GROUPS
from stream import acl, topics
from stream.certificate import certificate_json
from stream.embedded.secure import ADMINISTRATOR
from stream.replay.run import Run
from stream.settings import Settings

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not LONG, reason="in the long form: CAUSA_LONG=1, or make chaos"),
    pytest.mark.timeout(1800),
]
ROLES = ("worker", "replay", "recode", "repair", "trace", "operator")
PASSWORDS = {f"causa-{role}": f"hunter2-{role}" for role in ROLES}
LOGINS = {"replay": "LOGIN", "recode": "RECODE_LOGIN", "repair": "REPAIR_LOGIN", "trace": "TRACE_LOGIN"}


@pytest.fixture(scope="module")
def secure(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    with secured(tmp_path_factory.mktemp("rights"), PASSWORDS) as servers:
        yield servers


@dataclass
class Office:
    """Runs commands in the name of roles, over the topics of a world."""

    secure: Secure
    world: RealWorld
    folder: Path
    commands: Commands

    async def run(self, role: str, *command: str, live: str = "") -> subprocess.CompletedProcess[str]:
        """A command with a role's login; that of the process itself is nobody's, or `live`'s."""
        user = f"causa-{role}"
        variables = {
            **self.world._variables, "CAUSA_WORKER__GROUP": self.world._run, "CAUSA_REPLAY__NICE": "0",
            "CAUSA_REPLAY__PEOPLE": str(self.folder / "people.tsv"), "COLUMNS": "200",
            "CAUSA_KAFKA__SASL__USERNAME": f"causa-{live}" if live else "nobody",
            "CAUSA_KAFKA__SASL__PASSWORD": PASSWORDS.get(f"causa-{live}", "none"),
        }  # fmt: skip
        for name in LOGINS.values():
            own = f"CAUSA_REPLAY__{name}"
            variables |= {
                f"{own}__MECHANISM": "SCRAM-SHA-512", f"{own}__USERNAME": user, f"{own}__PASSWORD": PASSWORDS[user]
            }  # fmt: skip
        print(f"{role}:", end=" ")  # noqa: T201 - for whoever looks at a failure
        return await asyncio.to_thread(self.commands.run, command, self.folder, variables)

    async def done(self, role: str, *command: str, live: str = "") -> str:
        """Likewise; fails the test where it fails."""
        found = await self.run(role, *command, live=live)
        assert found.returncode == 0, f"{role}: {command}\n{found.stdout}{found.stderr}"
        assert "hunter2" not in found.stdout + found.stderr
        return found.stdout

    async def refused(self, role: str, *places: str) -> None:
        """A role may write to none of some topics, by itself or in a transaction of the live workers'."""
        options = self.secure.options(f"causa-{role}", password=PASSWORDS[f"causa-{role}"])
        for place in places:
            producer = AIOKafkaProducer(**options)
            await producer.start()
            try:
                with pytest.raises(TopicAuthorizationFailedError):
                    await producer.send_and_wait(place, b"forged", key=b"c")
            finally:
                await producer.stop()
        thief = AIOKafkaProducer(**options, transactional_id=f"{self.world._run}-0")
        with pytest.raises(KafkaError):
            await thief.start()
        await thief.stop()


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with warmed() as found:
        yield found


@pytest.fixture
async def office(secure: Secure, commands: Commands, tmp_path: Path) -> AsyncIterator[Office]:
    variables = secure.variables("causa-worker", PASSWORDS["causa-worker"])
    world = RealWorld(secure.kafka, secure.triton, tmp_path, **variables)
    world._options = secure.options(ADMINISTRATOR)
    world.settings.worker.group = world._run
    world.settings.kafka.partitions = 2
    await topics.create(world._options, topics.declared(world.settings), 1)
    declared = acl.declared(world.settings)
    await acl.grant(world._options, declared)
    await _given(world._options, declared)
    await world.open()
    try:
        yield Office(secure, world, tmp_path, commands)
    finally:
        await world.close()


async def test_every_command_with_its_own_role_alone(office: Office) -> None:
    world, folder = office.world, office.folder
    names = world.settings.kafka.topics
    certificates = samples()[:40]
    await world.publish(map(world.record, certificates))
    await world.publish([(b"broken-1", b"no frame")])
    await world.start()
    await world.settled()
    assert await world.terminate() == 0

    # Replay: of each source, compared, listed; it writes to its own topics alone.
    run = Run(f"all-{world._run}", world._run)
    told = await office.done("replay", "replay", "run", run.name, "--execute", "--check-identity")
    assert f"identity: {len(certificates)} identical" in told
    await office.done(
        "replay", "replay", "run", f"coded-{world._run}", "--from", "coded", "--execute", "--trust", "now"
    )
    await office.done("replay", "replay", "run", f"dead-{world._run}", "--from", "dead-letters", "--execute")
    policy = folder / "policy.yaml"
    policy.write_text(GROUPS.sub("audit_rate: 1.0", Settings().policy.read_text(encoding="utf-8")), encoding="utf-8")
    audited = f"audit-{world._run}"
    await office.done("replay", "replay", "run", audited, "--policy", str(policy), "--execute")
    await office.done("replay", "replay", "diff", audited, "-o", "report")
    assert audited in await office.done("replay", "replay", "list")
    await office.refused("replay", *names.model_dump().values())

    # Recode: two people agree, the role publishes; certificates and corrections are not its to write.
    keys = {who: await office.done("recode", "recode", "key", f"{who}.pem") for who in ("anne", "bea")}
    rows = [f"{who}\tpropose approve text\t{key.strip()}" for who, key in keys.items()]
    (folder / "people.tsv").write_text("name\troles\tkey\n" + "\n".join(rows) + "\n", encoding="utf-8")
    await office.done("recode", "recode", "plan", audited)
    await office.done("recode", "recode", "propose", audited, "--key", "anne.pem", "--as", "anne")
    await office.done("recode", "recode", "approve", audited, "--key", "bea.pem", "--as", "bea")
    published = await office.done("recode", "recode", "publish", audited, "--execute")
    assert re.search(r"published [1-9]\d* of 40 results", published), published
    assert "nothing is left to do" in await office.done("recode", "recode", "publish", audited, "--execute")
    await office.refused("recode", names.certificates, names.corrections, names.automation, names.dead_letters)

    # Repair: lists, gives out, plans, mends.
    listed = await office.done("repair", "repair", "list")
    place = re.search(r"(\S+/0/\d+)", listed)
    assert place is not None, listed
    await office.done("repair", "repair", "export", "letters.jsonl", "--text", "--key", "anne.pem", "--as", "anne")
    good = replace(samples("~mended")[0], certificate_id="broken-1")
    line = json.dumps({"letter": place[1], "certificate": certificate_json(good)})
    (folder / "mended.jsonl").write_text(line + "\n", encoding="utf-8")
    await office.done("repair", "repair", "fix", "mended.jsonl")
    await office.done("repair", "repair", "fix", "mended.jsonl", "--execute")
    await office.refused(
        "repair", names.coded, names.manual, names.corrections, names.automation, names.dead_letters, run.results
    )

    # Trace: sees all of it, and writes nothing.
    chosen = certificates[0].certificate_id
    told = await office.done("trace", "trace", "show", chosen, "--text", "--key", "anne.pem", "--as", "anne")
    assert "recode approved as" in told
    mended = await office.done("trace", "trace", "show", "broken-1", "--export", "export", "--key", "anne.pem")
    assert "mended by" in mended
    looked = json.loads((folder / "export" / "manifest.json").read_text(encoding="utf-8"))["looked"]
    assert {*names.model_dump().values()} - {names.alerts} <= looked.keys()
    assert {run.results, run.manifest, "replay.repairs"} <= looked.keys()
    await office.refused("trace", *names.model_dump().values(), run.results, "replay.repairs")

    # Away it goes: read as a replay, deleted by the operator, who may not read it; a replay may not delete.
    forbidden = await office.run("replay", "replay", "drop", run.name, "--execute", live="replay")
    assert forbidden.returncode != 0
    assert "TopicAuthorizationFailed" in forbidden.stderr
    await office.refused("operator", names.coded, names.certificates, run.results)
    await office.done("replay", "replay", "drop", run.name, "--execute", live="operator")
    assert run.name not in await office.done("replay", "replay", "list")

    # One role's login does not do another's work.
    (folder / "mended.jsonl").write_text(line.replace(place[1], f"{names.dead_letters}/0/0") + "\n", encoding="utf-8")
    for role, command in (
        ("trace", ("recode", "propose", f"coded-{world._run}", "--key", "anne.pem", "--as", "anne")),
        ("trace", ("replay", "run", f"new-{world._run}", "--execute")),
        ("repair", ("trace", "show", chosen)),
        ("recode", ("repair", "fix", "mended.jsonl", "--execute")),
    ):
        assert (await office.run(role, *command)).returncode != 0, (role, command)
