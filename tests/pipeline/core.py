"""A core over registries and models in memory, and certificates as they come over the wire."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from stream.certificate import certificate_record, read_certificate
from stream.coder.model import MemoryModel
from stream.coding import CodedCertificate, Origin, read_coded, read_task
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.record import Decision, Incoming
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import Sealing, Settings
from stream.targeting.thresholds import Found, Threshold, Thresholds
from stream.underlying.ranking import Ranked, RankModel, SilentRanker
from stream.wire import Wire

NOW = datetime(2026, 1, 16, 12, 0, tzinfo=UTC)
ORIGIN = Origin("certificates", 3, 42)
SCHEMAS = load_schemas(Settings().registry.schemas)
WIRE = Wire(MemoryRegistry(SCHEMAS))
KEYS = {"k1": SecretStr(base64.b64encode(b"1" * 32).decode()), "k2": SecretStr(base64.b64encode(b"2" * 32).decode())}


def trusting(core: Core, *, audit_rate: float | None = None, coder: str = "memory-1", ranker: str = "none") -> Core:
    """The core with thresholds that fit the models of the tests, and maybe another rate of audits."""
    policy, versions = core._policy, core.versions
    named = {
        "lexicon": versions.lexicon, "rules": versions.rules, "coder": coder,
        "underlying": f"{versions.underlying}+{ranker}",
    }  # fmt: skip
    found = Found(threshold=0.8)
    strata = {
        s.name: Threshold(error=s.error, confidence=0.95, level="exact", n=1_000, normal=found, strict=found)
        for s in policy.rules.strata
    }
    fitted = Thresholds(certified=False, source="tests", made_at=NOW, versions=named, strata=strata)
    rules = policy.rules
    if audit_rate is not None:
        audited = [s.model_copy(update={"audit_rate": audit_rate}) for s in rules.strata]
        rules = rules.model_copy(update={"strata": tuple(audited)})
    core._policy = replace(policy, rules=rules, thresholds=fitted)
    return core


PLAIN = trusting(Core(WIRE, Settings()))
SEALING = Settings(sealing=Sealing(keys=KEYS, active="k1"))


def framed(**fields: Any) -> bytes:
    certificate = read_certificate({"certificate_id": "A1", **fields})
    return WIRE.encode("certificates", certificate_record(certificate))


def run(
    value: bytes | None,
    core: Core = PLAIN,
    model: MemoryModel | None = None,
    now: datetime = NOW,
    ranker: RankModel | None = None,
) -> Decision:
    """What a shell does: prepare, ask the coder, word, ask the ranker, decide."""
    prepared = core.prepare(core.receive(Incoming(value, b"A1", ORIGIN)), now)
    if not isinstance(prepared, Prepared):
        return prepared
    model = model or MemoryModel({})
    answers = dict(zip(prepared.requests, asyncio.run(model.ask(prepared.requests)), strict=True))
    worded = core.word(prepared, answers, model.version, now)
    if not isinstance(worded, Worded):
        return worded
    ranker = ranker or SilentRanker()
    rankings = dict(zip(worded.requests, asyncio.run(_asked(ranker, worded)), strict=True))
    return core.decide(worded, rankings, ranker.version, now)


async def _asked(ranker: RankModel, worded: Worded) -> Sequence[Ranked]:
    return await ranker.ask(worded.requests)


def coded(**fields: Any) -> CodedCertificate:
    found = run(framed(**fields)).coded
    assert found is not None
    return found


def records(decision: Decision) -> dict[str, dict[str, Any]]:
    """The outgoing records, decoded, by subject."""
    found = {record.subject: WIRE.decode(record.subject, record.value) for record in decision.outgoing}
    assert len(found) == len(decision.outgoing)
    if "coded" in found:
        assert read_coded(found["coded"]) == decision.coded
        read_task(found["manual"])
    return found
