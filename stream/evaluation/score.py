"""Counts of what was right, against gold.

Entities are compared line by line as bags of codes, as CLEF eHealth did (Névéol et al., 2017): precision, recall and
F1 are micro-averaged. A code that is no code of the line is an error even where another line has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from stream.coding import CodedCertificate, CodedLine
from stream.evaluation.gold import Gold
from stream.nomenclature import icd10, shortlist
from stream.nomenclature.agreement import LEVELS, same

BINS = 10


@dataclass
class Tally:
    """Codes right, proposed and expected."""

    right: int = 0
    proposed: int = 0
    expected: int = 0

    def add(self, proposed: Counter[str], expected: Counter[str]) -> None:
        """Count one line."""
        self.right += sum((proposed & expected).values())
        self.proposed += proposed.total()
        self.expected += expected.total()

    @property
    def precision(self) -> float:
        """Share of the proposed codes that are right."""
        return self.right / max(1, self.proposed)

    @property
    def recall(self) -> float:
        """Share of the expected codes that were proposed."""
        return self.right / max(1, self.expected)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        return 2 * self.right / max(1, self.proposed + self.expected)

    def record(self) -> dict[str, float | int]:
        """Mapping for JSON."""
        return {
            "precision": round(self.precision, 4), "recall": round(self.recall, 4), "f1": round(self.f1, 4),
            "right": self.right, "proposed": self.proposed, "expected": self.expected,
        }  # fmt: skip


@dataclass
class Share:
    """So many of so many."""

    right: int = 0
    total: int = 0

    def add(self, right: bool) -> None:
        """Count one."""
        self.right += right
        self.total += 1

    @property
    def rate(self) -> float:
        """Share, 0 where there is none."""
        return self.right / max(1, self.total)

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's score interval (1927), 95 % by default."""
        if not self.total:
            return 0.0, 1.0
        n, p = self.total, self.rate
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * ((p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        low, high = self.interval()
        return {"rate": round(self.rate, 4), "right": self.right, "total": self.total,
                "interval95": [round(low, 4), round(high, 4)]}  # fmt: skip


@dataclass
class Reliability:
    """Stated chances beside what came true.

    Certificates of one chance share what came true of them, so that their order says nothing.
    """

    chances: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def add(self, chance: float, right: bool) -> None:
        """Count one."""
        self.chances.append(chance)
        self.right.append(right)

    def bins(self, count: int = BINS) -> list[tuple[float, float, int]]:
        """Mean chance, share right and number, in bins of equal size."""
        if not self.chances:
            return []
        order = np.argsort(self.chances, kind="stable")
        p, y = np.array(self.chances)[order], np.array(self.right, float)[order]
        _, where, sizes = np.unique(p, return_inverse=True, return_counts=True)
        y = (np.bincount(where, y) / sizes)[where]
        parts = [part for part in np.array_split(np.arange(len(p)), count) if len(part)]
        return [(float(p[part].mean()), float(y[part].mean()), len(part)) for part in parts]

    @property
    def error(self) -> float:
        """Expected calibration error over `BINS` bins."""
        return self.error_over(BINS)

    def error_over(self, count: int) -> float:
        """Expected calibration error (Naeini et al., 2015), over so many bins of equal size."""
        return sum(n * abs(p - y) for p, y, n in self.bins(count)) / max(1, len(self.chances))

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        bins = [{"stated": round(p, 4), "right": round(y, 4), "n": n} for p, y, n in self.bins()]
        return {"calibration_error": round(self.error, 4), "bins": bins}


@dataclass(frozen=True, slots=True)
class Miss:
    """A line or a certificate that came out otherwise than its gold; `text` is confidential."""

    certificate_id: str
    line: int | None
    text: str
    gold: tuple[str, ...]
    found: tuple[str, ...]
    confidence: float
    steps: tuple[str, ...] = ()


@dataclass
class Score:
    """All counts of a run."""

    exact: Tally = field(default_factory=Tally)
    three: Tally = field(default_factory=Tally)
    lines: Share = field(default_factory=Share)
    certificates: Share = field(default_factory=Share)
    underlying: Share = field(default_factory=Share)
    underlying_three: Share = field(default_factory=Share)
    underlying_shortlist: Share = field(default_factory=Share)
    automatic: Share = field(default_factory=Share)
    """Underlying causes right among the certificates that targeting leaves to the machine."""
    chapters: dict[str, Tally] = field(default_factory=dict)
    methods: dict[str, Share] = field(default_factory=dict)
    """Proposed codes right, by who proposed them."""
    causes: dict[str, Share] = field(default_factory=dict)
    """Underlying causes right, by the gold's category of the European shortlist."""
    entity_chances: Reliability = field(default_factory=Reliability)
    underlying_chances: Reliability = field(default_factory=Reliability)
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(gold, found) of lines; "" where there is no counterpart."""
    misses: list[Miss] = field(default_factory=list)
    unreadable: int = 0

    def by_chapter(self) -> list[tuple[str, Tally]]:
        """Chapters with their counts, the commonest in gold first."""
        return sorted(self.chapters.items(), key=lambda item: -item[1].expected)

    def record(self) -> dict[str, Any]:
        """Mapping for JSON; without texts."""
        return {
            "entities": {"exact": self.exact.record(), "three_characters": self.three.record()},
            "lines_exact": self.lines.record(), "certificates_exact": self.certificates.record(),
            "underlying": {"exact": self.underlying.record(), "three_characters": self.underlying_three.record(),
                           "european_shortlist": self.underlying_shortlist.record()},
            "automatic": self.automatic.record(),
            "by_chapter": {k: v.record() for k, v in self.by_chapter()},
            "by_method": {k: v.record() for k, v in sorted(self.methods.items())},
            "by_shortlist": {k: v.record() for k, v in sorted(self.causes.items(), key=lambda kv: -kv[1].total)},
            "calibration": {"entities": self.entity_chances.record(), "underlying": self.underlying_chances.record()},
            "confusions": [{"gold": g or None, "found": f or None, "n": n} for (g, f), n in self.confusions.most_common(100)],
            "unreadable": self.unreadable,
        }  # fmt: skip


def score(pairs: Iterable[tuple[Gold, CodedCertificate | None]]) -> Score:
    """Compare certificates with their gold; None stands for one that could not be read: all it should have is missed."""
    found = Score()
    for gold, coded in pairs:
        found.unreadable += coded is None
        _certificate(found, gold, coded)
    return found


def _certificate(found: Score, gold: Gold, coded: CodedCertificate | None) -> None:
    lines: Sequence[CodedLine] = (*coded.part1, *coded.part2) if coded else [CodedLine()] * len(gold.lines)
    whole = coded is not None
    for number, (text, codes, line) in enumerate(zip(gold.texts, gold.lines, lines, strict=True)):
        want, got = Counter(codes), Counter(e.code for e in line.entities)
        found.exact.add(got, want)
        found.three.add(_cut(got), _cut(want))
        for code in want | got:
            tally = found.chapters.setdefault(icd10.chapter(code), Tally())
            tally.add(Counter({code: got[code]}), Counter({code: want[code]}))
        left = Counter(want)
        for entity in line.entities:
            right = left[entity.code] > 0
            left[entity.code] -= right
            found.entity_chances.add(entity.confidence, right)
            found.methods.setdefault(entity.method.value, Share()).add(right)
        found.lines.add(coded is not None and got == want)
        if got != want:
            whole = False
            found.confusions.update(confused(list((want - got).elements()), list((got - want).elements())))
            least = min((e.confidence for e in line.entities), default=0.0)
            found.misses.append(Miss(gold.id, number, text, tuple(want.elements()), tuple(got.elements()), least))
    found.certificates.add(whole)
    want_cause, cause = gold.underlying, (coded.underlying.code or "") if coded else ""
    right, three, listed = (same(cause, want_cause, level) for level in LEVELS)
    found.underlying.add(right)
    found.underlying_three.add(three)
    found.underlying_shortlist.add(listed)
    found.causes.setdefault(shortlist.of(want_cause), Share()).add(listed)
    if coded is None:
        why = (gold.error.code,) if gold.error else ("CORE_FAILED",)
        found.misses.append(Miss(gold.id, None, " / ".join(gold.texts), (want_cause,), (), 0.0, why))
        return
    if cause:
        found.underlying_chances.add(coded.underlying.confidence, right)
    if coded.targeting.route == "AUTO":
        found.automatic.add(right)
    if not right:
        found.misses.append(
            Miss(gold.id, None, " / ".join(gold.texts), (want_cause,), (cause,) if cause else (),
                 coded.underlying.confidence, tuple(coded.underlying.steps))
        )  # fmt: skip


def _cut(codes: Counter[str]) -> Counter[str]:
    return Counter(code[:3] for code in codes.elements())


def confused(missed: Sequence[str], wrong: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of a code missed and the one that stands in its stead: the likest first, "" where there is none."""
    missed, wrong = list(missed), list(wrong)
    pairs: list[tuple[str, str]] = []
    for alike in (lambda a, b: a[:3] == b[:3], lambda a, b: icd10.chapter(a) == icd10.chapter(b)):
        for code in list(missed):
            other = next((w for w in wrong if alike(code, w)), None)
            if other is not None:
                pairs.append((code, other))
                missed.remove(code)
                wrong.remove(other)
    return pairs + list(zip_longest(missed, wrong, fillvalue=""))
