"""How sure the rules' answer is: how often the same path of rules was right on certificates kept apart.

`confidence.tsv` holds, for paths and for paths by number of codes, the certificates of the dev split and the right
answers among them; small groups are drawn towards larger ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from stream.errors import InvalidData

#: Weight, in certificates, of the larger group when a smaller one is estimated.
PRIOR = 12.0
ALL = "*"
_RULE = re.compile(r"(SP|P|M)\d")


class Confidence:
    """Calibrated probability that an answer is right.

    Args:
        counts: (certificates, right answers) by path of rules and group of size; ``*`` stands for any.
    """

    def __init__(self, counts: Mapping[tuple[str, str], tuple[int, int]]) -> None:
        self._counts = dict(counts)
        self._known: dict[tuple[str, str], float] = {}

    def of(self, steps: Sequence[str], number: int) -> float:
        """Probability for the steps of an answer on a certificate of `number` codes."""
        key = path(steps), size(number)
        answer = self._known.get(key)
        if answer is None:
            answer = self._known[key] = self._estimate(*key)
        return answer

    def _estimate(self, steps: str, group: str) -> float:
        estimate = 0.5
        for key in ((ALL, ALL), (ALL, group), (steps, ALL), (steps, group)):
            n, right = self._counts.get(key, (0, 0))
            estimate = (right + PRIOR * estimate) / (n + PRIOR)
        return round(min(0.999, estimate), 4)


def path(steps: Sequence[str]) -> str:
    """The rules of selection and modification that fired, each named once, in order: ``SP3 M1``."""
    names = (step.partition(":")[0] for step in steps)
    return " ".join(dict.fromkeys(name for name in names if _RULE.fullmatch(name)))


def size(number: int) -> str:
    """Group of certificates by number of codes."""
    return str(number) if number < 6 else "6-7" if number < 8 else "8+"


def read_confidence(rows: Iterable[Sequence[str]]) -> Confidence:
    """Confidence from the rows of `confidence.tsv`.

    Raises:
        InvalidData: counts that are no counts.
    """
    counts = {}
    for steps, group, n, right in rows:
        if not (n.isdigit() and right.isdigit() and 0 <= int(right) <= int(n)):
            raise InvalidData("confidence.tsv: not a number of certificates and of right answers")
        counts[steps, group] = int(n), int(right)
    return Confidence(counts)
