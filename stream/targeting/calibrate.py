"""Thresholds from certificates whose right underlying cause is known.

Only a sample that nobody chose may be used: gold certificates, or an office's random audits. What was sent to a person
for its low confidence says nothing about the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stream.coding import Versions
from stream.nomenclature.agreement import same
from stream.targeting import risk
from stream.targeting.policy import Rules, Stratum
from stream.targeting.subject import Subject
from stream.targeting.thresholds import VERSIONED, Found, Threshold, Thresholds


@dataclass(frozen=True, slots=True)
class Known:
    """A certificate that the machine coded, and the underlying cause that it should have.

    Attributes:
        inclusion: chance with which it came into the sample, against that of the others.
    """

    subject: Subject
    right: str
    inclusion: float = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Stated confidences of a stratum, and whether each was right."""

    chances: tuple[float, ...] = ()
    right: tuple[bool, ...] = ()

    def __add__(self, other: Sample) -> Sample:
        return Sample(self.chances + other.chances, self.right + other.right)

    def __len__(self) -> int:
        return len(self.chances)


def samples(known: Iterable[Known], rules: Rules) -> dict[str, Sample]:
    """The sample of each stratum, in the policy's order."""
    chances: dict[str, list[float]] = {stratum.name: [] for stratum in rules.strata}
    right: dict[str, list[bool]] = {stratum.name: [] for stratum in rules.strata}
    for one in known:
        s = one.subject
        name = rules.stratum(s.form, s.source, s.age_days, s.code).name
        chances[name].append(s.confidence if s.code else 0.0)
        right[name].append(same(s.code, one.right, rules.promise.level))
    return {name: Sample(tuple(chances[name]), tuple(right[name])) for name in chances}


def thresholds(
    known: Iterable[Known], rules: Rules, versions: Versions, *, source: str, certified: bool, now: datetime
) -> Thresholds:
    """Thresholds that keep a policy's promises.

    A stratum whose sample is too small to promise anything alone is pooled with the last one, under the strictest of
    their bounds; that depends on the samples' sizes alone. Where strata of one pool were audited at different rates,
    the pool is thinned to the lowest: a promise for them taken together needs them in the shares that come in. A
    stratum that is large enough and yet passes no test gets no threshold: none of its certificates is automatic.

    Args:
        known: the calibration sample, drawn at random from the certificates that a threshold may make automatic;
            those that a person sees in any case must not be in it (`target.never_automatic`), since the promise is
            about the automatic ones.
        rules: the policy.
        versions: what coded the sample, models included.
        source: what the sample is, for people.
        certified: whether it is an office's own audits.
        now: moment of calibration.
    """
    known = list(known)
    found = samples(known, rules)
    delta = 1 - rules.promise.confidence
    last = rules.strata[-1]
    small = [s for s in rules.strata[:-1] if len(found[s.name]) < 2 * risk.least(s.error, delta)]
    pool = [*small, last]
    pooled = samples(_thinned(known, rules, {s.name for s in pool}), rules) if small else found
    fitted: dict[str, Threshold] = {}
    for stratum in rules.strata:
        members = pool if stratum in pool else [stratum]
        sample = sum(((pooled if stratum in pool else found)[s.name] for s in members), Sample())
        fitted[stratum.name] = _threshold(stratum, members, sample, rules, delta)
    named = {name: getattr(versions, name) for name in VERSIONED}
    return Thresholds(
        certified=certified, source=source, made_at=now, versions=named, strata=fitted, division=rules.division
    )


def _thinned(known: Sequence[Known], rules: Rules, pool: Collection[str]) -> list[Known]:
    """The certificates of some strata as if all of these had been drawn at the rate of the one drawn least.

    Which are kept is decided by a hash of the id, apart from the audit's: the same certificates every time.
    """
    parts: dict[str, list[Known]] = {name: [] for name in pool}
    for one in known:
        s = one.subject
        name = rules.stratum(s.form, s.source, s.age_days, s.code).name
        if name in parts:
            parts[name].append(one)
    rates = {name: sum(one.inclusion for one in part) / len(part) for name, part in parts.items() if part}
    least = min(rates.values(), default=1.0)
    return [
        one for name, part in parts.items() for one in part
        if _place(one.subject.certificate_id) * rates[name] <= least
    ]  # fmt: skip


def _place(certificate_id: str) -> float:
    """A number between 0 and 1 that an id always has."""
    digest = hashlib.blake2b(certificate_id.encode(), digest_size=8, person=b"thinned").digest()
    return int.from_bytes(digest, "big") / 2**64


def _threshold(stratum: Stratum, members: Sequence[Stratum], sample: Sample, rules: Rules, delta: float) -> Threshold:
    error = min(s.error for s in members)

    def search(bound: float) -> Found:
        chosen = risk.choose(sample.chances, sample.right, bound, delta)
        return Found(
            threshold=chosen.threshold, accepted=chosen.accepted, wrong=chosen.wrong, upper=round(chosen.upper, 4)
        )

    return Threshold(
        error=stratum.error, confidence=rules.promise.confidence, level=rules.promise.level, n=len(sample),
        pooled=tuple(s.name for s in members) if len(members) > 1 else (),
        normal=search(error), strict=search(error * rules.strict),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A point of the curve of error against coverage: what a threshold would give on a sample."""

    threshold: float
    coverage: float
    error: float
    upper: float
    accepted: int
    wrong: int


def curve(sample: Sample, confidence: float, steps: int = 40) -> list[Step]:
    """Coverage, share wrong and its upper bound at thresholds from the strictest down, about `steps` of them."""
    order = sorted(zip(sample.chances, sample.right, strict=True), key=lambda pair: -pair[0])
    found: list[Step] = []
    wrong, n = 0, len(order)
    every = max(1, n // steps)
    for place, (chance, right) in enumerate(order, start=1):
        wrong += not right
        last_of_its_score = place == n or order[place][0] < chance
        if last_of_its_score and (place == n or not found or place - found[-1].accepted >= every):
            upper = risk.upper_bound(place, wrong, 1 - confidence)
            found.append(Step(chance, place / n, wrong / place, upper, place, wrong))
    return found
