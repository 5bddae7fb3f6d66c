"""Agreement of two codings of the same certificates beyond chance.

Cohen's kappa (Educational and Psychological Measurement 20, 1960) with the large-sample standard error of Fleiss, Cohen and
Everitt (Psychological Bulletin 72, 1969). Where all agree that error is nought, and a few pairs would look like a proof:
there the bounds are those of the share that agrees (Clopper and Pearson, 1934) at the same agreement by chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import special

from stream.coding import DecisionKind
from stream.nomenclature import shortlist
from stream.nomenclature.agreement import LEVELS, Level
from stream.quality import truth
from stream.quality.intervals import CONFIDENCE, Interval, clopper_pearson
from stream.quality.ledger import Case


@dataclass(frozen=True, slots=True)
class Kappa:
    """How far two codings agree.

    Attributes:
        pairs: certificates coded twice.
        agree: those that were coded alike.
        share: `agree` of `pairs`, with its exact interval.
        kappa: agreement beyond chance with its interval; None without pairs, or where all bear one code.
    """

    pairs: int
    agree: int
    share: Interval
    kappa: Interval | None

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        return {"pairs": self.pairs, "agree": self.agree, "share": _told(self.share if self.pairs else None),
                "kappa": _told(self.kappa)}  # fmt: skip


def _told(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"value": round(interval.value, 4), "low": round(interval.low, 4), "high": round(interval.high, 4)}


def kappa(pairs: Sequence[tuple[str, str]], confidence: float = CONFIDENCE) -> Kappa:
    """Agreement of the first with the second of each pair."""
    n = len(pairs)
    agree = sum(a == b for a, b in pairs)
    if not n:
        return Kappa(0, 0, Interval(0.0, 0.0, 1.0), None)
    low, high = clopper_pearson(agree, n, confidence)
    share = Interval(agree / n, low, high)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[code] * second[code] for code in first) / n**2
    if chance >= 1:
        return Kappa(n, agree, share, None)
    value = (share.value - chance) / (1 - chance)
    error = _standard_error(pairs, first, second, value, chance)
    if error == 0:
        bounds = ((low - chance) / (1 - chance), (high - chance) / (1 - chance))
    else:
        wide = float(special.ndtri((1 + confidence) / 2)) * error
        bounds = (value - wide, value + wide)
    return Kappa(n, agree, share, Interval(value, max(-1.0, bounds[0]), min(1.0, bounds[1])))


def by_level(pairs: Sequence[tuple[str, str]]) -> dict[Level, Kappa]:
    """Agreement on underlying causes, as finely as one asks."""
    forms: dict[Level, Callable[[str], str]] = {"exact": str, "three": lambda code: code[:3], "shortlist": _category}
    return {level: kappa([(forms[level](a), forms[level](b)) for a, b in pairs]) for level in LEVELS}


def of_cases(cases: Iterable[Case]) -> dict[Level, Kappa]:
    """Agreement of first and second codings that stand, for who knows the topics alone (`causa quality`)."""
    pairs = []
    for case in cases:
        if not case.decided:
            continue
        last = {made.kind: made.underlying_after or "" for made in truth.standing(case)}
        if DecisionKind.FIRST in last and DecisionKind.SECOND in last:
            pairs.append((last[DecisionKind.FIRST], last[DecisionKind.SECOND]))
    return by_level(pairs)


def _category(code: str) -> str:
    """Category of the shortlist; a cause outside all of them agrees with itself alone, as in `nomenclature.agreement`."""
    found = shortlist.of(code) if code else shortlist.OTHER
    return code if found == shortlist.OTHER else found


def _standard_error(
    pairs: Sequence[tuple[str, str]], first: Counter[str], second: Counter[str], value: float, chance: float
) -> float:
    n, rest = len(pairs), 1 - value
    diagonal = beside = 0.0
    for (a, b), count in Counter(pairs).items():
        if a == b:
            diagonal += count / n * (1 - (first[a] + second[a]) / n * rest) ** 2
        else:
            beside += count / n * ((second[a] + first[b]) / n) ** 2
    variance = diagonal + rest**2 * beside - (value - chance * rest) ** 2
    # What is left of a difference of nearly equal numbers is no error of theirs.
    return math.sqrt(variance / n) / (1 - chance) if variance > 1e-12 else 0.0
