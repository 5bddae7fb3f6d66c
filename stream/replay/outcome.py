"""A result as comparisons need it: small enough to hold a year of them, and a digest that tells two apart."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from stream.certificate import Form, Sex
from stream.coding import Assertion, Automation, CodedCertificate, CodedLine, Modality, Versions, coded_json

_OWN = ("coded_at", "origin", "revision")
"""What may differ between two codings of one certificate by the same versions."""
Span = tuple[str, int, int, str]
"""Code, first and behind-last character in the raw line, assertion."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was made of a certificate version.

    Attributes:
        digest: of all fields but moment, origin and revision: equal digests mean identical results.
        lines: entities of each line, Part I first.
        part1: how many of the lines are Part I's.
        underlying: code, None where nothing could be coded.
        reasons, flags: sorted.
    """

    content_hash: str
    digest: bytes
    status: str
    human: bool
    lines: tuple[tuple[Span, ...], ...]
    part1: int
    underlying: str | None
    route: str
    reasons: tuple[str, ...]
    audit: bool
    stratum: str
    automation: Automation
    flags: tuple[str, ...]
    versions: Versions
    death_date: date | None
    sex: Sex
    age_days: float | None
    form: Form
    revision: int

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all lines that are asserted, in order."""
        return tuple(code for line in self.lines for code, _, _, said in line if said != Assertion.NEGATED)


_shared: dict[Any, Any] = {}


def _once(value: Any) -> Any:
    """Equal values share one object: versions, reasons and single codes repeat by the hundred thousand."""
    return _shared.setdefault(value, value)


def _spans(line: CodedLine) -> tuple[Span, ...]:
    return tuple((sys.intern(e.code), e.start, e.end, e.assertion.value) for e in line.entities)


def outcome(coded: CodedCertificate) -> Outcome:
    """The small form of a result."""
    target = coded.targeting
    return Outcome(
        content_hash=coded.content_hash,
        digest=digest(coded),
        status=coded.status.value,
        human=coded.modality is Modality.HUMAN,
        lines=tuple(_spans(line) for line in (*coded.part1, *coded.part2)),
        part1=len(coded.part1),
        underlying=sys.intern(coded.underlying.code) if coded.underlying.code else None,
        route=target.route.value,
        reasons=_once(tuple(sorted(reason.value for reason in target.reasons))),
        audit=target.audit,
        stratum=sys.intern(target.stratum),
        automation=target.automation,
        flags=_once(tuple(sorted(coded.flags))),
        versions=_once(coded.versions),
        death_date=coded.death_date,
        sex=coded.sex,
        age_days=coded.age.days if coded.age else None,
        form=coded.form,
        revision=coded.revision,
    )


def identity(coded: CodedCertificate) -> Mapping[str, Any]:
    """All of a result but moment, origin and revision, as JSON."""
    record = coded_json(coded)
    for name in _OWN:
        del record[name]
    return record


def digest(coded: CodedCertificate) -> bytes:
    """Hash of `identity`: same versions must give the same."""
    text = json.dumps(identity(coded), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def differing(a: Mapping[str, Any], b: Mapping[str, Any], path: str = "") -> list[str]:
    """Paths of the fields in which two JSON mappings differ, without their values."""
    found: list[str] = []
    for name in sorted({*a, *b}):
        here, there = a.get(name), b.get(name)
        where = f"{path}.{name}" if path else name
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            found += differing(here, there, where)
        elif here != there:
            found.append(where)
    return found
