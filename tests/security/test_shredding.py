"""A full run on real servers with certificates' own keys: no word leaks, and shredding reaches every topic."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from observability.collector import Collector, collecting
from worker.behaviour import mixed, nothing_lost
from worker.certificates import MARK, samples, spoiled, words
from worker.worlds import RealWorld

from security.keys import full, sealing, secret
from stream.certificate import Certificate, Sealed, read_certificate
from stream.coding import read_coded, read_dead_letter, read_task
from stream.embedded.kafka import KafkaServer
from stream.embedded.ports import Ports
from stream.embedded.triton import TritonServer
from stream.errors import InputError, SealedUnreadable, Shredded
from stream.pipeline.record import place
from stream.reader import records
from stream.registry import SUBJECTS
from stream.sealing.sqlite import SqliteKeyStore
from stream.sealing.vault import Vault

pytestmark = pytest.mark.servers
WORD = re.compile(r"[^\W\d_]{6,}")
PLANTED = "zzplantation"
"""A word that stands in a header of the run's producer, which no record of ours may take over, and in the servers' logs."""
OURS = {
    "the worker's log": "worker",
    "Kafka's log": PLANTED,
    "Triton's log": "underlying",
    "the worker's metrics": "certificates",
    "Triton's metrics": "underlying",
    "spans": "transaction",
    "headers of coded": "traceparent",
    "headers of manual": "traceparent",
    "headers of dead-letters": "traceparent",
    "headers of certificates": PLANTED,
}
"""A word that stands in each: where it is not found, the place was not searched."""


@dataclass
class Opened:
    """What opens of all that lies on the topics with certificates, by topic and certificate."""

    texts: dict[tuple[str, str], bool]

    @property
    def shut(self) -> set[tuple[str, str]]:
        return {one for one, opens in self.texts.items() if not opens}

    @classmethod
    async def of(cls, world: RealWorld, bootstrap: str, vault: Vault) -> Opened:
        found: dict[tuple[str, str], bool] = {}
        async for subject, record in records(world.settings, bootstrap, ["certificates", "manual", "dead-letters"]):
            try:
                value = world.wire.decode(subject, record.value)
            except InputError:
                continue
            for owner, opens in _opened(subject, value, record, vault):
                found[subject, owner] = found.get((subject, owner), False) or opens
        return cls(found)


def _opened(subject: str, value: dict[str, Any], record: Any, vault: Vault) -> Iterator[tuple[str, bool]]:
    """Whose text a record holds sealed, and whether it opens."""
    if subject == "dead-letters":
        letter = read_dead_letter(value)
        if not isinstance(letter.payload, Sealed):
            assert letter.payload is None or not letter.payload
            return
        owner = letter.payload.key_id.partition(":")[2]
        yield owner, _opens(lambda: vault.get([owner]).open_bytes(letter.payload, place(letter.origin), "payload"))
        return
    if subject == "manual":
        task = read_task(value).certificate
        if task is None:
            return
        certificate = task
        assert all(isinstance(line.text, Sealed) for line in (*task.part1, *task.part2))
    else:
        try:
            certificate = read_certificate(value)
        except InputError:
            return
        if not certificate.part1 or not isinstance(certificate.part1[0].text, Sealed):
            return
    yield certificate.certificate_id, _opens(lambda: vault.get([certificate.certificate_id]).open(certificate))


def _opens(attempt: Any) -> bool:
    try:
        attempt()
        return True
    except (Shredded, SealedUnreadable):
        return False


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    with collecting() as collector:
        yield collector


async def test_no_word_leaks_and_a_shredded_certificate_opens_nowhere(
    kafka_server: KafkaServer, triton_server: TritonServer, tmp_path: Path, collector: Collector
) -> None:
    servers = {"Kafka's log": kafka_server.status().log, "Triton's log": triton_server.status().log}
    assert all(map(_log, servers.values()))
    for file in servers.values():  # a server appends, and so its own lines stay as they are
        with file.open("a", encoding="utf-8") as out:
            out.write(f"{PLANTED}\n")
    port = Ports(tmp_path / "ports.json").choose(["metrics"])["metrics"]
    store = tmp_path / "keys.sqlite"
    world = RealWorld(
        kafka_server, triton_server, tmp_path, CAUSA_SEALING__STORE=f"sqlite:///{store}",
        CAUSA_SEALING__KEKS=json.dumps({"k": secret("k").get_secret_value()}), CAUSA_WORKER__METRICS_PORT=str(port),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_BSP_SCHEDULE_DELAY="200",
    )  # fmt: skip
    vault = Vault(sealing("k"), SqliteKeyStore(store))
    try:
        await world.open()
        plain = samples()[:60]
        ring = vault.get_or_make([c.certificate_id for c in plain])
        # A producer that seals sends every second certificate; both forms are coded alike, beside every kind of bad record.
        good = [ring.seal(c) if number % 2 else c for number, c in enumerate(plain)]
        bad = [
            replace(one, key=one.key and one.key + b"-dead")
            for one in spoiled(world.wire)
            if len(one.value or b"") < 1_000_000
        ]
        bad.append(replace(bad[0], key=f"pendaison {MARK}".encode()))  # a producer that keys by text
        sealed_dead = replace(full("sealed-dead"), accident_place="x" * 2_001)
        written, _ = mixed([world.record(c) for c in good], bad)
        written.append(world.record(vault.get_or_make(["sealed-dead"]).seal(sealed_dead)))
        traced = [world.record(good[0]), (bad[0].key, bad[0].value)]
        await world.publish(one for one in written if one not in traced)
        headers = [("traceparent", f"00-{'a' * 32}-{'b' * 16}-01".encode()), (PLANTED, PLANTED.encode())]
        for key, value in traced:
            source = world.settings.kafka.topics.certificates
            await world._producer.send_and_wait(source, value, key=key, headers=headers)
        await world.start()
        await world.settled()
        # The offsets of a transaction may be seen a moment before its records.
        await world.until(lambda w: len(w.results["manual"]) >= len(good) and len(w.results["dead-letters"]) > len(bad))
        nothing_lost(world, good, duplicates=False)
        assert len(world.results["dead-letters"]) == len(bad) + 1

        pages = {
            "the worker's metrics": await asyncio.to_thread(_page, f"http://127.0.0.1:{port}/metrics"),
            "Triton's metrics": await asyncio.to_thread(_page, triton_server.metrics_url),
        }
        assert "causa_coded_total" in pages["the worker's metrics"]
        assert await world.terminate() == 0
        shown = {"the worker's log": world.log(), **pages, "spans": collector.told}
        shown |= {name: _log(file) for name, file in servers.items()}
        shown |= await _headers(world, kafka_server.bootstrap)
        _nothing_leaks(world, plain, shown)

        before = await Opened.of(world, kafka_server.bootstrap, vault)
        assert before.shut == {("certificates", "spoiled")}, "sealed under a key that nobody has"
        topics = [{subject for subject, one in before.texts if one == c.certificate_id} for c in plain]
        doomed = next(c.certificate_id for c, on in zip(plain, topics, strict=True) if on == {"certificates", "manual"})
        assert ("dead-letters", "sealed-dead") in before.texts

        assert vault.shred([doomed, "sealed-dead"], "p7", "sent by mistake") == 2
        after = await Opened.of(world, kafka_server.bootstrap, vault)
        shut = after.shut - before.shut
        assert shut == {one for one in before.texts if one[1] in (doomed, "sealed-dead")} and len(shut) >= 3
        assert set(after.texts) == set(before.texts)

        # Surveillance reads what was coded without any key, the shredded certificate's codes too.
        found = [read_coded(world.wire.decode("coded", w.value)) for w in world.results["coded"]]
        assert {c.certificate_id for c in found} == {c.certificate_id for c in plain}

        # And it stays so: what comes later of a shredded certificate is not read.
        await world.publish([world.record(replace(full(doomed), version=9))])
        await world.start()
        await world.settled()
        assert await world.terminate() == 0
        await world.until(lambda w: len(w.results["dead-letters"]) > len(bad) + 1)
        last = read_dead_letter(world.wire.decode("dead-letters", world.results["dead-letters"][-1].value))
        assert (last.error, last.payload) == ("SHREDDED", None)
    finally:
        await world.close()
        vault.close()


def _log(file: Path) -> str:
    """A server's log, with that of its run before where a test started it again."""
    files = (file.with_name(f"{file.name}.1"), file)
    return "".join(one.read_text(encoding="utf-8", errors="replace") for one in files if one.exists())


def _page(url: str) -> str:
    """A page of metrics. A metric's help is a sentence of ours, in which a certificate's word may stand by itself."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return "\n".join(line for line in answer.read().decode().splitlines() if not line.startswith("#"))


async def _headers(world: RealWorld, bootstrap: str) -> dict[str, str]:
    """Names and values of all record headers, by topic; those of the topics that hold no record are empty."""
    found = {f"headers of {subject}": "" for subject in SUBJECTS}
    async for subject, record in records(world.settings, bootstrap, SUBJECTS):
        found[f"headers of {subject}"] += "".join(f"{name} {value!r}\n" for name, value in record.headers)
    return found


def _leaked(shown: Mapping[str, str], forbidden: set[str]) -> dict[str, set[str]]:
    """Forbidden words that are shown, by place."""
    found = {name: forbidden & set(WORD.findall(text.casefold())) for name, text in shown.items()}
    return {name: leaked for name, leaked in found.items() if leaked}


def _nothing_leaks(world: RealWorld, certificates: list[Certificate], shown: Mapping[str, str]) -> None:
    """No word of a certificate in logs, metrics, spans, headers, keys, nor in the clear of any result but its coded lines."""
    for name, word in OURS.items():
        assert word in _leaked(shown, {word}).get(name, ()), f"{name}: not searched"
    planted = {name for name, word in OURS.items() if word == PLANTED} | {"Triton's log"}
    assert set(_leaked(shown, {PLANTED})) == planted, "where it was planted, and nowhere else"
    told = dict(shown)
    for subject, results in world.results.items():
        for number, one in enumerate(results):
            parts = [str(one.key)]
            value = world.wire.decode(subject, one.value)
            if subject == "dead-letters":
                parts += _values({key: item for key, item in value.items() if key != "payload"})
            if subject == "manual":  # an enumeration's word is no text
                parts += _values({**(value["certificate"] or {}), "manner": ""})
            assert subject == "coded" or MARK.encode() not in one.value
            told[f"{subject} {number}"] = "\n".join(parts)
    assert _leaked(told, words([*certificates, full()]) | {MARK}) == {}


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item)
    else:
        yield str(value)
