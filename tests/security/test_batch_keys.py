"""A micro-batch with certificates' own keys: one trip to the store, everything sealed, a store that is away holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.core import ORIGIN, SCHEMAS, WIRE
from structlog.testing import capture_logs
from worker.askers import coder, ranker

from security.keys import SECRETS, full, sealing
from stream.certificate import Certificate, Line, Sealed, Status, certificate_record
from stream.coder.model import MemoryModel
from stream.coding import Origin, read_dead_letter, read_task
from stream.errors import KeysUnavailable
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming
from stream.sealing.store import MemoryKeyStore
from stream.sealing.vault import Vault
from stream.settings import Settings
from stream.worker.batch import BatchProcessor

assert SCHEMAS and ORIGIN
SETTINGS = Settings(sealing=sealing("k", static="old"), thresholds=None)
CORE = Core(WIRE, SETTINGS)


def processor(store: MemoryKeyStore) -> tuple[BatchProcessor, Vault]:
    vault = Vault(SETTINGS.sealing, store)
    return BatchProcessor(CORE, coder(MemoryModel({})), ranker(), keys=vault, hold_s=0.001), vault


def incoming(certificate: Certificate, offset: int = 0, key: bytes | None = None) -> Incoming:
    value = WIRE.encode("certificates", certificate_record(certificate))
    return Incoming(value, key or certificate.certificate_id.encode(), Origin("certificates", 0, offset))


def letters(decisions: Sequence[Decision]) -> list[str]:
    return [d.letter.error if d.letter else "coded" for d in decisions]


def task(decision: Decision) -> Certificate | None:
    (written,) = [r.value for r in decision.outgoing if r.subject == "manual"]
    return read_task(WIRE.decode("manual", written)).certificate


async def test_every_text_goes_out_under_its_own_key_with_one_trip_for_the_batch() -> None:
    store = MemoryKeyStore()
    batch, vault = processor(store)
    bad = Incoming(b"\x01 infarctus", b"x1", Origin("certificates", 0, 7))
    nameless = Incoming(b"infarctus", b"no id", Origin("certificates", 0, 8))
    decisions = await batch.process([*(incoming(full(f"c{i}"), i) for i in range(5)), bad, nameless])
    assert letters(decisions) == ["coded"] * 5 + ["BAD_FRAME"] * 2
    assert store.trips == 1
    for decision in decisions:
        for record in decision.outgoing:
            assert not [word for word in SECRETS if word.encode() in record.value]
    sealed = task(decisions[3])
    assert sealed is not None and vault.get(["c3"]).open(sealed) == full("c3")
    for decision, owner in ((decisions[5], "x1"), (decisions[6], "record certificates/0/8")):
        letter = read_dead_letter(WIRE.decode("dead-letters", decision.outgoing[0].value))
        place = f"certificates/0/{letter.origin.offset}"
        assert isinstance(letter.payload, Sealed) and letter.payload.key_id.endswith(f":{owner}")
        assert vault.get([owner]).open_bytes(letter.payload, place, "payload") == decision.incoming.value


async def test_what_a_producer_sealed_is_coded_as_its_plain_text_is() -> None:
    store = MemoryKeyStore()
    batch, vault = processor(store)
    (plain,) = await batch.process([incoming(full())])
    (sealed,) = await batch.process([incoming(vault.get_or_make(["c"]).seal(full()))])
    assert plain.coded is not None and sealed.coded is not None
    moment = {"content_hash": "", "coded_at": plain.coded.coded_at}
    assert replace(sealed.coded, **moment) == replace(plain.coded, **moment)  # type: ignore[arg-type]
    stranger = Vault(SETTINGS.sealing, MemoryKeyStore()).get_or_make(["c"]).seal(full())
    assert letters(await batch.process([incoming(stranger)])) == ["SEALED_UNREADABLE"]


async def test_a_record_under_a_foreign_key_is_sealed_for_its_own_certificate() -> None:
    batch, vault = processor(MemoryKeyStore())
    (decision,) = await batch.process([incoming(full("c"), key=b"other")])
    sealed = task(decision)
    assert sealed is not None and vault.get(["c"]).open(sealed) == full("c")


async def test_a_shredded_certificate_leaves_nothing_but_its_withdrawal() -> None:
    batch, vault = processor(MemoryKeyStore())
    before = task((await batch.process([incoming(full())]))[0])
    vault.shred(["c"], "p", "w")
    later = [incoming(full(version=2)), incoming(replace(full(version=3), status=Status.VOID)), incoming(full("d"))]
    decisions = await batch.process(later)
    assert letters(decisions) == ["SHREDDED", "coded", "coded"]
    letter = decisions[0].letter
    assert letter is not None and letter.payload is None and before is not None
    assert not [word for word in SECRETS if word.encode() in decisions[0].outgoing[0].value]


async def test_a_store_that_does_not_answer_holds_the_batch_and_loses_nothing() -> None:
    store = MemoryKeyStore()
    store.failures = [KeysUnavailable("key store: OperationalError") for _ in range(5)]
    batch, _ = processor(store)
    with capture_logs() as logs:
        decisions = await batch.process([incoming(full())])
    assert letters(decisions) == ["coded"] and store.trips == 6
    held = [entry for entry in logs if entry["event"].startswith("held")]
    assert [(entry["code"], entry["reason"]) for entry in held] == [("KEYS_UNAVAILABLE", "key store: OperationalError")]


async def test_without_keys_at_hand_nothing_goes_out_in_plain() -> None:
    batch = BatchProcessor(CORE, coder(MemoryModel({})), ranker())
    (decision,) = await batch.process([incoming(Certificate("c", part1=(Line("infarctus"),)))])
    assert letters([decision]) == ["CORE_FAILED"] and decision.letter is not None and decision.letter.payload is None
