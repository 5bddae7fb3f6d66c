"""Bridge coding: one set of certificates coded twice, and what that does to a series of deaths by cause.

The comparability ratio of a cause is the number of deaths that the second coding gives it over the number that the first
gives it, as offices publish it when the classification or the coding software changes (Anderson, Miniño, Hoyert and
Rosenberg, National Vital Statistics Reports 49(2), 2001; Office for National Statistics, Health Statistics Quarterly 13
and 14, 2002; Eurostat, Glossary: Comparability ratio). A ratio of 1 does not say that nothing moved: as many may have
come as went, so the numbers of both stand beside it.

Its standard error is that of a ratio estimate (Cochran, Sampling Techniques, 3rd edition 1977, sections 2.11 and 6.4)
from certificates with x = 1 where the first coding names the cause and y = 1 where the second does. With a certificates
that both name, b that only the first does and c that only the second does, R = (a + c) / (a + b), and

    s(R)^2 = sum (y - R x)^2 / (sum x)^2 = (a (1 - R)^2 + b R^2 + c) / (a + b)^2

The deaths are taken for a sample of those to come, so there is no correction for a finite population. The interval is
R ± 1.96 s(R), not below 0. Whether more came than went is told by the exact test of McNemar: under no net change, c of the
b + c that moved is binomial with one half.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy import stats

Z = 1.959963984540054
FEWEST = 20
"""Deaths below which a ratio is marked as unreliable: NCHS publishes none that rests on fewer."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A cause in both codings.

    Attributes:
        both: deaths that both give it.
        left: deaths that only the first does.
        came: deaths that only the second does.
    """

    both: int
    left: int
    came: int

    @property
    def before(self) -> int:
        """Deaths that the first coding gives it."""
        return self.both + self.left

    @property
    def after(self) -> int:
        """Deaths that the second coding gives it."""
        return self.both + self.came

    @property
    def value(self) -> float | None:
        """The comparability ratio; None where the first coding gives no death."""
        return self.after / self.before if self.before else None

    @property
    def error(self) -> float | None:
        """Its standard error."""
        ratio = self.value
        if ratio is None:
            return None
        squares = self.both * (1 - ratio) ** 2 + self.left * ratio**2 + self.came
        return math.sqrt(squares) / self.before

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        ratio, error = self.value, self.error
        if ratio is None or error is None:
            return None
        return max(0.0, ratio - Z * error), ratio + Z * error

    @property
    def p(self) -> float:
        """Chance of a net change as large where there is none."""
        moved = self.left + self.came
        return float(stats.binomtest(self.came, moved, 0.5).pvalue) if moved else 1.0

    @property
    def reliable(self) -> bool:
        """Whether it rests on enough deaths."""
        return min(self.before, self.after) >= FEWEST

    def record(self) -> dict[str, float | int | bool | None]:
        """JSON mapping."""
        low, high = self.interval or (None, None)
        return {
            "before": self.before, "after": self.after, "both": self.both, "left": self.left, "came": self.came,
            "ratio": _rounded(self.value), "standard_error": _rounded(self.error), "low": _rounded(low),
            "high": _rounded(high), "p": _rounded(self.p), "reliable": self.reliable,
        }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


class Bridge:
    """Counts of both codings by category."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def add(self, before: Iterable[str], after: Iterable[str]) -> None:
        """Take a death in: categories that the first coding gives it, and the second."""
        first, second = frozenset(before), frozenset(after)
        for place, names in enumerate((first & second, first - second, second - first)):
            for name in names:
                self._counts.setdefault(name, [0, 0, 0])[place] += 1

    def ratios(self) -> dict[str, Ratio]:
        """By category, those that moved most first."""
        found = {name: Ratio(*counts) for name, counts in self._counts.items()}
        return dict(sorted(found.items(), key=lambda item: (-(item[1].left + item[1].came), item[0])))
