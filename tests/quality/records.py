"""Coded records and decisions as short as the tests need them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from stream.certificate import Source
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    DecisionKind,
    Modality,
    Reason,
    Route,
    Targeting,
    Underlying,
    Versions,
)
from stream.quality.ledger import Ledger

T0 = datetime(2026, 1, 5, 8, tzinfo=UTC)


def coded(
    certificate_id: str = "a",
    code: str | None = "I21.9",
    *,
    version: int = 1,
    route: Route = Route.AUTO,
    audit: bool = False,
    inclusion: float = 0.1,
    stratum: str = "rest",
    modality: Modality = Modality.MODEL,
    status: CodedStatus | None = None,
    revision: int = 0,
    received: datetime | None = T0,
    hours: float = 1.0,
    content: str = "h",
    confidence: float = 0.9,
    source: Source = Source.ELECTRONIC,
    flags: tuple[str, ...] = (),
    unknown: float = 0.0,
) -> CodedCertificate:
    """A coded record, coded so many hours after `T0`."""
    manual = route is Route.MANUAL
    return CodedCertificate(
        certificate_id, version, content,
        status or (CodedStatus.PROVISIONAL if manual else CodedStatus.FINAL), modality, Underlying(code, confidence),
        Targeting(route, (Reason.LOW_CONFIDENCE,) if manual else (), audit, inclusion, "p", stratum, 0.8),
        Versions(), T0 + timedelta(hours=hours), revision, death_date=date(2026, 1, 3), received_at=received,
        source=source, flags=flags, unknown=unknown,
    )  # fmt: skip


def decision(
    certificate_id: str = "a",
    code: str | None = "I21.9",
    *,
    name: str = "",
    kind: DecisionKind = DecisionKind.FIRST,
    version: int = 1,
    blind: bool = True,
    hours: float = 24.0,
    supersedes: str | None = None,
    content: str = "",
) -> Correction:
    """A person's decision, so many hours after `T0`."""
    at = T0 + timedelta(hours=hours)
    return Correction(
        name or f"{certificate_id}-{kind}-{hours}", kind, certificate_id, version, "c1", "coder", "OK", at, content,
        supersedes, underlying_after=code, blind=blind,
    )  # fmt: skip


def ledger(records: Sequence[CodedCertificate | Correction]) -> Ledger:
    """A ledger of some records, in their order."""
    found = Ledger()
    for record in records:
        if isinstance(record, Correction):
            found.decide(record)
        else:
            found.coded(record)
    return found


def shuffled(records: Sequence[CodedCertificate | Correction], seed: int) -> list[CodedCertificate | Correction]:
    """The records, some of them twice, in another order."""
    rng = random.Random(seed)
    out = [*records, *(r for r in records if rng.random() < 0.5)]
    rng.shuffle(out)
    return out
