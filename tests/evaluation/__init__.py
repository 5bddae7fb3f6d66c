"""Evaluation: certificates and their codings made by hand, so that every count can be told beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stream.certificate import Certificate, Line
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Entity,
    Method,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
)
from stream.errors import InvalidCertificate
from stream.evaluation.gold import Gold
from stream.evaluation.score import Score


def entity(code: str, confidence: float = 0.9, method: Method = Method.RULES) -> Entity:
    return Entity(code, 0, 3, confidence, method, "x")


def line(*codes: str | Entity) -> CodedLine:
    return CodedLine(tuple(code if isinstance(code, Entity) else entity(code) for code in codes))


def coded(
    *part1: CodedLine,
    cause: str | None = "J81",
    route: Route = Route.AUTO,
    part2: Sequence[CodedLine] = (),
    confidence: float = 0.9,
) -> CodedCertificate:
    return CodedCertificate(
        "A", 1, "h", CodedStatus.FINAL, Modality.RULES, Underlying(cause, confidence, steps=("SP1",)), Targeting(route),
        Versions(), datetime(2026, 1, 1, tzinfo=UTC), part1=part1, part2=tuple(part2),
    )  # fmt: skip


def gold(
    *part1: Sequence[str], cause: str = "J81", part2: Sequence[Sequence[str]] = (), text: str = "abc", name: str = "A"
) -> Gold:
    certificate = Certificate(name, (Line(text),) * len(part1), (Line(text),) * len(part2))
    return Gold(name, certificate, tuple(tuple(codes) for codes in (*part1, *part2)), cause)


def lost(*lines: Sequence[str], cause: str = "J81", name: str = "row 4") -> Gold:
    """Gold of a certificate that cannot be read."""
    return Gold(name, None, tuple(map(tuple, lines)), cause, InvalidCertificate("part1: tuple_type"))


def record(found: Score) -> dict[str, Any]:
    """What `causa evaluate` writes beside the page."""
    return {
        "source": "gold.jsonl", "certificates": found.certificates.total, "measured_at": "2026-01-01T00:00:00+00:00",
        "coders": "rules", "versions": {"software": "0", "coder": ""},
    } | found.record()  # fmt: skip
